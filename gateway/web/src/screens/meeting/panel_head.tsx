import { X } from "lucide-react";
import { useEffect, useRef } from "react";

/** A panel's title and the button that closes it, on which the focus begins. */
export function PanelHead({ title, onClose }: { title: string; onClose: () => void }) {
  const close = useRef<HTMLButtonElement>(null);
  // Whoever opened it by keyboard goes on from here, and back to where they were.
  useEffect(() => {
    const before = document.activeElement;
    close.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) {
        before.focus();
      }
    };
  }, []);
  return (
    <div className="flex items-center justify-between py-2 pr-2 pl-4">
      <h2 className="font-semibold">{title}</h2>
      <button
        ref={close}
        type="button"
        aria-label={`Close ${title.toLowerCase()}`}
        className="inline-flex size-11 items-center justify-center rounded-control hover:bg-raised"
        onClick={onClose}
      >
        <X aria-hidden="true" size={20} />
      </button>
    </div>
  );
}
