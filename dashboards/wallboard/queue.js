// The page of one queue: every window, every formula, and the policy that made the figures.

import { ServerClock } from "./clock.js";
import { poll } from "./feed.js";
import { byWindow, count, duration, limit, NOTHING, share } from "./format.js";
import { timeOfDay, windowName, words } from "./format.js";
import { byId, keepTime, put } from "./page.js";
import { isKnown, reading, stateWords, waitedUntil } from "./state.js";

const MEASURES = ["mean", "p50", "p90", "p99", "max"];

const wanted = new URLSearchParams(location.search);
const clock = new ServerClock();
let shown = null;

// Each group of rows is a heading and, per row, a label and what an entry has to say to it.
function groups({ formula, volume_floor: floor, initial_response_limit_s: limitS }) {
  const ratio = (value, n) => {
    const { text, isFirm } = reading(value, n, floor, share);
    return isFirm ? [text, `n ${count(n)}`] : [text];
  };
  const counter = (label, field) => [label, (entry) => [count(entry[field])]];
  const times = (field) =>
    MEASURES.map((measure) => [measure, (entry) => [duration(entry[field][measure])]]);
  return [
    ["Service level", [
      [words(formula), (entry) =>
        ratio(entry.service_level[formula], entry.service_level_n[formula])],
      ["threshold", (entry) => [`${limit(entry.threshold_s)}${entry.mixed ? " (mixed)" : ""}`]],
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
      ["abandonment ratio", (entry) => ratio(entry.abandonment_ratio, endings(entry))],
    ]],
    ["Instant service", [
      counter("served at once", "instant"),
      ["instant service ratio", (entry) => ratio(entry.instant_service_ratio, arrivals(entry))],
    ]],
    ["Wait of the answered", times("wait_s")],
    ["Wait of the abandoned", times("abandon_wait_s")],
    ["Initial response", [
      ...times("initial_response_s"),
      [`within ${limit(limitS)}`, (entry) =>
        ratio(entry.initial_response_within_ratio, entry.initial_response_events)],
    ]],
  ];
}

const arrivals = (entry) => entry.service_level_n.of_offered;
const endings = (entry) => entry.answered + entry.abandoned + entry.left;

function show(floor) {
  clock.hear(floor);
  const queue = floor.queues[0];
  byId("queue").hidden = !queue;
  byId("notice").hidden = Boolean(queue);
  byId("partial").hidden = !floor.partial;
  put(byId("notice"), floor.ready ? "No such queue on this floor" : "Catching up: no figures yet");
  if (!queue) {
    shown = null;
    beat();
    return;
  }
  const own = (entry) => entry.queue === queue.queue && entry.channel === queue.channel;
  const entries = floor.entries.filter(own).sort(byWindow);
  const { policy } = queue;
  const first = entries.find(({ window }) => window === policy.windows[0]);
  const n = first?.service_level_n[policy.formula] ?? 0;
  const was = shown?.state;
  const known = isKnown(queue) && first;
  shown = queue;

  const word = stateWords(queue, n);
  document.title = `${queue.name} · floorwatch`;
  byId("title").dataset.state = queue.state;
  put(byId("name"), queue.name);
  put(byId("channel"), [words(queue.channel), queue.site, queue.team].filter(Boolean).join(" · "));
  put(byId("word"), word);
  put(byId("reason"), queue.reason ?? "");
  if (was !== undefined && was !== queue.state) put(byId("announcer"), `${word}. ${queue.reason}`);

  put(byId("waiting"), known ? count(first.waiting) : NOTHING);
  put(byId("past"), known ? count(first.waiting_past_threshold) : NOTHING);
  put(byId("awaiting"), known ? count(first.awaiting_reply) : NOTHING);
  put(byId("available"), known && queue.agents ? count(queue.agents.available) : NOTHING);
  put(byId("tick"), timeOfDay(floor.tick_ms, policy.zone));

  showWindows(entries, policy);
  showFormulas(entries, policy);
  showFacts(byId("agents"), agentFacts(queue.agents));
  showFacts(byId("policy"), policyFacts(policy));
  beat();
}

function showWindows(entries, policy) {
  const head = ["", ...entries.map(({ window }) => windowName(window))];
  const bodies = groups(policy).map(([heading, rows]) => ({
    heading,
    rows: rows.map(([label, say]) => ({ label, cells: entries.map(say) })),
  }));
  fill(byId("windows"), head, bodies);
}

