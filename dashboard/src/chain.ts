// The chain as this node has proven it: the round, the pool, alarms, sources, duties. Shown only where a chain is followed.

import { alarmsView } from "./alarms";
import { dutiesView, sourcesView } from "./chain/notes";
import { membersView } from "./chain/members";
import { ageSeconds, mark, tierWords } from "./chain/proof";
import { roundView } from "./chain/round";
import { byId, el, say, set } from "./dom";
import { span } from "./format";
import type { Store } from "./store";

export function chain(store: Store): void {
  const panel = byId("chain");
  const known = (): Store["chain"] => store.chain;
  const age = el("span", { class: "panel-note" });
  const proof = mark(known);
  const parts = [alarmsView(() => store.chain?.alarms ?? []), roundView(known), membersView(known), sourcesView(known), dutiesView(known)] as const;
  const [alarms, round, members, sources, duties] = parts;
  panel.append(
    el("div", { class: "panel-head" }, el("h2", { id: "chain-title" }, "Chain"), age, proof.element),
    alarms.element,
    el(
      "div",
      { class: "chain-body" },
      el("div", { class: "chain-left" }, round.element, sources.element, duties.element),
      members.element,
    ),
  );
  const tick = (): void => {
    const now = store.chain;
    if (!now) return;
    const state = now.known ? `${tierWords(now.known)}, ${span(ageSeconds(now))} old` : "nothing is proven yet";
    say(age, `${now.network} · ${state}`);
  };
  store.on("chain", () => {
    set(panel, { hidden: false });
    parts.forEach((part) => part.draw());
    proof.draw();
    tick();
  });
  window.setInterval(tick, 1000);
}
