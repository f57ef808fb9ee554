// The mesh as a picture. In: nodes and links of the state, and each change of a segment's way. Out: an SVG in pixels, drawn
// again when the panel's size changes; elements are kept, so that what moves can move smoothly.

import { byId, el, say, svg } from "./dom";
import { milliseconds, plural } from "./format";
import { LinkView } from "./mesh/links";
import { middle, MOST_SHOWN, places, radius, rim, rimAndName, type Clearance, type Point, type Size } from "./mesh/layout";
import { NodeView } from "./mesh/nodes";
import type { Store } from "./store";
import type { MeshLink, MeshNode, State, Trace } from "./wire";

/** With more nodes than this, latency is written only where work flows. */
const MOST_TOLD = 13;
/** Older news of segments is history, told when the page opens: nothing runs along the lines for it. */
const FRESH_MS = 20_000;

export function mesh(store: Store): void {
  const panel = byId("mesh");
  const words = el("p", { class: "panel-note" });
  const picture = svg("svg", { class: "mesh-picture", role: "group", "aria-label": "Nodes of the mesh" });
  const alone = el("p", { class: "mesh-alone quiet", hidden: true }, "No other node is known yet.");
  panel.append(
    el("div", { class: "panel-head" }, el("h2", { id: "mesh-title" }, "Mesh"), words),
    el("div", { class: "mesh-frame" }, picture, alone),
    el(
      "ul",
      { class: "legend", "aria-label": "Legend" },
      el("li", {}, el("i", { class: "key-ring" }), "load"),
      el("li", {}, el("i", { class: "key-line" }), "work, thicker is more"),
      el("li", {}, el("i", { class: "key-dim" }), "avoided"),
    ),
  );
  const view = new Picture(store, picture);
  new ResizeObserver(() => view.draw()).observe(picture);
  store.on("state", (state) => {
    view.draw();
    view.workOfOthers(state.links);
    const others = state.nodes.filter((node) => !node.self);
    alone.hidden = others.length > 0;
    say(words, describe(others));
  });
  store.on("trace", (trace, before) => view.follow(trace, before));
}

function describe(others: MeshNode[]): string {
  const working = others.filter((node) => node.roles.includes("orchestrator")).length;
  const hidden = others.length - MOST_SHOWN;
  const rest = hidden > 0 ? `, ${hidden} more than drawn` : "";
  return `${plural(working, "orchestrator")}, ${plural(others.length - working, "other")}${rest}`;
}

class Picture {
  private readonly lines = svg("g");
  private readonly circles = svg("g");
  private readonly nodes = new Map<string, NodeView>();
  private readonly links = new Map<string, LinkView>();
  private readonly counted = new Map<string, number>();

  constructor(
    private readonly store: Store,
    private readonly picture: SVGSVGElement,
  ) {
    picture.append(this.lines, this.circles);
  }

  draw(): void {
    const state = this.store.state;
    const em = parseFloat(getComputedStyle(document.documentElement).fontSize) || 15;
    const size = { width: this.picture.clientWidth, height: this.picture.clientHeight, em };
    if (!state || size.width === 0) return;
    this.picture.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    const shown = choose(state);
    const at = this.drawNodes(shown, size);
    this.drawLinks(state, shown, at, radius(at.size - 1, size), size);
  }

  /** Lets beads run for what happened since the last telling of this segment. */
  follow(trace: Trace, before: Trace | undefined): void {
    if (this.store.now() - trace.cutUnixMs > FRESH_MS) return;
    const self = this.store.state?.node.key ?? "";
    trace.asks.forEach((ask, i) => {
      const link = this.links.get(`${self}>${ask.peer}`);
      const earlier = before?.asks[i];
      if (!earlier) link?.bead(false, ask.hedge);
      if (ask.won && !earlier?.won) link?.bead(true, ask.hedge);
    });
  }

