/** A stand-in for a picture: initials on a colour that is always the same for the same person. */

const HUES = [222, 262, 310, 345, 18, 40, 160, 190] as const;

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

export function initials(name: string): string {
  const words = name.trim().split(/\s+/u);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0]];
  return letters
    .map((word) => [...graphemes.segment(word ?? "")][0]?.segment ?? "")
    .join("")
    .toLocaleUpperCase();
}

function hueOf(id: string): number {
  let sum = 0;
  for (const character of id) {
    sum = (sum * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  }
  return HUES[sum % HUES.length] ?? HUES[0];
}

/** `size` in CSS pixels. */
export function Avatar({ id, name, size }: { id: string; name: string; size: number }) {
  const style = {
    width: size,
    height: size,
    fontSize: size * 0.4,
    backgroundColor: `hsl(${hueOf(id)} 45% 38%)`,
  };
  return (
    <span
      aria-hidden="true"
      style={style}
      className="inline-flex shrink-0 select-none items-center justify-center rounded-full font-medium text-on-accent"
    >
      {initials(name)}
    </span>
  );
}
