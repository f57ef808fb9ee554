// The pool: who has which stake, keeps which part, and has called for this round's reward. A reward that has just arrived is
// lit up for a moment.

import { el, say, set } from "../dom";
import { lpt, percent } from "../format";
import { explain } from "../tip";
import type { Chain, Member } from "./wire";

/** Rows that a page holds without a person scrolling for ever; the rest is counted. */
const ROWS = 100;

export function membersView(chain: () => Chain | null): { element: HTMLElement; draw(): void } {
  const rows = new Map<string, Row>();
  const body = el("tbody");
  const more = el("p", { class: "panel-note" });
  const heads = ["Orchestrator", "Stake, LPT", "Reward cut", "Fee share", "Last reward"];
  const head = el("thead", {}, el("tr", {}, ...heads.map((title) => el("th", { scope: "col" }, title))));
  const table = el("table", { class: "members" }, head, body);
  const element = el("div", { class: "members-frame", tabindex: "0", role: "region", "aria-label": "Orchestrators" }, table, more);
  return {
    element,
    draw: () => {
      const now = chain();
      const members = now?.members.slice(0, ROWS) ?? [];
      set(element, { hidden: members.length === 0 });
      const top = members.reduce((most, one) => (one.stake > most ? one.stake : most), 1n);
      for (const one of members) {
        const row = rows.get(one.address) ?? new Row(one.address);
        rows.set(one.address, row);
        row.draw(one, top, one.address === now?.own);
      }
      const wanted = members.map((one) => rows.get(one.address)?.element).filter((row) => row !== undefined);
      if (wanted.some((row, at) => body.children[at] !== row)) body.replaceChildren(...wanted);
      while (body.children.length > wanted.length) body.lastElementChild?.remove();
      for (const address of rows.keys()) if (!members.some((one) => one.address === address)) rows.delete(address);
      const hidden = (now?.members.length ?? 0) - members.length;
      say(more, hidden > 0 ? `and ${hidden} with less stake` : "");
    },
  };
}

class Row {
  private readonly name = el("code", { tabindex: "0" });
  private readonly stake = el("span", { class: "member-stake" });
  private readonly bar = el("meter", { min: 0, max: 1, "aria-hidden": "true" });
  private readonly cut = el("td");
  private readonly share = el("td");
  private readonly reward = el("td", { class: "member-reward" });
  private last: Member | null = null;
  readonly element: HTMLElement;

  constructor(address: string) {
    this.name.textContent = `${address.slice(0, 8)}…${address.slice(-4)}`;
    this.element = el("tr", {}, el("td", {}, this.name), el("td", {}, this.stake, this.bar), this.cut, this.share, this.reward);
    explain(this.name, () => [
      { text: address, kind: "title" },
      { text: this.last?.serviceUri || "no service address" },
      { text: standing(this.last), kind: "quiet" },
    ]);
  }

  draw(one: Member, top: bigint, own: boolean): void {
    const arrived = this.last !== null && !this.last.rewarded && one.rewarded;
    this.last = one;
    say(this.stake, lpt(one.stake));
    set(this.bar, { value: (Number((one.stake * 1000n) / top) / 1000).toFixed(3) });
    say(this.cut, percent(one.rewardCutPpm, 0));
    say(this.share, percent(one.feeSharePpm, 0));
    say(this.reward, one.rewarded ? "✓ this round" : one.lastRewardRound ? `round ${one.lastRewardRound}` : "never");
    set(this.element, { "data-own": own, "data-rewarded": one.rewarded, "data-idle": !one.active });
    if (arrived) this.light();
  }

  private light(): void {
    set(this.element, { "data-arrived": true });
    window.setTimeout(() => set(this.element, { "data-arrived": false }), 4000);
  }
}

function standing(one: Member | null): string {
  if (!one) return "";
  if (one.active) return one.inPool ? "active" : "active until the end of this round, then out of the pool";
  return one.inPool ? "active from the next round on" : "not active";
}
