// A made-up ledger for the stand-in node: orchestrators that earn unlike amounts, winners that are redeemed now and then.

const began = Date.now();
const SEGMENT = 82_000_000_000n;
const STEP_MS = 10_000;
const POINTS = 240;
const address = (i) => `0x${(BigInt(i + 5) * 0x9e3779b97f4a7c15f39cc0605cedc8341082276bfn % 2n ** 160n).toString(16).padStart(40, "0")}`;

/** Segments of one counterpart up to a time: `pace` of ten, but for a pause. */
const segments = (pace, ms, pause = 0) => Math.max(0, Math.floor((ms / 20_000) * pace - pause));

function line(pace, i, unit) {
  const past = 18 * 60_000 + Date.now() - began;
  const count = (ms) => segments(pace, ms, i * 4);
  const works = count(past);
  const curve = [];
  for (let ms = 0; ms < past; ms += STEP_MS) curve.push([Date.now() - past + ms, worth(count(ms), unit), worth(Math.floor(count(ms) / 60) * 55, unit)]);
  const won = Math.floor(works / 50);
  const redeemed = Math.floor(works / 60);
  return {
    sessions: 1, open: 1, since_unix_ms: Date.now() - past, last_unix_ms: Date.now() - 900 * (i + 1), unpaid_segments: 0,
    totals: {
      orders: works, tickets: works * 11, works, pixels: works * 82_000_000, won, won_face: (BigInt(won) * 1_200_000_000_000_000n).toString(), redeemed,
      redeemed_wei: worth(redeemed * 55, unit), gas: (BigInt(redeemed) * 12_000_000_000_000n).toString(), lost: 0, expired: 0,
      written_off_tickets: 0,
    },
    wei: { credited: worth(works + 1, unit), debited: worth(works, unit), written_off: "0" },
    curve: curve.slice(-POINTS),
  };
}

const worth = (works, unit) => (BigInt(works) * unit).toString();

function sum(lines) {
  const add = (of, name) => lines.reduce((all, one) => all + BigInt(one[of][name]), 0n).toString();
  const count = (name) => lines.reduce((all, one) => all + one.totals[name], 0);
  const curve = lines[0].curve.map(([at], i) => [at, ...[1, 2].map((n) => lines.reduce((all, one) => all + BigInt(one.curve[i]?.[n] ?? 0), 0n).toString())]);
  const counts = Object.fromEntries(["orders", "tickets", "works", "pixels", "won", "redeemed", "lost", "expired"].map((name) => [name, count(name)]));
  return {
    ...lines[0], open: lines.length, curve,
    totals: { ...counts, won_face: add("totals", "won_face"), redeemed_wei: add("totals", "redeemed_wei"), gas: add("totals", "gas") },
    wei: { credited: add("wei", "credited"), debited: add("wei", "debited"), written_off: "0" },
  };
}

const EMPTY = { all: {}, streams: [], counterparts: [], sessions: [] };

function side(nodes, streams) {
  const lines = nodes.map((node, i) => ({ id: address(i), node: node?.key ?? null, line: line(4 - i, i, SEGMENT) }));
  const all = sum(lines.map((one) => one.line));
  return { all, streams: streams.map((id) => ({ id, node: null, line: all })), counterparts: lines, sessions: [] };
}

/** What `/api/v1/payments` says now: `workers` are paid, or `payers` pay. */
export function payments(workers, payers) {
  return {
    entries: Math.floor((Date.now() - began) / 1000),
    usd_per_eth: 2500,
    sender: workers.length ? side(workers, ["me"]) : EMPTY,
    recipient: payers.length ? side(payers, []) : EMPTY,
    waiting: payers.length ? 2 : 0,
    alarms: workers.length ? [{ kind: "deposit", message: "the deposit is 0.0021 ETH and a win pays 0.0012 ETH: fund 0.0015 ETH more" }] : [],
  };
}
