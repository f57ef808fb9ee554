// What the node says of the chain, checked at the edge like everything else. Amounts stay whole numbers of base units.

import type { Alarm } from "../alarms";
import { address, amount, clean, count, fields, list, number, type Fields } from "../wire";

export type Tier = "confirmed" | "pending" | "sequenced";

/** How a value is known: by what, of which block, how long ago. */
export interface Known {
  tier: Tier;
  /** Blocks that an assertion stood unchallenged, or sources that agree. */
  strength: number;
  l1Slot: number;
  l2Block: number;
  /** Milliseconds between the block and the node's sending of this. */
  ageMs: number;
}

export interface Round {
  number: number;
  initialized: boolean;
  locked: boolean;
  paused: boolean;
  startBlock: number;
  endBlock: number;
  blockNow: number;
  /** Parts per billion of the supply. */
  inflationPpb: number;
  supply: bigint | null;
  participationPpm: number | null;
  targetPpb: number;
  activeStake: bigint;
  mintable: bigint;
  minted: bigint;
}

export interface Member {
  address: string;
  stake: bigint;
  active: boolean;
  inPool: boolean;
  rewardCutPpm: number;
  feeSharePpm: number;
  serviceUri: string;
  lastRewardRound: number;
  rewarded: boolean;
}

export interface Source {
  name: string;
  standing: string;
  answers: number;
  failures: number;
  lies: number;
  lagSlots: number | null;
  latencyMs: number | null;
  lastFault: string;
}

export interface Duty {
  duty: string;
  round: number;
  outcome: string;
  words: string;
  atMs: number;
}

export interface Chain {
  network: string;
  known: Known | null;
  round: Round | null;
  members: Member[];
  poolLimit: number;
  own: string;
  alarms: Alarm[];
  sources: Source[];
  duties: Duty[];
  /** When this page heard it, by this machine's clock. */
  heardMs: number;
}

const MAX_MEMBERS = 1100;
const MAX_ALARMS = 64;
const MAX_SOURCES = 64;
const MAX_DUTIES = 32;

const rate = (value: unknown): number => Math.min(Number(amount(value)), Number.MAX_SAFE_INTEGER);

/** Reads the answer of `/api/v1/chain`, or the data of a `chain` event. */
export function readChain(value: unknown): Chain {
  const raw = fields(value);
  return {
    network: clean(raw["network"], 32),
    known: raw["known"] ? known(fields(raw["known"])) : null,
    round: raw["round"] ? round(fields(raw["round"])) : null,
    members: list(raw["members"], MAX_MEMBERS, member).filter((one) => one.address),
    poolLimit: count(raw["pool_limit"]),
    own: address(fields(raw["own"])["address"]),
    alarms: list(raw["alarms"], MAX_ALARMS, (alarm) => ({
      kind: clean(alarm["kind"], 32),
      message: clean(alarm["message"], 600),
      sinceMs: count(alarm["since_unix_ms"]),
    })),
    sources: list(raw["sources"], MAX_SOURCES, (source) => ({
      name: clean(source["name"], 80),
      standing: clean(source["standing"], 16),
      answers: count(source["answers"]),
      failures: count(source["failures"]),
      lies: count(source["lies"]),
      lagSlots: number(source["lag_slots"]),
      latencyMs: number(source["latency_ms"]),
      lastFault: clean(source["last_fault"], 300),
    })),
    duties: list(raw["duties"], MAX_DUTIES, (duty) => ({
      duty: clean(duty["duty"], 24),
      round: count(duty["round"]),
      outcome: clean(duty["outcome"], 24),
      words: clean(duty["words"], 300),
      atMs: count(duty["at_ms"]),
    })),
    heardMs: Date.now(),
  };
}

function known(raw: Fields): Known {
  const tier = raw["tier"];
  return {
    tier: tier === "confirmed" || tier === "pending" ? tier : "sequenced",
    strength: count(raw["l1_blocks"] ?? raw["agree"]),
    l1Slot: count(raw["l1_slot"]),
    l2Block: count(raw["l2_block"]),
    ageMs: count(raw["age_ms"]),
  };
}

function round(raw: Fields): Round {
  return {
    number: count(raw["number"]),
    initialized: raw["initialized"] === true,
    locked: raw["locked"] === true,
    paused: raw["paused"] === true,
    startBlock: count(raw["start_block"]),
    endBlock: count(raw["end_block"]),
    blockNow: count(raw["l1_block_now"]),
    inflationPpb: rate(raw["inflation_ppb"]),
    supply: raw["supply"] ? amount(raw["supply"]) : null,
    participationPpm: number(raw["participation_ppm"]),
    targetPpb: rate(raw["target_participation_ppb"]),
    activeStake: amount(raw["active_stake"]),
    mintable: amount(raw["mintable"]),
    minted: amount(raw["minted"]),
  };
}

function member(raw: Fields): Member {
  return {
    address: address(raw["address"]),
    stake: amount(raw["stake"]),
    active: raw["active"] === true,
    inPool: raw["in_pool"] === true,
    rewardCutPpm: count(raw["reward_cut_ppm"]),
    feeSharePpm: count(raw["fee_share_ppm"]),
    serviceUri: clean(raw["service_uri"], 120),
    lastRewardRound: count(raw["last_reward_round"]),
    rewarded: raw["rewarded"] === true,
  };
}
