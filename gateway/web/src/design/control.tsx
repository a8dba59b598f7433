import { Tooltip } from "radix-ui";
import type { ButtonHTMLAttributes, ReactNode, Ref } from "react";

export interface ControlProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** The accessible name, and the tooltip. */
  readonly label: string;
  /** Key that does the same. */
  readonly hotkey?: string | undefined;
  /** `off`: something of one's own is off; `active`: something is open or going on. */
  readonly tone?: "plain" | "off" | "active" | "danger";
  readonly ref?: Ref<HTMLButtonElement>;
  readonly children: ReactNode;
}

const TONES = {
  plain: "bg-raised text-text hover:bg-hover",
  off: "bg-danger text-on-accent hover:bg-danger-hover",
  active: "bg-accent text-on-accent hover:bg-accent-hover",
  danger: "bg-danger text-on-accent hover:bg-danger-hover px-4",
} as const;

/** A round button of the bar: a symbol, a name for screen readers and a tooltip with its key. */
export function Control({ label, hotkey, tone = "plain", className = "", children, ...rest }: ControlProps) {
  return (
    <Tooltip.Root delayDuration={350}>
      <Tooltip.Trigger asChild>
        <button
          type="button"
          aria-label={label}
          aria-keyshortcuts={hotkey}
          className={`inline-flex h-11 min-w-11 shrink-0 items-center justify-center rounded-full transition-colors sm:h-12 sm:min-w-12 ${TONES[tone]} ${className}`}
          {...rest}
        >
          {children}
        </button>
      </Tooltip.Trigger>
      <Tooltip.Portal>
        <Tooltip.Content sideOffset={8} className="z-30 rounded-lg bg-text px-2.5 py-1 text-sm text-ground">
          {label}
          {hotkey && <kbd className="ml-2 font-sans opacity-70">{hotkey}</kbd>}
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}
