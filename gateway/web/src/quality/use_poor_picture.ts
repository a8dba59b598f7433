import { useEffect, useState } from "react";

const LOOK_MS = 2_000;
/** A camera's picture that moves less often stutters for everybody. */
const MIN_FRAMES_PER_SECOND = 5;
/** Looks in a row that have to be bad, so that a change of layers or a slow start is no alarm. */
const LOOKS = 3;

/** How many looks in a row were bad, after one more. */
export function badLooks(before: number, frames: number, hidden: boolean): number {
  // A page that nobody sees draws no frames.
  return hidden || frames >= (MIN_FRAMES_PER_SECOND * LOOK_MS) / 1000 ? 0 : before + 1;
}

export const isPoor = (looks: number): boolean => looks >= LOOKS;

/** Whether a camera's picture has been stuttering for some seconds, by the frames that the element showed. */
export function usePoorPicture(video: HTMLVideoElement | undefined): boolean {
  const [poor, setPoor] = useState(false);
  useEffect(() => {
    setPoor(false);
    if (!video) {
      return;
    }
    const shown = () => video.getVideoPlaybackQuality().totalVideoFrames;
    let before = shown();
    let looks = 0;
    const timer = setInterval(() => {
      const now = shown();
      looks = badLooks(looks, now - before, document.hidden);
      before = now;
      setPoor(isPoor(looks));
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [video]);
  return poor;
}
