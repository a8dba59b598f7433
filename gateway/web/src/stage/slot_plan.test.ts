import { expect, test } from "vitest";
import type { SlotAssignment, SlotRequest } from "@/session/model";
import { enlarges, planSlots, type Wanted } from "./slot_plan";

const MIDS = ["7", "8", "9"];
const tile = (participant: string, more: Partial<Wanted> = {}): Wanted => {
  return { participant, mid: "1", height: 180, screen: false, focus: false, ...more };
};
const show = (...people: string[]) => people.map((participant) => tile(participant));
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
  const wanted = [tile("a", { mid: "2" }), tile("a")];
  const plan = planSlots({ wanted, available: 9, mids: MIDS, assignments: {}, before: [] });
  expect(plan.slice(0, 2).map(({ selection }) => selection)).toEqual([
    { kind: "source", participant: "a", mid: "2" },
    { kind: "source", participant: "a", mid: "1" },
  ]);
});

test("each slot is asked for in the height of its tile, in steps, and who matters most first", () => {
  const wanted = [
    tile("a", { mid: "2", height: 701, screen: true, focus: true }),
    tile("b", { height: 360 }),
    tile("c", { height: 1, focus: true }),
  ];
  const plan = planSlots({ wanted, available: 9, mids: MIDS, assignments: {}, before: [] });
  expect(plan.map(({ maxHeight, priority }) => [maxHeight, priority])).toEqual([
    [720, 30],
    [360, 10],
    [45, 20],
  ]);
});

test("an automatic slot is asked for in the height of whom it shows, an empty one in the largest of all", () => {
  const assignments = { "8": { mid: "8", participant: "a", sourceMid: "1" } };
  const wanted = [tile("a"), tile("b", { height: 540 })];
  const plan = planSlots({ wanted, available: 2, mids: MIDS, assignments, before: [] });
  expect(plan.map(({ maxHeight }) => maxHeight)).toEqual([540, 180, 540]);
});

test("only more pixels are urgent", () => {
  const at = (height: number, ...people: string[]) =>
    planSlots({
      wanted: people.map((one) => tile(one, { height })),
      available: 9,
      mids: MIDS,
      assignments: {},
      before: [],
    });
  expect(enlarges(at(180, "a", "b"), at(360, "a", "b"))).toBe(true);
  expect(enlarges(at(360, "a", "b"), at(180, "a", "b"))).toBe(false);
  expect(enlarges(at(360, "a", "b"), at(360, "a"))).toBe(false);
});
