// What both pages do alike: write to elements, and show how old the figures are.

import { timeOfDay } from "./format.js";

const TICK_MS = 200;

export const byId = (id) => document.getElementById(id);

// A write that changes nothing would still make the browser lay the page out again.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Keep the age of the figures in view and call `tick` with the server's time, a few times a second.
export function keepTime(clock, { zone, tick, onTurn = () => {} }) {
  const beat = () => {
    if (clock.asOfMs === null) return;
    const isLive = clock.isLive();
    const asOf = timeOfDay(clock.asOfMs, zone());
    put(byId("as-of"), asOf);
    put(byId("alarm"), isLive ? "" : `NOT LIVE since ${asOf}`);
    if (byId("alarm").hidden !== isLive) {
      byId("alarm").hidden = isLive;
      document.body.dataset.live = isLive ? "yes" : "no";
      onTurn();
    }
    tick(clock.now());
  };
  setInterval(beat, TICK_MS);
  return beat;
}
