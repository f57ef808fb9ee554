// A made-up chain for the stand-in node: rounds of two minutes that pass, rewards that arrive, an alarm, a source that lied.

const ROUND_S = 120;
const UNIT = 10n ** 18n;
const NAMES = [
  [1_931_204, 10, 50], [1_402_877, 5, 70], [903_118, 100, 0], [881_020, 12, 40], [402_551, 25, 95],
  [230_014, 0, 100], [120_400, 15, 60], [44_117, 50, 50], [9_002, 20, 50], [811, 10, 10],
];
const began = Date.now();
const address = (i) => `0x${(BigInt(i + 1) * 0x9e3779b97f4a7c15f39cc0605cedc8341082276bfn % 2n ** 160n).toString(16).padStart(40, "0")}`;
const lpt = (n) => (BigInt(n) * UNIT).toString();

/** What `/api/v1/chain` says now. */
export function chain() {
  const seconds = (Date.now() - began) / 1000 + 40;
  const number = 3512 + Math.floor(seconds / ROUND_S);
  const share = (seconds % ROUND_S) / ROUND_S;
  const now = Math.floor(share * 6377);
  const members = NAMES.map(([stake, cut, fee], i) => {
    const rewarded = share > 0.08 * (i + 1) && i !== 7;
    return {
      address: address(i), stake: lpt(stake), active: i !== 9, in_pool: true, reward_cut_ppm: cut * 10_000,
      fee_share_ppm: fee * 10_000, service_uri: i === 4 ? null : `https://orch-${i}.example:8935`,
      last_reward_round: i === 9 ? 0 : rewarded ? number : number - 1, rewarded,
    };
  });
  const at = Date.now() - 52 * 60_000 - (seconds % 30) * 1000;
  return {
    network: "mainnet",
    known: { tier: "pending", l1_blocks: 311, l1_slot: 12_345_678, l2_block: 361_204_418 + Math.floor(seconds / 30), at_unix_ms: at, read_at_unix_ms: Date.now() - 4000, age_ms: Date.now() - at },
    round: {
      number, initialized: true, locked: share > 0.9, paused: false, start_block: 22_000_000, end_block: 22_006_377,
      l1_block: 22_000_000 + Math.max(0, now - 260), l1_block_now: 22_000_000 + now, inflation_ppb: "253500", supply: lpt(44_914_200),
      participation_ppm: 481_300, target_participation_ppb: "500000000", active_stake: lpt(21_617_204), mintable: lpt(11_386), minted: lpt(Math.floor(11_386 * Math.min(1, share * 1.2))),
    },
    members,
    pool_limit: 100,
    own: { ...members[2], registered: true, caller: address(77), balance: "41000000000000000" },
    alarms: [
      { kind: "source_lied", message: "source l2#1 arb.example lied: L2 proof of 9 accounts, 214 slots at block 361204418: sent what fails a check: node 7 does not hash to what its parent says. Nothing of it was believed, and it is asked last for a day or longer", since_unix_ms: began - 7_000_000 },
    ],
    sources: [
      { name: "beacon beacon.example", standing: "good", answers: 812, failures: 3, lies: 0, lag_slots: 0, latency_ms: 92, last_fault: null },
      { name: "l1 eth.example", standing: "good", answers: 204, failures: 0, lies: 0, lag_slots: null, latency_ms: 140, last_fault: null },
      { name: "l2#1 arb.example", standing: "liar", answers: 11, failures: 0, lies: 1, lag_slots: null, latency_ms: 60, last_fault: "L2 proof: sent what fails a check" },
      { name: "l2#2 arbitrum.example", standing: "good", answers: 190, failures: 2, lies: 0, lag_slots: null, latency_ms: 210, last_fault: null },
      { name: "peer 8f3a12bc90de", standing: "resting", answers: 44, failures: 9, lies: 0, lag_slots: null, latency_ms: 31, last_fault: "no answer within 10 s" },
    ],
    duties: [
      { duty: "reward", round: 3510, outcome: "done", words: "transaction 0x5f0c…91 in block 360911022", at_ms: began - 90_000_000 },
      { duty: "reward", round: 3511, outcome: "failed", words: "only 1 of 2 endpoints answered alike", at_ms: began - 20_000_000 },
      { duty: "reward", round: 3511, outcome: "done", words: "transaction 0x88e1…0a in block 361060188", at_ms: began - 19_000_000 },
    ],
  };
}
