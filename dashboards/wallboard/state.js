// What a queue's state is called on a screen. The state itself comes with the floor document.

import { count, NOTHING, timeOfDay, words } from "./format.js";

// The words for a state; `n` is what the service level of the first wall window rests on.
export function stateWords(queue, n) {
  const { zone } = queue.policy;
  if (queue.out_of_service_since_ms !== null) {
    const since = timeOfDay(queue.out_of_service_since_ms, zone, { seconds: false });
    return `OUT OF SERVICE since ${since}`;
  }
  switch (queue.state) {
    case "trouble":
    case "watch":
      return queue.state.toUpperCase();
    case "too_few":
      return `too few (${count(n)})`;
    case "no_data":
      return `no data since ${timeOfDay(queue.no_data_since_ms, zone, { seconds: false })}`;
    case "catching_up":
      return `catching up, as of ${timeOfDay(queue.as_of_ms, zone)}`;
    default:
      return words(queue.state);
  }
}

// Whether the live figures of a queue are known at all, and whether they are those of now.
export function isKnown(queue) {
  return queue.state !== "no_data";
}

export function isCurrent(queue) {
  return queue.state !== "no_data" && queue.state !== "catching_up";
}

// The epoch ms up to which the oldest one waiting in a queue has waited.
export function waitedUntil(queue, serverNowMs) {
  return isCurrent(queue) ? serverNowMs : queue.as_of_ms;
}

// The zone of the screen's own clock: the one that most queues keep.
export function screenZone(queues) {
  const tally = new Map();
  for (const { policy } of queues) tally.set(policy.zone, (tally.get(policy.zone) ?? 0) + 1);
  const [first] = [...tally].sort((a, b) => b[1] - a[1]);
  return first ? first[0] : "UTC";
}

// A ratio, and whether it is firm: too few to mean anything, or none at all, is said in words.
export function reading(ratio, n, volumeFloor, write) {
  if (n === 0) return { text: "no calls", isFirm: false };
  if (ratio === null) return { text: NOTHING, isFirm: false };
  if (n < volumeFloor) return { text: `too few (${count(n)})`, isFirm: false };
  return { text: write(ratio), isFirm: true };
}
