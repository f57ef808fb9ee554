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

/** Lines of work for others that are listed. */
const MOST_WORK = 20;

export function streams(store: Store): void {
  const tabs = el("div", { class: "streams", role: "group", "aria-label": "Streams of this node" });
  const player = new Player();
  const facts = el("p", { class: "facts" }, "Asking the node…");
  const url = el("code", { class: "url" }, "…");
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
  const work = el("ul", { class: "work" });
  const away = el("div", { class: "empty" }, el("h2", {}, "Work for others"), work);
  const panel = byId("player");
  panel.append(tabs, stage, more); // As it will most likely be, so that nothing jumps.

  const show = (): void => {
    const state = store.state;
    if (!state) return;
    const stream = store.selectedStream();
    const parts = stream ? [tabs, stage, more] : [store.takesStreams() ? empty : away];
    if (panel.children.length !== parts.length || parts.some((part, i) => panel.children[i] !== part)) {
      panel.replaceChildren(...parts);
    }
    drawTabs(tabs, state.streams, store);
    player.show(stream);
    if (!store.takesStreams()) drawWork(work, store);
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

/** For whom this node works: one line for each stream of each broadcaster. */
function drawWork(work: HTMLElement, store: Store): void {
  const state = store.state;
  const ours = (state?.links ?? []).filter((link) => link.to === state?.node.key).slice(0, MOST_WORK);
  const lines = ours.map((link) => [
    `${store.nameOf(link.from)}, ${link.stream}`,
    plural(link.segments, "segment"),
    link.inFlight > 0 ? `${link.inFlight} in work` : "idle",
  ]);
  const text = JSON.stringify(lines);
  if (work.dataset["lines"] === text) return;
  work.dataset["lines"] = text;
  const none = el("li", {}, el("span", { class: "quiet" }, "Nobody has sent a segment yet. Broadcasters find this node by itself."));
  const items = lines.map(([who = "", made = "", now = ""]) => el("li", {}, el("b", {}, who), el("span", {}, made), el("span", { class: "quiet" }, now)));
  work.replaceChildren(...(items.length ? items : [none]));
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