  /** Work between others, and work of this node for others, is known by its count alone. */
  workOfOthers(links: MeshLink[]): void {
    const self = this.store.state?.node.key;
    for (const [id, link] of sum(links)) {
      const before = this.counted.get(id);
      this.counted.set(id, link.segments);
      if (before !== undefined && link.segments > before && link.from !== self) this.links.get(id)?.bead(false, false);
    }
    if (this.counted.size > 4096) this.counted.clear();
  }

  private drawNodes(shown: MeshNode[], size: Size): Map<string, Point> {
    const others = shown.filter((node) => !node.self);
    const spots = places(others.length, size);
    const at = new Map(others.map((node, i) => [node.key, spots[i] ?? middle(size)]));
    shown.filter((node) => node.self).forEach((node) => at.set(node.key, middle(size)));
    const r = radius(others.length, size);
    const atWork = new Set(this.store.state?.links.flatMap((link) => [link.from, link.to]));
    for (const node of shown) {
      const view = this.nodes.get(node.key) ?? new NodeView(node, this.store);
      if (!this.nodes.has(node.key)) {
        this.nodes.set(node.key, view);
        this.circles.append(view.element);
      }
      view.draw(node, at.get(node.key) ?? middle(size), node.self ? Math.max(r, size.em) : r, size, atWork.has(node.key));
    }
    forget(this.nodes, at);
    return at;
  }

  private drawLinks(state: State, shown: MeshNode[], at: Map<string, Point>, r: number, size: Size): void {
    const self = state.node.key;
    const links = sum(state.links);
    const known = new Map(shown.map((node) => [node.key, node]));
    for (const node of shown) {
      const [out, back] = [`${self}>${node.key}`, `${node.key}>${self}`];
      if (node.self || links.has(out) || links.has(back) || node.rttMs === null) continue;
      links.set(out, { from: self, to: node.key, stream: "", segments: 0, inFlight: 0 });
    }
    const most = Math.max(1, ...[...links.values()].map((link) => link.segments));
    const drawn = new Set<string>();
    for (const [id, link] of links) {
      const [from, to] = [at.get(link.from), at.get(link.to)];
      if (!from || !to) continue;
      drawn.add(id);
      const view = this.links.get(id) ?? new LinkView(this.store.colour(link.to));
      if (!this.links.has(id)) {
        this.links.set(id, view);
        this.lines.append(view.element);
      }
      const far = known.get(link.from === self ? link.to : link.from);
      const ours = link.from === self || link.to === self;
      const avoided = known.get(link.to)?.avoidedForMs != null;
      const told = ours && far?.rttMs != null && (link.segments > 0 || shown.length <= MOST_TOLD);
      const rtt = told ? milliseconds(far.rttMs) : "";
      const clear = (key: string): Clearance => (key === self ? rimAndName(Math.max(r, size.em), size) : rim(r));
      const [leave, arrive] = [clear(link.from), clear(link.to)];
      view.draw({ from, to, leave, arrive, share: link.segments / most, busy: link.inFlight > 0, rtt, avoided });
    }
    forget(this.links, drawn);
  }
}

/** This node, then orchestrators, then the rest, each by key: an order that lasts. */
function choose(state: State): MeshNode[] {
  const rank = (node: MeshNode): number => (node.self ? 0 : node.roles.includes("orchestrator") ? 1 : 2);
  const sorted = [...state.nodes].sort((a, b) => rank(a) - rank(b) || (a.key < b.key ? -1 : 1));
  return sorted.slice(0, MOST_SHOWN + 1);
}

/** One line for each pair, whatever number of streams. */
function sum(links: MeshLink[]): Map<string, MeshLink> {
  const sums = new Map<string, MeshLink>();
  for (const link of links) {
    const id = `${link.from}>${link.to}`;
    const known = sums.get(id);
    if (known) {
      known.segments += link.segments;
      known.inFlight += link.inFlight;
    } else {
      sums.set(id, { ...link });
    }
  }
  return sums;
}

function forget(views: Map<string, { element: Element }>, keep: { has(key: string): boolean }): void {
  for (const [key, view] of views) {
    if (keep.has(key)) continue;
    view.element.remove();
    views.delete(key);
  }
}
