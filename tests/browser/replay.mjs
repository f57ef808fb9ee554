// A stand-in for a node, for looking at the page while it is built: serves dashboard/dist, a made-up mesh with its events,
// and a real HLS ladder that the ffmpeg program makes live from generated video.
//
//   node tests/browser/replay.mjs [--port 8099] [--scene live|empty|orchestrator|both|crowd]

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { chain } from "./chain.mjs";
import { payments } from "./payments.mjs";

const { values: args } = parseArgs({
  options: { port: { type: "string", default: "8099" }, scene: { type: "string", default: "live" } },
});
const scene = args.scene;
const dist = fileURLToPath(new URL("../../dashboard/dist/", import.meta.url));
const media = mkdtempSync(join(tmpdir(), "livemesh-replay-"));
const began = Date.now();
const SEGMENT_MS = 2000;
const LADDER = [
  { name: "240p", width: 426, height: 240, bandwidth: 262_000 },
  { name: "360p", width: 640, height: 360, bandwidth: 815_000 },
  { name: "source", width: 854, height: 480, bandwidth: 1_420_000 },
];

const key = (name) => createHash("sha256").update(name).digest("hex");
const node = (name, roles, more = {}) => ({
  peer_id: `12D3KooW${key(name).slice(0, 44)}`,
  key: key(name),
  name,
  self: false,
  roles,
  rtt_ms: null,
  load: 0,
  capacity: 0,
  price: "free",
  backend: "",
  score: null,
  avoided_for_ms: null,
  ...more,
});

function makeMesh() {
  const isWorker = scene === "orchestrator";
  const self = node(isWorker ? "anvil" : "harbour", [isWorker ? "orchestrator" : "broadcaster"], {
    self: true,
    ...(isWorker ? { capacity: 4, load: 2, backend: "cpu" } : {}),
  });
  const others = [
    node("birch", ["orchestrator"], { rtt_ms: 0.4, capacity: 4, backend: "cpu", score: 0.97 }),
    node("cedar", ["orchestrator"], { rtt_ms: 12.6, capacity: 8, price: "40 wei/pixel", backend: "nvidia full", score: 0.99 }),
    node("<img src=x onerror=alert(1)>\u202edrawkcab", ["orchestrator"], { rtt_ms: 48.2, capacity: 2, backend: "cpu", score: 0.71 }),
    node("elder", ["orchestrator"], { rtt_ms: 96, capacity: 4, price: "12 wei/pixel", backend: "cpu", score: 0.2, avoided_for_ms: 21_000 }),
    node("witness", ["verifier"], { rtt_ms: 31 }),
  ];
  if (isWorker) others.push(node("harbour", ["broadcaster"], { rtt_ms: 8.1 }));
  if (scene === "crowd") {
    for (let i = 0; i < 34; i++) {
      others.push(node(`orch-${i}`, ["orchestrator"], { rtt_ms: 2 + i * 3, capacity: 4, load: i % 5, backend: "cpu", score: 0.9 }));
    }
  }
  return [self, ...(scene === "empty" ? [] : others)];
}

const nodes = makeMesh();
const self = nodes[0];
const workers = nodes.filter((n) => (!n.self || scene === "orchestrator") && n.roles.includes("orchestrator") && n.avoided_for_ms === null);
/** Who is paid and who pays; the strangers among them are known by their address only. */
const money = () => payments(scene === "orchestrator" ? [] : workers.slice(0, 3), scene === "live" || scene === "crowd" ? [] : [null, null]);
const done = new Map();
let nextSeq = 0;
let missing = 0;

