/**
 * Event streams of many tabs over few connections. By HTTP/1.1 a browser opens six connections to an origin for all of its tabs
 * together, and a stream occupies one: six tabs in meetings would leave none for any call, heartbeats among them. So three tabs
 * keep a stream of their own, the others take turns at a fourth, and two connections stay free. Each turn brings what has happened
 * since the last.
 */

import type { Clock } from "@/rpc/retry";
import type { WatchMessage } from "./model";

/** What is used of `navigator.locks`, which all tabs of an origin share; a tab that closes or crashes gives its locks back. */
export type Locks = Pick<LockManager, "request" | "query">;

type Open = (cursor: string, signal: AbortSignal) => AsyncGenerator<WatchMessage>;
type Leave = () => void;

const OWN = ["parley.stream.1", "parley.stream.2", "parley.stream.3"];
const TURNS = "parley.stream.turns";
/** How long a turn lasts at least; it goes on while nobody waits. */
const TURN_MS = 1_000;

/** Whether this page's connections carry one request at a time. Where the browser doesn't tell, they may. */
export function connectionsAreFew(): boolean {
  const [page] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  return !["h2", "h3"].includes(page?.nextHopProtocol ?? "");
}

/**
 * Opens streams as `open` does, with a share of the browser's connections; a stream whose turn is over ends with go-away.
 * `signal` must fire when nobody reads on: it gives the connection up.
 */
export function inTurns(open: Open, locks: Locks, clock: Clock): Open {
  return async function* (cursor, signal) {
    const own = await ownPlace(locks);
    const leave = own ?? (await enter(locks, TURNS, { signal }));
    // Whoever reads may stop between two messages and never come back here.
    signal.addEventListener("abort", leave);
    try {
      const stream = open(cursor, signal);
      yield* own ? stream : until(turnEnds(locks, clock, signal), stream);
    } finally {
      leave();
    }
  };
}

async function* until(end: Promise<"over">, stream: AsyncIterable<WatchMessage>): AsyncGenerator<WatchMessage> {
  const messages = stream[Symbol.asyncIterator]();
  let sequence = 0n;
  for (;;) {
    const coming = messages.next();
    const next = await Promise.race([coming, end]);
    if (next === "over") {
      // The stream is given up, and with it what is coming.
      coming.catch(() => undefined);
      yield goAway(sequence + 1n);
      return;
    }
    if (next.done) {
      return;
    }
    sequence = next.value.sequence;
    yield next.value;
  }
}

const goAway = (sequence: bigint): WatchMessage => ({
  sequence,
  cursor: "",
  body: { kind: "go-away", reason: "turn-over", delayMs: 0 },
});

async function turnEnds(locks: Locks, clock: Clock, signal: AbortSignal): Promise<"over"> {
  for (;;) {
    await clock.sleep(TURN_MS, signal);
    const { pending = [] } = await locks.query();
    if (signal.aborted || pending.some(({ name }) => name === TURNS)) {
      return "over";
    }
  }
}

async function ownPlace(locks: Locks): Promise<Leave | undefined> {
  for (const name of OWN) {
    const leave = await enter(locks, name, { ifAvailable: true });
    if (leave) {
      return leave;
    }
  }
  return undefined;
}

/** Takes a lock and returns how to give it back; undefined: it isn't available. Rejects when `signal` fires before. */
function enter(locks: Locks, name: string, options: { signal: AbortSignal }): Promise<Leave>;
function enter(locks: Locks, name: string, options: { ifAvailable: true }): Promise<Leave | undefined>;
function enter(locks: Locks, name: string, options: LockOptions): Promise<Leave | undefined> {
  return new Promise((resolve, reject) => {
    const hold = async (lock: Lock | null) => {
      if (lock) {
        await new Promise<void>((leave) => resolve(leave));
      } else {
        resolve(undefined);
      }
    };
    locks.request(name, options, hold).catch(reject);
  });
}
