/** Where tiles stand: pure geometry from the people, the screens and the size of the stage. */

export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export type Mode = "gallery" | "speaker";

/** Somebody's tile or somebody's screen. */
export interface Placed {
  readonly kind: "person" | "screen";
  readonly id: string;
  readonly rect: Rect;
  /** Whether it is the large one. */
  readonly focus: boolean;
}

export interface Arrangement {
  readonly placed: readonly Placed[];
  readonly pages: number;
  /** The page shown: the one asked for, or the last one if there are fewer. */
  readonly page: number;
  /** How many others the first page shows; who speaks is brought there. */
  readonly capacity: number;
}

export interface ArrangeInput {
  readonly mode: Mode;
  readonly size: Size;
  readonly self: string;
  /** The others, in the order of the stage. */
  readonly others: readonly string[];
  /** Who shares a screen, newest first, oneself not among them. */
  readonly screens: readonly string[];
  /** Who is large in the speaker layout. */
  readonly speaker: string;
  readonly page: number;
}

const GAP = 8;
const WIDE = 16 / 9;
/** People on one page of the gallery: what nine video slots and oneself can show. */
const MAX_PER_PAGE = 9;
const MIN_STRIP_HEIGHT = 84;
const MIN_TILE: Size = { width: 150, height: 105 };

/** The grid for `count` tiles that makes them largest, centred; the last row is centred too. */
export function fitGrid(count: number, size: Size, aspect = WIDE): Rect[] {
  if (count === 0) {
    return [];
  }
  const candidates = Array.from({ length: count }, (_, index) => gridOf(count, index + 1, size, aspect));
  // Nearly as large side by side as one above the other: eyes move more easily from side to side.
  const best = candidates.reduce((a, b) => (b.width > a.width * 0.96 ? b : a));
  return place(count, best, size);
}

interface Grid {
  readonly columns: number;
  readonly rows: number;
  readonly width: number;
  readonly height: number;
}

function gridOf(count: number, columns: number, size: Size, aspect: number): Grid {
  const rows = Math.ceil(count / columns);
  const roomX = Math.max(0, (size.width - GAP * (columns - 1)) / columns);
  const roomY = Math.max(0, (size.height - GAP * (rows - 1)) / rows);
  const width = Math.min(roomX, roomY * aspect);
  return { columns, rows, width, height: width / aspect };
}

function place(count: number, grid: Grid, size: Size): Rect[] {
  const { columns, rows, width, height } = grid;
  const top = (size.height - rows * height - (rows - 1) * GAP) / 2;
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / columns);
    const inRow = Math.min(columns, count - row * columns);
    const left = (size.width - inRow * width - (inRow - 1) * GAP) / 2;
    return rounded({ x: left + (index % columns) * (width + GAP), y: top + row * (height + GAP), width, height });
  });
}

function rounded({ x, y, width, height }: Rect): Rect {
  return { x: Math.round(x), y: Math.round(y), width: Math.floor(width), height: Math.floor(height) };
}

/** Puts everybody where they belong. */
export function arrange(input: ArrangeInput): Arrangement {
  if (input.size.width < 1 || input.size.height < 1) {
    return { placed: [], pages: 1, page: 0, capacity: MAX_PER_PAGE - 1 };
  }
  const focus = focusOf(input);
  return focus ? arrangeFocus(input, focus) : arrangeGallery(input);
}

function focusOf({ mode, screens, speaker }: ArrangeInput): { kind: Placed["kind"]; id: string } | undefined {
  const [screen] = screens;
  if (screen) {
    return { kind: "screen", id: screen };
  }
  return mode === "speaker" && speaker ? { kind: "person", id: speaker } : undefined;
}

