// Which tiles are on the wall when there are more than fit: those in trouble stay, the rest take
// turns.

const TURN_MS = 12_000;

export class Rotation {
  #page = 0;
  #pages = 1;
  #turnedAt = performance.now();
  isPaused = false;

  // The queues to show now, of `ordered`, when `room` fit: about as many on each page, and as many
  // more as `fill` says that a grid for so many holds. Should those that stay leave no room for
  // others, all take turns.
  choose(ordered, { room, stays, fill }) {
    const staying = ordered.filter(stays);
    const pinned = staying.length < room && ordered.length > room ? staying : [];
    const rest = ordered.filter((queue) => !pinned.includes(queue));
    const fewest = Math.max(1, Math.ceil(rest.length / (room - pinned.length)));
    const size = fill(pinned.length + Math.ceil(rest.length / fewest));
    const turn = Math.max(1, size - pinned.length);
    this.#pages = Math.max(1, Math.ceil(rest.length / turn));
    this.#page %= this.#pages;
    const first = this.#page * turn;
    return { shown: [...pinned, ...rest.slice(first, first + turn)], size };
  }

  get page() {
    return this.#page;
  }

  get pages() {
    return this.#pages;
  }

  // Whether it is time for another page; then it is that page's turn.
  isDue(isHeld) {
    if (this.#pages === 1 || this.isPaused || isHeld) {
      this.#turnedAt = performance.now();
      return false;
    }
    if (performance.now() - this.#turnedAt < TURN_MS) return false;
    this.turn(1);
    return true;
  }

  turn(by) {
    this.#page = (this.#page + by + this.#pages) % this.#pages;
    this.#turnedAt = performance.now();
  }
}
