/** What is wrong with a connection, as far as a person should hear of it. */

import type { SessionState } from "./state";

/**
 * - `offline`: nothing comes and the browser has no network.
 * - `blocked`, `lost`, `connecting`: of picture and sound.
 * - `signal`: picture and sound go on, but what others do isn't told.
 * - `unheard`: the same, but nothing comes any more either.
 */
export type Trouble = "offline" | "blocked" | "lost" | "connecting" | "signal" | "unheard";

/**
 * Media has the first word: browsers are wrong about being offline where there are virtual networks or some proxies, and a
 * connection that still brings something is proof.
 */
export function trouble(state: SessionState, online: boolean): Trouble | undefined {
  const { media, flows, signal, unanswered } = state;
  const heard = media === "connected" && flows;
  if (!online && !heard) {
    return "offline";
  }
  if (media !== "connected") {
    return media;
  }
  if (signal === "lost" || unanswered) {
    return heard ? "signal" : "unheard";
  }
  return undefined;
}
