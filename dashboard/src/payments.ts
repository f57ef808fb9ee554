// The node's money by its own ledger: what it pays, what it is paid, alarms. Shown only where a ledger is kept and was used.

import { alarmsView } from "./alarms";
import { byId, el, say, set } from "./dom";
import { dollars } from "./format";
import { earningView, isUsed, payingView } from "./payments/side";
import type { Store } from "./store";

export function payments(store: Store): void {
  const panel = byId("payments");
  const note = el("span", { class: "panel-note" });
  const alarms = alarmsView(() => store.payments?.alarms ?? []);
  const sides = [payingView(store), earningView(store)];
  panel.append(
    el("div", { class: "panel-head" }, el("h2", { id: "payments-title" }, "Payments"), note),
    alarms.element,
    el("div", { class: "sides" }, ...sides.map((side) => side.element)),
  );
  const draw = (): void => {
    const now = store.payments;
    if (!now) return;
    set(panel, { hidden: !isUsed(now.sender) && !isUsed(now.recipient) && now.alarms.length === 0 });
    say(note, now.usdPerEth === null ? "by the ledger of this node" : `by the ledger of this node · an ether at ${dollars(10n ** 18n, now.usdPerEth)}`);
    alarms.draw();
    sides.forEach((side) => side.draw(now));
  };
  store.on("payments", draw);
  // Curves go on to now while nothing is earned.
  window.setInterval(draw, 5000);
}
