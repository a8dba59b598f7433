import { describe, expect, test } from "vitest";
import type { MeetingEvent, Participant, Snapshot, Track } from "./model";
import { EMPTY, reduce, type SessionState, slotOf } from "./state";

const track = (source: Track["source"], muted = false): Track => ({
  mid: { microphone: "0", camera: "1", screen: "2", "screen-audio": "3" }[source],
  kind: source === "microphone" || source === "screen-audio" ? "audio" : "video",
  source,
  muted,
});

const person = (id: string, change: Partial<Participant> = {}): Participant => ({
  id,
  displayName: id.toUpperCase(),
  role: "participant",
  presence: "connected",
  tracks: [track("microphone"), track("camera"), track("screen", true)],
  ...change,
});

const snapshot = (...ids: string[]): Snapshot => ({
  meeting: { id: "12345678901", topic: "", hostDisplayName: "A", passcode: "", ended: false },
  participants: ids.map((id) => person(id)),
  slots: [],
  encodings: [],
  dominantSpeaker: "",
});

const joined = (...ids: string[]): SessionState =>
  reduce(EMPTY, { type: "joined", selfId: "me", snapshot: snapshot("me", ...ids), slots: [] });

const play = (state: SessionState, ...events: MeetingEvent[]): SessionState =>
  events.reduce((now, event) => reduce(now, { type: "event", event }), state);

describe("people", () => {
  test("come to the end of the stage and go without moving others", () => {
    const state = play(
      joined("a", "b"),
      { kind: "participant-joined", participant: person("c") },
      { kind: "participant-left", participant: "a", reason: "left" },
    );
    expect(state.order).toEqual(["b", "c"]);
    expect(state.participants.map(({ id }) => id)).toEqual(["me", "b", "c"]);
    expect(state.notices.map(({ text }) => text)).toEqual(["C joined", "A left"]);
  });

  test("who is known already is not announced again", () => {
    const state = play(joined("a"), { kind: "participant-joined", participant: person("a", { displayName: "Anna" }) });
    expect(state.order).toEqual(["a"]);
    expect(state.notices).toEqual([]);
    expect(state.participants[1]?.displayName).toBe("Anna");
  });

  test("an update that says left takes them out", () => {
    const state = play(joined("a"), { kind: "participant-updated", participant: person("a", { presence: "left" }) });
    expect(state.order).toEqual([]);
  });

  test("waiting people are not in the meeting", () => {
    const waiting = { ...snapshot("me"), participants: [person("me"), person("w", { presence: "waiting" })] };
    expect(reduce(EMPTY, { type: "joined", selfId: "me", snapshot: waiting, slots: [] }).order).toEqual([]);
  });

  test("a fresh snapshot keeps everybody's place", () => {
    const moved = reduce(
      { ...joined("a", "b", "c"), order: ["c", "a", "b"] },
      { type: "snapshot", snapshot: snapshot("me", "a", "c", "d") },
    );
    expect(moved.order).toEqual(["c", "a", "d"]);
  });

  test("sharing a screen is announced once", () => {
    const sharing = person("a", { tracks: [track("screen")] });
    const state = play(
      joined("a"),
      { kind: "participant-updated", participant: sharing },
      { kind: "participant-updated", participant: { ...sharing, displayName: "A" } },
    );
    expect(state.notices.map(({ text }) => text)).toEqual(["A is sharing their screen"]);
  });
});

describe("the dominant speaker", () => {
  const crowd = joined("a", "b", "c", "d", "e");
  const small = reduce(crowd, { type: "capacity", capacity: 3 });

  test("on the first page moves nobody", () => {
    expect(play(small, { kind: "dominant-speaker-changed", participant: "b" }).order).toBe(small.order);
  });

  test("beyond it takes the place of the one who was silent longest", () => {
    const state = play(
      small,
      { kind: "dominant-speaker-changed", participant: "c" },
      { kind: "dominant-speaker-changed", participant: "e" },
      { kind: "dominant-speaker-changed", participant: "d" },
    );
    expect(state.order).toEqual(["d", "e", "c", "a", "b"]);
  });

  test("is nobody after having left", () => {
    const state = play(
      small,
      { kind: "dominant-speaker-changed", participant: "a" },
      { kind: "participant-left", participant: "a", reason: "left" },
    );
    expect(state.dominantSpeaker).toBe("");
  });
});

