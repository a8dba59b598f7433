import { describe, expect, test } from "vitest";
import { type ArrangeInput, arrange, fitGrid, type Rect } from "./layout";

const DESKTOP = { width: 1264, height: 722 };
const PHONE = { width: 344, height: 640 };

const others = (count: number) => Array.from({ length: count }, (_, index) => `p${index}`);

const input = (change: Partial<ArrangeInput>): ArrangeInput => ({
  mode: "gallery",
  size: DESKTOP,
  self: "me",
  others: [],
  screens: [],
  speaker: "",
  page: 0,
  ...change,
});

const overlaps = (a: Rect, b: Rect) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

describe("the grid", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 25])("of %i fits the stage without overlaps", (count) => {
    for (const size of [DESKTOP, PHONE]) {
      const rects = fitGrid(count, size);
      expect(rects).toHaveLength(count);
      for (const [index, rect] of rects.entries()) {
        expect(rect.x).toBeGreaterThanOrEqual(0);
        expect(rect.y).toBeGreaterThanOrEqual(0);
        expect(rect.x + rect.width).toBeLessThanOrEqual(size.width + 1);
        expect(rect.y + rect.height).toBeLessThanOrEqual(size.height + 1);
        expect(rects.slice(index + 1).some((other) => overlaps(rect, other))).toBe(false);
      }
    }
  });

  test("keeps tiles at 16:9 and as large as can be", () => {
    const [alone] = fitGrid(1, DESKTOP);
    expect(alone?.width).toBe(1264);
    expect((alone?.width ?? 0) / (alone?.height ?? 1)).toBeCloseTo(16 / 9, 1);
    expect(fitGrid(2, PHONE)[1]?.y).toBeGreaterThan(fitGrid(2, PHONE)[0]?.y ?? 0);
  });
});

describe("the gallery", () => {
  test("shows nine people a page, oneself among them, and everybody on some page", () => {
    const crowd = input({ others: others(11) });
    const first = arrange(crowd);
    const second = arrange({ ...crowd, page: 1 });
    expect(first.pages).toBe(2);
    expect(first.capacity).toBe(8);
    expect([...first.placed, ...second.placed].map(({ id }) => id)).toEqual(["me", ...others(11)]);
  });

  test("a page that is gone shows the last one", () => {
    expect(arrange(input({ others: others(3), page: 4 }))).toMatchObject({ page: 0, pages: 1 });
  });

  test("a phone shows fewer at a time", () => {
    expect(arrange(input({ size: { width: 320, height: 320 }, others: others(11) })).placed.length).toBeLessThan(9);
  });
});

describe("the speaker layout", () => {
  test("shows everybody once, the speaker largest", () => {
    const { placed } = arrange(input({ mode: "speaker", speaker: "p2", others: others(4) }));
    expect(placed.map(({ id }) => id).sort()).toEqual(["me", ...others(4)]);
    const [large, ...rest] = placed;
    expect(large).toMatchObject({ id: "p2", focus: true });
    expect(rest.every(({ rect }) => rect.width < (large?.rect.width ?? 0) / 2)).toBe(true);
  });

  test("alone is a gallery of one", () => {
    expect(arrange(input({ mode: "speaker" })).placed).toMatchObject([{ id: "me", focus: false }]);
  });
});

describe("a shared screen", () => {
  test.each([DESKTOP, PHONE])("is largest in either mode, its sharer keeps a tile", (size) => {
    const { placed } = arrange(input({ size, screens: ["p1"], others: others(2) }));
    expect(placed[0]).toMatchObject({ kind: "screen", id: "p1", focus: true });
    expect(placed.filter(({ kind }) => kind === "person").map(({ id }) => id)).toEqual(["me", "p0", "p1"]);
    for (const [index, { rect }] of placed.entries()) {
      expect(placed.slice(index + 1).some((other) => overlaps(rect, other.rect))).toBe(false);
    }
  });

  test("a second one stands first in the strip", () => {
    const { placed } = arrange(input({ screens: ["p1", "p0"], others: others(2) }));
    expect(placed.slice(0, 2)).toMatchObject([
      { kind: "screen", id: "p1", focus: true },
      { kind: "screen", id: "p0", focus: false },
    ]);
  });
});

test("a stage that isn't measured yet shows nothing", () => {
  expect(arrange(input({ size: { width: 0, height: 0 }, others: others(2) })).placed).toEqual([]);
});
