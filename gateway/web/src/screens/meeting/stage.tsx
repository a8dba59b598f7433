import { ChevronLeft, ChevronRight } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { ownVideo } from "@/media/own_video";
import { usePoorPicture } from "@/quality/use_poor_picture";
import type { Call } from "@/session/call";
import { type Participant, type SlotRequest, sends, trackOf } from "@/session/model";
import { type SessionState, slotOf } from "@/session/state";
import { useStore } from "@/session/store";
import { type Arrangement, arrange, type Placed, type Size } from "@/stage/layout";
import { enlarges, planSlots, type Wanted } from "@/stage/slot_plan";
import { PointerLayer } from "./pointer_layer";
import type { View } from "./room";
import { Tile } from "./tile";

/** The layout is told to the service when it has stood still this long; at once where a picture grows. */
const SETTLE_MS = 150;

/** The tiles of the page, and the arrows to the next one. */
export interface StageProps {
  readonly call: Call;
  readonly state: SessionState;
  readonly view: View;
  /** Somebody asks why a picture is poor. */
  readonly onDetails: () => void;
}

export function Stage({ call, state, view, onDetails }: StageProps) {
  const [place, size] = useSize();
  const [page, setPage] = useState(0);
  const arrangement = useArrangement(state, view, size, page);
  useSlots(call, state, arrangement);
  useEffect(() => call.session.setCapacity(arrangement.capacity), [call, arrangement.capacity]);
  const { placed, pages, page: shown } = arrangement;
  const wide = size.width >= 640 && !placed.some(({ focus }) => focus);
  return (
    <main aria-label="People in the meeting" className="relative m-2 min-w-0 flex-1">
      <div ref={place} className="absolute inset-0">
        {placed.map((entry) => (
          <PlacedTile
            key={`${entry.kind}:${entry.id}`}
            entry={entry}
            call={call}
            state={state}
            pinned={view.pinned}
            pointing={view.pointing}
            onDetails={onDetails}
          />
        ))}
      </div>
      {pages > 1 && <Pager page={shown} pages={pages} wide={wide} onTurn={setPage} />}
    </main>
  );
}

function useSize(): [React.RefObject<HTMLDivElement | null>, Size] {
  const place = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      if (entry) {
        setSize({ width: entry.contentRect.width, height: entry.contentRect.height });
      }
    });
    if (place.current) {
      observer.observe(place.current);
    }
    return () => observer.disconnect();
  }, []);
  return [place, size];
}

function useArrangement(state: SessionState, view: View, size: Size, page: number): Arrangement {
  const { participants, order, selfId } = state;
  const speaker = speakerOf(state, view.pinned);
  return useMemo(() => {
    const sharing = participants.filter((person) => person.id !== selfId && sends(person, "screen"));
    const screens = sharing.map(({ id }) => id).reverse();
    return arrange({ mode: view.mode, size, self: selfId, others: order, screens, speaker, page });
  }, [participants, order, selfId, speaker, view.mode, size, page]);
}

/** Who is large: the pinned one, else who speaks or spoke last, oneself never. */
function speakerOf({ order, spoke, dominantSpeaker }: SessionState, pinned: string): string {
  const candidates = [pinned, dominantSpeaker].filter((id) => order.includes(id));
  const last = order.reduce((best, id) => ((spoke[id] ?? 0) > (spoke[best] ?? 0) ? id : best), order[0] ?? "");
  return candidates[0] ?? last;
}

/** Asks for the pictures that the page shows. */
function useSlots(call: Call, state: SessionState, { placed }: Arrangement): void {
  const before = useRef<readonly SlotRequest[]>([]);
  const pixels = usePixelRatio();
  const { participants, slots, selfId } = state;
  useEffect(() => {
    const plan = planSlots({
      wanted: placed.flatMap((entry) => wantedOf(participants, selfId, entry, pixels)),
      available: videosOf(participants, selfId),
      mids: call.videoMids,
      assignments: slots,
      before: before.current,
    });
    const tell = () => {
      before.current = plan;
      call.session.showSlots(plan);
    };
    if (enlarges(before.current, plan)) {
      tell();
      return;
    }
    const timer = setTimeout(tell, SETTLE_MS);
    return () => clearTimeout(timer);
  }, [call, participants, selfId, slots, placed, pixels]);
}

