import type { SessionState } from "@/session/state";

/** Says who came and went: briefly on screen, and to screen readers. */
export function Announcer({ state }: { state: SessionState }) {
  return (
    <div
      role="log"
      aria-live="polite"
      aria-label="What happens in the meeting"
      className="pointer-events-none fixed left-1/2 top-12 z-20 flex -translate-x-1/2 flex-col items-center gap-2"
    >
      {state.notices.map(({ key, text }) => (
        <p key={key} className="max-w-[90vw] truncate rounded-full bg-raised px-4 py-2 text-sm shadow-lg">
          {text}
        </p>
      ))}
    </div>
  );
}
