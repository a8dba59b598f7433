import { expect, test } from "vitest";
import { initials } from "./avatar";

test.each([
  ["Ada Lovelace", "AL"],
  ["ada", "A"],
  ["\u{1F469}\u200D\u{1F469}\u200D\u{1F467} Family", "\u{1F469}\u200D\u{1F469}\u200D\u{1F467}F"],
  ["\u{1F1E8}\u{1F1ED} Heidi", "\u{1F1E8}\u{1F1ED}H"],
  ["e\u0301mile Zola", "E\u0301Z"],
])("UNI-3: the initials of %s are whole characters", (name, expected) => {
  expect(initials(name)).toBe(expected);
});
