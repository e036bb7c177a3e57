// The figures of every window of a queue, side by side.

import { count, duration, limit, share, windowName } from "./format.js";
import { reading } from "./state.js";
import { fill } from "./table.js";
import { label, texts, words } from "./texts.js";

const MEASURES = ["mean", "p50", "p90", "p99", "max"];

const arrivals = (entry) => entry.service_level_n.of_offered;
const endings = (entry) => entry.answered + entry.abandoned + entry.left;

export function showWindows(table, entries, policy) {
  const head = ["window", ...entries.map(({ window }) => windowName(window))];
  const bodies = groups(policy).map(([heading, rows]) => ({
    heading,
    rows: rows.map(([name, say]) => ({ label: name, cells: entries.map(say) })),
  }));
  fill(table, head, bodies);
}

// Every formula under every window, with what it means: `meanings` by id, as the server has them.
export function showFormulas(table, entries, policy, meanings) {
  const ids = [...new Set(entries.flatMap((entry) => Object.keys(entry.service_level)))];
  const cell = (entry, id) =>
    ratio(entry.service_level[id], entry.service_level_n[id], policy.volume_floor);
  const rows = ids.map((id) => ({
    label: words(id),
    note: meaning(id, meanings.get(id)),
    isUsed: id === policy.formula,
    cells: entries.map((entry) => cell(entry, id)),
  }));
  fill(table, ["formula", ...entries.map(({ window }) => windowName(window))], [{ rows }]);
}

function meaning(id, known) {
  if (!known) return "";
  const rule = texts.formulas?.[id] ?? known.rule;
  return `${rule} · ${label("as reported by")} ${known.used_by}`;
}

function ratio(value, n, floor) {
  const { text, isFirm } = reading(value, n, floor, share);
  return isFirm ? [text, `n ${count(n)}`] : [text];
}

// Each group of rows is a heading and, per row, a label and what an entry has to say to it.
function groups({ formula, volume_floor: floor, initial_response_limit_s: limitS }) {
  const counter = (name, field) => [name, (entry) => [count(entry[field])]];
  const times = (field) =>
    MEASURES.map((measure) => [measure, (entry) => [duration(entry[field][measure])]]);
  const mixed = (entry) => (entry.mixed ? ` (${texts.mixed})` : "");
  return [
    ["Service level", [
      [words(formula), (entry) =>
        ratio(entry.service_level[formula], entry.service_level_n[formula], floor)],
      ["threshold", (entry) =>
        [entry.threshold_s === null ? texts.mixed : limit(entry.threshold_s) + mixed(entry)]],
      ["low, if all the undecided miss", (entry) => [share(entry.service_level_low)]],
      ["high, if all the undecided make it", (entry) => [share(entry.service_level_high)]],
    ]],
    ["Contacts", [
      counter("offered", "offered"),
      counter("answered", "answered"),
      counter("answered within threshold", "answered_within"),
      counter("abandoned", "abandoned"),
      counter("abandoned within threshold", "abandoned_within"),
      counter("short abandons", "abandoned_short"),
      counter("left", "left"),
      counter("left within threshold", "left_within"),
      counter("expired", "expired"),
      counter("refused", "refused"),
      counter("transferred", "transferred"),
      counter("sent to wait", "sent_to_wait"),
      ["abandonment ratio", (entry) => ratio(entry.abandonment_ratio, endings(entry), floor)],
    ]],
    ["Instant service", [
      counter("served at once", "instant"),
      ["instant service ratio", (entry) =>
        ratio(entry.instant_service_ratio, arrivals(entry), floor)],
    ]],
    ["Wait of the answered", times("wait_s")],
    ["Wait of the abandoned", times("abandon_wait_s")],
    ["Initial response", [
      ...times("initial_response_s"),
      [`${label("within")} ${limit(limitS)}`, (entry) =>
        ratio(entry.initial_response_within_ratio, entry.initial_response_events, floor)],
    ]],
  ];
}
