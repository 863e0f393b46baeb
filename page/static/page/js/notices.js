// What is told in passing: shown for some seconds, and spoken once by a screen reader.

import { byId, make } from "./dom.js";

const SHOWN_MS = 6000;
const MOST = 4;

/**
 * @param {string} title
 * @param {string} [more]
 * @param {"" | "good" | "bad"} [tone]
 */
export function tell(title, more = "", tone = "") {
  const place = byId("toasts");
  const toast = make("div", { class: `toast ${tone}` }, make("b", { text: title }), more);
  while (place.children.length >= MOST) place.firstChild.remove();
  place.append(toast);
  setTimeout(() => toast.remove(), SHOWN_MS);
  speak(more ? `${title}. ${more}` : title);
}

/** @param {string} words */
export function speak(words) {
  byId("spoken").textContent = words;
}
