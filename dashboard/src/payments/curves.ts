// Sums over time as lines: who earned how much since when. A line is flat while nothing happens, so each goes on to now.

import { el, say, set, svg } from "../dom";
import { ether, span } from "../format";
import { explain, refresh } from "../tip";

export interface Series {
  name: string;
  /** Number of a peer's colour; none is drawn in ink, dashed. */
  peer: number | null;
  points: { atMs: number; wei: bigint }[];
}

const WIDTH = 600;
const HEIGHT = 120;

export class Curves {
  private readonly lines = svg("g");
  private readonly area = svg("svg", { class: "curves-area", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", tabindex: 0, role: "img" }, this.lines);
  private readonly top = el("span", { class: "curves-top" });
  private readonly from = el("span");
  private readonly key = el("span");
  private series: Series[] = [];
  readonly element = el("figure", { class: "curves" }, this.top, this.area, el("figcaption", {}, this.from, this.key, el("span", {}, "now")));

  constructor(private readonly title: string) {
    explain(this.area, () => [
      { text: title, kind: "title" },
      ...this.series.map((one) => ({ text: `${one.name}: ${ether(last(one))}`, ...(one.peer === null ? {} : { peer: one.peer }) })),
    ]);
  }

  draw(series: Series[], nowMs: number): void {
    this.series = series.filter((one) => one.points.length > 0);
    const begin = this.series.reduce((min, one) => Math.min(min, one.points[0]?.atMs ?? min), nowMs);
    const most = this.series.reduce((max, one) => (last(one) > max ? last(one) : max), 0n);
    set(this.element, { hidden: this.series.length === 0 });
    set(this.area, { "aria-label": `${this.title}: ${this.series.map((one) => `${one.name} ${ether(last(one))}`).join(", ")}` });
    say(this.top, ether(most));
    say(this.from, `${span((nowMs - begin) / 1000)} ago`);
    say(this.key, this.series.filter((one) => one.peer === null).map((one) => `dashed: ${one.name}`).join(", "));
    const lines = this.series.map((one) => this.line(one, begin, Math.max(nowMs, begin + 1), most));
    this.lines.replaceChildren(...lines);
    refresh(this.area);
  }

  private line(one: Series, begin: number, end: number, most: bigint): SVGElement {
    const x = (atMs: number): number => ((Math.min(atMs, end) - begin) / (end - begin)) * WIDTH;
    const y = (wei: bigint): number => HEIGHT - 2 - (most > 0n ? Number((wei * 10_000n) / most) / 10_000 : 0) * (HEIGHT - 4);
    const path = [...one.points, { atMs: end, wei: last(one) }].map((point) => `${x(point.atMs).toFixed(1)},${y(point.wei).toFixed(1)}`);
    return svg("polyline", { points: path.join(" "), "data-peer": one.peer });
  }
}

function last(one: Series): bigint {
  return one.points[one.points.length - 1]?.wei ?? 0n;
}
