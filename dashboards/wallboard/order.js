// Worst first, and calm: tiles change places when a state changes, else at most every 30 s.

const SEVERITY = [
  "trouble",
  "watch",
  "no_data",
  "catching_up",
  "good",
  "too_few",
  "no_calls",
  "closed",
];
const CALM_MS = 30_000;

export class CalmOrder {
  #places = new Map();
  #states = new Map();
  #settledAt = -Infinity;

  // The queues in the order in which they are to be shown. `keyOf` names a queue for good. In
  // fixed order each has its place for good, so that people know where to look.
  arrange(queues, keyOf, sort = "worst") {
    if (sort === "fixed") return [...queues].sort(byName);
    const moved =
      queues.length !== this.#states.size ||
      queues.some((queue) => this.#states.get(keyOf(queue)) !== standing(queue));
    if (moved || performance.now() - this.#settledAt >= CALM_MS) {
      this.#settledAt = performance.now();
      this.#states = new Map(queues.map((queue) => [keyOf(queue), standing(queue)]));
      this.#places = new Map([...queues].sort(worstFirst).map((queue, i) => [keyOf(queue), i]));
    }
    return [...queues].sort((a, b) => this.#places.get(keyOf(a)) - this.#places.get(keyOf(b)));
  }
}

// The state, and whether the line is out of service, which comes before everything else.
function standing(queue) {
  return `${queue.state} ${queue.out_of_service_since_ms !== null}`;
}

function worstFirst(a, b) {
  return (
    Number(b.out_of_service_since_ms !== null) - Number(a.out_of_service_since_ms !== null) ||
    SEVERITY.indexOf(a.state) - SEVERITY.indexOf(b.state) ||
    pressure(b) - pressure(a) ||
    byName(a, b)
  );
}

function byName(a, b) {
  return (
    a.name.localeCompare(b.name, undefined, { numeric: true }) ||
    a.channel.localeCompare(b.channel) ||
    a.queue.localeCompare(b.queue)
  );
}

// How much of its wait limit the longest wait has used up, so that mail and calls compare.
function pressure(queue) {
  if (queue.oldest_waiting_ms === null) return 0;
  return (queue.as_of_ms - queue.oldest_waiting_ms) / queue.policy.longest_wait_limit_s.critical;
}
