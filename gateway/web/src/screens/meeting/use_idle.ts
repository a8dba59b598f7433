import { useEffect, useState } from "react";

/** True after this long without pointer or key; always false for fingers, which have no hover to bring anything back. */
export function useIdle(milliseconds: number): boolean {
  const [idle, setIdle] = useState(false);
  useEffect(() => {
    if (!matchMedia("(hover: hover) and (pointer: fine)").matches) {
      return;
    }
    let timer: ReturnType<typeof setTimeout>;
    const wake = () => {
      setIdle(false);
      clearTimeout(timer);
      timer = setTimeout(() => setIdle(true), milliseconds);
    };
    const events = ["pointermove", "pointerdown", "keydown", "focusin"] as const;
    for (const event of events) {
      document.addEventListener(event, wake, { passive: true });
    }
    wake();
    return () => {
      clearTimeout(timer);
      for (const event of events) {
        document.removeEventListener(event, wake);
      }
    };
  }, [milliseconds]);
  return idle;
}
