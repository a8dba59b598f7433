import { MicOff, Pin, SignalLow } from "lucide-react";
import { memo, type ReactNode, useEffect, useRef } from "react";
import { Avatar } from "@/design/avatar";
import { LiveVideo } from "@/design/live_video";
import type { Levels } from "@/media/levels";
import type { Rect } from "@/stage/layout";

export interface TileProps {
  readonly id: string;
  readonly name: string;
  readonly self: boolean;
  readonly screen: boolean;
  readonly muted: boolean;
  readonly reconnecting: boolean;
  readonly pinned: boolean;
  /** Whether the picture stutters. */
  readonly poor: boolean;
  readonly onDetails: () => void;
  /** Shows the picture; undefined: there is none. */
  readonly video: HTMLVideoElement | undefined;
  readonly rect: Rect;
  readonly reaction: string | undefined;
  readonly levels: Levels;
  /** Lies over the picture. */
  readonly children?: ReactNode;
}

/** Somebody, or what they share. It stays mounted while others come and go; only its place changes. */
export const Tile = memo(function Tile(props: TileProps) {
  const { id, name, self, screen, video, rect, levels, reconnecting } = props;
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    if (screen) {
      return;
    }
    // Set beside React: levels change ten times a second.
    return levels.follow(id, (speaking) => place.current?.toggleAttribute("data-speaking", speaking));
  }, [levels, id, screen]);
  const style = { width: rect.width, height: rect.height, transform: `translate(${rect.x}px, ${rect.y}px)` };
  const label = screen ? `Screen of ${name}` : self ? `${name}, you` : name;
  return (
    <section
      ref={place}
      aria-label={label}
      className="tile"
      style={style}
      data-testid="tile"
      data-source={screen ? "screen" : "camera"}
      data-participant-id={id}
      data-name={name}
    >
      {/* Under a camera's picture, too: one that has not come yet, or can't be decoded here, leaves no dark area. */}
      {!(video && screen) && (
        <span className="absolute inset-0 flex items-center justify-center">
          <Avatar id={id} name={name} size={Math.round(Math.min(120, rect.height * 0.38, rect.width * 0.38))} />
        </span>
      )}
      {video && <LiveVideo element={video} mirrored={self && !screen} contain={screen} />}
      {props.children}
      {reconnecting && (
        <span className="absolute inset-0 flex items-center justify-center bg-scrim p-2 text-center text-sm">
          Reconnecting
        </span>
      )}
      {props.poor && !reconnecting && (
        <button
          type="button"
          aria-label={`The picture of ${name} stutters. Show connection details`}
          title="Poor picture"
          className="absolute top-0 right-0 inline-flex size-11 items-center justify-center"
          onClick={props.onDetails}
        >
          <span className="rounded-full bg-scrim p-1.5 text-warn">
            <SignalLow aria-hidden="true" size={16} />
          </span>
        </button>
      )}
      <NameTag {...props} />
      {props.reaction && (
        <span className="reaction absolute right-3 bottom-2 text-4xl" role="img" aria-label={`${name} reacts`}>
          {props.reaction}
        </span>
      )}
    </section>
  );
});

function NameTag({ name, self, screen, muted, pinned }: TileProps) {
  return (
    <span className="absolute bottom-1.5 left-1.5 flex max-w-[calc(100%-12px)] items-center gap-1.5 rounded-lg bg-scrim px-2 py-0.5 text-[13px] text-text">
      {muted && !screen && (
        <MicOff size={14} role="img" aria-label="Microphone off" className="shrink-0 text-danger-text" />
      )}
      {pinned && <Pin size={13} role="img" aria-label="Pinned" className="shrink-0" />}
      <span className="truncate">{screen ? `${name}'s screen` : self ? `${name} (you)` : name}</span>
    </span>
  );
}
