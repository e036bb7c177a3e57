// One queue on the wall. Its figures change with every frame, its clock in between.

import { addressOf } from "./address.js";
import { alertLine, badgeWords } from "./alerts.js";
import { aim, count, duration, limit, NOTHING, percent, windowName } from "./format.js";
import { byId, put } from "./page.js";
import { draw, extremes, sparkline } from "./spark.js";
import { causeWords, isKnown, reading, stateWords, waitedUntil } from "./state.js";
import { texts, words } from "./texts.js";

// How many characters of a hero fit at full size.
const ROOM = { waiting: 2, longest: 5 };

const LONGEST_WORD = 16;
const SMALLEST_TOP = 5;
const ARROWS = { rising: "▲", falling: "▼", steady: "" };

export class Tile {
  #parts = {};
  #queue = null;
  #words = "";
  #past = { waiting: sparkline(), level: sparkline() };

  constructor() {
    this.element = byId("tile").content.firstElementChild.cloneNode(true);
    this.link = this.element.querySelector("a");
    for (const part of this.element.querySelectorAll("*")) {
      for (const name of Object.keys(part.dataset)) this.#parts[name] = part;
    }
    this.#parts.pastWaiting.append(this.#past.waiting);
    this.#parts.pastLevel.append(this.#past.level);
  }

