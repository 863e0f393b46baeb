// Light or dark: as the system has it, until the user says otherwise.

import { byId } from "./dom.js";

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

export const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

/** @param {() => void} listener */
export function onTheme(listener) {
  listeners.add(listener);
}

export function startTheme() {
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // It holds until the page is left.
    }
    changed();
  });
  system.addEventListener("change", changed);
  changed();
}

function changed() {
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  for (const listener of listeners) listener();
}

/**
 * A colour of base.css as a canvas needs it.
 * @param {string} name Such as "--buy".
 */
export function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
