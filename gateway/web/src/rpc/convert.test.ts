import { create } from "@bufbuild/protobuf";
import { WatchSessionResponseSchema } from "@gen/signaling/v1/signaling_service_pb";
import { expect, test } from "vitest";
import { toWatchMessage } from "./convert";

const MEETING = "meetings/12345678901";
const reaction = (participant: string, emoji: string) => ({
  kind: { case: "reactionSent" as const, value: { participant: `${MEETING}/participants/${participant}`, emoji } },
});

test("a batch is read as its events in their order, without those of a newer service", () => {
  const events = [reaction("a", "👏"), {}, reaction("b", "🎉")];
  const message = create(WatchSessionResponseSchema, {
    sequence: 3n,
    cursor: "c",
    message: { case: "eventBatch", value: { events } },
  });
  expect(toWatchMessage(message)).toEqual({
    sequence: 3n,
    cursor: "c",
    body: {
      kind: "events",
      events: [
        { kind: "reaction-sent", participant: "a", emoji: "👏" },
        { kind: "reaction-sent", participant: "b", emoji: "🎉" },
      ],
    },
  });
});

test("an event alone is read as a batch of one, and what is not known as a sign of life", () => {
  const one = create(WatchSessionResponseSchema, { message: { case: "event", value: reaction("a", "👏") } });
  expect(toWatchMessage(one).body).toEqual({
    kind: "events",
    events: [{ kind: "reaction-sent", participant: "a", emoji: "👏" }],
  });
  const unknown = create(WatchSessionResponseSchema, { message: { case: "event", value: {} } });
  expect(toWatchMessage(unknown).body).toEqual({ kind: "checkpoint" });
});