function showFormulas(entries, policy) {
  const ids = [...new Set(entries.flatMap((entry) => Object.keys(entry.service_level)))];
  const cell = (entry, id) => {
    const n = entry.service_level_n[id];
    const { text, isFirm } = reading(entry.service_level[id], n, policy.volume_floor, share);
    return isFirm ? [text, `n ${count(n)}`] : [text];
  };
  const rows = ids.map((id) => ({
    label: words(id),
    isUsed: id === policy.formula,
    cells: entries.map((entry) => cell(entry, id)),
  }));
  fill(byId("formulas"), ["", ...entries.map(({ window }) => windowName(window))], [{ rows }]);
}

// Write a table, keeping the cells that are there already: a reader's place in it stays.
function fill(table, head, bodies) {
  const headRow = children(table.tHead, "tr", 1)[0];
  children(headRow, "th", head.length).forEach((cell, i) => {
    cell.scope = "col";
    put(cell, head[i]);
  });
  const groupsShown = children(table, "tbody", bodies.length, 1);
  bodies.forEach(({ heading, rows }, i) => {
    const lines = heading ? [{ label: heading, cells: [], isHeading: true }, ...rows] : rows;
    const shownRows = children(groupsShown[i], "tr", lines.length);
    lines.forEach((line, j) => writeRow(shownRows[j], line));
  });
}

function writeRow(row, { label, cells, isHeading = false, isUsed = false }) {
  row.classList.toggle("used", isUsed);
  const [title] = children(row, "th", 1);
  title.scope = isHeading ? "rowgroup" : "row";
  put(title, isUsed ? `${label} (in use)` : label);
  const shownCells = children(row, "td", cells.length, 1);
  cells.forEach(([text, note = ""], i) => {
    put(children(shownCells[i], "span", 1)[0], text);
    put(children(shownCells[i], "small", 1, 1)[0], note);
  });
}

// Exactly `n` children of a kind, after the first `skip` children of any kind.
function children(parent, kind, n, skip = 0) {
  const own = [...parent.children].slice(skip).filter(({ localName }) => localName === kind);
  own.slice(n).forEach((child) => child.remove());
  while (own.length < n) own.push(parent.appendChild(document.createElement(kind)));
  return own.slice(0, n);
}

function showFacts(list, facts) {
  children(list, "div", facts.length).forEach((line, i) => {
    put(children(line, "dt", 1)[0], facts[i][0]);
    put(children(line, "dd", 1, 1)[0], facts[i][1]);
  });
}

function agentFacts(agents) {
  if (!agents) return [["not known", NOTHING]];
  return Object.entries(agents).map(([state, number]) => [words(state), count(number)]);
}

function policyFacts(policy) {
  const wait = policy.longest_wait_limit_s;
  return [
    ["formula", words(policy.formula)],
    ["threshold", limit(policy.threshold_s)],
    ["target", share(policy.target)],
    ["short abandon", limit(policy.short_abandon_s)],
    ["instant within", instantWithin(policy)],
    ["instant target", share(policy.instant_target)],
    ["longest wait, warning", limit(wait.warning)],
    ["longest wait, critical", limit(wait.critical)],
    ["initial response limit", limit(policy.initial_response_limit_s)],
    ["abandonment limit", share(policy.abandonment_limit)],
    ["fewest contacts for a ratio", count(policy.volume_floor)],
    ["zone", policy.zone],
  ];
}

function instantWithin({ instant_within_s: limitS }) {
  if (limitS === null) return "not defined";
  return limitS === 0 ? "never queued" : limit(limitS);
}

function tick(serverNowMs) {
  const age = (since) =>
    shown && isKnown(shown) && since !== null
      ? (waitedUntil(shown, serverNowMs) - since) / 1000
      : null;
  put(byId("longest"), duration(age(shown?.oldest_waiting_ms ?? null)));
  put(byId("oldest"), duration(age(shown?.oldest_awaiting_reply_ms ?? null)));
}

const beat = keepTime(clock, { zone: () => shown?.policy.zone ?? "UTC", tick });
poll(`api/v1/floor?${wanted}`, show);
