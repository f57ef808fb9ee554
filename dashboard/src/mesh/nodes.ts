// One node of the picture: a shape for its role, a ring for its load, its name and price, and words for whoever asks.

import { say, set, svg } from "../dom";
import { milliseconds, plural, seconds } from "../format";
import { short, type Store } from "../store";
import { explain, refresh, type Line } from "../tip";
import type { MeshNode } from "../wire";
import type { Point, Size } from "./layout";

const RING_GAP = 5;
/** In a crowd circles are smaller than this share of a letter, and only those at work carry words. */
const CROWDED = 0.9;
/** Signs of those who do not transcode: a broadcaster plays, a verifier ticks off. */
const PLAY = "M-4.5-7 7.5 0-4.5 7Z";
const CHECK = "M-7 .5-2 5.5 7-5";

export class NodeView {
  readonly element: SVGGElement;
  private readonly body = svg("rect", { class: "body" });
  private readonly track = svg("circle", { class: "ring-track" });
  private readonly ring = svg("circle", { class: "ring", pathLength: 100 });
  private readonly inside = svg("text", { class: "inside" });
  private readonly sign = svg("path", { class: "sign" });
  private readonly name = svg("text", { class: "name" });
  private readonly under = svg("text", { class: "under" });
  private node: MeshNode;

  constructor(node: MeshNode, private readonly store: Store) {
    this.node = node;
    this.element = svg(
      "g",
      { class: "node-view", tabindex: 0, role: "img" },
      this.body,
      this.track,
      this.ring,
      this.inside,
      this.sign,
      this.name,
      this.under,
    );
    explain(this.element, () => this.words());
  }

  draw(node: MeshNode, at: Point, r: number, size: Size, atWork: boolean): void {
    this.node = node;
    const works = node.roles.includes("orchestrator");
    const narrow = size.width < 30 * size.em;
    const square = !works && node.roles.includes("broadcaster");
    const [share, above] = [node.capacity ? Math.min(1, node.load / node.capacity) : 0, at.y < size.height / 2 - 4];
    this.element.style.transform = `translate(${at.x.toFixed(1)}px, ${at.y.toFixed(1)}px)`;
    set(this.element, {
      "data-self": node.self,
      "data-works": works,
      "data-avoided": node.avoidedForMs !== null,
      "data-peer": works ? this.store.colour(node.key) : null,
      "aria-label": this.words().map((line) => line.text).join(". "),
    });
    set(this.body, { x: -r, y: -r, width: 2 * r, height: 2 * r, rx: square ? r * 0.36 : r });
    const ringRadius = r + RING_GAP;
    set(this.track, { r: ringRadius, visibility: works ? "visible" : "hidden" });
    set(this.ring, { r: ringRadius, visibility: works && share > 0 ? "visible" : "hidden" });
    this.ring.style.strokeDashoffset = String(100 - share * 100);
    this.inside.style.fontSize = `${(r * 0.58).toFixed(1)}px`;
    say(this.inside, r >= CROWDED * size.em && works && node.capacity ? `${node.load}/${node.capacity}` : "");
    set(this.sign, { d: works ? null : square ? PLAY : CHECK, transform: `scale(${(r / 20).toFixed(2)})` });
    const roomForWords = r >= CROWDED * size.em || node.self || atWork;
    const roomBelow = r >= CROWDED * size.em && !(node.self && narrow);
    const offset = ringRadius + size.em * (above ? 0.55 : 1.1);
    set(this.name, { y: above ? -offset - (roomBelow ? size.em : 0) : offset });
    set(this.under, { y: above ? -offset : offset + size.em });
    say(this.name, roomForWords ? cut(node.name || short(node.peerId || node.key), narrow ? 11 : 18) : "");
    say(this.under, roomBelow ? this.price(works) : "");
    refresh(this.element);
  }

  private price(works: boolean): string {
    if (this.node.self && !works) return "this node";
    if (this.node.avoidedForMs !== null) return `avoided ${seconds(this.node.avoidedForMs / 1000)}`;
    const own = this.node.self ? "this node · " : "";
    return works ? `${own}${cut(this.node.price, 18)}` : this.node.roles[0] ?? "";
  }

  private words(): Line[] {
    const { node } = this;
    const lines: Line[] = [{ text: `${node.name || "unnamed"}${node.self ? " (this node)" : ""}`, kind: "title" }];
    lines.push({ text: [node.roles.join(", ") || "no role", node.backend].filter(Boolean).join(" · ") });
    if (node.roles.includes("orchestrator")) {
      lines.push({ text: `${node.load} of ${plural(node.capacity, "place")} in use · ${node.price || "no price"}` });
    }
    if (node.rttMs !== null && !node.self) lines.push({ text: `round trip ${milliseconds(node.rttMs)}` });
    if (node.score !== null && !node.self) lines.push({ text: `score ${node.score.toFixed(2)}` });
    if (node.avoidedForMs !== null) {
      lines.push({ text: `failed lately: avoided for ${seconds(node.avoidedForMs / 1000)}`, kind: "alarm" });
    }
    lines.push({ text: node.peerId || node.key, kind: "quiet" });
    return lines;
  }
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
