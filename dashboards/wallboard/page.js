// What both pages do alike: write to elements, and show how old the figures are.

import { language, theme } from "./address.js";
import { timeOfDay } from "./format.js";
import { texts, translate } from "./texts.js";

const TICK_MS = 200;

export const byId = (id) => document.getElementById(id);

// A write that changes nothing would still make the browser lay the page out again.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Dress the page in the theme and the language that its address asks for.
export function dress() {
  document.documentElement.lang = language;
  document.documentElement.dataset.theme = theme;
  translate(document);
  for (const template of document.querySelectorAll("template")) translate(template.content);
}

// Exactly `n` children of a kind, after the first `skip` children of any kind.
export function children(parent, kind, n, skip = 0) {
  const own = [...parent.children].slice(skip).filter(({ localName }) => localName === kind);
  own.slice(n).forEach((child) => child.remove());
  while (own.length < n) own.push(parent.appendChild(document.createElement(kind)));
  return own.slice(0, n);
}

// Keep the age of the figures in view and call `tick` with the server's time, a few times a second.
export function keepTime(clock, { zone, tick, onTurn = () => {} }) {
  const beat = () => {
    if (clock.asOfMs === null) return;
    const isLive = clock.isLive();
    const asOf = timeOfDay(clock.asOfMs, zone());
    put(byId("as-of"), asOf);
    put(byId("alarm"), isLive ? "" : texts.notLiveSince(asOf));
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