function state() {
  const streaming = scene !== "empty" && scene !== "orchestrator";
  const from = scene === "orchestrator" ? nodes.find((n) => n.name === "harbour") : self;
  const links = [...done].map(([to, count]) => ({
    from: from.key, to, stream: "me", segments: count, in_flight: nodes.find((n) => n.key === to)?.load ? 1 : 0,
  }));
  const stream = {
    id: "me",
    state: "live",
    started_unix_ms: began,
    source: nextSeq ? { width: 854, height: 480, fps: 30, codecs: "avc1.64001f", bitrate: 1_400_000 } : null,
    audio: true,
    renditions: LADDER.map((r) => ({ ...r, segments: nextSeq })),
    next_seq: nextSeq,
    missing,
    master: "/live/me/master.m3u8",
    latency_ms: nextSeq > 3 ? { p50: 742, p99: 1630 } : null,
  };
  const studio = { ...stream, id: "studio-b", state: "reconnecting", next_seq: 0, source: null, missing: 0, latency_ms: null };
  return {
    node: {
      peer_id: self.peer_id, key: self.key, name: self.name, roles: self.roles, version: "0.1.0",
      uptime_s: 7384 + Math.round((Date.now() - began) / 1000),
    },
    streams: streaming ? [stream, studio] : [],
    mesh: { nodes, links },
  };
}

const listeners = new Set();
const send = (event, value) => {
  for (const response of listeners) response.write(`event: ${event}\ndata: ${JSON.stringify(value)}\n\n`);
};

function segment(cut = Date.now(), quiet = false) {
  const seq = nextSeq++;
  const pick = workers[Math.floor(Math.random() * Math.min(4, workers.length))];
  const kind = seq % 11 === 7 ? "hedged" : seq % 29 === 13 ? "lost" : seq % 17 === 5 ? "declined" : "plain";
  const [accept, first] = [6 + pick.rtt_ms, 190 + Math.random() * 260];
  const end = first + 180 + Math.random() * 380;
  const trace = {
    stream: "me", seq, cut_unix_ms: cut, duration_ms: SEGMENT_MS, bytes: 340_000 + Math.floor(Math.random() * 40_000),
    asks: [], renditions: LADDER.slice(0, 2).map((r) => ({ name: r.name, bytes: 0, by: null, at_ms: null })),
    latency_ms: null, outcome: null,
  };
  const ask = (peer, hedge, at) => {
    const made = {
      peer: peer.key, hedge, asked_ms: at, accepted_ms: null, first_rendition_ms: null, ended_ms: null, outcome: null, won: false,
      why: `drawn: ${peer.name} and ${workers[0].name}; lower expected time ${Math.round(end)} ms against ${Math.round(end * 1.3)} ms`,
    };
    trace.asks.push(made);
    peer.load = Math.min(peer.capacity, peer.load + 1);
    return made;
  };
  const finish = (made, peer, words, won) => {
    Object.assign(made, { outcome: words, won });
    peer.load = Math.max(0, peer.load - 1);
    if (won) done.set(peer.key, (done.get(peer.key) ?? 0) + 1);
  };
  const deliver = (made, peer, from, to) => [
    [from, () => { made.first_rendition_ms = from; trace.renditions[0] = { ...trace.renditions[0], bytes: 61_000, by: peer.key, at_ms: from }; }],
    [to, () => {
      made.ended_ms = to;
      trace.renditions = trace.renditions.map((r) => (r.at_ms ? r : { ...r, bytes: 200_000, by: peer.key, at_ms: to }));
      finish(made, peer, "all renditions valid", true);
      trace.latency_ms = to + 4;
      trace.outcome = "complete";
    }],
  ];
  const other = workers[(workers.indexOf(pick) + 1) % workers.length];
  const a = [];
  const b = [];
  const steps = [[3, () => a.push(ask(pick, false, 3))]];
  if (kind === "declined") {
    steps.push([3 + accept, () => { a[0].ended_ms = 3 + accept; finish(a[0], pick, "declined: busy, free again in about 400 ms", false); b.push(ask(other, false, 4 + accept)); }]);
    steps.push([14 + accept, () => (b[0].accepted_ms = 14 + accept)]);
    steps.push([end - 20, () => deliver(b[0], other, end - 20, end + 90)[0][1]()], [end + 90, () => deliver(b[0], other, end - 20, end + 90)[1][1]()]);
  } else {
    steps.push([3 + accept, () => (a[0].accepted_ms = 3 + accept)]);
    if (kind === "plain") {
      steps.push([first, () => deliver(a[0], pick, first, end)[0][1]()], [end, () => deliver(a[0], pick, first, end)[1][1]()]);
    } else {
      steps.push([820, () => b.push(ask(other, true, 820))], [850, () => (b[0].accepted_ms = 850)]);
      if (kind === "hedged") {
        steps.push([1210, () => deliver(b[0], other, 1210, 1420)[0][1]()], [1420, () => {
          deliver(b[0], other, 1210, 1420)[1][1]();
          a[0].ended_ms = 1420;
          finish(a[0], pick, "cancelled: another answer came first", false);
        }]);
      } else {
        steps.push([1900, () => {
          a[0].ended_ms = 1240; b[0].ended_ms = 1880;
          finish(a[0], pick, "connection lost", false); finish(b[0], other, "the orchestrator failed: worker crashed", false);
          trace.outcome = "missing"; trace.latency_ms = 1900; missing += 1;
        }]);
      }
    }
  }
  for (const [ms, act] of steps) {
    const go = () => { act(); send("segment", trace); };
    if (quiet) go();
    else setTimeout(go, ms);
  }
  history.push(trace);
  if (history.length > 60) history.shift();
}

