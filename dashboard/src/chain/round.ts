// The round: how far it is, what it mints, how much of the supply is staked.

import { el, say, set } from "../dom";
import { lpt, percent } from "../format";
import { mark } from "./proof";
import type { Chain, Round } from "./wire";

export function roundView(chain: () => Chain | null): { element: HTMLElement; draw(): void } {
  const number = el("strong", { class: "round-number" });
  const phase = el("span", { class: "round-phase" });
  const bar = el("progress", { class: "round-bar", max: 1, "aria-label": "Progress of the round" });
  const proof = mark(chain);
  const figures = [
    new Figure("Inflation", chain),
    new Figure("Participation", chain),
    new Figure("Stake at work", chain),
    new Figure("Minted", chain),
  ];
  const head = el("p", { class: "round-head" }, number, proof.element, phase);
  const list = el("dl", { class: "round-figures" }, ...figures.map((figure) => figure.element));
  const element = el("div", { class: "round" }, head, bar, list);
  return {
    element,
    draw: () => {
      const round = chain()?.round ?? null;
      set(element, { hidden: !round });
      if (!round) return;
      const progress = share(round);
      say(number, `Round ${round.number}`);
      say(phase, words(round, progress));
      set(bar, { value: progress.toFixed(4) });
      proof.draw();
      const target = `target ${percent(round.targetPpb / 1000, 0)}`;
      figures[0]?.draw(percent(round.inflationPpb / 1000, 4), "of the supply a round");
      figures[1]?.draw(percent(round.participationPpm), round.targetPpb ? target : "of the supply is staked");
      figures[2]?.draw(lpt(round.activeStake), "LPT");
      figures[3]?.draw(lpt(round.minted), `of ${lpt(round.mintable)} LPT this round`);
    },
  };
}

class Figure {
  private readonly value = el("span");
  private readonly note = el("span", { class: "round-note" });
  private readonly proof;
  readonly element: HTMLElement;

  constructor(title: string, chain: () => Chain | null) {
    this.proof = mark(chain);
    const value = el("dd", {}, this.value, this.proof.element);
    this.element = el("div", {}, el("dt", {}, title), value, el("dd", {}, this.note));
  }

  draw(value: string, note: string): void {
    say(this.value, value);
    say(this.note, note);
    this.proof.draw();
  }
}

function share(round: Round): number {
  const length = Math.max(1, round.endBlock - round.startBlock);
  return Math.min(1, Math.max(0, (round.blockNow - round.startBlock) / length));
}

function words(round: Round, progress: number): string {
  const left = Math.max(0, round.endBlock - round.blockNow);
  const state = [
    left ? `${Math.round(progress * 100)} %, ${left} Ethereum blocks to go` : "over; the next one is not proven yet",
    round.initialized ? "" : "not initialized yet",
    round.locked ? "locked" : "",
    round.paused ? "contracts paused" : "",
  ];
  return state.filter(Boolean).join(" · ");
}
