// Tables of rows that are told apart by an id: a row that did not change keeps its element, and with it the focus.

import { make, write } from "./dom.js";

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {(row: any) => any} value A text, or an element.
 * @property {boolean} [isNumber]
 * @property {boolean} [isUnseen] Its title is for a screen reader alone.
 * @property {(row: any) => string} [tone] A class of the cell.
 */

export class Table {
  /** @type {Map<any, { row: any, element: any }>} */ #kept = new Map();

  /** @param {string} title @param {Column[]} columns @param {(row: any) => any} idOf @param {string} empty */
  constructor(title, columns, idOf, empty) {
    Object.assign(this, { columns, idOf });
    this.columns = columns;
    this.idOf = idOf;
    this.body = make("tbody");
    const heads = columns.map(({ title, isNumber, isUnseen }) =>
      make(
        "th",
        { scope: "col", class: isNumber ? "number" : null },
        make("span", { class: isUnseen ? "unseen" : null, text: title }),
      ),
    );
    const caption = make("caption", { class: "unseen", text: title });
    this.table = make("table", { class: "list" }, caption, make("thead", {}, make("tr", {}, ...heads)), this.body);
    this.empty = make("p", { class: "empty", text: empty });
    this.place = make("div", {}, this.table, this.empty);
  }

  /** @param {any[]} rows In the order in which they are shown. */
  show(rows) {
    const kept = new Map();
    const elements = rows.map((row) => {
      const id = this.idOf(row);
      const before = this.#kept.get(id);
      const element = before?.row === row ? before.element : this.#draw(row, before?.element);
      kept.set(id, { row, element });
      return element;
    });
    this.#kept = kept;
    this.table.hidden = rows.length === 0;
    this.empty.hidden = rows.length > 0;
    const isSame =
      elements.length === this.body.children.length &&
      elements.every((element, index) => this.body.children[index] === element);
    if (!isSame) this.body.replaceChildren(...elements);
  }

  #draw(/** @type {any} */ row, /** @type {any} */ before) {
    if (!before) return make("tr", {}, ...this.columns.map((column) => this.#cell(column, row)));
    this.columns.forEach((column, index) => {
      const value = column.value(row);
      const cell = before.children[index];
      // Buttons stay as they are: they go by the row's id.
      if (typeof value === "string") {
        write(cell, value);
        cell.className = classOf(column, row);
      }
    });
    return before;
  }

  #cell(/** @type {Column} */ column, /** @type {any} */ row) {
    return make("td", { class: classOf(column, row) || null }, column.value(row));
  }
}

/** @param {Column} column @param {any} row */
function classOf(column, row) {
  return [column.isNumber ? "number" : "", column.tone?.(row) ?? ""].filter(Boolean).join(" ");
}
