/** The last minute of a connection. */

import type { Receiving } from "./explanation";

/** How far back the lines go. */
export const WINDOW_MS = 60_000;

export interface Moment extends Receiving {
  /** Milliseconds of a steady clock. */
  readonly time: number;
}

/** The moments with one more, without those that are too old. */
export function remember(moments: readonly Moment[], time: number, receiving: Receiving): Moment[] {
  return [...moments.filter((moment) => time - moment.time < WINDOW_MS), { ...receiving, time }];
}

/** A value of each moment as a point of a line; x from 0 (a minute ago) to 1 (now). */
export function line(moments: readonly Moment[], value: (moment: Moment) => number): { x: number; y: number }[] {
  const now = moments.at(-1)?.time ?? 0;
  return moments.map((moment) => ({ x: 1 - (now - moment.time) / WINDOW_MS, y: value(moment) }));
}
