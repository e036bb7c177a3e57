// The wall: one tile per queue and channel, worst first.

import { ServerClock } from "./clock.js";
import { follow } from "./feed.js";
import { aim, count, duration, limit, NOTHING, percent, windowName, words } from "./format.js";
import { plan, SHAPES } from "./layout.js";
import { CalmOrder } from "./order.js";
import { byId, keepTime, put } from "./page.js";
import { isKnown, reading, screenZone, stateWords, waitedUntil } from "./state.js";

// How many characters of a hero fit at full size.
const ROOM = { waiting: 2, longest: 5 };

const clock = new ServerClock();
const order = new CalmOrder();
const tiles = new Map();
let zone = "UTC";

const keyOf = ({ queue, channel }) => JSON.stringify([queue, channel]);

class Tile {
  #parts = {};
  #queue = null;
  #words = null;

  constructor() {
    this.element = byId("tile").content.firstElementChild.cloneNode(true);
    this.link = this.element.querySelector("a");
    for (const part of this.element.querySelectorAll("*")) {
      for (const name of Object.keys(part.dataset)) this.#parts[name] = part;
    }
  }

  // Show a queue and its figures; the answer is what to say aloud, if its state is another one.
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
    this.link.href = `queue?${new URLSearchParams({ queue: queue.queue, channel: queue.channel })}`;
    put(this.#parts.name, queue.name);
    put(this.#parts.channel, [words(queue.channel), queue.site].filter(Boolean).join(" · "));
    put(this.#parts.word, this.#words);
    this.element.classList.toggle("wordy", this.#words.length > 16);
    put(this.#parts.reason, queue.reason ?? "");
    this.#hero("waiting", known ? count(entry.waiting) : NOTHING);
    put(this.#parts.abandoned, known ? count(entry.abandoned) : NOTHING);
    put(this.#parts.agents, known && queue.agents ? count(queue.agents.available) : NOTHING);
    this.#level(known ? entry : null, n, firstWindow);
    const more = moreWindows.map((id) => otherLevel(queue.policy, entries.get(id), id));
    put(this.#parts.more, known ? [...more, instant(entry, queue.policy)].join(" · ") : "");
    put(this.#parts.initial, known ? initialResponse(entry, queue.policy) : "");
    if (was !== undefined && was !== queue.state) {
      return `${queue.name} ${words(queue.channel)}: ${this.#words}. ${queue.reason ?? ""}`;
    }
    return "";
  }

  // The longest wait is a clock: it runs between the frames.
  tick(serverNowMs) {
    const { oldest_waiting_ms: since } = this.#queue;
    const isWaiting = isKnown(this.#queue) && since !== null;
    const waitedS = isWaiting ? (waitedUntil(this.#queue, serverNowMs) - since) / 1000 : null;
    this.#hero("longest", duration(waitedS));
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
    const mixed = entry?.mixed ? " mixed" : "";
    const thresholdS = entry?.threshold_s ?? this.#queue.policy.threshold_s;
    put(this.#parts.formula, `${words(formula)} ${aim(target, thresholdS)}${mixed}`);
    const restsOn = entry ? ` · n ${count(n)}` : "";
    put(this.#parts.restsOn, `${windowName(windowId)}${restsOn}`);
    put(this.#parts.window, windowName(windowId));
  }
}

function sizeOf(excess) {
  if (excess <= 0) return "full";
  return excess === 1 ? "long" : "longer";
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
    const oldest = duration(entry.oldest_awaiting_reply_s);
    return `awaiting reply ${count(entry.awaiting_reply)}, oldest ${oldest}`;
  }
  const n = entry.service_level_n.of_offered;
  const { text, isFirm } = reading(entry.instant_service_ratio, n, policy.volume_floor, percent);
  return `instant ${text}${isFirm ? ` (n ${count(n)})` : ""}`;
}

function initialResponse(entry, policy) {
  const n = entry.initial_response_events;
  const { text, isFirm } = reading(
    entry.initial_response_within_ratio, n, policy.volume_floor, percent,
  );
  if (!isFirm) return `initial response ${text}`;
  const { p50, p90 } = entry.initial_response_s;
  const within = `${text} in ${limit(policy.initial_response_limit_s)}`;
  return `initial response p50 ${duration(p50)}, p90 ${duration(p90)}, ${within} (n ${count(n)})`;
}

function show(floor) {
  clock.hear(floor);
  zone = screenZone(floor.queues);
  const entries = new Map();
  for (const entry of floor.entries) {
    const key = keyOf(entry);
    if (!entries.has(key)) entries.set(key, new Map());
    entries.get(key).set(entry.window, entry);
  }
  const news = [];
  const present = new Set(floor.queues.map(keyOf));
  for (const [key, tile] of tiles) {
    if (present.has(key)) continue;
    tile.element.remove();
    tiles.delete(key);
  }
  for (const queue of floor.queues) {
    const key = keyOf(queue);
    if (!tiles.has(key)) tiles.set(key, new Tile());
    news.push(tiles.get(key).show(queue, entries.get(key) ?? new Map()));
  }
  place(order.arrange(floor.queues, keyOf).map((queue) => tiles.get(keyOf(queue)).element));
  summarise(floor.queues);
  const spoken = news.filter(Boolean).join(" ");
  if (spoken) put(byId("announcer"), spoken);
  notice(floor);
  fit();
  beat();
}

// Elements are moved only where the order differs, and the focus stays where it was.
function place(elements) {
  const list = byId("tiles");
  if (elements.every((element, i) => list.children[i] === element)) return;
  const focused = document.activeElement;
  list.append(...elements);
  if (focused && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

function summarise(queues) {
  const tally = new Map();
  for (const { state } of queues) tally.set(state, (tally.get(state) ?? 0) + 1);
  for (const item of byId("summary").children) {
    const n = tally.get(item.dataset.state) ?? 0;
    item.hidden = n === 0;
    put(item, `${n} ${words(item.dataset.state)}`);
  }
}

function notice(floor) {
  let text = "";
  if (floor.queues.length === 0) {
    text = floor.ready ? "No queue has been seen yet" : "Catching up: no figures yet";
  }
  put(byId("notice"), text);
  byId("notice").hidden = text === "";
  byId("partial").hidden = !floor.partial;
}

function tick(serverNowMs) {
  for (const tile of tiles.values()) tile.tick(serverNowMs);
}

function fit() {
  const list = byId("tiles");
  const gap = Number.parseFloat(getComputedStyle(list).columnGap);
  const room = byId("board").getBoundingClientRect();
  const height = innerHeight - (room.top + scrollY) - gap;
  const chosen = plan(tiles.size, room.width, height, gap, digitBreadth(list));
  list.dataset.shape = chosen.shape;
  document.body.classList.toggle("scrolls", chosen.scrolls);
  list.style.setProperty("--columns", chosen.columns);
  list.style.setProperty("--row", `${(chosen.unit * SHAPES.regular.height).toFixed(2)}px`);
  list.style.setProperty("--unit", `${chosen.unit.toFixed(2)}px`);
}

const digitBreadth = (() => {
  let breadth = null;
  return (element) => {
    if (breadth === null) {
      const pen = document.createElement("canvas").getContext("2d");
      pen.font = `700 100px ${getComputedStyle(element).fontFamily}`;
      breadth = pen.measureText("0").width / 100;
    }
    return breadth;
  };
})();

const beat = keepTime(clock, { zone: () => zone, tick, onTurn: fit });
addEventListener("resize", fit);
follow("api/v1/floor/stream", show);
