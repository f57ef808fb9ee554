// The list of streams, and the stage for the selected one. Without streams: how to publish.

import { byId, el, say, set } from "./dom";
import { bits, plural } from "./format";
import { Player } from "./player";
import { copyButton, publishHelp } from "./publish";
import type { Store } from "./store";
import type { StreamInfo } from "./wire";

const STATE_WORDS: Record<StreamInfo["state"], string> = {
  live: "live",
  reconnecting: "publisher gone, waiting",
  ended: "ended",
};

export function streams(store: Store): void {
  const tabs = el("div", { class: "streams", role: "group", "aria-label": "Streams of this node" });
  const player = new Player();
  const facts = el("p", { class: "facts" });
  const url = el("code", { class: "url" });
  const address = (): string => new URL(store.selectedStream()?.master || "/", location.href).href;
  const share = el(
    "div",
    { class: "copyline share" },
    el("span", {}, "Playlist"),
    url,
    copyButton(address, "the playlist's address"),
  );
  const stage = el("div", { class: "stage-body" }, player.element, facts, share);
  const more = el("details", { class: "more" }, el("summary", {}, "Publish another stream"), publishHelp());
  const empty = el("div", { class: "empty" }, el("h2", {}, "No stream yet"), publishHelp());
  const away = el(
    "div",
    { class: "empty" },
    el("h2", {}, "Work for others"),
    el("p", {}, "This node takes no streams itself; it works for those who do. The mesh shows for whom."),
  );
  const waiting = el("div", { class: "empty" }, el("p", { class: "quiet" }, "Asking the node…"));
  const panel = byId("player");
  panel.append(tabs, waiting);

  const show = (): void => {
    const state = store.state;
    if (!state) return;
    const stream = store.selectedStream();
    const takes = state.node.roles.length === 0 || state.node.roles.includes("broadcaster");
    const parts = stream ? [tabs, stage, more] : [takes ? empty : away];
    if (panel.children.length !== parts.length || parts.some((part, i) => panel.children[i] !== part)) {
      panel.replaceChildren(...parts);
    }
    drawTabs(tabs, state.streams, store);
    player.show(stream);
    if (!stream) return;
    say(facts, describe(stream));
    say(url, address());
  };
  store.on("state", show);
  store.on("selected", show);
}

function describe(stream: StreamInfo): string {
  const source = stream.source;
  if (!source) return "The first segment is not cut yet.";
  const parts = [
    `Source ${source.width} × ${source.height}`,
    `${Math.round(source.fps * 100) / 100} frames/s`,
    source.codecs,
    bits(source.bitrate),
    stream.audio ? "with sound" : "no sound",
    plural(stream.nextSeq, "segment"),
  ];
  return parts.filter(Boolean).join(" · ");
}

function drawTabs(tabs: HTMLElement, streams: StreamInfo[], store: Store): void {
  const known = new Map([...tabs.children].map((tab) => [(tab as HTMLElement).dataset["stream"], tab as HTMLElement]));
  streams.forEach((stream, i) => {
    const tab = known.get(stream.id) ?? makeTab(stream.id, store);
    known.delete(stream.id);
    set(tab, { "aria-pressed": String(stream.id === store.selected), "data-state": stream.state });
    say(tab.lastElementChild ?? tab, STATE_WORDS[stream.state]);
    if (tabs.children[i] !== tab) tabs.insertBefore(tab, tabs.children[i] ?? null);
  });
  known.forEach((tab) => tab.remove());
}

function makeTab(id: string, store: Store): HTMLElement {
  const tab = el(
    "button",
    { type: "button", class: "stream", "data-stream": id },
    el("b", {}, id),
    el("span", { class: "stream-state" }),
  );
  tab.addEventListener("click", () => store.select(id));
  return tab;
}
