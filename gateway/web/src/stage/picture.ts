/** Where a picture is that is shown whole in a tile of another shape. */

import type { Rect, Size } from "./layout";

/** The part of a tile that the picture fills; the whole tile before its size is known. */
export function pictureRect(tile: Size, picture: Size): Rect {
  if (picture.width <= 0 || picture.height <= 0) {
    return { x: 0, y: 0, ...tile };
  }
  const scale = Math.min(tile.width / picture.width, tile.height / picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  return { x: (tile.width - width) / 2, y: (tile.height - height) / 2, width, height };
}

/** A point of the tile as fractions of the picture; undefined: beside it. */
export function placeOn({ x, y, width, height }: Rect, point: { readonly x: number; readonly y: number }) {
  const place = { x: (point.x - x) / width, y: (point.y - y) / height };
  return [place.x, place.y].every((part) => part >= 0 && part <= 1) ? place : undefined;
}
