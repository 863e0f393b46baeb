// A list that is read a page at a time, newest first, and as CSV as a whole.

import { download, whole } from "./api.js";
import { make } from "./dom.js";
import { tell } from "./notices.js";
import { Table } from "./tables.js";

const PAGE = 50;

export class PastList {
  /** @type {any[]} */ #rows = [];
  /** @type {string | null} */ #cursor = null;
  #reading = 0;

  /**
   * @param {string} title
   * @param {any[]} columns
   * @param {(row: any) => any} idOf
   * @param {() => { path: string, query?: any, name?: string } | null} where
   * @param {boolean} [hasCsv]
   */
  constructor(title, columns, idOf, where, hasCsv = true) {
    this.where = where;
    this.title = title;
    this.table = new Table(title, columns, idOf, "Nothing yet.");
    this.more = make("button", {
      type: "button",
      class: "button tiny",
      text: "Show older",
      hidden: true,
      click: () => this.#read(this.#cursor),
    });
    this.csv = hasCsv
      ? make("button", {
          type: "button",
          class: "button tiny",
          text: "CSV",
          "aria-label": `${title} as CSV`,
          click: () => this.#save(),
        })
      : null;
    this.place = make("div", {}, this.table.place, make("p", { class: "older" }, this.more));
  }

  read() {
    return this.#read(null);
  }

  async #read(/** @type {string | null} */ cursor) {
    const asked = this.where();
    if (!asked) return this.table.show([]);
    const turn = (this.#reading += 1);
    const told = await whole(asked.path, { ...asked.query, limit: PAGE, cursor });
    if (turn !== this.#reading) return;
    this.#rows = cursor ? [...this.#rows, ...told.data] : told.data;
    this.#cursor = told.nextCursor ?? null;
    this.more.hidden = !this.#cursor;
    this.table.show(this.#rows);
  }

  async #save() {
    const asked = this.where();
    if (!asked) return;
    try {
      await download(
        `${asked.path}?${new URLSearchParams({ ...asked.query, format: "csv" })}`,
        `${[this.title.toLowerCase(), asked.name].filter(Boolean).join("-").replaceAll(" ", "-")}.csv`,
      );
    } catch (/** @type {any} */ refusal) {
      tell("No CSV", refusal.words ?? refusal.message, "bad");
    }
  }
}
