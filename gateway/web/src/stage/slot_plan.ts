/** Which slot shall carry what: automatic as long as everything fits, else what the page shows, with as few switches as can be. */

import type { SlotAssignment, SlotRequest } from "@/session/model";

/** A track that the page shows. */
export interface Wanted {
  readonly participant: string;
  readonly mid: string;
}

export interface PlanInput {
  /** In the order of importance. */
  readonly wanted: readonly Wanted[];
  /** How many video tracks of others there are in the meeting. */
  readonly available: number;
  /** The mids of the video slots. */
  readonly mids: readonly string[];
  readonly assignments: Readonly<Record<string, SlotAssignment>>;
  /** What was asked for before. */
  readonly before: readonly SlotRequest[];
}

/** A request for every slot. */
export function planSlots({ wanted, available, mids, assignments, before }: PlanInput): SlotRequest[] {
  if (available <= mids.length) {
    return mids.map((mid) => ({ mid, selection: { kind: "automatic" } }));
  }
  const places = new Map<string, Wanted>();
  const open: Wanted[] = [];
  for (const track of wanted.slice(0, mids.length)) {
    const mid = mids.find((slot) => !places.has(slot) && isThere(track, slot, assignments, before));
    if (mid) {
      places.set(mid, track);
    } else {
      open.push(track);
    }
  }
  let spare = true;
  return mids.map((mid) => {
    const track = places.get(mid) ?? open.shift();
    if (track) {
      return { mid, selection: { kind: "source", ...track } };
    }
    // One slot follows the speaker, so that a picture is there before the page turns to it.
    const selection = spare ? ({ kind: "automatic" } as const) : ({ kind: "empty" } as const);
    spare = false;
    return { mid, selection };
  });
}

function isThere(
  track: Wanted,
  slot: string,
  assignments: PlanInput["assignments"],
  before: readonly SlotRequest[],
): boolean {
  const asked = before.find(({ mid }) => mid === slot)?.selection;
  if (asked?.kind === "source") {
    return asked.participant === track.participant && asked.mid === track.mid;
  }
  const carried = assignments[slot];
  return carried?.participant === track.participant && carried.sourceMid === track.mid;
}
