/** Which slot shall carry what: automatic as long as everything fits, else what the page shows, with as few switches as can be. */

import type { SlotAssignment, SlotRequest } from "@/session/model";

/** A track that the page shows. */
export interface Wanted {
  readonly participant: string;
  readonly mid: string;
  /** Device pixels that it is shown high. */
  readonly height: number;
  /** Whether it is a screen, or the large picture of the page. */
  readonly screen: boolean;
  readonly focus: boolean;
}

/**
 * Heights are told in steps, rounded up, so that a window that is dragged does not ask for something new with each pixel. The usual
 * layers' heights (180, 360, 720) are steps.
 */
export const HEIGHT_STEP = 45;
/** The contract's largest height. */
const MAX_HEIGHT = 4320;
/** What is served first when bandwidth is short. */
const PRIORITY = { screen: 30, focus: 20, shown: 10 } as const;

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
export function planSlots(input: PlanInput): SlotRequest[] {
  return input.available <= input.mids.length ? automatic(input) : named(input);
}

/** Whether any slot is to show more pixels than before, which should not wait. */
export function enlarges(before: readonly SlotRequest[], plan: readonly SlotRequest[]): boolean {
  const heights = new Map(before.map(({ mid, maxHeight }) => [mid, maxHeight ?? 0]));
  return plan.some(({ mid, maxHeight = 0 }) => maxHeight > (heights.get(mid) ?? 0));
}

function automatic({ wanted, mids, assignments }: PlanInput): SlotRequest[] {
  const largest = wanted.reduce((height, track) => Math.max(height, track.height), 0);
  return mids.map((mid) => {
    const carried = assignments[mid];
    const track = wanted.find((one) => one.participant === carried?.participant && one.mid === carried.sourceMid);
    // Who will come into a slot that shows nobody yet is not known, so it may be the largest.
    return { mid, selection: { kind: "automatic" }, ...(track ? seen(track) : { maxHeight: step(largest) }) };
  });
}

function seen({ height, screen, focus }: Wanted): { maxHeight: number; priority: number } {
  const priority = screen ? PRIORITY.screen : focus ? PRIORITY.focus : PRIORITY.shown;
  return { maxHeight: step(height), priority };
}

function step(height: number): number {
  return Math.min(MAX_HEIGHT, Math.ceil(height / HEIGHT_STEP) * HEIGHT_STEP);
}

function named({ wanted, mids, assignments, before }: PlanInput): SlotRequest[] {
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
      const { participant, mid: source } = track;
      return { mid, selection: { kind: "source", participant, mid: source }, ...seen(track) };
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