  // Show a queue and its figures; the answer is its state before, undefined for a new tile.
  show(queue, entries) {
    const [firstWindow, ...moreWindows] = queue.policy.windows;
    const entry = entries.get(firstWindow);
    const n = entry?.service_level_n[queue.policy.formula] ?? 0;
    const known = isKnown(queue) && entry;
    const was = this.#queue?.state;
    this.#queue = queue;
    this.#words = stateWords(queue, n);

    this.element.dataset.state = queue.state;
    this.element.toggleAttribute("data-out", queue.out_of_service_since_ms !== null);
    this.link.href = addressOf(queue);
    put(this.#parts.name, queue.name);
    put(this.#parts.channel, [words(queue.channel), queue.site].filter(Boolean).join(" · "));
    put(this.#parts.word, this.#words);
    this.element.classList.toggle("wordy", this.#words.length > LONGEST_WORD);
    put(this.#parts.reason, causeWords(queue));
    this.#hero("waiting", known ? count(entry.waiting) : NOTHING);
    put(this.#parts.abandoned, known ? count(entry.abandoned) : NOTHING);
    put(this.#parts.agents, known && queue.agents ? count(queue.agents.available) : NOTHING);
    this.#level(known ? entry : null, n, firstWindow);
    this.#trend("waitingTrend", queue.trend.waiting);
    this.#trend("levelTrend", queue.trend.service_level);
    this.#alerts();
    const more = moreWindows.map((id) => otherLevel(queue.policy, entries.get(id), id));
    const also = known ? [bounds(entry, n, queue.policy), ...more, instant(entry, queue.policy)] : [];
    put(this.#parts.more, also.filter(Boolean).join(" · "));
    put(this.#parts.initial, known ? initialResponse(entry, queue.policy) : "");
    return was;
  }

  // What to say aloud of a queue whose state is another one.
  get announcement() {
    const { name, channel } = this.#queue;
    return `${name} ${words(channel)}: ${this.#words}. ${causeWords(this.#queue)}`;
  }

  // The longest wait is a clock: it runs between the frames.
  tick(serverNowMs) {
    const { oldest_waiting_ms: since } = this.#queue;
    const isWaiting = isKnown(this.#queue) && since !== null;
    const waitedS = isWaiting ? (waitedUntil(this.#queue, serverNowMs) - since) / 1000 : null;
    this.#hero("longest", duration(waitedS));
  }

  // Draw the last hour of the queue, null where nothing is known of it.
  remember(past) {
    const waiting = past?.waiting ?? [];
    const level = past?.service_level ?? [];
    const seen = extremes(waiting);
    draw(this.#past.waiting, waiting, {
      top: Math.max(SMALLEST_TOP, seen?.[1] ?? 0),
      words: seen ? texts.pastWaiting(...seen.map(count)) : texts.pastUnknown,
    });
    const levels = extremes(level);
    draw(this.#past.level, level, {
      top: 1,
      goal: this.#queue.policy.target,
      words: levels
        ? texts.pastLevel(...levels.map((ratio) => percent(ratio)))
        : texts.pastUnknown,
    });
  }

  #hero(part, text) {
    put(this.#parts[part], text);
    this.#parts[part].dataset.size = sizeOf(text.length - ROOM[part]);
  }

  #level(entry, n, windowId) {
    const { formula, target, volume_floor: volumeFloor } = this.#queue.policy;
    const { text, isFirm } = entry
      ? reading(entry.service_level[formula], n, volumeFloor, (ratio) => percent(ratio, target))
      : { text: NOTHING, isFirm: false };
    put(this.#parts.level, text);
    this.element.classList.toggle("weak", Boolean(entry) && !isFirm);
    const mixed = entry?.mixed ? ` ${texts.mixed}` : "";
    const thresholdS = entry?.threshold_s ?? this.#queue.policy.threshold_s;
    put(this.#parts.formula, `${words(formula)} ${aim(target, thresholdS)}${mixed}`);
    const restsOn = entry ? ` · n ${count(n)}` : "";
    put(this.#parts.restsOn, `${windowName(windowId)}${restsOn}`);
    put(this.#parts.window, windowName(windowId));
  }

  #trend(part, trend) {
    const element = this.#parts[part];
    put(element, ARROWS[trend] ?? "");
    element.role = ARROWS[trend] ? "img" : null;
    element.ariaLabel = ARROWS[trend] ? texts.trends[trend] : null;
  }

  #alerts() {
    const badge = badgeWords(this.#queue);
    put(this.#parts.badge, badge);
    this.#parts.badge.hidden = badge === "";
    const line = alertLine(this.#queue);
    put(this.#parts.alert, line);
    this.#parts.alert.hidden = line === "";
    this.#parts.initial.hidden = line !== "";
  }
}

function sizeOf(excess) {
  if (excess <= 0) return "full";
  return excess === 1 ? "long" : "longer";
}

// What `strict` can still become, where somebody is undecided.
function bounds(entry, n, { volume_floor: volumeFloor }) {
  const { service_level_low: low, service_level_high: high } = entry;
  if (n < volumeFloor || low === null || percent(low) === percent(high)) return "";
  return texts.bounds(percent(low), percent(high));
}

function otherLevel(policy, entry, windowId) {
  if (!entry) return `${windowName(windowId)} ${NOTHING}`;
  const n = entry.service_level_n[policy.formula];
  const { text, isFirm } = reading(
    entry.service_level[policy.formula], n, policy.volume_floor,
    (ratio) => percent(ratio, policy.target),
  );
  return `${windowName(windowId)} ${text}${isFirm ? ` (n ${count(n)})` : ""}`;
}

// Where nobody can be served at once, as in mail, the people without a reply stand in its place.
function instant(entry, policy) {
  if (policy.instant_within_s === null) {
    return texts.awaitingReply(
      count(entry.awaiting_reply), duration(entry.oldest_awaiting_reply_s),
    );
  }
  const n = entry.service_level_n.of_offered;
  const { text, isFirm } = reading(entry.instant_service_ratio, n, policy.volume_floor, percent);
  return texts.instant(`${text}${isFirm ? ` (n ${count(n)})` : ""}`);
}

function initialResponse(entry, policy) {
  const n = entry.initial_response_events;
  const { text, isFirm } = reading(
    entry.initial_response_within_ratio, n, policy.volume_floor, percent,
  );
  if (!isFirm) return texts.initialResponse(text);
  const { p50, p90 } = entry.initial_response_s;
  const within = texts.within(text, limit(policy.initial_response_limit_s));
  const told = `p50 ${duration(p50)}, p90 ${duration(p90)}, ${within} (n ${count(n)})`;
  return texts.initialResponse(told);
}
