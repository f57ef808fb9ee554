// Segments going by: one row each, newest on top, on a common time axis. Rows hold still while a person looks into one, and
// the axis changes its scale only when it must.

import { byId, calm, el, say, set } from "./dom";
import { milliseconds, plural } from "./format";
import { Row } from "./lanes/row";
import type { Store } from "./store";
import type { Trace } from "./wire";

const ROWS = 30;
/** Lengths that the axis may have, milliseconds. */
const AXES = [250, 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12_000, 20_000, 60_000];
const TICKS = 5;
/** How often bars of segments in work grow. */
const GROW_MS = 100;

export function lanes(store: Store): void {
  const panel = byId("lanes");
  const held = el("span", { class: "held", role: "status" });
  const axis = el("div", { class: "axis", "aria-hidden": "true" });
  const due = el("i", { class: "due", hidden: true });
  const list = el("ol", { class: "rows", "aria-label": "Segments, newest first. Arrow keys move, each row tells its story." });
  const empty = el("p", { class: "lanes-empty quiet" }, "No segment has gone by yet.");
  panel.append(
    el("div", { class: "panel-head" }, el("h2", { id: "lanes-title" }, "Segments"), held, legend()),
    el("div", { class: "row-head" }, el("span", {}, "No."), axis, el("span", {}, "Rungs"), el("span", {}, "Took")),
    el("div", { class: "rows-frame" }, el("div", { class: "grid" }, due), list, empty),
  );
  const view = new Lanes(store, list, axis, due, held, empty);
  store.on("trace", (trace) => trace.stream === store.selected && view.take(trace));
  store.on("state", () => (panel.hidden = !store.takesStreams()));
  store.on("selected", () => view.restart());
  window.setInterval(() => view.grow(), GROW_MS);
}

function legend(): HTMLElement {
  const key = (kind: string, text: string): HTMLElement => el("li", {}, el("i", { class: `key-bar key-${kind}` }), text);
  return el(
    "ul",
    { class: "legend", "aria-label": "Legend" },
    key("offer", "offer"),
    key("make", "transcoding"),
    key("arrive", "arriving"),
    key("hedge", "hedge"),
    key("missing", "missing"),
  );
}

class Lanes {
  private readonly rows = new Map<number, Row>();
  private length = AXES[3] ?? 1500;
  private held = false;
  private readonly waiting = new Set<number>();

  constructor(
    private readonly store: Store,
    private readonly list: HTMLElement,
    private readonly axis: HTMLElement,
    private readonly due: HTMLElement,
    private readonly note: HTMLElement,
    private readonly empty: HTMLElement,
  ) {
    list.addEventListener("keydown", (event) => this.walk(event));
    for (const [kind, hold] of [["pointerenter", true], ["pointerleave", false], ["focusin", true], ["focusout", false]] as const) {
      list.addEventListener(kind, () => this.hold(hold));
    }
    this.drawAxis();
  }

  /** A segment's way has changed, or begun. */
  take(trace: Trace): void {
    const row = this.rows.get(trace.seq);
    if (row) {
      row.trace = trace;
      this.rescale();
      row.draw(this.length);
      row.tell();
    } else if (this.held) {
      this.waiting.add(trace.seq);
      say(this.note, `held while you look, ${plural(this.waiting.size, "newer one", "newer ones")}`);
    } else {
      this.insert(trace);
      this.trim();
      this.rescale();
    }
  }

  /** Another stream was chosen. */
  restart(): void {
    this.rows.forEach((row) => row.element.remove());
    this.rows.clear();
    this.store.recent(ROWS).reverse().forEach((trace) => this.insert(trace));
    this.trim();
    this.rescale();
  }

  /** Bars of segments in work end now, and now moves. */
  grow(): void {
    if (document.hidden) return;
    for (const row of this.rows.values()) if (row.trace.outcome === null) row.draw(this.length);
  }

