import { useEffect, useState } from "react";
import { systemClock } from "@/rpc/retry";
import type { Call } from "@/session/call";
import type { Explanation } from "./explanation";
import { type Moment, remember } from "./history";
import { type LocalStats, readStats } from "./local_stats";

const PERIOD_MS = 1_000;

/** What is known of the connection. */
export interface Connection {
  readonly explanation: Explanation | undefined;
  readonly moments: readonly Moment[];
  readonly stats: LocalStats | undefined;
  /** The look before, for rates. */
  readonly before: LocalStats | undefined;
  /** Whether the node gave no explanation at the last look. */
  readonly silent: boolean;
}

export const UNKNOWN: Connection = {
  explanation: undefined,
  moments: [],
  stats: undefined,
  before: undefined,
  silent: false,
};

/** What is known after another look; `explanation` undefined: there was no answer. */
export function looked(
  known: Connection,
  time: number,
  explanation: Explanation | undefined,
  stats: LocalStats | undefined,
): Connection {
  const receiving = explanation?.receiving;
  return {
    explanation: explanation ?? known.explanation,
    moments: receiving ? remember(known.moments, time, receiving) : known.moments,
    stats,
    before: known.stats,
    silent: !explanation,
  };
}

/** Looks about every second for as long as the component is there, never twice at a time. */
export function useConnection(call: Call): Connection {
  const [connection, setConnection] = useState(UNKNOWN);
  useEffect(() => {
    const life = new AbortController();
    const look = async () => {
      while (!life.signal.aborted) {
        const explaining = call.session.explain().catch(() => undefined);
        const measuring = call.session.stats()?.then(readStats, () => undefined);
        const [explanation, stats] = [await explaining, await measuring];
        if (!life.signal.aborted) {
          setConnection((known) => looked(known, performance.now(), explanation, stats));
        }
        await systemClock.sleep(PERIOD_MS, life.signal);
      }
    };
    void look();
    return () => life.abort();
  }, [call]);
  return connection;
}
