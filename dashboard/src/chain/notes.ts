// Where proofs of the chain come from, and what was done for the own orchestrator.

import { el, say, set } from "../dom";
import { plural } from "../format";
import { explain } from "../tip";
import type { Chain, Duty, Source } from "./wire";

/** Duties that are shown: those of the last rounds. */
const DUTIES = 6;

/** Sources, one mark each; what they did is told when pointed at. */
export function sourcesView(chain: () => Chain | null): { element: HTMLElement; draw(): void } {
  const list = el("ul", { class: "sources" });
  const element = el("div", { class: "chain-side" }, el("h3", {}, "Sources"), list);
  const seen = new Map<string, { item: HTMLElement; now: Source }>();
  return {
    element,
    draw: () => {
      const sources = chain()?.sources ?? [];
      for (const source of sources) {
        const entry = seen.get(source.name) ?? { item: sourceItem(() => seen.get(source.name)?.now ?? source), now: source };
        entry.now = source;
        seen.set(source.name, entry);
        say(entry.item, source.name);
        set(entry.item, { "data-standing": source.standing });
      }
      const items = sources.map((source) => seen.get(source.name)?.item).filter((item) => item !== undefined);
      if (items.length !== list.children.length || items.some((item, at) => list.children[at] !== item)) list.replaceChildren(...items);
      for (const name of seen.keys()) if (!sources.some((source) => source.name === name)) seen.delete(name);
    },
  };
}

function sourceItem(source: () => Source): HTMLElement {
  const item = el("li", { tabindex: "0" });
  explain(item, () => {
    const { name, standing, answers, failures, lies, lagSlots, lastFault } = source();
    const behind = lagSlots ? `, ${plural(lagSlots, "slot")} behind` : "";
    return [
      { text: name, kind: "title" },
      { text: `${standing}${behind}; ${plural(answers, "true answer")}, ${plural(failures, "failure")}` },
      ...(lies ? [{ text: plural(lies, "lie"), kind: "alarm" as const }] : []),
      ...(lastFault ? [{ text: lastFault, kind: "quiet" as const }] : []),
    ];
  });
  return item;
}

/** The last duties, newest first. */
export function dutiesView(chain: () => Chain | null): { element: HTMLElement; draw(): void } {
  const list = el("ul", { class: "duties" });
  const element = el("div", { class: "chain-side" }, el("h3", {}, "Duties"), list);
  let drawn = "";
  return {
    element,
    draw: () => {
      const duties = chain()?.duties.slice(-DUTIES).reverse() ?? [];
      const text = JSON.stringify(duties);
      set(element, { hidden: duties.length === 0 });
      if (text !== drawn) list.replaceChildren(...duties.map(dutyLine));
      drawn = text;
    },
  };
}

function dutyLine(duty: Duty): HTMLElement {
  const outcome = duty.outcome.replace(/_/g, " ");
  return el("li", { "data-outcome": duty.outcome }, el("b", {}, `${duty.duty} ${duty.round}`), ` ${outcome}: ${duty.words}`);
}
