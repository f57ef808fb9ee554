// The few figures that say whether all is well, for the selected stream. Percentiles are the node's own; where it has none
// yet they are taken from the segments that this page has seen.

import { byId, el, say, set, svg } from "./dom";
import { milliseconds } from "./format";
import type { Store } from "./store";
import type { Trace } from "./wire";

/** Points of the small curve. */
const CURVE = 60;

interface Figure {
  value: HTMLElement;
  note: HTMLElement;
  box: HTMLElement;
}

export function numbers(store: Store): void {
  const p50 = figure("Segment latency p50", "from cut to checked");
  const p99 = figure("p99", "the slow ones");
  const missing = figure("Missing", "segments with a rung left out");
  const hedges = figure("Hedges", "second sends, the first was late");
  const used = figure("Orchestrators", "used, as this page has seen");
  const curve = svg("svg", { class: "curve", "aria-hidden": "true", preserveAspectRatio: "none", viewBox: "0 0 60 20" });
  p50.box.append(curve);
  byId("numbers").append(...[p50, p99, missing, hedges, used].map((f) => f.box));

  const draw = (): void => {
    const traces = store.recent();
    const stream = store.selectedStream();
    const latency = stream?.latencyMs ?? percentiles(traces);
    const late = stream?.source && latency && latency.p99 > longest(traces);
    say(p50.value, milliseconds(latency?.p50));
    say(p99.value, milliseconds(latency?.p99));
    set(p99.box, { "data-alarm": Boolean(late) });
    say(missing.value, stream ? String(stream.missing) : "–");
    set(missing.box, { "data-alarm": (stream?.missing ?? 0) > 0 });
    const asks = traces.flatMap((trace) => trace.asks);
    say(hedges.value, stream ? String(asks.filter((ask) => ask.hedge).length) : "–");
    say(hedges.note, traces.length ? `in the last ${traces.length} segments` : "second sends, the first was late");
    const winners = new Set(traces.flatMap((trace) => trace.rungs.map((rung) => rung.by).filter(Boolean)));
    const known = store.state?.nodes.filter((node) => node.roles.includes("orchestrator")).length ?? 0;
    say(used.value, stream ? String(winners.size) : "–");
    say(used.note, `used, of ${known} known`);
    drawCurve(curve, traces);
  };
  let due = 0;
  const soon = (): void => {
    if (!due) due = requestAnimationFrame(() => ((due = 0), draw()));
  };
  store.on("state", soon);
  store.on("trace", soon);
  store.on("selected", soon);
}

function figure(title: string, words: string): Figure {
  const value = el("dd", { class: "figure-value" }, "–");
  const note = el("dd", { class: "figure-note" }, words);
  return { value, note, box: el("dl", { class: "figure" }, el("dt", {}, title), value, note) };
}

function percentiles(traces: Trace[]): { p50: number; p99: number } | null {
  const sorted = traces.map((t) => t.latencyMs).filter((ms): ms is number => ms !== null).sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  return sorted.length ? { p50: at(0.5), p99: at(0.99) } : null;
}

function longest(traces: Trace[]): number {
  return Math.max(1000, ...traces.map((trace) => trace.durationMs));
}

function drawCurve(curve: SVGElement, traces: Trace[]): void {
  const recent = traces.slice(0, CURVE).reverse();
  const top = Math.max(1, ...recent.map((trace) => trace.latencyMs ?? 0)) * 1.1;
  curve.replaceChildren(
    ...recent.map((trace, i) => {
      const gone = trace.outcome === "missing";
      const height = gone ? 20 : Math.max(0.8, ((trace.latencyMs ?? 0) / top) * 20);
      const x = CURVE - recent.length + i;
      return svg("rect", { x: x + 0.15, y: 20 - height, width: 0.7, height, "data-alarm": gone });
    }),
  );
}
