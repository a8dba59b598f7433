import { expect, test } from "vitest";
import type { SlotAssignment, SlotRequest } from "@/session/model";
import { planSlots } from "./slot_plan";

const MIDS = ["7", "8", "9"];
const show = (...people: string[]) => people.map((participant) => ({ participant, mid: "1" }));
const shown = (plan: readonly SlotRequest[]) =>
  plan.map(({ selection }) => (selection.kind === "source" ? selection.participant : selection.kind));

test("everything is automatic while there are slots for all", () => {
  const plan = planSlots({ wanted: show("a", "b"), available: 3, mids: MIDS, assignments: {}, before: [] });
  expect(shown(plan)).toEqual(["automatic", "automatic", "automatic"]);
});

test("with more pictures than slots the page is named, and one slot follows the speaker", () => {
  const plan = planSlots({ wanted: show("a"), available: 4, mids: MIDS, assignments: {}, before: [] });
  expect(shown(plan)).toEqual(["a", "automatic", "empty"]);
});

test("whoever is in a slot already stays in it", () => {
  const assignments: Record<string, SlotAssignment> = {
    "9": { mid: "9", participant: "a", sourceMid: "1" },
    "7": { mid: "7", participant: "b", sourceMid: "1" },
  };
  const plan = planSlots({ wanted: show("a", "b", "c"), available: 5, mids: MIDS, assignments, before: [] });
  expect(shown(plan)).toEqual(["b", "c", "a"]);
});

test("turning the page switches only what differs", () => {
  const options = { available: 9, mids: MIDS, assignments: {} };
  const before = planSlots({ ...options, wanted: show("a", "b", "c"), before: [] });
  const plan = planSlots({ ...options, wanted: show("d", "b", "e"), before });
  expect(shown(plan)).toEqual(["d", "b", "e"]);
});

test("a screen and a camera of the same person are two pictures", () => {
  const wanted = [
    { participant: "a", mid: "2" },
    { participant: "a", mid: "1" },
  ];
  const plan = planSlots({ wanted, available: 9, mids: MIDS, assignments: {}, before: [] });
  expect(plan.slice(0, 2).map(({ selection }) => selection)).toEqual([
    { kind: "source", participant: "a", mid: "2" },
    { kind: "source", participant: "a", mid: "1" },
  ]);
});
