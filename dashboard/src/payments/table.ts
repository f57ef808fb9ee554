// A table whose rows keep their places and repaint only what changed.

import { el, say, set } from "../dom";
import { explain } from "../tip";

export interface Row {
  key: string;
  /** Shown first; with a peer's colour, and its full name when it is pointed at. */
  name: { text: string; peer?: number; full?: string };
  cells: string[];
  alarm: boolean;
}

/** Rows that a person reads; the node sends the last busy ones first. */
const ROWS = 12;

export class Table {
  private readonly body = el("tbody");
  private readonly rows = new Map<string, Line>();
  readonly element: HTMLElement;

  constructor(heads: string[]) {
    const head = el("thead", {}, el("tr", {}, ...heads.map((title) => el("th", { scope: "col" }, title))));
    this.element = el("table", { class: "money", hidden: true }, head, this.body);
  }

  draw(rows: Row[]): void {
    const shown = rows.slice(0, ROWS).sort((a, b) => (a.key < b.key ? -1 : 1));
    set(this.element, { hidden: shown.length === 0 });
    const lines = shown.map((row) => {
      const line = this.rows.get(row.key) ?? new Line(row.cells.length);
      this.rows.set(row.key, line);
      line.draw(row);
      return line.element;
    });
    if (lines.length !== this.body.children.length || lines.some((line, at) => this.body.children[at] !== line)) {
      this.body.replaceChildren(...lines);
    }
    for (const key of this.rows.keys()) if (!shown.some((row) => row.key === key)) this.rows.delete(key);
  }
}

class Line {
  private readonly dot = el("i", { class: "dot" });
  private readonly name = el("span", { class: "money-name", tabindex: "0" });
  private readonly cells: HTMLElement[];
  private full = "";
  readonly element: HTMLElement;

  constructor(cells: number) {
    this.cells = Array.from({ length: cells }, () => el("td"));
    this.element = el("tr", {}, el("td", {}, this.dot, this.name), ...this.cells);
    explain(this.name, () => [{ text: this.full }]);
  }

  draw(row: Row): void {
    this.full = row.name.full ?? row.name.text;
    set(this.dot, { "data-peer": row.name.peer ?? null, hidden: row.name.peer === undefined });
    say(this.name, row.name.text);
    this.cells.forEach((cell, at) => say(cell, row.cells[at] ?? ""));
    set(this.element, { "data-alarm": row.alarm });
  }
}
