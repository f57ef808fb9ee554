// One segment as a row: its number, a bar for everyone who was asked on the common time axis, a block for each rung, the
// time that it took. The words behind it tell the same to those who cannot see it.

import { el, say, set } from "../dom";
import { bytes, milliseconds, plural, seconds } from "../format";
import type { Store } from "../store";
import { explain, refresh, type Line } from "../tip";
import type { Ask, Outcome, Trace } from "../wire";

const OUTCOME_WORDS: Record<Outcome, string> = {
  complete: "every rung made",
  missing: "a rung is missing",
  source_only: "nothing to make",
};

export class Row {
  readonly element: HTMLLIElement;
  private readonly seq = el("span", { class: "row-seq" });
  private readonly lane = el("span", { class: "lane" });
  private readonly rungs = el("span", { class: "blocks" });
  private readonly took = el("span", { class: "row-took" });

  constructor(
    public trace: Trace,
    private readonly store: Store,
  ) {
    this.element = el("li", { class: "row", tabindex: -1 }, this.seq, this.lane, this.rungs, this.took);
    explain(this.element, () => words(this.trace, this.store));
  }

  /** `axis` is the length of the time axis in milliseconds. */
  draw(axis: number): void {
    const { trace } = this;
    const age = Math.max(0, this.store.now() - trace.cutUnixMs);
    say(this.seq, String(trace.seq));
    say(this.took, trace.outcome === "missing" ? "missing" : trace.outcome === "source_only" ? "source" : milliseconds(trace.latencyMs));
    set(this.element, { "data-outcome": trace.outcome ?? "working" });
    this.drawBars(axis, age);
    this.drawRungs();
  }

  /** Tells the screen reader, and the note if it is open. */
  tell(): void {
    set(this.element, { "aria-label": words(this.trace, this.store).map((line) => line.text).join(". ") });
    refresh(this.element);
  }

  private drawBars(axis: number, age: number): void {
    while (this.lane.childElementCount < this.trace.asks.length) this.lane.append(bar());
    while (this.lane.childElementCount > this.trace.asks.length) this.lane.lastElementChild?.remove();
    set(this.lane, { "data-asks": Math.min(3, this.trace.asks.length) });
    this.trace.asks.forEach((ask, i) => {
      const element = this.lane.children[i];
      if (element instanceof HTMLElement) this.drawBar(element, ask, axis, age);
    });
  }

  private drawBar(element: HTMLElement, ask: Ask, axis: number, age: number): void {
    const over = this.trace.outcome !== null;
    const end = ask.endedMs ?? (over ? Math.max(ask.askedMs, this.trace.latencyMs ?? ask.askedMs) : age);
    const accepted = Math.min(ask.acceptedMs ?? end, end);
    const first = Math.min(ask.firstRenditionMs ?? end, end);
    const part = (ms: number): string => `${Math.max(0, Math.min(100, (ms / axis) * 100)).toFixed(2)}%`;
    element.style.left = part(ask.askedMs);
    element.style.width = part(Math.max(end - ask.askedMs, axis / 250));
    set(element, {
      "data-peer": this.store.colour(ask.peer),
      "data-hedge": ask.hedge,
      "data-won": ask.won,
      "data-open": ask.endedMs === null && !over,
      "data-failed": over && !ask.won && ask.firstRenditionMs === null,
    });
    const total = Math.max(1, end - ask.askedMs);
    const shares = [accepted - ask.askedMs, first - accepted, end - first];
    shares.forEach((share, i) => {
      const phase = element.children[i];
      if (phase instanceof HTMLElement) phase.style.width = `${((Math.max(0, share) / total) * 100).toFixed(2)}%`;
    });
  }

  private drawRungs(): void {
    const { rungs, outcome } = this.trace;
    while (this.rungs.childElementCount < rungs.length) this.rungs.append(el("i", { class: "block" }));
    while (this.rungs.childElementCount > rungs.length) this.rungs.lastElementChild?.remove();
    rungs.forEach((rung, i) => {
      const block = this.rungs.children[i];
      if (!block) return;
      const state = rung.atMs !== null ? "made" : outcome === null ? "open" : "missing";
      set(block, { "data-rung": state, "data-peer": rung.by === null ? null : this.store.colour(rung.by) });
    });
  }
}

function bar(): HTMLElement {
  const phase = (name: string): HTMLElement => el("i", { class: `phase phase-${name}` });
  return el("span", { class: "bar" }, phase("offer"), phase("make"), phase("arrive"));
}

function words(trace: Trace, store: Store): Line[] {
  const how = trace.outcome ? OUTCOME_WORDS[trace.outcome] : "in work";
  const size = `${seconds(trace.durationMs / 1000)}, ${bytes(trace.bytes)}`;
  const lines: Line[] = [
    { text: `Segment ${trace.seq}: ${how}`, kind: "title" },
    { text: trace.latencyMs === null ? size : `${size}, done after ${milliseconds(trace.latencyMs)}` },
  ];
  for (const ask of trace.asks) {
    lines.push({ text: `${ask.hedge ? "Hedge: " : ""}${store.nameOf(ask.peer)}${ask.won ? ", its answer was used" : ""}`, peer: store.colour(ask.peer) });
    if (ask.why) lines.push({ text: ask.why, kind: "quiet" });
    lines.push({ text: steps(ask), kind: "quiet" });
  }
  const gone = trace.rungs.filter((rung) => rung.atMs === null).map((rung) => rung.name);
  if (trace.outcome === "missing") lines.push({ text: `${plural(gone.length, "rung")} missing: ${gone.join(", ")}`, kind: "alarm" });
  return lines;
}

function steps(ask: Ask): string {
  const at = (what: string, ms: number | null): string | null => (ms === null ? null : `${what} ${milliseconds(ms)}`);
  const times = [at("asked", ask.askedMs), at("accepted", ask.acceptedMs), at("first rendition", ask.firstRenditionMs), at("ended", ask.endedMs)];
  return [...times, ask.outcome].filter((step) => step !== null && step !== "").join(" · ");
}
