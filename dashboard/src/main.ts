// The page: one feed, one store, and views that draw what the store knows.

import "./style/tokens.css";
import "./style/page.css";
import "./style/stage.css";
import "./style/mesh.css";
import "./style/lanes.css";
import "./style/chain.css";
import { chain } from "./chain";
import { chainNow, follow, history } from "./feed";
import { header } from "./header";
import { lanes } from "./lanes";
import { mesh } from "./mesh";
import { numbers } from "./numbers";
import { Store } from "./store";
import { streams } from "./streams";

const store = new Store();
header(store);
numbers(store);
streams(store);
mesh(store);
lanes(store);
chain(store);
/** Segments that went by before the stream was looked at, or while the line was down. */
const recall = (): void => {
  if (store.selected && store.line === "open") void history(store.selected).then((traces) => store.fill(traces));
};
store.on("selected", recall);
store.on("line", recall);
store.on("line", (line) => {
  if (line === "open") void chainNow().then((chain) => chain && store.setChain(chain));
});
document.body.classList.add("ready");
follow({
  state: (state) => store.setState(state),
  chain: (chain) => store.setChain(chain),
  trace: (trace) => store.addTrace(trace),
  line: (line) => store.setLine(line),
});
