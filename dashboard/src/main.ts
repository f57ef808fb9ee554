// The page: one feed, one store, and views that draw what the store knows.

import "./style/tokens.css";
import "./style/page.css";
import "./style/stage.css";
import "./style/mesh.css";
import "./style/lanes.css";
import { follow } from "./feed";
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
follow({
  state: (state) => store.setState(state),
  trace: (trace) => store.addTrace(trace),
  line: (line) => store.setLine(line),
});
