// The player: hls.js where the browser has Media Source Extensions, the browser's own HLS elsewhere. In: the selected
// stream. Out: pictures, the rungs to choose from, and how playing goes. What goes wrong is counted on the element, as
// `data-errors`, so that a test sees what a person might miss.

import type Hls from "hls.js";
import { el, say, set } from "./dom";
import { clock, seconds } from "./format";
import { Rungs } from "./rungs";
import type { StreamInfo } from "./wire";

const RETRY_MS = 2000;
/** Times that loading is taken up again where it broke off, before the playlist is read anew. */
const REVIVALS = 4;
const STATS_MS = 500;
/** Playlists hold six segments: three behind the edge leave as much to fall back as to go forward. */
const SEGMENTS_BEHIND = 3;

export class Player {
  readonly element: HTMLElement;
  private readonly video = el("video", { controls: true, playsinline: true, muted: true, autoplay: true, "aria-label": "Live video" });
  private readonly veil = el("div", { class: "veil", role: "status" });
  private readonly readings = ["Behind live", "Position", "Buffer", "Dropped"].map((title) => {
    const value = el("dd", {}, "–");
    return { value, box: el("div", {}, el("dt", {}, title), value) };
  });
  private readonly rungs = new Rungs((level) => this.choose(level));
  private stream: StreamInfo | null = null;
  private hls: Hls | null = null;
  private loading = "";
  private retry = 0;
  private revived = 0;
  private reviving = false;
  private readonly errors: Record<string, number> = {};

  constructor() {
    this.video.muted = true;
    this.element = el(
      "div",
      { class: "player", "data-level": "", "data-errors": "{}" },
      el("div", { class: "screen" }, this.video, this.veil),
      this.rungs.element,
      el("dl", { class: "readings" }, ...this.readings.map((reading) => reading.box)),
    );
    this.video.addEventListener("playing", () => this.say(""));
    this.video.addEventListener("waiting", () => this.hls && this.say("Waiting for more"));
    this.video.addEventListener("ended", () => this.say("The stream has ended"));
    this.video.addEventListener("error", () => this.count(`video:${this.video.error?.code ?? 0}`));
    window.setInterval(() => this.measure(), STATS_MS);
  }

  /** Shows a stream, or nothing; called with each new state. */
  show(stream: StreamInfo | null): void {
    const before = this.stream;
    this.stream = stream;
    // A player that begins with less behind the live edge has nothing to play while it switches.
    const enough = stream && (stream.nextSeq >= SEGMENTS_BEHIND || stream.state === "ended");
    const source = stream && enough ? stream.master : "";
    const again = before?.startedUnixMs !== stream?.startedUnixMs || (before?.state === "ended" && stream?.state !== "ended");
    if (source !== this.loading || before?.id !== stream?.id || again) {
      this.stop();
      this.loading = source;
      if (source) void this.load(source);
      else this.say(stream ? "Waiting for the first segments" : "");
    }
    this.rungs.offer(stream);
  }

  private async load(source: string): Promise<void> {
    const { default: Engine } = await import("hls.js");
    if (this.loading !== source || this.hls) return;
    if (!Engine.isSupported()) return this.loadNatively(source);
    const hls = new Engine({
      liveSyncDurationCount: SEGMENTS_BEHIND,
      liveDurationInfinity: true,
      backBufferLength: 30,
      maxBufferLength: 20,
      enableWorker: false,
    });
    this.hls = hls;
    this.say("Loading");
    hls.on(Engine.Events.MANIFEST_PARSED, (_, { levels }) => {
      this.rungs.levels(levels, this.stream);
      void this.video.play().catch(() => this.say("Press play"));
    });
    hls.on(Engine.Events.LEVEL_SWITCHED, (_, { level }) => {
      set(this.element, { "data-level": this.rungs.current(level) });
    });
    hls.on(Engine.Events.FRAG_LOADED, () => (this.revived = 0));
    hls.on(Engine.Events.ERROR, (_, error) => {
      this.count(error.details);
      if (!error.fatal) return;
      if (error.type === Engine.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
      else if (hls.levels.length > 0 && this.revived < REVIVALS) this.revive(hls);
      else this.later(source);
    });
    hls.loadSource(source);
    hls.attachMedia(this.video);
  }

  private loadNatively(source: string): void {
    if (!this.video.canPlayType("application/vnd.apple.mpegurl")) {
      this.say("This browser can play no HLS; copy the playlist's address into a player");
      return;
    }
    this.rungs.unknown();
    this.video.src = source;
    void this.video.play().catch(() => this.say("Press play"));
  }

  /** Plays on from what is buffered while the node is asked again. */
  private revive(hls: Hls): void {
    if (this.reviving) return; // Picture and sound fail one after the other.
    this.reviving = true;
    this.revived += 1;
    this.retry = window.setTimeout(() => {
      this.reviving = false;
      if (this.hls === hls) hls.startLoad();
    }, RETRY_MS);
  }

  private later(source: string): void {
    this.stop();
    this.loading = source;
    this.say(this.stream?.state === "ended" ? "The stream has ended" : "The playlist does not answer, trying again");
    this.retry = window.setTimeout(() => {
      if (this.loading === source) void this.load(source);
    }, RETRY_MS);
  }

  private stop(): void {
    window.clearTimeout(this.retry);
    this.revived = 0;
    this.reviving = false;
    this.hls?.destroy();
    this.hls = null;
    this.video.removeAttribute("src");
    this.video.load();
    this.rungs.clear();
    set(this.element, { "data-level": "" });
  }

  private choose(level: number): void {
    if (this.hls) this.hls.nextLevel = level;
  }

  private measure(): void {
    const { video, hls } = this;
    const ahead = bufferAhead(video);
    const behind = hls && Number.isFinite(hls.latency) && hls.latency > 0 ? seconds(hls.latency) : "–";
    const quality = video.getVideoPlaybackQuality?.();
    const values = [
      behind,
      video.readyState ? clock(video.currentTime) : "–",
      video.readyState ? seconds(ahead) : "–",
      quality?.totalVideoFrames ? `${quality.droppedVideoFrames} of ${quality.totalVideoFrames}` : "–",
    ];
    this.readings.forEach(({ value }, i) => say(value, values[i] ?? "–"));
  }

  private count(error: string): void {
    this.errors[error] = (this.errors[error] ?? 0) + 1;
    set(this.element, { "data-errors": JSON.stringify(this.errors) });
  }

  private say(words: string): void {
    say(this.veil, words);
    this.veil.hidden = words === "";
  }
}

/** Seconds that can be played from here without another byte. */
function bufferAhead(video: HTMLVideoElement): number {
  for (let i = 0; i < video.buffered.length; i++) {
    const [start, end] = [video.buffered.start(i), video.buffered.end(i)];
    if (start - 0.1 <= video.currentTime && video.currentTime <= end) return end - video.currentTime;
  }
  return 0;
}
