// The server's time, told by its frames and by this browser's monotonic clock. The browser's own
// date is never asked: the clock of a wall TV is often minutes off.

export const STALE_MS = 3000;

const HEARD_KEPT = 20;
const CLOCK_STEP_MS = 2000;

export class ServerClock {
  #asOfMs = null;
  #aliveAt = -Infinity;
  #leads = [];
  #standsStill = false;

  // Take note of a frame. One that repeats the instant of the last is no sign of life, unless the
  // floor follows its events: then time stands still between them.
  hear(floor) {
    const heard = performance.now();
    this.#standsStill = floor.clock === "event";
    if (floor.as_of_ms !== this.#asOfMs || this.#standsStill) this.#aliveAt = heard;
    this.#asOfMs = floor.as_of_ms;
    const lead = floor.as_of_ms - heard;
    if (Math.abs(lead - this.#lead()) > CLOCK_STEP_MS) this.#leads = [];
    this.#leads = [...this.#leads, lead].slice(-HEARD_KEPT);
  }

  get asOfMs() {
    return this.#asOfMs;
  }

  isLive() {
    return performance.now() - this.#aliveAt <= STALE_MS;
  }

  // Epoch ms at the server; it does not run on past the last frame once that is stale.
  now() {
    if (this.#standsStill || !this.isLive()) return this.#asOfMs;
    return performance.now() + this.#lead();
  }

  // The frame that travelled fastest tells the time best.
  #lead() {
    return Math.max(...this.#leads);
  }
}
