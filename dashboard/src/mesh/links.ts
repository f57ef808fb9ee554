// One line of the picture: who works for whom. Its width grows with the segments of late; a bead runs along it for each
// segment asked, and back when the renditions are here.

import { calm, say, set, svg } from "../dom";
import { bend, type Clearance, type Point } from "./layout";

/** Beads at once on one line: more would only blur. */
const MOST_BEADS = 4;
const BEAD_MS = 700;

/** How a link looks now. */
export interface LinkLook {
  from: Point;
  to: Point;
  leave: Clearance;
  arrive: Clearance;
  /** Its part of the busiest link's segments; 0 when no work flows. */
  share: number;
  busy: boolean;
  /** Round trip, in words; empty when it is not told. */
  rtt: string;
  avoided: boolean;
}

export class LinkView {
  readonly element: SVGGElement;
  private readonly path = svg("path", { class: "link" });
  private readonly label = svg("text", { class: "rtt" });
  private readonly beads = svg("g");

  constructor(peer: number | null) {
    this.element = svg("g", { class: "link-view", "data-peer": peer }, this.path, this.beads, this.label);
  }

  draw({ from, to, leave, arrive, share, busy, rtt, avoided }: LinkLook): void {
    const { path, label } = bend(from, to, leave, arrive);
    set(this.path, { d: path });
    this.path.style.strokeWidth = share > 0 ? `${(1.5 + 5.5 * share).toFixed(1)}px` : "1px";
    set(this.element, { "data-works": share > 0, "data-busy": busy, "data-avoided": avoided });
    set(this.label, { x: label.x, y: label.y });
    say(this.label, rtt);
  }

  /** A segment goes out, or its renditions come back. */
  bead(back: boolean, hedge: boolean): void {
    const path = this.path.getAttribute("d");
    if (!path || calm.matches || document.hidden || this.beads.childElementCount >= MOST_BEADS) return;
    const motion = svg("animateMotion", {
      path,
      dur: `${BEAD_MS}ms`,
      begin: "indefinite",
      fill: "freeze",
      calcMode: "spline",
      keyTimes: "0;1",
      keyPoints: back ? "1;0" : "0;1",
      keySplines: "0.4 0 0.3 1",
    });
    const bead = svg("circle", { class: "bead", r: back ? 4.5 : 3.5, "data-hedge": hedge }, motion);
    this.beads.append(bead);
    motion.beginElement();
    window.setTimeout(() => bead.remove(), BEAD_MS);
  }
}
