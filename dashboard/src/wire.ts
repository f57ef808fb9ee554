// What the node sends, checked once at the edge: every list has a bound, every text is cleaned of control and direction
// characters, every number is finite. What comes out is trusted by the rest of the page. Peers write the names in here.

export type Role = "broadcaster" | "orchestrator" | "verifier" | (string & {});
export type StreamState = "live" | "reconnecting" | "ended";

export interface NodeInfo {
  peerId: string;
  key: string;
  name: string;
  roles: Role[];
  version: string;
  uptimeS: number;
}

export interface Source {
  width: number;
  height: number;
  fps: number;
  codecs: string;
  /** Bits per second. */
  bitrate: number;
}

export interface RenditionInfo {
  name: string;
  width: number;
  height: number;
  /** Bits per second. */
  bandwidth: number;
  segments: number;
}

export interface StreamInfo {
  id: string;
  state: StreamState;
  startedUnixMs: number;
  source: Source | null;
  audio: boolean;
  renditions: RenditionInfo[];
  nextSeq: number;
  missing: number;
  /** Path of the master playlist, on this node. */
  master: string;
  latencyMs: { p50: number; p99: number } | null;
}

export interface MeshNode {
  peerId: string;
  key: string;
  name: string;
  self: boolean;
  roles: Role[];
  rttMs: number | null;
  load: number;
  capacity: number;
  price: string;
  backend: string;
  score: number | null;
  avoidedForMs: number | null;
}

export interface MeshLink {
  from: string;
  to: string;
  stream: string;
  segments: number;
  inFlight: number;
}

export interface State {
  node: NodeInfo;
  streams: StreamInfo[];
  nodes: MeshNode[];
  links: MeshLink[];
}

export interface Ask {
  peer: string;
  why: string;
  hedge: boolean;
  askedMs: number;
  acceptedMs: number | null;
  firstRenditionMs: number | null;
  endedMs: number | null;
  outcome: string | null;
  won: boolean;
}

export interface Rung {
  name: string;
  bytes: number;
  by: string | null;
  atMs: number | null;
}

export type Outcome = "complete" | "missing" | "source_only";

/** The way of one segment; times are milliseconds after its cut. */
export interface Trace {
  stream: string;
  seq: number;
  cutUnixMs: number;
  durationMs: number;
  bytes: number;
  asks: Ask[];
  rungs: Rung[];
  latencyMs: number | null;
  outcome: Outcome | null;
}

const MAX_STREAMS = 64;
const MAX_NODES = 512;
const MAX_LINKS = 1024;
const MAX_ASKS = 12;
const MAX_RUNGS = 16;

export type Fields = Record<string, unknown>;

export const fields = (value: unknown): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};

export const list = <T>(value: unknown, max: number, one: (item: Fields) => T): T[] =>
  Array.isArray(value) ? value.slice(0, max).map((item) => one(fields(item))) : [];

/** Text without control characters and without the marks that turn the direction of writing. */
export function clean(value: unknown, max = 80): string {
  if (typeof value !== "string") return "";
  const plain = value.slice(0, max * 2).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return plain.length > max ? `${plain.slice(0, max - 1)}…` : plain;
}

export const number = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);
export const count = (value: unknown): number => Math.max(0, number(value) ?? 0);
/** Base units of money, however many. */
export const amount = (value: unknown): bigint => (typeof value === "string" && /^\d{1,78}$/.test(value) ? BigInt(value) : 0n);
/** An Ethereum address; anything else becomes empty. */
export function address(value: unknown): string {
  const text = clean(value, 42);
  return /^0x[0-9a-fA-F]{40}$/.test(text) ? text : "";
}
const roles = (value: unknown): Role[] =>
  Array.isArray(value) ? value.slice(0, 6).map((role) => clean(role, 16)).filter(Boolean) : [];

/** A path on this node; anything that would lead elsewhere becomes empty. */
function path(value: unknown): string {
  const text = clean(value, 300);
  return /^\/(?![/\\])[\w./~-]*$/.test(text) ? text : "";
}