const history = [];
const streaming = scene !== "empty";
const ffmpeg = streaming && scene !== "orchestrator" ? startMedia() : null;
if (streaming) {
  for (let i = 36; i > 0; i--) segment(Date.now() - i * SEGMENT_MS, true);
  setInterval(() => segment(), SEGMENT_MS);
}
setInterval(() => send("state", state()), 1000);
if (streaming) setInterval(() => send("chain", chain()), 1000);
if (streaming) setInterval(() => send("payments", money()), 1000);

function startMedia() {
  const variants = LADDER.map((r, i) => [
    `-map`, `0:v`, `-s:v:${i}`, `${r.width}x${r.height}`, `-b:v:${i}`, String(r.bandwidth), `-maxrate:v:${i}`, String(r.bandwidth), `-bufsize:v:${i}`, String(r.bandwidth * 2),
  ]).flat();
  const map = LADDER.map((r, i) => `v:${i},agroup:audio,name:${r.name}`).join(" ") + " a:0,agroup:audio,name:audio,default:yes";
  return spawn("ffmpeg", [
    "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=854x480:rate=30", "-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000",
    ...variants, "-map", "1:a", "-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-pix_fmt", "yuv420p",
    "-c:a", "aac", "-b:a", "96k", "-f", "hls", "-hls_time", "2", "-hls_list_size", "6", "-hls_segment_type", "fmp4", "-hls_flags", "delete_segments+independent_segments",
    "-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", join(media, "%v/%d.m4s"), "-master_pl_name", "master.m3u8", "-var_stream_map", map, join(media, "%v/index.m3u8"),
  ], { stdio: ["ignore", "inherit", "inherit"] });
}

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".m3u8": "application/vnd.apple.mpegurl", ".m4s": "video/iso.segment", ".mp4": "video/mp4" };

async function file(response, root, path) {
  const inside = normalize(`/${path}`);
  try {
    const body = await readFile(join(root, inside));
    response.writeHead(200, { "content-type": TYPES[extname(inside)] ?? "application/octet-stream", "cache-control": "no-store" }).end(body);
  } catch {
    response.writeHead(404).end("not here\n");
  }
}

createServer((request, response) => {
  const path = new URL(request.url, "http://localhost").pathname;
  if (path === "/api/v1/state") return response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(state()));
  if (path === "/api/v1/chain" && streaming) return response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(chain()));
  if (path === "/api/v1/payments" && streaming) return response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(money()));
  if (path === "/api/v1/events") {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    listeners.add(response);
    request.on("close", () => listeners.delete(response));
    response.write(`event: state\ndata: ${JSON.stringify(state())}\n\n`);
    return;
  }
  if (path === "/api/v1/streams/me/explain") return response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(history));
  if (path.startsWith("/live/me/")) return void file(response, media, path.slice("/live/me/".length));
  void file(response, dist, path === "/" ? "index.html" : path);
}).listen(Number(args.port), "127.0.0.1", () => console.log(`http://127.0.0.1:${args.port}/`));

const stop = () => {
  ffmpeg?.kill("SIGKILL");
  rmSync(media, { recursive: true, force: true });
  process.exit(0);
};
process.on("SIGINT", stop);
process.on("SIGTERM", stop);