  private insert(trace: Trace): void {
    const row = new Row(trace, this.store);
    this.rows.set(trace.seq, row);
    const newest = this.list.firstElementChild;
    this.list.prepend(row.element);
    const fresh = this.store.now() - trace.cutUnixMs < 2 * trace.durationMs;
    if (newest && fresh && !calm.matches && !document.hidden) this.slide(row.element.offsetHeight);
    row.draw(this.length);
    row.tell();
    const tabStop = this.list.querySelector("[tabindex='0']");
    if (!tabStop) set(row.element, { tabindex: 0 });
    this.empty.hidden = true;
  }

  private slide(by: number): void {
    this.list.animate([{ transform: `translateY(${-by}px)` }, { transform: "none" }], { duration: 320, easing: "cubic-bezier(.2,.7,.2,1)" });
  }

  private trim(): void {
    const sorted = [...this.rows.values()].sort((a, b) => b.trace.cutUnixMs - a.trace.cutUnixMs || b.trace.seq - a.trace.seq);
    sorted.forEach((row, i) => {
      if (i >= ROWS) {
        this.rows.delete(row.trace.seq);
        row.element.remove();
      } else if (this.list.children[i] !== row.element) {
        this.list.insertBefore(row.element, this.list.children[i] ?? null);
      }
    });
    if (!this.list.querySelector("[tabindex='0']")) set(this.list.firstElementChild ?? this.list, { tabindex: 0 });
    this.empty.hidden = this.rows.size > 0;
  }

  private rescale(): void {
    if (this.rows.size === 0) return;
    const latest = Math.max(0, ...[...this.rows.values()].map(({ trace }) => Math.max(trace.latencyMs ?? 0, ...trace.asks.map((a) => a.endedMs ?? 0))));
    const fits = AXES.find((length) => length >= latest * 1.05) ?? 60_000;
    const roomy = fits > this.length || latest < this.length / 3;
    if (!roomy || fits === this.length) return;
    this.length = Math.max(fits, 250);
    this.drawAxis();
    this.rows.forEach((row) => row.draw(this.length));
  }

  private drawAxis(): void {
    this.axis.replaceChildren(
      ...Array.from({ length: TICKS + 1 }, (_, i) => {
        const tick = el("span", {}, i === 0 ? "cut" : axisTime((this.length * i) / TICKS));
        tick.style.left = `${(i * 100) / TICKS}%`;
        return tick;
      }),
    );
    const duration = [...this.rows.values()][0]?.trace.durationMs ?? 0;
    this.due.hidden = duration === 0 || duration >= this.length;
    this.due.style.left = `${(duration / this.length) * 100}%`;
    set(this.due, { title: `one segment, ${milliseconds(duration)}` });
  }

  private hold(hold: boolean): void {
    const looks = hold || this.list.matches(":hover") || this.list.contains(document.activeElement);
    if (looks === this.held) return;
    this.held = looks;
    set(this.list, { "data-held": looks });
    if (looks) return;
    if (this.waiting.size > 0) this.catchUp();
    this.waiting.clear();
    say(this.note, "");
  }

  private catchUp(): void {
    const missed = this.store.recent(ROWS).filter((trace) => !this.rows.has(trace.seq));
    missed.reverse().forEach((trace) => this.insert(trace));
    this.trim();
    this.rescale();
  }

  private walk(event: KeyboardEvent): void {
    if (event.key === "Escape" && document.activeElement instanceof HTMLElement) document.activeElement.blur();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const all = [...this.list.children];
    const at = all.indexOf(document.activeElement ?? this.list);
    const next = event.key === "Home" ? all[0] : event.key === "End" ? all[all.length - 1] : step && at >= 0 ? all[at + step] : null;
    if (!(next instanceof HTMLElement)) return;
    event.preventDefault();
    all.forEach((row) => set(row, { tabindex: row === next ? 0 : -1 }));
    next.focus();
  }
}

function axisTime(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 100) / 10} s`;
}
