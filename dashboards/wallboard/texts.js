// The words of the page's language, and the page's own labels in it.

import { language } from "./address.js";
import { english } from "./english.js";
import { spanish } from "./spanish.js";

export const texts = { en: english, es: spanish }[language];

// Write the labels under `root` in the page's language. They stand in the page in English, so
// there they are left as they are.
export function translate(root) {
  for (const element of root.querySelectorAll("[data-label]")) {
    element.textContent = label(element.textContent);
  }
  for (const element of root.querySelectorAll("[data-label-aria]")) {
    element.ariaLabel = label(element.ariaLabel);
  }
}

// A label of the page in its language.
export function label(text) {
  return texts.labels?.[text.trim().replaceAll(/\s+/g, " ")] ?? text;
}

// A word of the wire as people read it.
export function words(id) {
  return texts.channels[id] ?? texts.agentStates[id] ?? id.replaceAll("_", " ");
}
