// How figures are written. Null is never a number: each function says what stands in its place.

import { texts } from "./texts.js";

export const NOTHING = "–";

// Seconds as 0:07, 12:40, 4h 10m or 3d 04h; whole seconds that have passed, never rounded up.
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return NOTHING;
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)}`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)}d ${two(hours % 24)}h`;
}

// A limit as it is read on a clock: 3:20, 1:00:00.
export function clockTime(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, i) => (i === 0 ? part : String(part).padStart(2, "0"))).join(":");
}

// A ratio as whole percent. Where rounding would carry it over its target, a decimal tells.
export function percent(ratio, target = null) {
  if (!Number.isFinite(ratio)) return NOTHING;
  const rounded = Math.round(ratio * 100);
  const misleads = target !== null && rounded / 100 >= target !== ratio >= target;
  if (!misleads) return `${rounded} %`;
  const toward = ratio < target ? Math.floor : Math.ceil;
  return `${decimal(toward(ratio * 1000) / 10)} %`;
}

// A ratio as percent with one decimal, for tables.
export function share(ratio) {
  return Number.isFinite(ratio) ? `${decimal(ratio * 100)} %` : NOTHING;
}

export function count(number) {
  return Number.isFinite(number) ? number.toLocaleString(texts.locale) : NOTHING;
}

// A target and its threshold as people say it: 80/20, 80/15 min, 80/24 h.
export function aim(target, thresholdS) {
  const percentage = Number((target * 100).toFixed(1)).toLocaleString(texts.locale);
  return `${percentage}/${limit(thresholdS).replace(" s", "")}`;
}

// A limit in the largest unit that keeps it whole; short ones are named in seconds.
export function limit(seconds) {
  if (seconds <= 120 || seconds % 60 !== 0) return `${seconds.toLocaleString(texts.locale)} s`;
  if (seconds > 86_400 && seconds % 86_400 === 0) return `${seconds / 86_400} d`;
  return seconds % 3600 === 0 ? `${seconds / 3600} h` : `${seconds / 60} min`;
}

// A part of a whole as people say it: 1/4, 2/3, 1/12.
export function fraction(ratio) {
  if (ratio <= 0.5) return `1/${Math.round(1 / ratio)}`;
  const parts = [[2, 3], [3, 4], [4, 5], [9, 10]];
  const off = ([part, whole]) => Math.abs(part / whole - ratio);
  return [[1, 2], ...parts].sort((a, b) => off(a) - off(b))[0].join("/");
}

export function windowName(id) {
  return texts.windows[id] ?? id.replace(/^(\d+)m$/, (_, n) => texts.minutes(n));
}

const WINDOWS = ["5m", "15m", "30m", "60m", "day", "total"];

export function byWindow(a, b) {
  return WINDOWS.indexOf(a.window) - WINDOWS.indexOf(b.window);
}

// An instant as hh:mm:ss, or hh:mm, on the clocks of a zone: an IANA name or a fixed +02:00.
export function timeOfDay(ms, zone, { seconds = true } = {}) {
  if (!Number.isFinite(ms)) return NOTHING;
  const fixed = /^([+-])(\d\d):(\d\d)$/.exec(zone);
  const shift = fixed ? Number(`${fixed[1]}1`) * (fixed[2] * 60 + Number(fixed[3])) * 60_000 : 0;
  return clockOf(fixed ? "UTC" : zone, seconds).format(ms + shift);
}

const clocks = new Map();

function clockOf(zone, seconds) {
  const key = `${zone} ${seconds}`;
  if (!clocks.has(key)) {
    const parts = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    if (seconds) parts.second = "2-digit";
    clocks.set(key, new Intl.DateTimeFormat("en-GB", { ...parts, timeZone: known(zone) }));
  }
  return clocks.get(key);
}

function known(zone) {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: zone });
    return zone;
  } catch {
    return "UTC";
  }
}

function decimal(number) {
  const digits = { minimumFractionDigits: 1, maximumFractionDigits: 1, useGrouping: false };
  return number.toLocaleString(texts.locale, digits);
}