function stream(raw: Fields): StreamInfo {
  const state = clean(raw["state"], 16);
  const latency = fields(raw["latency_ms"]);
  const [p50, p99] = [number(latency["p50"]), number(latency["p99"])];
  return {
    id: clean(raw["id"], 64),
    state: state === "live" || state === "ended" ? state : "reconnecting",
    startedUnixMs: count(raw["started_unix_ms"]),
    source: raw["source"] ? source(fields(raw["source"])) : null,
    audio: raw["audio"] === true,
    renditions: list(raw["renditions"], MAX_RUNGS, (r) => ({
      name: clean(r["name"], 32),
      width: count(r["width"]),
      height: count(r["height"]),
      bandwidth: count(r["bandwidth"]),
      segments: count(r["segments"]),
    })),
    nextSeq: count(raw["next_seq"]),
    missing: count(raw["missing"]),
    master: path(raw["master"]),
    latencyMs: p50 === null || p99 === null ? null : { p50, p99 },
  };
}

function source(raw: Fields): Source {
  return {
    width: count(raw["width"]),
    height: count(raw["height"]),
    fps: count(raw["fps"]),
    codecs: clean(raw["codecs"], 40),
    bitrate: count(raw["bitrate"]),
  };
}

function meshNode(raw: Fields): MeshNode {
  const avoided = number(raw["avoided_for_ms"]);
  return {
    peerId: clean(raw["peer_id"], 64),
    key: clean(raw["key"], 64),
    name: clean(raw["name"], 40),
    self: raw["self"] === true,
    roles: roles(raw["roles"]),
    rttMs: number(raw["rtt_ms"]),
    load: count(raw["load"]),
    capacity: count(raw["capacity"]),
    price: clean(raw["price"], 40),
    backend: clean(raw["backend"], 24),
    score: number(raw["score"]),
    avoidedForMs: avoided !== null && avoided > 0 ? avoided : null,
  };
}

/** Reads the answer of `/api/v1/state`, or the data of a `state` event. */
export function readState(value: unknown): State {
  const raw = fields(value);
  const node = fields(raw["node"]);
  const mesh = fields(raw["mesh"]);
  return {
    node: {
      peerId: clean(node["peer_id"], 64),
      key: clean(node["key"], 64),
      name: clean(node["name"], 40),
      roles: roles(node["roles"]),
      version: clean(node["version"], 24),
      uptimeS: count(node["uptime_s"]),
    },
    streams: list(raw["streams"], MAX_STREAMS, stream).filter((s) => s.id),
    nodes: list(mesh["nodes"], MAX_NODES, meshNode).filter((n) => n.key),
    links: list(mesh["links"], MAX_LINKS, (l) => ({
      from: clean(l["from"], 64),
      to: clean(l["to"], 64),
      stream: clean(l["stream"], 64),
      segments: count(l["segments"]),
      inFlight: count(l["in_flight"]),
    })),
  };
}

/** Reads the data of a `segment` event. */
export function readTrace(value: unknown): Trace {
  const raw = fields(value);
  const outcome = raw["outcome"];
  return {
    stream: clean(raw["stream"], 64),
    seq: count(raw["seq"]),
    cutUnixMs: count(raw["cut_unix_ms"]),
    durationMs: count(raw["duration_ms"]),
    bytes: count(raw["bytes"]),
    asks: list(raw["asks"], MAX_ASKS, (ask) => ({
      peer: clean(ask["peer"], 64),
      why: clean(ask["why"], 300),
      hedge: ask["hedge"] === true,
      askedMs: count(ask["asked_ms"]),
      acceptedMs: number(ask["accepted_ms"]),
      firstRenditionMs: number(ask["first_rendition_ms"]),
      endedMs: number(ask["ended_ms"]),
      outcome: typeof ask["outcome"] === "string" ? clean(ask["outcome"], 200) : null,
      won: ask["won"] === true,
    })),
    rungs: list(raw["renditions"], MAX_RUNGS, (rung) => ({
      name: clean(rung["name"], 32),
      bytes: count(rung["bytes"]),
      by: typeof rung["by"] === "string" ? clean(rung["by"], 64) : null,
      atMs: number(rung["at_ms"]),
    })),
    latencyMs: number(raw["latency_ms"]),
    outcome: outcome === "complete" || outcome === "missing" || outcome === "source_only" ? outcome : null,
  };
}
