import { expect, test } from "vitest";
import { pictureRect, placeOn } from "./picture";

const tile = { width: 400, height: 400 };

test("a wide picture leaves room above and below, a high one at the sides", () => {
  expect(pictureRect(tile, { width: 1600, height: 800 })).toEqual({ x: 0, y: 100, width: 400, height: 200 });
  expect(pictureRect(tile, { width: 100, height: 200 })).toEqual({ x: 100, y: 0, width: 200, height: 400 });
  expect(pictureRect(tile, { width: 0, height: 0 })).toEqual({ x: 0, y: 0, width: 400, height: 400 });
});

test("a point is a fraction of the picture, and none beside it", () => {
  const picture = pictureRect(tile, { width: 1600, height: 800 });
  expect(placeOn(picture, { x: 100, y: 150 })).toEqual({ x: 0.25, y: 0.25 });
  expect(placeOn(picture, { x: 400, y: 300 })).toEqual({ x: 1, y: 1 });
  expect(placeOn(picture, { x: 100, y: 99 })).toBeUndefined();
});
