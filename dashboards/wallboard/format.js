// How figures are written. Null is never a number: each function says what stands in its place.

export const NOTHING = "–";

const WINDOW_NAMES = { day: "today", total: "since start" };

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

// A ratio as whole percent. Where rounding would carry it over its target, a decimal tells.
export function percent(ratio, target = null) {
  if (!Number.isFinite(ratio)) return NOTHING;
  const rounded = Math.round(ratio * 100);
  const misleads = target !== null && rounded / 100 >= target !== ratio >= target;
  if (!misleads) return `${rounded} %`;
  const toward = ratio < target ? Math.floor : Math.ceil;
  return `${(toward(ratio * 1000) / 10).toFixed(1)} %`;
}

// A ratio as percent with one decimal, for tables.
export function share(ratio) {
  return Number.isFinite(ratio) ? `${(ratio * 100).toFixed(1)} %` : NOTHING;
}

export function count(number) {
  return Number.isFinite(number) ? number.toLocaleString("en") : NOTHING;
}

// A target and its threshold as people say it: 80/20, 80/15 min, 80/24 h.
export function aim(target, thresholdS) {
  return `${Number((target * 100).toFixed(1))}/${limit(thresholdS).replace(" s", "")}`;
}

// A limit in the largest unit that keeps it whole; short ones are named in seconds.
export function limit(seconds) {
  if (seconds <= 120 || seconds % 60 !== 0) return `${seconds} s`;
  if (seconds > 86_400 && seconds % 86_400 === 0) return `${seconds / 86_400} d`;
  return seconds % 3600 === 0 ? `${seconds / 3600} h` : `${seconds / 60} min`;
}

export function windowName(id) {
  return WINDOW_NAMES[id] ?? id.replace(/^(\d+)m$/, "$1 min");
}

const WINDOWS = ["5m", "15m", "30m", "60m", "day", "total"];

export function byWindow(a, b) {
  return WINDOWS.indexOf(a.window) - WINDOWS.indexOf(b.window);
}

// A word of the wire as people read it.
export function words(id) {
  return id.replaceAll("_", " ");
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
