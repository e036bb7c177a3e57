// What stands behind the figures of a queue: clocks, segments, late changes and its data.

import { count, duration, limit, share, timeOfDay, windowName } from "./format.js";
import { reading } from "./state.js";
import { facts, fill } from "./table.js";
import { label, texts } from "./texts.js";

const CLOCKS = {
  asked: ["from asked", "the customer's first message, call or place in the queue"],
  handoff: ["from hand-off", "the first offer or place in the queue after a bot replied"],
  assignment: ["from assignment", "an agent took it"],
};
const QUANTILES = ["p50", "p90", "p99"];
const IN_TIME = { true: "in time", false: "late" };

export function showResponses(table, clocks, limitS) {
  const rows = clocks.map((clock) => ({
    label: CLOCKS[clock.clock][0],
    note: label(CLOCKS[clock.clock][1]),
    cells: [
      [count(clock.n)],
      [duration(clock.mean_s)],
      ...QUANTILES.map((name) => [upTo(clock.n, clock[`${name}_up_to_s`])]),
    ],
  }));
  fill(table, [`${label("limit")} ${limit(limitS)}`, "n", "mean", ...QUANTILES], [{ rows }]);
}

function upTo(n, edgeS) {
  if (n === 0) return duration(null);
  return edgeS === null ? `> ${limit(86_400)}` : `≤ ${limit(edgeS)}`;
}

export function showSegments(table, byWindow, windows, volumeFloor) {
  const names = [...new Set(windows.flatMap((id) => byWindow[id].map(({ segment }) => segment)))];
  const cell = (id, name) => {
    const found = byWindow[id].find(({ segment }) => segment === name);
    const n = found?.offered ?? 0;
    const { text, isFirm } = reading(found?.ratio ?? null, n, volumeFloor, share);
    return isFirm ? [text, `n ${count(n)}`] : [text];
  };
  const rows = names.sort().map((name) => ({
    label: name,
    cells: windows.map((id) => cell(id, name)),
  }));
  const none = { label: "no segment is known", cells: [] };
  fill(table, ["segment", ...windows.map(windowName)], [{ rows: rows.length > 0 ? rows : [none] }]);
}

export function showLate(table, { corrections, corrections_total: total }) {
  const rows = corrections.map((each) => ({
    label: className(each.from),
    cells: [[className(each.to)], [count(each.count)]],
  }));
  const sum = { label: "all together", cells: [[""], [count(total)]], isUsed: false };
  fill(table, ["counted as", "is now", "contacts"], [{ rows: [...rows, sum] }]);
}

// The name of a counter as words: abandoned:before_threshold is "abandoned, before threshold".
function className(id) {
  return id
    .split(":")
    .map((part) => label(IN_TIME[part] ?? part.replaceAll("_", " ")))
    .join(", ");
}

export function showSources(table, sources, zone) {
  const at = (ms) => [timeOfDay(ms, zone)];
  const rows = sources.map((each) => ({
    label: each.source,
    cells: [at(each.heard_ms), at(each.fed_ms), [label(each.is_stale ? "no data" : "heard")]],
  }));
  const none = { label: "no source has fed it in seven days", cells: [] };
  const head = ["source", "last heard", "last contact", "state"];
  fill(table, head, [{ rows: rows.length > 0 ? rows : [none] }]);
}

export function showQuality(list, detail, zone) {
  const { worker } = detail;
  facts(list, [
    ["newest event", timeOfDay(detail.last_event_ms, zone)],
    ["contacts lost count of", count(detail.conservation_violations)],
    ["waiting, by the source's own count", observed(detail, zone)],
    ["our count less the source's", drift(detail.waiting_drift)],
    ["kept out for being late", count(worker.late)],
    ["rejected records", count(worker.rejected)],
    ["told twice, counted once", count(worker.duplicates)],
    ["told twice, not alike", count(worker.conflicting)],
    ["outcomes without a contact", count(worker.unmatched)],
    ["beyond what is remembered", count(worker.ignored)],
  ]);
}

function observed({ observed_waiting: waiting, observed_ms: atMs }, zone) {
  return waiting === null ? texts.notKnown : `${count(waiting)} (${timeOfDay(atMs, zone)})`;
}

function drift(number) {
  return number === null ? texts.notKnown : `${number > 0 ? "+" : ""}${count(number)}`;
}
