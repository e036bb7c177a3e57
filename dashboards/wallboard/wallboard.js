// The wall: one tile per queue and channel, worst first, page by page where they do not fit.

import { filters, isWanted, sort, wantsSound } from "./address.js";
import { floorAlerts } from "./alerts.js";
import { ServerClock } from "./clock.js";
import { follow } from "./feed.js";
import { capacity, isWall, plan, scroll, slots } from "./layout.js";
import { CalmOrder } from "./order.js";
import { byId, children, dress, keepTime, put } from "./page.js";
import { Rotation } from "./rotation.js";
import { Chime } from "./sound.js";
import { missingWords, screenZone } from "./state.js";
import { texts, words } from "./texts.js";
import { Tile } from "./tile.js";

// With more states than this, each of them is told in smaller letters.
const CROWDED = 4;

const clock = new ServerClock();
const order = new CalmOrder();
const rotation = new Rotation();
const chime = new Chime();
const tiles = new Map();
let pasts = new Map();
let ordered = [];
let zone = "UTC";

const keyOf = ({ queue, channel }) => JSON.stringify([queue, channel]);

function show(floor) {
  clock.hear(floor);
  const queues = floor.queues.filter(isWanted);
  zone = screenZone(queues.length > 0 ? queues : floor.queues);
  const entries = entriesByQueue(floor.entries);
  forget(new Set(queues.map(keyOf)));
  const changed = [];
  for (const queue of queues) {
    const was = tileOf(queue).show(queue, entries.get(keyOf(queue)) ?? new Map());
    if (was !== undefined && was !== queue.state) changed.push(queue);
  }
  announce(changed);
  ordered = order.arrange(queues, keyOf, sort);
  summarise(queues);
  notice(floor, queues);
  warn(floor);
  arrange();
  beat();
}

function tileOf(queue) {
  const key = keyOf(queue);
  if (!tiles.has(key)) {
    const tile = new Tile();
    tiles.set(key, tile);
    tile.show(queue, new Map());
    tile.remember(pasts.get(key) ?? null);
  }
  return tiles.get(key);
}

function forget(present) {
  for (const [key, tile] of tiles) {
    if (present.has(key)) continue;
    tile.element.remove();
    tiles.delete(key);
  }
}

function entriesByQueue(entries) {
  const byQueue = new Map();
  for (const entry of entries) {
    const key = keyOf(entry);
    if (!byQueue.has(key)) byQueue.set(key, new Map());
    byQueue.get(key).set(entry.window, entry);
  }
  return byQueue;
}

function remember(history) {
  pasts = new Map((history.queues ?? []).map((past) => [keyOf(past), past]));
  for (const [key, tile] of tiles) tile.remember(pasts.get(key) ?? null);
}

function announce(changed) {
  if (changed.length === 0) return;
  put(byId("announcer"), changed.map((queue) => tileOf(queue).announcement).join(" "));
  if (changed.some(({ state }) => state === "trouble")) chime.ring();
}

// Lay out the tiles whose turn it is: those that fit a wall, or all of them on a page that scrolls.
function arrange() {
  const isPaged = isWall(innerWidth, innerHeight);
  const screen = { width: innerWidth, height: innerHeight };
  const here = space();
  const { shown, size } = rotation.choose(ordered, {
    room: isPaged ? capacity(screen, spaceOnQuietDays(here)) : Math.max(1, ordered.length),
    stays: ({ state }) => state === "trouble",
    fill: (count) => (isPaged ? slots(count, here) : count),
  });
  byId("turning").hidden = rotation.pages === 1;
  put(byId("page"), texts.page(rotation.page + 1, rotation.pages));
  place(shown.map((queue) => tileOf(queue).element));
  const chosen = isPaged ? plan(size, here) : scroll(here);
  const list = byId("tiles");
  list.dataset.shape = chosen.shape;
  document.body.classList.toggle("scrolls", !isPaged);
  list.style.setProperty("--columns", chosen.columns);
  list.style.setProperty("--rows", Math.ceil(size / chosen.columns));
  list.style.setProperty("--unit", `${chosen.unit.toFixed(2)}px`);
}

