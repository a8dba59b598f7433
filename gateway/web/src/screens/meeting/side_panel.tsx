import type { ReactNode } from "react";
import { Boundary } from "@/design/boundary";
import { Button } from "@/design/button";
import { Spinner } from "@/design/page";
import { type Part, usePart } from "@/design/part";
import { PanelHead } from "./panel_head";

interface PanelProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

export interface LoadedPanelProps<T> extends Omit<PanelProps, "children"> {
  readonly part: Part<T>;
  readonly children: (module: T) => ReactNode;
}

/** A panel beside the stage that is loaded when it is opened. */
export function LoadedPanel<T>({ part, title, onClose, children }: LoadedPanelProps<T>) {
  const state = usePart(part);
  if (state.kind === "ready") {
    return (
      <PanelBoundary title={title} onClose={onClose}>
        {children(state.value)}
      </PanelBoundary>
    );
  }
  if (state.kind === "loading") {
    return (
      <Frame title={title} onClose={onClose}>
        <Spinner />
      </Frame>
    );
  }
  return (
    <Frame title={title} onClose={onClose}>
      <p role="alert">
        This panel couldn't be loaded. Your call goes on. Check your network and try again; if Parley was just updated,
        the panel is back once you have left and reloaded the page.
      </p>
      <Button onClick={() => void part.load().catch(() => undefined)}>Try again</Button>
    </Frame>
  );
}

/** Keeps a fault in a panel to the panel. */
export function PanelBoundary({ title, onClose, children }: PanelProps) {
  return (
    <Boundary
      fallback={(again) => (
        <Frame title={title} onClose={onClose}>
          <p role="alert">This panel has stopped working. Your call goes on.</p>
          <Button onClick={again}>Show it again</Button>
        </Frame>
      )}
    >
      {children}
    </Boundary>
  );
}

function Frame({ title, onClose, children }: PanelProps) {
  return (
    <aside
      aria-label={title}
      className="absolute inset-0 z-10 flex flex-col bg-surface sm:static sm:m-2 sm:ml-0 sm:w-80 sm:rounded-panel"
      onKeyDown={({ key }) => key === "Escape" && onClose()}
    >
      <PanelHead title={title} onClose={onClose} />
      <div className="flex flex-1 flex-col items-start gap-3 px-4 pb-4 text-sm text-quiet">{children}</div>
    </aside>
  );
}
