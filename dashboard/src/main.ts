// The page: one feed, one store, and views that draw what the store knows.

import "./style/tokens.css";
import "./style/page.css";
import "./style/stage.css";
import "./style/mesh.css";
import "./style/lanes.css";
import "./style/chain.css";
import "./style/payments.css";
import { chain } from "./chain";
import { chainNow, follow, history, paymentsNow } from "./feed";
import { header } from "./header";
import { lanes } from "./lanes";
import { mesh } from "./mesh";
import { numbers } from "./numbers";
import { payments } from "./payments";
import { Store } from "./store";
import { streams } from "./streams";

const store = new Store();
header(store);
numbers(store);
streams(store);
mesh(store);
lanes(store);
chain(store);
payments(store);
/** Segments that went by before the stream was looked at, or while the line was down. */
const recall = (): void => {
  if (store.selected && store.line === "open") void history(store.selected).then((traces) => store.fill(traces));
};
store.on("selected", recall);
store.on("line", recall);
store.on("line", (line) => {
  if (line !== "open") return;
  void chainNow().then((chain) => chain && store.setChain(chain));
  void paymentsNow().then((payments) => payments && store.setPayments(payments));
});
document.body.classList.add("ready");
follow({
  state: (state) => store.setState(state),
  chain: (chain) => store.setChain(chain),
  payments: (payments) => store.setPayments(payments),
  trace: (trace) => store.addTrace(trace),
  line: (line) => store.setLine(line),
});
