// The page of one queue: every window, every formula, what stands behind them, and the policy.

import { alertLine } from "./alerts.js";
import { ServerClock } from "./clock.js";
import { showLate, showQuality, showResponses, showSegments, showSources } from "./detail.js";
import { poll } from "./feed.js";
import { byWindow, count, duration, limit, NOTHING, percent, share, timeOfDay } from "./format.js";
import { byId, children, dress, keepTime, put } from "./page.js";
import { draw, extremes, sparkline } from "./spark.js";
import { causeWords, isKnown, missingWords, stateWords, waitedUntil } from "./state.js";
import { facts } from "./table.js";
import { texts, words } from "./texts.js";
import { showWaits } from "./waits.js";
import { showFormulas, showWindows } from "./windows.js";

const HOUR_EVERY_MS = 30_000;
const LEAST_TOP = 5;

const asked = new URLSearchParams(location.search);
const wanted = new URLSearchParams(
  ["queue", "channel"].map((name) => [name, asked.get(name) ?? ""]),
);
const clock = new ServerClock();
const hour = { waiting: sparkline(), level: sparkline() };
let meanings = new Map();
let shown = null;

function show(floor) {
  clock.hear(floor);
  const queue = floor.queues[0];
  byId("queue").hidden = !queue;
  byId("notice").hidden = Boolean(queue);
  put(byId("notice"), floor.ready ? texts.noSuchQueue : texts.notReady);
  const missing = missingWords(floor.partial, queue?.policy.zone ?? "UTC");
  put(byId("partial"), missing);
  byId("partial").hidden = missing === "";
  if (!queue) {
    shown = null;
    beat();
    return;
  }
  const own = (entry) => entry.queue === queue.queue && entry.channel === queue.channel;
  const entries = floor.entries.filter(own).sort(byWindow);
  const { policy } = queue;
  const first = entries.find(({ window }) => window === policy.windows[0]);
  showTitle(queue, first?.service_level_n[policy.formula] ?? 0);
  showNow(queue, isKnown(queue) ? first : null);
  put(byId("tick"), timeOfDay(floor.tick_ms, policy.zone));
  showFormulas(byId("formulas"), entries, policy, meanings);
  showWindows(byId("windows"), entries, policy);
  if (floor.detail) showDetail(floor.detail, policy);
  facts(byId("agents"), agentFacts(queue.agents));
  facts(byId("policy"), policyFacts(policy));
  const isNew = shown === null;
  shown = queue;
  if (isNew) remember();
  beat();
}

function showTitle(queue, n) {
  const word = stateWords(queue, n);
  document.title = `${queue.name} · floorwatch`;
  byId("title").dataset.state = queue.state;
  put(byId("name"), queue.name);
  put(byId("channel"), [words(queue.channel), queue.site, queue.team].filter(Boolean).join(" · "));
  put(byId("word"), word);
  put(byId("reason"), causeWords(queue));
  const alerts = alertLine(queue);
  children(byId("alerts"), "li", 1).forEach((item) => put(item, alerts));
  byId("alerts").hidden = alerts === "";
  if (shown && shown.state !== queue.state) {
    put(byId("announcer"), `${word}. ${causeWords(queue)}`);
  }
}

function showNow(queue, entry) {
  put(byId("waiting"), entry ? count(entry.waiting) : NOTHING);
  put(byId("past"), entry ? count(entry.waiting_past_threshold) : NOTHING);
  put(byId("awaiting"), entry ? count(entry.awaiting_reply) : NOTHING);
  put(byId("available"), entry && queue.agents ? count(queue.agents.available) : NOTHING);
}

function showDetail(detail, policy) {
  showWaits(byId("waits"), detail.waits, policy.windows, policy.threshold_s);
  showResponses(byId("responses"), detail.initial_response, policy.initial_response_limit_s);
  const windows = Object.keys(detail.instant_by_segment);
  showSegments(byId("segments"), detail.instant_by_segment, windows, policy.volume_floor);
  showLate(byId("late"), detail);
  showSources(byId("sources"), detail.sources, policy.zone);
  showQuality(byId("quality"), detail, policy.zone);
}

function agentFacts(agents) {
  if (!agents) return [[texts.notKnown, NOTHING]];
  return Object.entries(agents).map(([state, number]) => [words(state), count(number)]);
}

function policyFacts(policy) {
  const wait = policy.longest_wait_limit_s;
  const { instant_target: instantTarget } = policy;
  return [
    ["formula", words(policy.formula)],
    ["threshold", limit(policy.threshold_s)],
    ["target", share(policy.target)],
    ["short abandon", limit(policy.short_abandon_s)],
    ["instant within", instantWithin(policy)],
    ["instant target", instantTarget === null ? texts.notDefined : share(instantTarget)],
    ["longest wait, warning", limit(wait.warning)],
    ["longest wait, critical", limit(wait.critical)],
    ["initial response limit", limit(policy.initial_response_limit_s)],
    ["abandonment limit", share(policy.abandonment_limit)],
    ["fewest contacts for a ratio", count(policy.volume_floor)],
    ["zone", policy.zone],
  ];
}

function instantWithin({ instant_within_s: limitS }) {
  if (limitS === null) return texts.notDefined;
  return limitS === 0 ? texts.neverQueued : limit(limitS);
}

// Ask for the last hour of the queue, and draw it.
async function remember() {
  const history = await read("api/v1/floor/history");
  const isOwn = (past) => past.queue === shown?.queue && past.channel === shown?.channel;
  const past = history?.queues?.find(isOwn);
  const waiting = past?.waiting ?? [];
  const level = past?.service_level ?? [];
  const seen = extremes(waiting);
  const levels = extremes(level);
  draw(hour.waiting, waiting, {
    top: Math.max(LEAST_TOP, seen?.[1] ?? 0),
    words: seen ? texts.pastWaiting(...seen.map(count)) : texts.pastUnknown,
  });
  draw(hour.level, level, {
    top: 1,
    goal: shown?.policy.target ?? null,
    words: levels ? texts.pastLevel(...levels.map((each) => percent(each))) : texts.pastUnknown,
  });
}

// What a path answers, null where it does not: what is shown stays then.
async function read(path) {
  try {
    const answer = await fetch(path);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

function tick(serverNowMs) {
  const age = (since) =>
    shown && isKnown(shown) && since !== null
      ? (waitedUntil(shown, serverNowMs) - since) / 1000
      : null;
  put(byId("longest"), duration(age(shown?.oldest_waiting_ms ?? null)));
  put(byId("oldest"), duration(age(shown?.oldest_awaiting_reply_ms ?? null)));
}

dress();
byId("past-waiting").append(hour.waiting);
byId("past-level").append(hour.level);
asked.delete("queue");
asked.delete("channel");
if (asked.size > 0) byId("back").href = `.?${asked}`;
const beat = keepTime(clock, { zone: () => shown?.policy.zone ?? "UTC", tick });
setInterval(remember, HOUR_EVERY_MS);
meanings = new Map((await read("api/v1/formulas") ?? []).map((each) => [each.id, each]));
poll(`api/v1/queue?${wanted}`, show);
