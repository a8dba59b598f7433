import { useEffect } from "react";
import type { RoomActions } from "./room";

/** The keys, as tooltips show them. */
export const KEYS = { microphone: "M", camera: "V", screen: "S", mode: "G", people: "P", pointer: "L" } as const;

/** Single keys for what is done often; not while typing, and not with a modifier, which belongs to the browser. */
export function useHotkeys(actions: RoomActions): void {
  useEffect(() => {
    const byKey: Readonly<Record<string, () => void>> = {
      [KEYS.microphone]: actions.toggleMicrophone,
      [KEYS.camera]: actions.toggleCamera,
      [KEYS.screen]: actions.toggleScreen,
      [KEYS.mode]: actions.toggleMode,
      [KEYS.people]: actions.togglePeople,
      [KEYS.pointer]: actions.togglePointer,
    };
    const onKey = (event: KeyboardEvent) => {
      const act = byKey[event.key.toUpperCase()];
      if (act && !event.repeat && !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping(event.target)) {
        event.preventDefault();
        act();
      }
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [actions]);
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && target.closest("input, textarea, select, [role=menu], [contenteditable]") !== null
  );
}
