import { type PointerEvent, useEffect, useRef, useState } from "react";
import type { Participant } from "@/session/model";
import { type Place, type Pointers, REST_MS } from "@/session/pointers";
import { useStore } from "@/session/store";
import type { Size } from "@/stage/layout";
import { pictureRect, placeOn } from "@/stage/picture";

export interface PointerLayerProps {
  readonly pointers: Pointers;
  /** Whose screen this is. */
  readonly sharer: string;
  readonly people: readonly Participant[];
  readonly video: HTMLVideoElement;
  readonly tile: Size;
  /** Whether moves over the picture are shown to the others. */
  readonly active: boolean;
}

/** A pointer that rests is seen for most of the time, and then goes. */
const FADING: Keyframe[] = [{ opacity: 1 }, { opacity: 1, offset: 0.7 }, { opacity: 0 }];

/** Over a shared screen: the pointers of others, and the place where one's own is followed. */
export function PointerLayer({ pointers, sharer, people, video, tile, active }: PointerLayerProps) {
  const shown = useStore(pointers.store).filter((pointer) => pointer.sharer === sharer);
  const picture = pictureRect(tile, usePictureSize(video));
  const follow = usePlace(pointers, sharer, active);
  const move = (event: PointerEvent<HTMLElement>) => {
    const corner = event.currentTarget.getBoundingClientRect();
    follow(placeOn(picture, { x: event.clientX - corner.x, y: event.clientY - corner.y }));
  };
  return (
    <div
      className={`absolute inset-0 ${active ? "cursor-crosshair touch-none" : "pointer-events-none"}`}
      data-testid="pointer-layer"
      onPointerMove={active ? move : undefined}
      onPointerLeave={active ? () => follow(undefined) : undefined}
    >
      {shown.map(({ participant, x, y }) => {
        const person = people.find(({ id }) => id === participant);
        const style = {
          transform: `translate(${picture.x + x * picture.width}px, ${picture.y + y * picture.height}px)`,
        };
        return person && <Dot key={participant} name={person.displayName} style={style} />;
      })}
    </div>
  );
}

/** Thirty moves a second are nothing to read out. */
function Dot({ name, style }: { name: string; style: { readonly transform: string } }) {
  const place = useRef<HTMLSpanElement>(null);
  const { transform } = style;
  useEffect(() => {
    // Each move begins the wait anew.
    const fading = transform ? place.current?.animate(FADING, REST_MS) : undefined;
    return () => fading?.cancel();
  }, [transform]);
  return (
    <span ref={place} aria-hidden="true" className="pointer" style={style} data-testid="pointer" data-name={name}>
      <span className="pointer-dot" />
      <span className="pointer-name">{name}</span>
    </span>
  );
}

/** Tells the others where one points; undefined: nowhere. */
function usePlace(pointers: Pointers, sharer: string, active: boolean): (place: Place | undefined) => void {
  const [last] = useState<{ place: Place | undefined }>({ place: undefined });
  const follow = (place: Place | undefined) => {
    if (place) {
      pointers.point(sharer, place);
    } else if (last.place) {
      pointers.leave(sharer, last.place);
    }
    last.place = place;
  };
  useEffect(() => {
    if (!active) {
      return;
    }
    // The pointer is put away, or the picture goes.
    return () => {
      if (last.place) {
        pointers.leave(sharer, last.place);
        last.place = undefined;
      }
    };
  }, [pointers, sharer, active, last]);
  return follow;
}

function usePictureSize(video: HTMLVideoElement): Size {
  const [size, setSize] = useState<Size>({ width: video.videoWidth, height: video.videoHeight });
  useEffect(() => {
    const measure = () => setSize({ width: video.videoWidth, height: video.videoHeight });
    measure();
    video.addEventListener("resize", measure);
    return () => video.removeEventListener("resize", measure);
  }, [video]);
  return size;
}
