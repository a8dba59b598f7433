import { useLayoutEffect, useRef } from "react";

/**
 * Shows a video element that is made and kept elsewhere, so that its picture goes on while tiles around it change.
 * React runs all cleanups of a commit before its new effects: an element moves between tiles within one task and keeps playing.
 */
export function LiveVideo({
  element,
  mirrored = false,
  contain = false,
}: {
  element: HTMLVideoElement;
  mirrored?: boolean;
  contain?: boolean;
}) {
  const place = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    place.current?.append(element);
    if (element.paused && element.srcObject) {
      // A moved element may have been paused; a refusal to play leaves the still picture.
      element.play().catch(() => undefined);
    }
    return () => {
      if (element.parentNode === place.current) {
        element.remove();
      }
    };
  }, [element]);
  return (
    <div ref={place} className={`absolute inset-0 ${mirrored ? "mirrored" : ""} ${contain ? "fit-contain" : ""}`} />
  );
}
