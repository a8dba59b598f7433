/** The element that shows one's own camera. */

const elements = new WeakMap<MediaStreamTrack, HTMLVideoElement>();

/** One element per track: a preview and a tile may show the same one after the other. */
export function ownVideo(track: MediaStreamTrack): HTMLVideoElement {
  let element = elements.get(track);
  if (!element) {
    element = document.createElement("video");
    element.autoplay = true;
    element.playsInline = true;
    element.muted = true;
    element.className = "slot-video";
    element.srcObject = new MediaStream([track]);
    elements.set(track, element);
  }
  return element;
}