function arrangeGallery({ size, self, others, page }: ArrangeInput): Arrangement {
  const portrait = size.width < size.height;
  const fits = Math.floor(size.width / MIN_TILE.width) * Math.floor(size.height / MIN_TILE.height);
  const perPage = Math.max(2, Math.min(MAX_PER_PAGE, fits));
  const shown = paged([self, ...others], perPage, page);
  // Faces fit a square on a phone held upright; two or more of them fill it better than wide tiles.
  const rects = fitGrid(shown.items.length, size, portrait ? 1 : WIDE);
  const placed = shown.items.map((id, index) => person(id, rects[index]));
  return { placed, pages: shown.pages, page: shown.page, capacity: perPage - 1 };
}

function arrangeFocus(input: ArrangeInput, focus: { kind: Placed["kind"]; id: string }): Arrangement {
  const { size, self, others, screens, page } = input;
  const people = [self, ...others].filter((id) => focus.kind === "screen" || id !== focus.id);
  const more = screens.filter((id) => focus.kind !== "screen" || id !== focus.id);
  const entries = [...more.map((id) => ({ kind: "screen" as const, id })), ...people.map((id) => asPerson(id))];
  const { main, cells } = splitStage(size, entries.length);
  const shown = paged(entries, Math.max(1, cells.length), page);
  const strip = shown.items.map((entry, index) => ({ ...entry, rect: cells[index] ?? main, focus: false }));
  const aspect = focus.kind === "screen" ? main.width / main.height : WIDE;
  const [large] = fitGrid(1, main, main.width < main.height ? main.width / main.height : aspect);
  const rect = large ? { ...large, x: large.x + main.x, y: large.y + main.y } : main;
  const capacity = Math.max(1, cells.length - 1 - more.length);
  return { placed: [{ ...focus, rect, focus: true }, ...strip], pages: shown.pages, page: shown.page, capacity };
}

const asPerson = (id: string) => ({ kind: "person" as const, id });

function person(id: string, rect: Rect | undefined): Placed {
  return { kind: "person", id, rect: rect ?? { x: 0, y: 0, width: 0, height: 0 }, focus: false };
}

/** The large place and the cells of a strip for `count` tiles: on the right of a wide stage, below on a narrow one. */
function splitStage(size: Size, count: number): { main: Rect; cells: Rect[] } {
  if (count === 0) {
    return { main: { x: 0, y: 0, ...size }, cells: [] };
  }
  return size.width > size.height ? splitWide(size, count) : splitNarrow(size, count);
}

/** The strip's tiles get smaller before some of them go to a second page. */
function splitWide(size: Size, count: number): { main: Rect; cells: Rect[] } {
  const widest = Math.min(240, Math.max(150, size.width * 0.18));
  const share = (size.height - GAP * (count - 1)) / count;
  const height = Math.floor(Math.max(MIN_STRIP_HEIGHT, Math.min(widest / WIDE, share)));
  const width = Math.round(height * WIDE);
  const fits = Math.max(1, Math.min(MAX_PER_PAGE - 1, Math.floor((size.height + GAP) / (height + GAP))));
  const x = size.width - width;
  const cells = Array.from({ length: fits }, (_, index) => ({ x, y: index * (height + GAP), width, height }));
  return { main: { x: 0, y: 0, width: x - GAP, height: size.height }, cells };
}

function splitNarrow(size: Size, count: number): { main: Rect; cells: Rect[] } {
  const fits = Math.max(3, Math.min(6, Math.floor(size.width / 110)));
  const width = Math.floor((size.width - GAP * (fits - 1)) / fits);
  const height = Math.min(width, Math.round(size.height * 0.25));
  const y = size.height - height;
  const used = Math.min(count, fits);
  const left = (size.width - used * width - (used - 1) * GAP) / 2;
  const cells = Array.from({ length: fits }, (_, index) => ({
    x: Math.round(left + index * (width + GAP)),
    y,
    width,
    height,
  }));
  return { main: { x: 0, y: 0, width: size.width, height: y - GAP }, cells };
}

function paged<T>(items: readonly T[], perPage: number, page: number): { items: T[]; pages: number; page: number } {
  const pages = Math.max(1, Math.ceil(items.length / perPage));
  const shown = Math.min(Math.max(0, page), pages - 1);
  return { items: items.slice(shown * perPage, (shown + 1) * perPage), pages, page: shown };
}