/** Device pixels a CSS pixel; it changes when a window goes to another screen or the page is zoomed. */
function usePixelRatio(): number {
  const [ratio, setRatio] = useState(devicePixelRatio);
  useEffect(() => {
    const query = matchMedia(`(resolution: ${ratio}dppx)`);
    const follow = () => setRatio(devicePixelRatio);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, [ratio]);
  return ratio;
}

function wantedOf(people: readonly Participant[], selfId: string, placed: Placed, pixels: number): Wanted[] {
  const { kind, id, rect, focus } = placed;
  const person = people.find((participant) => participant.id === id);
  const screen = kind === "screen";
  const track = person && id !== selfId && trackOf(person, screen ? "screen" : "camera");
  const shown = { participant: id, height: rect.height * pixels, screen, focus };
  return track && !track.muted ? [{ ...shown, mid: track.mid }] : [];
}

function videosOf(participants: readonly Participant[], selfId: string): number {
  const others = participants.filter(({ id }) => id !== selfId);
  return others.flatMap(({ tracks }) => tracks.filter(({ kind, muted }) => kind === "video" && !muted)).length;
}

interface PlacedTileProps {
  readonly entry: Placed;
  readonly call: Call;
  readonly state: SessionState;
  readonly pinned: string;
  readonly pointing: boolean;
  readonly onDetails: () => void;
}

function PlacedTile({ entry, call, state, pinned, pointing, onDetails }: PlacedTileProps) {
  const { microphone, camera } = useStore(call.local.state);
  const person = state.participants.find(({ id }) => id === entry.id);
  const self = entry.id === state.selfId;
  const screen = entry.kind === "screen";
  const remote = person && !self ? remoteVideo(call, state, person, screen) : undefined;
  // A shared screen may stand still for minutes.
  const poor = usePoorPicture(screen ? undefined : remote);
  const layer = usePointerLayer(call, state, entry, remote, pointing);
  if (!person) {
    return null;
  }
  const own = camera.track && ownVideo(camera.track);
  return (
    <Tile
      id={person.id}
      name={person.displayName}
      self={self}
      screen={screen}
      muted={self ? !microphone.on || !microphone.track : !sends(person, "microphone")}
      reconnecting={!self && person.presence === "reconnecting"}
      pinned={!screen && pinned === person.id}
      poor={poor}
      onDetails={onDetails}
      video={self ? own : remote}
      rect={entry.rect}
      reaction={screen ? undefined : state.reactions.findLast(({ participant }) => participant === person.id)?.emoji}
      levels={call.levels}
    >
      {layer}
    </Tile>
  );
}

/** What lies over a screen of somebody else; the same element while nothing changes, so that the tile can stay as it is. */
function usePointerLayer(
  call: Call,
  { participants }: SessionState,
  { kind, id, rect }: Placed,
  video: HTMLVideoElement | undefined,
  active: boolean,
) {
  const { pointers } = call;
  const { width, height } = rect;
  return useMemo(() => {
    const over = { pointers, sharer: id, people: participants, tile: { width, height }, active };
    return kind === "screen" && video && <PointerLayer {...over} video={video} />;
  }, [pointers, kind, id, participants, video, width, height, active]);
}

function remoteVideo(
  call: Call,
  state: SessionState,
  person: Participant,
  screen: boolean,
): HTMLVideoElement | undefined {
  const track = trackOf(person, screen ? "screen" : "camera");
  const mid = track && !track.muted ? slotOf(state, person.id, track.mid) : undefined;
  return mid === undefined ? undefined : call.media.video(mid);
}

interface PagerProps {
  readonly page: number;
  readonly pages: number;
  /** Whether there is room for arrows at the sides of the tiles; else they stand together in a corner. */
  readonly wide: boolean;
  readonly onTurn: (page: number) => void;
}

function Pager({ page, pages, wide, onTurn }: PagerProps) {
  const side = "absolute top-1/2 -translate-y-1/2";
  const arrow =
    "inline-flex size-11 items-center justify-center rounded-full bg-scrim text-text hover:bg-hover disabled:invisible";
  return (
    <nav
      aria-label="Pages of people"
      className={wide ? "contents" : "absolute right-1 bottom-1 z-10 flex items-center gap-1"}
    >
      <button
        type="button"
        aria-label="Previous page"
        className={`${arrow} ${wide ? `${side} left-1 z-10` : ""}`}
        disabled={page === 0}
        onClick={() => onTurn(page - 1)}
      >
        <ChevronLeft aria-hidden="true" />
      </button>
      <p
        className={`rounded-full bg-scrim px-3 py-1 text-sm ${wide ? "absolute top-1 right-1 z-10" : ""}`}
        aria-live="polite"
      >
        Page {page + 1} of {pages}
      </p>
      <button
        type="button"
        aria-label="Next page"
        className={`${arrow} ${wide ? `${side} right-1 z-10` : ""}`}
        disabled={page === pages - 1}
        onClick={() => onTurn(page + 1)}
      >
        <ChevronRight aria-hidden="true" />
      </button>
    </nav>
  );
}
