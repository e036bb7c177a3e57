// How many tiles fit, in how many columns, and how large everything in them may be.

// What a tile needs, in units: its width for digits of average breadth, and its height.
export const SHAPES = {
  regular: { width: 21, height: 14.8 },
  wide: { width: 42, height: 11.2 },
};

// Heroes are this many units high (wallboard.css), and 120 px of a screen of 1920 x 1080.
const HERO = 5.45;
const READABLE = 120 / 1080;
const ACROSS = 1920 / 1080;

const DIGIT = 0.556;
const COMFORTABLE_UNIT = 18;
const SMALLEST_WALL = 600;

// A smaller screen, as in a hand, shows everything one below the other and scrolls.
export function isWall(width, height) {
  return Math.min(width, height) >= SMALLEST_WALL;
}

// How many tiles fit on a wall so that heroes can be read from where it is looked at.
export function capacity(screen, room) {
  const smallest = (Math.min(screen.height, screen.width / ACROSS) * READABLE) / HERO;
  let count = 1;
  while (count < 500 && plan(count + 1, room).unit >= smallest) count += 1;
  return count;
}

// The plan for `count` tiles, all of them in `room`.
export function plan(count, { width, height, gap, digit = DIGIT }) {
  const breadth = Math.max(1, digit / DIGIT);
  let best = { columns: 1, shape: "regular", unit: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const tile = {
      width: (width - gap * (columns - 1)) / columns,
      height: (height - gap * (rows - 1)) / rows,
    };
    for (const [shape, needs] of Object.entries(SHAPES)) {
      const unit = Math.min(tile.width / (needs.width * breadth), tile.height / needs.height);
      if (unit > best.unit) best = { columns, shape, unit };
    }
  }
  return best;
}

// How many tiles the grid for `count` has places for.
export function slots(count, room) {
  const { columns } = plan(count, room);
  return Math.ceil(count / columns) * columns;
}

// The plan for a page that scrolls.
export function scroll({ width, gap, digit = DIGIT }) {
  const needed = SHAPES.regular.width * Math.max(1, digit / DIGIT);
  const columns = Math.max(1, Math.floor((width + gap) / (needed * COMFORTABLE_UNIT + gap)));
  const unit = (width - gap * (columns - 1)) / columns / needed;
  return { columns, shape: "regular", unit };
}