// Elements are moved only where the order differs, and the focus stays where it was.
function place(elements) {
  const list = byId("tiles");
  const isAsShown = list.children.length === elements.length &&
    elements.every((element, i) => list.children[i] === element);
  if (isAsShown) return;
  const focused = document.activeElement;
  list.replaceChildren(...elements);
  if (focused && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

function space() {
  const list = byId("tiles");
  const gap = Number.parseFloat(getComputedStyle(list).columnGap);
  const room = byId("board").getBoundingClientRect();
  const height = innerHeight - (room.top + scrollY) - gap;
  return { width: room.width, height, gap, digit: digitBreadth(list) };
}

// The same without alarms: when one comes, tiles become smaller, but none has to leave.
function spaceOnQuietDays(room) {
  return { ...room, height: innerHeight - byId("masthead").offsetHeight - room.gap };
}

function summarise(queues) {
  const tally = new Map();
  for (const { state } of queues) tally.set(state, (tally.get(state) ?? 0) + 1);
  for (const item of byId("summary").children) {
    const n = tally.get(item.dataset.state) ?? 0;
    item.hidden = n === 0;
    put(item, `${n} ${texts.summary[item.dataset.state]}`);
  }
  byId("summary").classList.toggle("crowded", tally.size > CROWDED);
  const inTrouble = tally.get("trouble") ?? 0;
  const title = inTrouble === 0 ? "floorwatch" : `${inTrouble} ${texts.summary.trouble} · floorwatch`;
  if (document.title !== title) document.title = title;
}

function notice(floor, queues) {
  let text = "";
  if (floor.queues.length === 0) text = floor.ready ? texts.noQueueYet : texts.notReady;
  else if (queues.length === 0) text = `${texts.noneMatches} ${filterWords()}`;
  put(byId("notice"), text);
  byId("notice").hidden = text === "";
}

function warn(floor) {
  const missing = missingWords(floor.partial, zone);
  put(byId("partial"), missing);
  byId("partial").hidden = missing === "";
  const alerts = floorAlerts(floor.paging, zone);
  children(byId("alerts"), "li", alerts.length).forEach((item, i) => put(item, alerts[i]));
  byId("alerts").hidden = alerts.length === 0;
}

function filterWords() {
  return filters
    .map(({ name, values }) => `${texts.filters[name]}: ${values.map(words).join(", ")}`)
    .join(" · ");
}

function tick(serverNowMs) {
  for (const tile of tiles.values()) tile.tick(serverNowMs);
  // Whoever has come to a tile by keyboard is still reading it.
  if (rotation.isDue(byId("tiles").matches(":focus-within"))) arrange();
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

function turn(by) {
  rotation.turn(by);
  arrange();
}

function setPause(isPaused) {
  rotation.isPaused = isPaused;
  byId("pause").ariaLabel = isPaused ? texts.resume : texts.pause;
  byId("pause").dataset.is = isPaused ? "off" : "on";
}

function setSound(isOn) {
  chime.set(isOn);
  byId("sound").ariaLabel = isOn ? texts.soundOff : texts.soundOn;
  byId("sound").dataset.is = isOn ? "on" : "off";
}

dress();
put(byId("filters"), filterWords());
setPause(false);
setSound(wantsSound);
byId("previous").addEventListener("click", () => turn(-1));
byId("next").addEventListener("click", () => turn(1));
byId("pause").addEventListener("click", () => setPause(!rotation.isPaused));
byId("sound").addEventListener("click", () => setSound(!chime.isOn));
const beat = keepTime(clock, { zone: () => zone, tick, onTurn: arrange });
addEventListener("resize", arrange);
follow("api/v1/floor/stream", { onFloor: show, onHistory: remember });
