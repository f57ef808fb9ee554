// What the node's ledger says, checked at the edge like everything else. Money stays whole wei.

import type { Alarm } from "../alarms";
import { address, amount, clean, count, fields, list, number, type Fields } from "../wire";

/** Sums from the beginning, at an instant. */
export interface Point {
  atMs: number;
  worked: bigint;
  redeemed: bigint;
}

/** What all sessions for a stream, or with somebody, come to. */
export interface Line {
  /** A stream's name, or an address; empty for everything. */
  id: string;
  /** Hex key of the node of an address, where it is known. */
  node: string;
  open: number;
  unpaid: number;
  tickets: number;
  /** Worth of the tickets: face value by probability. */
  worth: bigint;
  segments: number;
  pixels: number;
  cost: bigint;
  writtenOff: bigint;
  won: number;
  wonFace: bigint;
  redeemed: number;
  redeemedWei: bigint;
  gas: bigint;
  expired: number;
  curve: Point[];
}

export interface Side {
  all: Line;
  streams: Line[];
  counterparts: Line[];
}

export interface Payments {
  usdPerEth: number | null;
  sender: Side;
  recipient: Side;
  waiting: number;
  alarms: Alarm[];
}

const MAX_LINES = 64;
const MAX_POINTS = 240;
const MAX_ALARMS = 16;

/** Reads the answer of `/api/v1/payments`, or the data of a `payments` event. */
export function readPayments(value: unknown): Payments {
  const raw = fields(value);
  return {
    usdPerEth: number(raw["usd_per_eth"]),
    sender: side(fields(raw["sender"])),
    recipient: side(fields(raw["recipient"])),
    waiting: count(raw["waiting"]),
    alarms: list(raw["alarms"], MAX_ALARMS, (alarm) => ({
      kind: clean(alarm["kind"], 32),
      message: clean(alarm["message"], 600),
      sinceMs: null,
    })),
  };
}

function side(raw: Fields): Side {
  const of = (name: string, id: (value: unknown) => string): Line[] =>
    list(raw[name], MAX_LINES, (one) => line(fields(one["line"]), id(one["id"]), clean(one["node"], 64))).filter((one) => one.id);
  return {
    all: line(fields(raw["all"]), "", ""),
    streams: of("streams", (id) => clean(id, 64)),
    counterparts: of("counterparts", address),
  };
}

function line(raw: Fields, id: string, node: string): Line {
  const [totals, wei] = [fields(raw["totals"]), fields(raw["wei"])];
  return {
    id,
    node,
    open: count(raw["open"]),
    unpaid: count(raw["unpaid_segments"]),
    tickets: count(totals["tickets"]),
    worth: amount(wei["credited"]),
    segments: count(totals["works"]),
    pixels: count(totals["pixels"]),
    cost: amount(wei["debited"]),
    writtenOff: amount(wei["written_off"]),
    won: count(totals["won"]),
    wonFace: amount(totals["won_face"]),
    redeemed: count(totals["redeemed"]),
    redeemedWei: amount(totals["redeemed_wei"]),
    gas: amount(totals["gas"]),
    expired: count(totals["expired"]),
    curve: points(raw["curve"]),
  };
}

function points(value: unknown): Point[] {
  const all = Array.isArray(value) ? value.slice(-MAX_POINTS) : [];
  return all.filter(Array.isArray).map(([at, worked, redeemed]) => ({ atMs: count(at), worked: amount(worked), redeemed: amount(redeemed) }));
}
