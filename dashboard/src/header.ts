// Who this node is, and whether the page still hears it.

import { byId, el, say, set, svg } from "./dom";
import type { Line } from "./feed";
import { span } from "./format";
import { short, type Store } from "./store";

const LINE_WORDS: Record<Line, string> = { connecting: "connecting", open: "live", lost: "no connection, trying again" };

export function header(store: Store): void {
  const name = el("span", { class: "node-name" }, "…");
  const peer = el("code", { class: "node-peer" });
  const roles = el("ul", { class: "roles", "aria-label": "Roles" });
  const uptime = el("span", { class: "node-uptime" });
  const line = el("span", { class: "line", role: "status", "data-line": store.line }, LINE_WORDS[store.line]);
  byId("header").append(
    el("h1", { class: "wordmark" }, mark(), "livemesh"),
    el("div", { class: "node" }, name, peer, roles),
    el("div", { class: "vitals" }, uptime, line),
  );

  store.on("line", (now) => {
    say(line, LINE_WORDS[now]);
    set(line, { "data-line": now });
    document.body.classList.toggle("stale", now === "lost");
  });
  store.on("state", ({ node }) => {
    say(name, node.name || "unnamed node");
    say(peer, short(node.peerId));
    set(peer, { title: node.peerId });
    say(uptime, `up ${span(node.uptimeS)} · ${node.version}`);
    if (roles.childElementCount !== node.roles.length || roles.textContent !== node.roles.join("")) {
      roles.replaceChildren(...node.roles.map((role) => el("li", {}, role)));
    }
  });
  const title = (): void => {
    document.title = store.selected ? `${store.selected} · livemesh` : "livemesh";
  };
  store.on("selected", title);
}

function mark(): SVGElement {
  return svg(
    "svg",
    { class: "mark", viewBox: "0 0 32 32", "aria-hidden": "true" },
    svg("path", { d: "M7 16 25 6M7 16h18M7 16l18 10" }),
    svg("circle", { cx: 7, cy: 16, r: 4.4 }),
    svg("circle", { cx: 25, cy: 6, r: 3 }),
    svg("circle", { cx: 25, cy: 16, r: 3 }),
    svg("circle", { cx: 25, cy: 26, r: 3 }),
  );
}
