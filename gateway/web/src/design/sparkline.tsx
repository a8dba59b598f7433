/** A small line of the last minute. The number beside it says the same in words: screen readers pass over the line. */

const WIDTH = 96;
const HEIGHT = 28;
const PAD = 2;

export interface SparklineProps {
  /** x from 0 to 1 in order, y in any unit from 0 up. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
  /** The line's top; not given: the highest point. */
  readonly top?: number;
}

export function Sparkline({ points, top = 0 }: SparklineProps) {
  const highest = Math.max(top, ...points.map(({ y }) => y), Number.EPSILON);
  const place = ({ x, y }: { x: number; y: number }) =>
    `${(PAD + x * (WIDTH - 2 * PAD)).toFixed(1)},${(HEIGHT - PAD - (y / highest) * (HEIGHT - 2 * PAD)).toFixed(1)}`;
  return (
    <svg aria-hidden="true" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} className="shrink-0">
      <path d={`M${PAD} ${HEIGHT - PAD}H${WIDTH - PAD}`} className="stroke-line" strokeWidth="1" />
      <polyline
        points={points.map(place).join(" ")}
        fill="none"
        className="stroke-accent-text"
        strokeWidth="1.75"
        strokeLinejoin="round"
        strokeLinecap="round"
      />
    </svg>
  );
}
