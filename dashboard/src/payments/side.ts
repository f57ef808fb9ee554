// One side of the node's money: what it pays, or what it is paid. Figures, earnings as curves, and a table of who and what.

import { el, say, set } from "../dom";
import { dollars, ether, pixels, plural } from "../format";
import { short, type Store } from "../store";
import { Curves, type Series } from "./curves";
import { Table, type Row } from "./table";
import type { Line, Payments, Side } from "./wire";

/** Curves that can be told apart. */
const MOST_CURVES = 8;

interface Figure {
  title: string;
  value: string;
  note: string;
  alarm?: boolean;
}

interface View {
  element: HTMLElement;
  draw(payments: Payments): void;
}

/** What a broadcaster pays: by stream, and to whom. */
export function payingView(store: Store): View {
  const block = new Block("Paid", "What orchestrators earned here", ["Stream", "Cost so far", "Tickets", "Segments"], [
    "Orchestrator", "Earned", "Tickets", "Segments",
  ]);
  return {
    element: block.element,
    draw: (payments) => {
      const { sender, usdPerEth } = payments;
      const rows = (lines: Line[], name: (line: Line) => Row["name"]): Row[] =>
        lines.map((line) => ({
          key: line.id,
          name: name(line),
          cells: [money(line.cost, usdPerEth), String(line.tickets), String(line.segments)],
          alarm: line.unpaid > 0,
        }));
      const { all } = sender;
      block.draw(sender, [
        { title: "Tickets sent", value: String(all.tickets), note: `worth ${ether(all.worth)}` },
        { title: "Cost so far", value: ether(all.cost), note: dollars(all.cost, usdPerEth) || "of the work received" },
        { title: "Paid segments", value: String(all.segments), note: pixels(all.pixels) },
        { title: "Unpaid", value: String(all.unpaid), note: "segments", alarm: all.unpaid > 0 },
      ]);
      block.curves.draw(sender.counterparts.slice(0, MOST_CURVES).map((line) => earned(store, line)), store.now());
      block.first.draw(rows(sender.streams, (line) => ({ text: line.id })));
      block.second.draw(rows(sender.counterparts, (line) => named(store, line)));
    },
  };
}

/** What an orchestrator is paid: by whom, and what of it is in its hands. */
export function earningView(store: Store): View {
  const block = new Block("Earned", "What was earned here, and what winners brought", [], [
    "Broadcaster", "Earned", "Tickets", "Won", "Redeemed",
  ]);
  return {
    element: block.element,
    draw: (payments) => {
      const { recipient, usdPerEth, waiting } = payments;
      const { all } = recipient;
      const open = waiting > 0 ? `${waiting} wait for redemption` : "none waits for redemption";
      block.draw(recipient, [
        { title: "Tickets accepted", value: String(all.tickets), note: `worth ${ether(all.worth)}` },
        { title: "Won", value: String(all.won), note: all.won ? `face value ${ether(all.wonFace)}` : open },
        { title: "Redeemed", value: String(all.redeemed), note: all.redeemed ? money(all.redeemedWei, usdPerEth) : "nothing came yet" },
        { title: "Expired", value: String(all.expired), note: open, alarm: all.expired > 0 },
      ]);
      const redeemed = { name: "what winners brought", peer: null, points: all.curve.map((p) => ({ atMs: p.atMs, wei: p.redeemed })) };
      const curves = recipient.counterparts.slice(0, MOST_CURVES).map((line) => earned(store, line));
      block.curves.draw(all.redeemed ? [...curves, redeemed] : curves, store.now());
      block.second.draw(
        recipient.counterparts.map((line) => ({
          key: line.id,
          name: named(store, line),
          cells: [money(line.cost, usdPerEth), String(line.tickets), String(line.won), money(line.redeemedWei, usdPerEth)],
          alarm: line.unpaid > 0 || line.expired > 0,
        })),
      );
    },
  };
}

class Block {
  private readonly note = el("span", { class: "panel-note" });
  private readonly figures = Array.from({ length: 4 }, () => new Box());
  readonly curves: Curves;
  readonly first: Table;
  readonly second: Table;
  readonly element: HTMLElement;

  constructor(title: string, curve: string, streams: string[], counterparts: string[]) {
    this.curves = new Curves(curve);
    this.first = new Table(streams);
    this.second = new Table(counterparts);
    this.element = el(
      "div",
      { class: "side", "data-side": title.toLowerCase() },
      el("div", { class: "side-head" }, el("h3", {}, title), this.note),
      el("dl", { class: "side-figures" }, ...this.figures.map((box) => box.element)),
      el("div", { class: "side-body" }, this.curves.element, el("div", { class: "side-tables" }, this.first.element, this.second.element)),
    );
  }

  draw(side: Side, figures: Figure[]): void {
    set(this.element, { hidden: !isUsed(side) });
    say(this.note, side.all.open ? `${plural(side.all.open, "account")} open` : "no account is open");
    this.figures.forEach((box, i) => figures[i] && box.draw(figures[i]));
  }
}

/** Whether anything ever happened on a side. */
export function isUsed(side: Side): boolean {
  return side.counterparts.length > 0 || side.all.tickets > 0;
}

class Box {
  private readonly title = el("dt");
  private readonly value = el("dd", { class: "side-value" });
  private readonly note = el("dd", { class: "side-note" });
  readonly element = el("div", {}, this.title, this.value, this.note);

  draw(figure: Figure): void {
    say(this.title, figure.title);
    say(this.value, figure.value);
    say(this.note, figure.note);
    set(this.element, { "data-alarm": figure.alarm === true });
  }
}

function money(wei: bigint, usdPerEth: number | null): string {
  const usd = dollars(wei, usdPerEth);
  return usd ? `${ether(wei)} · ${usd}` : ether(wei);
}

function earned(store: Store, line: Line): Series {
  const { text, peer } = named(store, line);
  return { name: text, peer: peer ?? null, points: line.curve.map((p) => ({ atMs: p.atMs, wei: p.worked })) };
}

/** Who an address is to a person: its node, where the mesh knows it. */
function named(store: Store, line: Line): { text: string; peer: number; full: string } {
  const text = line.node && store.node(line.node) ? store.nameOf(line.node) : short(line.id);
  return { text, peer: store.colour(line.node || line.id), full: line.id };
}
