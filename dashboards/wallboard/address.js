// What the address of a page asks for:
// ?queues=a,b&site=&team=&channel=&sort=worst|fixed&theme=dark|light&lang=en|es&sound=on

const FILTERS = { queues: "queue", site: "site", team: "team", channel: "channel" };
const SORTS = ["worst", "fixed"];
const THEMES = ["dark", "light"];

const parameters = new URLSearchParams(location.search);

export const LANGUAGES = ["en", "es"];
export const sort = choice("sort", SORTS) ?? SORTS[0];
export const theme = choice("theme", THEMES) ?? THEMES[0];
export const language = choice("lang", LANGUAGES) ?? spokenHere();
export const wantsSound = parameters.get("sound") === "on";

// Each filter that is set: its parameter, and the values asked for as they are written.
export const filters = Object.keys(FILTERS)
  .map((name) => ({ name, values: valuesOf(name) }))
  .filter(({ values }) => values.length > 0);

const wanted = filters.map(({ name, values }) => ({
  field: FILTERS[name],
  values: new Set([...values, ...parameters.getAll(name)].map(plain)),
}));

// Whether a queue is one of those asked for. Letter case makes no difference.
export function isWanted(queue) {
  return wanted.every(({ field, values }) => values.has(plain(queue[field])));
}

// The address of a queue's own page, in the same theme and language.
export function addressOf({ queue, channel }) {
  const kept = ["theme", "lang"]
    .filter((name) => parameters.has(name))
    .map((name) => [name, parameters.get(name)]);
  return `queue?${new URLSearchParams([["queue", queue], ["channel", channel], ...kept])}`;
}

function valuesOf(name) {
  return parameters.getAll(name).flatMap((each) => each.split(",")).filter((each) => each.trim());
}

function choice(name, choices) {
  const chosen = parameters.get(name);
  return choices.includes(chosen) ? chosen : null;
}

function spokenHere() {
  const spoken = (navigator.languages ?? []).map((each) => each.slice(0, 2));
  return spoken.find((each) => LANGUAGES.includes(each)) ?? LANGUAGES[0];
}

function plain(value) {
  return value.trim().toLowerCase();
}
