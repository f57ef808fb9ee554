// What the page knows: the last state, the last traces, which stream is looked at. Views subscribe and never write, except
// for the choice of the stream. Knows no element of the page.

import type { Chain } from "./chain/wire";
import type { Line } from "./feed";
import type { Payments } from "./payments/wire";
import type { MeshNode, State, StreamInfo, Trace } from "./wire";

/** Enough for a p99; at two seconds a segment, about seven minutes. */
const TRACES_KEPT = 200;
const STREAMS_KEPT = 64;
/** Colours that stand for orchestrators, `--peer-0` to `--peer-7`. */
const PEER_COLOURS = 8;

interface Listeners {
  state: ((state: State) => void)[];
  chain: ((chain: Chain, before: Chain | null) => void)[];
  payments: ((payments: Payments) => void)[];
  trace: ((trace: Trace, before: Trace | undefined) => void)[];
  selected: ((stream: string | null) => void)[];
  line: ((line: Line) => void)[];
}

export class Store {
  state: State | null = null;
  chain: Chain | null = null;
  payments: Payments | null = null;
  line: Line = "connecting";
  selected: string | null = null;
  /** This machine's clock minus the node's, at most; milliseconds. */
  clockAhead = 0;
  private clockKnown = false;
  private chosen = false;
  private readonly traces = new Map<string, Map<number, Trace>>();
  private readonly colours = new Map<string, number>();
  private readonly listeners: Listeners = { state: [], chain: [], payments: [], trace: [], selected: [], line: [] };

  on<K extends keyof Listeners>(kind: K, listener: Listeners[K][number]): void {
    (this.listeners[kind] as (typeof listener)[]).push(listener);
  }

  setLine(line: Line): void {
    if (line === this.line) return;
    this.line = line;
    this.listeners.line.forEach((tell) => tell(line));
  }

  setState(state: State): void {
    this.state = state;
    const busiest = state.nodes.filter((node) => node.roles.includes("orchestrator"));
    busiest.map((node) => node.key).sort().forEach((key) => this.colour(key));
    this.listeners.state.forEach((tell) => tell(state));
    this.keepSelection(state.streams);
  }

  setChain(chain: Chain): void {
    const before = this.chain;
    this.chain = chain;
    this.listeners.chain.forEach((tell) => tell(chain, before));
  }

  setPayments(payments: Payments): void {
    this.payments = payments;
    this.listeners.payments.forEach((tell) => tell(payments));
  }

  addTrace(trace: Trace): void {
    if (!trace.stream) return;
    this.learnClock(trace);
    const seen = this.traces.get(trace.stream) ?? new Map<number, Trace>();
    this.traces.set(trace.stream, seen);
    const before = seen.get(trace.seq);
    seen.set(trace.seq, trace);
    if (seen.size > TRACES_KEPT) seen.delete(oldest(seen));
    if (this.traces.size > STREAMS_KEPT) this.traces.delete([...this.traces.keys()][0] ?? "");
    const same = before?.cutUnixMs === trace.cutUnixMs ? before : undefined;
    this.listeners.trace.forEach((tell) => tell(trace, same));
  }

  /** Adds what happened before the page listened; never over something newer. */
  fill(traces: Trace[]): void {
    for (const trace of traces) {
      const known = this.traces.get(trace.stream)?.get(trace.seq);
      const newer = known && (known.cutUnixMs > trace.cutUnixMs || known.outcome !== null || trace.outcome === null);
      if (!newer) this.addTrace(trace);
    }
  }

  /** A person chose a stream; `keepSelection` chooses only until then. */
  select(stream: string): void {
    this.chosen = true;
    this.setSelected(stream);
  }

  selectedStream(): StreamInfo | null {
    return this.state?.streams.find((stream) => stream.id === this.selected) ?? null;
  }

  /** Whether this node takes streams, or works for those who do. */
  takesStreams(): boolean {
    const state = this.state;
    return !state || state.streams.length > 0 || state.node.roles.length === 0 || state.node.roles.includes("broadcaster");
  }

  /** The traces of the selected stream, newest first. */
  recent(max = TRACES_KEPT): Trace[] {
    const all = [...(this.traces.get(this.selected ?? "")?.values() ?? [])];
    return all.sort((a, b) => b.cutUnixMs - a.cutUnixMs || b.seq - a.seq).slice(0, max);
  }

  node(key: string): MeshNode | undefined {
    return this.state?.nodes.find((node) => node.key === key);
  }

  /** What a person calls a peer. */
  nameOf(key: string): string {
    const node = this.node(key);
    return node?.name || short(node?.peerId || key);
  }

  /** The number of a peer's colour, the same for as long as the page lives. */
  colour(key: string): number {
    const known = this.colours.get(key);
    if (known !== undefined) return known;
    const next = this.colours.size % PEER_COLOURS;
    if (this.colours.size < 4096) this.colours.set(key, next);
    return next;
  }

  /** Now, by the node's clock, as well as the events tell. */
  now(): number {
    return Date.now() - this.clockAhead;
  }

  private learnClock(trace: Trace): void {
    const times = trace.asks.flatMap((a) => [a.askedMs, a.acceptedMs ?? 0, a.firstRenditionMs ?? 0, a.endedMs ?? 0]);
    const behind = Date.now() - (trace.cutUnixMs + Math.max(0, trace.latencyMs ?? 0, ...times));
    this.clockAhead = this.clockKnown ? Math.min(this.clockAhead, behind) : behind;
    this.clockKnown = true;
  }

  private keepSelection(streams: StreamInfo[]): void {
    const current = streams.find((stream) => stream.id === this.selected);
    if (current && (this.chosen || current.state === "live")) return;
    const best = streams.find((stream) => stream.state === "live") ?? current ?? streams[0];
    if (!current) this.chosen = false;
    this.setSelected(best?.id ?? null);
  }

  private setSelected(stream: string | null): void {
    if (stream === this.selected) return;
    this.selected = stream;
    this.listeners.selected.forEach((tell) => tell(stream));
  }
}

function oldest(traces: Map<number, Trace>): number {
  let found: Trace | undefined;
  for (const trace of traces.values()) if (!found || trace.cutUnixMs < found.cutUnixMs) found = trace;
  return found?.seq ?? 0;
}

/** The end of an identity: PeerIds of one key type all begin alike. */
export function short(id: string): string {
  return id.length > 14 ? `…${id.slice(-6)}` : id;
}
