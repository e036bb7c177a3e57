// What a queue's state is called on a screen. The state itself comes with the floor document.

import { clockTime, count, fraction, NOTHING, percent, timeOfDay } from "./format.js";
import { texts } from "./texts.js";

const OF_DURATION = new Set(["longest_wait", "reply_awaited"]);

// The words for a state; `n` is what the service level of the first wall window rests on.
export function stateWords(queue, n) {
  const { zone } = queue.policy;
  if (queue.out_of_service_since_ms !== null) {
    return texts.outOfServiceSince(minuteOf(queue.out_of_service_since_ms, zone));
  }
  switch (queue.state) {
    case "too_few":
      return texts.tooFew(count(n));
    case "no_data":
      return texts.noDataSince(minuteOf(queue.no_data_since_ms, zone));
    case "catching_up":
      return texts.catchingUpAsOf(timeOfDay(queue.as_of_ms, zone));
    default:
      return texts.states[queue.state];
  }
}

// Why a queue is in its state; what the server calls it where this page is older than the server.
export function causeWords({ cause, reason }) {
  const say = cause && texts.causes[cause.id];
  if (!say) return reason ?? "";
  return say(OF_DURATION.has(cause.id) ? clockTime(cause.limit) : percent(cause.limit));
}

// Which part of the floor is missing, "" where none is.
export function missingWords(partial, zone) {
  if (!partial) return "";
  const since = partial.since_ms === null ? null : minuteOf(partial.since_ms, zone);
  if (partial.share >= 0.95) return texts.allMissing(since);
  return texts.missing(fraction(partial.share), since);
}

export function minuteOf(ms, zone) {
  return timeOfDay(ms, zone, { seconds: false });
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
  if (n === 0) return { text: texts.noCalls, isFirm: false };
  if (ratio === null) return { text: NOTHING, isFirm: false };
  if (n < volumeFloor) return { text: texts.tooFew(count(n)), isFirm: false };
  return { text: write(ratio), isFirm: true };
}
