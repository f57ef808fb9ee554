// The small mark beside a value: how strongly it is proven, and how old it is. A full square is confirmed, a half one pending,
// an empty one only sequenced.

import { el, set } from "../dom";
import { span } from "../format";
import { explain, type Line } from "../tip";
import type { Chain, Known } from "./wire";

const TIERS: Record<Known["tier"], string> = {
  confirmed: "proven, in a confirmed assertion",
  pending: "proven, in a pending assertion",
  sequenced: "sequenced, not proven",
};

/** Seconds since the block that the value lies in. */
export function ageSeconds(chain: Chain): number {
  return ((chain.known?.ageMs ?? 0) + Date.now() - chain.heardMs) / 1000;
}

export function tierWords(known: Known): string {
  return TIERS[known.tier];
}

/** A mark that tells its words when it is pointed at. */
export function mark(chain: () => Chain | null): { element: HTMLElement; draw(): void } {
  const element = el("button", { class: "proof", type: "button", "aria-label": "How this is known" });
  explain(element, () => words(chain()));
  return { element, draw: () => set(element, { "data-tier": chain()?.known?.tier ?? null }) };
}

function words(chain: Chain | null): Line[] {
  const known = chain?.known;
  if (!chain || !known) return [{ text: "nothing is proven yet", kind: "quiet" }];
  const strength = {
    confirmed: "Ethereum's rollup contract confirmed it",
    pending: `nobody challenged it for ${known.strength} Ethereum blocks`,
    sequenced: `${known.strength} sources say the same`,
  }[known.tier];
  return [
    { text: `${tierWords(known)}, ${span(ageSeconds(chain))} old`, kind: "title" },
    { text: strength },
    { text: `Arbitrum block ${known.l2Block}, Ethereum slot ${known.l1Slot}`, kind: "quiet" },
  ];
}
