// Making elements, and changing only what changed.

/**
 * @param {string} id
 * @returns {any} The element, which the template has.
 */
export const byId = (id) => document.getElementById(id);

/**
 * An element: `make("td", { class: "number", text: "5" }, child, ...)`. A function is a listener, `null` is left out.
 * @param {string} name
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | null)} children
 * @returns {any}
 */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") element.textContent = value;
    else if (typeof value === "function") element.addEventListener(key, value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** @param {any} element @param {string} value */
export function write(element, value) {
  if (element.firstChild?.nodeType === 3) {
    if (element.firstChild.data !== value) element.firstChild.data = value;
  } else {
    element.textContent = value;
  }
}

/** @param {Element} element @param {string} name @param {string | null} value */
export function mark(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

const waiting = new Set();

/**
 * Draw before the next frame, once, however often it is asked for.
 * @param {() => void} draw
 */
export function soon(draw) {
  if (!waiting.size) requestAnimationFrame(drawAll);
  waiting.add(draw);
}

function drawAll() {
  const due = [...waiting];
  waiting.clear();
  for (const draw of due) draw();
}

/**
 * One choice of several buttons, by arrow keys too.
 * @param {Element} group
 * @param {string} attribute Which says that a button is chosen: aria-selected, aria-checked or aria-pressed.
 * @param {(button: any) => void} choose
 */
export function choices(group, attribute, choose) {
  const buttons = () => /** @type {any[]} */ ([...group.querySelectorAll("button")]);
  const pick = (button) => {
    for (const each of buttons()) {
      each.setAttribute(attribute, String(each === button));
      if (attribute !== "aria-pressed") each.tabIndex = each === button ? 0 : -1;
    }
    choose(button);
  };
  group.addEventListener("click", (event) => {
    const button = /** @type {any} */ (event.target).closest("button");
    if (button) pick(button);
  });
  group.addEventListener("keydown", (/** @type {any} */ event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = buttons();
    const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
    next.focus();
    if (attribute !== "aria-pressed") pick(next);
  });
  return pick;
}
