// The choice of the rung: automatic, or one of the ladder; the one on the screen is marked. Knows names and sizes, and the
// player's level numbers; loads nothing itself.

import { el, say, set } from "./dom";
import { bits } from "./format";
import type { RenditionInfo, StreamInfo } from "./wire";

/** What the player knows of a level. */
export interface Level {
  uri: string;
  height: number;
  bitrate: number;
}

interface Offered {
  name: string;
  bandwidth: number;
  /** The player's number; -1 chooses by itself. */
  level: number;
}

const AUTO: Offered = { name: "auto", bandwidth: 0, level: -1 };

export class Rungs {
  readonly element = el("fieldset", { class: "rungs" }, el("legend", { class: "offscreen" }, "Picture quality"));
  private readonly row = el("div", { class: "rungs-row" });
  private offered: Offered[] = [];
  private known = false;
  private playing = -1;

  constructor(private readonly choose: (level: number) => void) {
    this.element.append(this.row);
    this.draw([AUTO], false);
  }

  /** Shows what the node makes, until the player has read the playlist. */
  offer(stream: StreamInfo | null): void {
    if (this.known) return;
    const rungs = ladder(stream).map((r) => ({ name: r.name, bandwidth: r.bandwidth, level: -2 }));
    this.draw([AUTO, ...rungs], false);
  }

  /** Shows what the playlist has, for choosing. */
  levels(levels: readonly Level[], stream: StreamInfo | null): void {
    this.known = true;
    const named = levels.map((level, i) => ({ name: nameOf(level, stream), bandwidth: level.bitrate, level: i }));
    this.draw([AUTO, ...named.sort((a, b) => a.bandwidth - b.bandwidth)], true);
  }

  /** Marks the level on the screen and returns its name. */
  current(level: number): string {
    this.playing = level;
    this.mark();
    return this.offered.find((rung) => rung.level === level)?.name ?? String(level);
  }

  /** The browser plays by its own means and does not say which rung. */
  unknown(): void {
    this.known = true;
    this.draw([AUTO], false);
  }

  clear(): void {
    this.known = false;
    this.playing = -1;
    this.mark();
  }

  private draw(offered: Offered[], enabled: boolean): void {
    const same = JSON.stringify(offered) === JSON.stringify(this.offered) && this.element.disabled === !enabled;
    if (same) return;
    this.offered = offered;
    this.element.disabled = !enabled;
    this.row.replaceChildren(...offered.map((rung) => this.option(rung)));
    this.mark();
  }

  private option(rung: Offered): HTMLElement {
    const input = el("input", { type: "radio", name: "rung", value: rung.name, checked: rung.level === -1 });
    input.addEventListener("change", () => this.choose(rung.level));
    const under = rung.level === -1 ? "as fits" : bits(rung.bandwidth);
    return el(
      "label",
      { class: "rung", "data-rung": rung.name },
      input,
      el("b", {}, rung.name),
      el("span", { class: "rung-rate" }, under),
      el("span", { class: "offscreen rung-now" }),
    );
  }

  private mark(): void {
    this.offered.forEach((rung, i) => {
      const label = this.row.children[i];
      if (!label) return;
      const now = rung.level >= 0 && rung.level === this.playing;
      set(label, { "data-now": now });
      say(label.lastElementChild ?? label, now ? ", on the screen now" : "");
    });
  }
}

function ladder(stream: StreamInfo | null): RenditionInfo[] {
  return [...(stream?.renditions ?? [])].sort((a, b) => a.bandwidth - b.bandwidth);
}

/** A level's name is a folder or file of its playlist's path; without one, its height. */
function nameOf(level: Level, stream: StreamInfo | null): string {
  const parts = level.uri.split(/[/?#]/).slice(-3).map((part) => part.replace(/\.m3u8$/, ""));
  const names = new Set([...(stream?.renditions ?? []).map((rendition) => rendition.name), "source"]);
  return parts.reverse().find((part) => names.has(part)) ?? (level.height ? `${level.height}p` : bits(level.bitrate));
}
