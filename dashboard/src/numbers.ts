// The few figures that say whether all is well: of the selected stream where the node takes streams, of its work where it
// works for others. Percentiles are the node's own; where it has none yet they come from the segments that this page saw.

import { byId, el, say, set, svg } from "./dom";
import { milliseconds } from "./format";
import type { Store } from "./store";
import type { State, StreamInfo, Trace } from "./wire";

/** Points of the small curve. */
const CURVE = 60;
const FIGURES = 5;

interface Figure {
  title: string;
  value: string;
  note: string;
  alarm?: boolean;
}

export function numbers(store: Store): void {
  const boxes = Array.from({ length: FIGURES }, () => new Box());
  const curve = svg("svg", { class: "curve", "aria-hidden": "true", preserveAspectRatio: "none", viewBox: "0 0 60 20" });
  byId("numbers").append(...boxes.map((box) => box.element));
  let due = 0;
  const draw = (): void => {
    due = 0;
    const traces = store.recent();
    const takes = store.takesStreams();
    const figures = takes || !store.state ? ofStream(store.selectedStream(), traces, store.state) : ofWork(store.state);
    boxes.forEach((box, i) => box.draw(figures[i] ?? { title: "", value: "", note: "" }));
    if (!takes) curve.remove();
    else if (!curve.isConnected) boxes[0]?.element.append(curve);
    drawCurve(curve, traces);
  };
  const soon = (): void => {
    if (!due) due = requestAnimationFrame(draw);
  };
  store.on("state", soon);
  store.on("trace", soon);
  store.on("selected", soon);
  draw();
}

class Box {
  private readonly title = el("dt");
  private readonly value = el("dd", { class: "figure-value" });
  private readonly note = el("dd", { class: "figure-note" });
  readonly element = el("dl", { class: "figure" }, this.title, this.value, this.note);

  draw(figure: Figure): void {
    say(this.title, figure.title);
    say(this.value, figure.value);
    say(this.note, figure.note);
    set(this.element, { "data-alarm": figure.alarm === true });
  }
}

function ofStream(stream: StreamInfo | null, traces: Trace[], state: State | null): Figure[] {
  const latency = stream?.latencyMs ?? percentiles(traces);
  const hedges = traces.flatMap((trace) => trace.asks).filter((ask) => ask.hedge).length;
  const used = new Set(traces.flatMap((trace) => trace.rungs.map((rung) => rung.by).filter(Boolean)));
  const known = state?.nodes.filter((node) => node.roles.includes("orchestrator")).length ?? 0;
  const count = (n: number): string => (stream ? String(n) : "–");
  const missing = stream?.missing ?? 0;
  return [
    { title: "Segment latency p50", value: milliseconds(latency?.p50), note: "from cut to checked" },
    { title: "p99", value: milliseconds(latency?.p99), note: "the slow ones", alarm: (latency?.p99 ?? 0) > longest(traces) },
    { title: "Missing", value: count(missing), note: "renditions not made", alarm: missing > 0 },
    { title: "Hedges", value: count(hedges), note: traces.length ? `in the last ${traces.length} segments` : "second sends" },
    { title: "Orchestrators", value: count(used.size), note: `used, of ${known} known` },
  ];
}

function ofWork(state: State): Figure[] {
  const self = state.nodes.find((node) => node.self);
  const ours = state.links.filter((link) => link.to === state.node.key);
  const sum = (what: (link: State["links"][number]) => number): string => String(ours.reduce((n, link) => n + what(link), 0));
  return [
    { title: "Places in use", value: self ? `${self.load} of ${self.capacity}` : "–", note: "segments at once" },
    { title: "Working for", value: String(new Set(ours.map((link) => link.from)).size), note: "broadcasters" },
    { title: "Segments", value: sum((link) => link.segments), note: "made for them" },
    { title: "In work", value: sum((link) => link.inFlight), note: "segments now" },
    { title: "Price", value: self?.price || "–", note: self?.backend ? `made by ${self.backend}` : "as advertised" },
  ];
}

function percentiles(traces: Trace[]): { p50: number; p99: number } | null {
  const sorted = traces.map((t) => t.latencyMs).filter((ms): ms is number => ms !== null).sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  return sorted.length ? { p50: at(0.5), p99: at(0.99) } : null;
}

/** The longest segment: what takes longer than that cannot stay live. Two seconds until one was seen. */
function longest(traces: Trace[]): number {
  return traces.length ? Math.max(...traces.map((trace) => trace.durationMs)) : 2000;
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
