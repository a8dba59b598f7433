import { Loader2 } from "lucide-react";
import type { ReactNode } from "react";
import { Logo } from "./logo";

/** A page with one message in its middle: what is the case, and what to do next. */
export function MessagePage({
  title,
  children,
  actions,
  busy = false,
  icon,
}: {
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
  busy?: boolean;
  icon?: ReactNode;
}) {
  return (
    <div className="flex min-h-full flex-col">
      <header className="p-4 sm:px-6">
        <a href="/" aria-label="Parley, home" className="inline-flex min-h-11 items-center rounded-control">
          <Logo />
        </a>
      </header>
      <main className="flex flex-1 flex-col items-center justify-center gap-4 px-5 pb-24 text-center">
        {busy ? <Spinner /> : icon}
        <h1 className="max-w-xl text-balance text-2xl font-semibold sm:text-3xl">{title}</h1>
        <div className="max-w-md text-pretty text-quiet" role={busy ? "status" : undefined}>
          {children}
        </div>
        {actions && <div className="mt-3 flex flex-wrap justify-center gap-3">{actions}</div>}
      </main>
    </div>
  );
}

export function Spinner({ size = 32 }: { size?: number }) {
  return <Loader2 aria-hidden="true" size={size} className="spinner text-accent-text" />;
}