describe("slots", () => {
  test("are found by whose track they carry", () => {
    const state = play(joined("a"), {
      kind: "slots-changed",
      slots: [
        { mid: "7", participant: "a", sourceMid: "1" },
        { mid: "8", participant: "a", sourceMid: "2" },
      ],
    });
    expect(slotOf(state, "a", "2")).toBe("8");
    expect(slotOf(state, "b", "2")).toBeUndefined();
    const switched = play(state, { kind: "slots-changed", slots: [{ mid: "8", participant: "", sourceMid: "" }] });
    expect(slotOf(switched, "a", "2")).toBeUndefined();
    expect(slotOf(switched, "a", "1")).toBe("7");
  });
});

describe("the end", () => {
  test.each([
    ["removed", "removed"],
    ["ended", "ended"],
    ["left", "left"],
  ] as const)("one's own departure by %s", (reason, ending) => {
    expect(play(joined(), { kind: "participant-left", participant: "me", reason }).ending).toBe(ending);
  });

  test("an expired presence is none: the session comes back", () => {
    expect(play(joined(), { kind: "participant-left", participant: "me", reason: "expired" }).ending).toBeUndefined();
  });

  test("the first reason stays", () => {
    const state = play(
      joined(),
      { kind: "meeting-ended", participant: "a" },
      { kind: "participant-left", participant: "me", reason: "removed" },
    );
    expect(state.ending).toBe("ended");
  });

  test("a new join takes it back", () => {
    const over = play(joined(), { kind: "meeting-ended", participant: "" });
    expect(reduce(over, { type: "joined", selfId: "me", snapshot: snapshot("me"), slots: [] }).ending).toBeUndefined();
  });
});

test("the passcode of the snapshot outlives events that carry none", () => {
  const start = reduce(EMPTY, {
    type: "joined",
    selfId: "me",
    snapshot: { ...snapshot("me"), meeting: { ...snapshot().meeting, passcode: "secret" } },
    slots: [],
  });
  const state = play(start, { kind: "meeting-updated", meeting: { ...snapshot().meeting, topic: "Plans" } });
  expect(state.meeting).toMatchObject({ topic: "Plans", passcode: "secret" });
});

test("reactions get keys of their own and expire by them", () => {
  const state = play(
    joined("a"),
    { kind: "reaction-sent", participant: "a", emoji: "👍" },
    { kind: "reaction-sent", participant: "a", emoji: "🎉" },
  );
  const [first] = state.reactions;
  expect(reduce(state, { type: "expire", key: first?.key ?? 0 }).reactions.map(({ emoji }) => emoji)).toEqual(["🎉"]);
});

describe("the encodings that are needed", () => {
  const needed = (state: SessionState, mid: string, ...rids: string[]) =>
    reduce(state, { type: "event", event: { kind: "encodings-changed", tracks: [{ mid, rids, codec: "" }] } });

  test("are known by track, and a track that is not named keeps what it had", () => {
    const state = needed(needed(joined(), "1", "q"), "2");
    expect(state.encodings).toEqual({ "1": ["q"], "2": [] });
  });

  test("are those of the snapshot alone after one", () => {
    const again = { ...snapshot("me"), encodings: [{ mid: "2", rids: ["q", "h"], codec: "H264" }] };
    const state = reduce(needed(joined(), "1", "q"), { type: "snapshot", snapshot: again });
    expect(state.encodings).toEqual({ "2": ["q", "h"] });
    expect(state.codecs).toEqual({ "2": "H264" });
  });

  test("are all again with a new session", () => {
    expect(reduce(needed(joined(), "1", "q"), { type: "renewing" }).encodings).toEqual({});
  });
});
