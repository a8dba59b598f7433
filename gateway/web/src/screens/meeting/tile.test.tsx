import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import type { Levels } from "@/media/levels";
import { Tile, type TileProps } from "./tile";

const props: TileProps = {
  id: "0b7c1c3e-6f0e-4f3e-9c55-1d7e8a1b2c3d",
  name: "Ada <Lovelace>",
  self: false,
  screen: false,
  muted: false,
  reconnecting: false,
  pinned: false,
  poor: false,
  onDetails: () => undefined,
  video: undefined,
  rect: { x: 8, y: 16, width: 320, height: 180 },
  reaction: undefined,
  levels: { follow: () => () => undefined } as unknown as Levels,
};

const html = (change: Partial<TileProps>) => renderToStaticMarkup(<Tile {...props} {...change} />);

test("a tile says who it is", () => {
  expect(html({})).toContain(
    'data-testid="tile" data-source="camera" data-participant-id="0b7c1c3e-6f0e-4f3e-9c55-1d7e8a1b2c3d" data-name="Ada &lt;Lovelace&gt;"',
  );
});

test("without a picture it shows initials and no video", () => {
  expect(html({})).toContain(">A&lt;<");
  expect(html({})).not.toContain("<video");
});

test("a muted microphone is marked for eyes and screen readers, on the person's own tile alone", () => {
  expect(html({ muted: true })).toContain('aria-label="Microphone off"');
  expect(html({ muted: true, screen: true })).not.toContain("Microphone off");
});

test("a screen is named after who shares it", () => {
  expect(html({ screen: true })).toContain('aria-label="Screen of Ada &lt;Lovelace&gt;"');
  expect(html({ screen: true })).toContain('data-source="screen"');
});

test("oneself is told apart", () => {
  expect(html({ self: true })).toContain("(you)");
});

test("a picture that stutters says so and leads to the reason", () => {
  expect(html({ poor: true })).toContain(
    'aria-label="The picture of Ada &lt;Lovelace&gt; stutters. Show connection details"',
  );
  expect(html({ poor: true, reconnecting: true })).not.toContain("stutters");
  expect(html({})).not.toContain("stutters");
});
