// Alerts as they are read on a wall. Who fires and why is Prometheus's business; here are words.

import { minuteOf } from "./state.js";
import { texts } from "./texts.js";

// The name of a rule as words: FloorwatchLongestWaitCritical is "longest wait critical", in another
// language what that one says.
export function alertName({ name }) {
  const said = texts.alertNames?.[name];
  if (said) return said;
  const bare = name.replace(/^Floorwatch/, "");
  return bare.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, " ").toLowerCase();
}

// What the badge of a queue says: that pages are kept back, or since when it alerts. "" for neither.
export function badgeWords(queue) {
  if (queue.paging_suppressed) return texts.pagingSuppressed;
  const [first] = firing(queue.alerts);
  if (!first) return "";
  return texts.alertSince(minuteOf(first.since_ms, queue.policy.zone));
}

// The alerts of a queue in one line, "" for none.
export function alertLine(queue) {
  const why = queue.paging_suppressed;
  const shown = firing(queue.alerts).map((alert) => alertWords(alert, queue.policy.zone));
  if (why) shown.unshift(`${texts.pagingSuppressed} (${texts.suppressedWhy[why] ?? why})`);
  return shown.length <= 2
    ? shown.join(" · ")
    : `${shown[0]} · ${texts.alertsMore(shown.length - 1)}`;
}

export function alertWords(alert, zone) {
  const since = alert.since_ms === null ? null : minuteOf(alert.since_ms, zone);
  return texts.alert(alertName(alert), since);
}

// What there is to say of alerts that are about no queue on the wall, and of not knowing any.
export function floorAlerts(paging, zone) {
  if (!paging) return [];
  if (!paging.known) {
    return [texts.alertsUnknown(paging.as_of_ms === null ? null : minuteOf(paging.as_of_ms, zone))];
  }
  return firing(paging.alerts).map((alert) => alertWords(alert, zone));
}

function firing(alerts) {
  return alerts.filter(({ status }) => status === "firing");
}
