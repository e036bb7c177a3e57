// How many columns, and how large everything in a tile may be, so that a screen is filled.

// What a tile needs, in units: its width for digits of average breadth, and its height.
export const SHAPES = {
  regular: { width: 15.4, height: 14.5 },
  wide: { width: 32, height: 11 },
};

const DIGIT = 0.556;
const SMALLEST_UNIT = 12;
const COMFORTABLE_UNIT = 21;

// The plan for `count` tiles on `width` x `height` pixels. Where everything at once would be too
// small to read, tiles keep a comfortable size and the page scrolls.
export function plan(count, width, height, gap, digit = DIGIT) {
  const breadth = Math.max(1, digit / DIGIT);
  let best = { columns: 1, shape: "regular", unit: 0, scrolls: false };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const tile = {
      width: (width - gap * (columns - 1)) / columns,
      height: (height - gap * (rows - 1)) / rows,
    };
    for (const [shape, needs] of Object.entries(SHAPES)) {
      const unit = Math.min(tile.width / (needs.width * breadth), tile.height / needs.height);
      if (unit > best.unit) best = { columns, shape, unit, scrolls: false };
    }
  }
  if (best.unit >= SMALLEST_UNIT) return best;
  const breadthNeeded = SHAPES.regular.width * breadth;
  const columns = Math.max(1, Math.floor((width + gap) / (breadthNeeded * COMFORTABLE_UNIT + gap)));
  const unit = (width - gap * (columns - 1)) / columns / breadthNeeded;
  return { columns, shape: "regular", unit, scrolls: true };
}
