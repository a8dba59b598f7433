import { describe, expect, test } from "vitest";
import { EMPTY, type SessionState } from "./state";
import { trouble } from "./trouble";

const well: SessionState = { ...EMPTY, media: "connected" };

describe("FLT-9: what is said of a connection", () => {
  test.each<[string, Partial<SessionState>, boolean, ReturnType<typeof trouble>]>([
    ["nothing, while all is well", {}, true, undefined],
    ["nothing, where the browser is wrong about being offline", {}, false, undefined],
    ["that others aren't heard of, though the browser says offline", { signal: "lost" }, false, "signal"],
    ["the same when calls get no answer", { unanswered: true }, true, "signal"],
    ["offline, once nothing comes", { flows: false }, false, "offline"],
    ["offline, when the connection is lost", { media: "lost" }, false, "offline"],
    ["offline, while nothing has connected", { media: "connecting" }, false, "offline"],
    ["that it is lost, with a network", { media: "lost", signal: "lost" }, true, "lost"],
    ["that a network blocks it", { media: "blocked" }, true, "blocked"],
    ["that it connects", { media: "connecting" }, true, "connecting"],
    ["not that people hear each other when nothing comes", { flows: false, signal: "lost" }, true, "unheard"],
    ["nothing of a short silence alone", { flows: false }, true, undefined],
  ])("%s", (_, change, online, expected) => {
    expect(trouble({ ...well, ...change }, online)).toBe(expected);
  });
});
