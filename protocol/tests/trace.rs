//! A scripted history of 239 transactions over 39 rounds, replayed: after every one of them all pending stakes and fees, the
//! totals, the pool, the events and the revert reasons are the contracts', to the wei; every round the whole state.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256};
use k256::ecdsa::SigningKey;
use protocol::chain::abi::Value as Arg;
use protocol::chain::bonding_manager::DelegatorStatus;
use protocol::chain::call::{Bonding, Broker, Minter, Redemption, Rounds, Token};
use protocol::chain::{Addresses, Call, Chain, Contract, Genesis, Head, Revert};
use protocol::inflation::Inflation;
use protocol::pool::Hint;
use protocol::rounds::Round;
use protocol::tickets::{Ticket, rand_hash};
use serde_json::{Value, json};

/// The two gateways, by keys of our own: whose address signs is nothing that the history hangs on.
const GATEWAYS: [(&str, [u8; 32]); 2] = [("G1", [11; 32]), ("G2", [12; 32])];

fn word(value: &Value) -> U256 {
    value.as_u64().map_or_else(|| U256::from_str_radix(value.as_str().unwrap(), 10).unwrap(), U256::from)
}

fn number(value: &Value) -> u64 {
    word(value).to()
}

struct Replay {
    chain: Chain,
    names: BTreeMap<String, Address>,
    nonce: u64,
}

impl Replay {
    fn new(trace: &Value) -> Self {
        let config = &trace["config"];
        let mut names: BTreeMap<String, Address> = trace["addresses"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, address)| (name.clone(), address.as_str().unwrap().parse().unwrap()))
            .collect();
        let addresses = Addresses::default();
        for (name, key) in GATEWAYS {
            let key = SigningKey::from_slice(&key).unwrap();
            names.insert(
                name.into(),
                Address::from_raw_public_key(&key.verifying_key().to_encoded_point(false).as_bytes()[1..]),
            );
        }
        names.insert("ZERO".into(), Address::ZERO);
        names.insert("Minter".into(), addresses.minter);
        names.insert("Treasury".into(), addresses.treasury);
        names.insert("deployer".into(), addresses.owner);
        let mut lpt: Vec<_> =
            trace["alloc"].as_object().unwrap().iter().map(|(name, n)| (names[name], word(n))).collect();
        let given = lpt.iter().fold(U256::ZERO, |sum, (_, n)| sum + n);
        lpt.push((addresses.owner, word(&config["initialSupply"]) - given));
        let genesis = Genesis {
            addresses,
            first_round: (Round(0), 0),
            round_length: number(&config["roundLength"]),
            round_lock_amount: number(&config["roundLockAmount"]),
            unbonding_period: number(&config["unbondingPeriod"]),
            num_active_transcoders: word(&config["numActiveTranscoders"]),
            inflation: Inflation {
                rate: word(&config["inflation"]),
                change: word(&config["inflationChange"]),
                target: word(&config["targetBondingRate"]),
            },
            treasury_reward_cut_rate: word(&config["treasuryRewardCutRate"]),
            treasury_balance_ceiling: word(&config["treasuryBalanceCeiling"]),
            unlock_period: number(&config["unlockPeriod"]),
            ticket_validity_period: number(&config["ticketValidityPeriod"]),
            eth: names
                .values()
                .map(|who| (*who, U256::from(1_000) * U256::from(10).pow(U256::from(18))))
                .collect(),
            lpt,
            l1_circulating_supply: word(&config["l1CirculatingSupply"]),
        };
        let genesis = Genesis {
            eth: genesis.eth.into_iter().filter(|(who, _)| *who != addresses.minter).collect(),
            ..genesis
        };
        let mut chain = Chain::new(&genesis, Head::default()).unwrap();
        for who in names.values() {
            let approve = Call::Token(Token::Approve(addresses.bonding_manager, U256::MAX));
            chain.apply(*who, U256::ZERO, approve).unwrap();
        }
        Self { chain, names, nonce: 0 }
    }

    fn who(&self, value: &Value) -> Address {
        self.names[value.as_str().unwrap().trim_start_matches('@')]
    }

    fn name(&self, address: Address) -> String {
        let known = self.names.iter().find(|(_, a)| **a == address);
        known.map_or_else(|| address.to_string(), |(name, _)| name.clone())
    }

    fn call(&mut self, step: &Value) -> Call {
        let a = &step["args"];
        let none = Hint::default();
        match step["fn"].as_str().unwrap() {
            "initializeRound" => Call::Rounds(Rounds::InitializeRound),
            "bond" => Call::Bonding(Bonding::Bond(word(&a[0]), self.who(&a[1]), none, none)),
            "bondForWithHint" => {
                Call::Bonding(Bonding::BondFor(word(&a[0]), self.who(&a[1]), self.who(&a[2]), none, none))
            }
            "unbond" => Call::Bonding(Bonding::Unbond(word(&a[0]), none)),
            "rebond" => Call::Bonding(Bonding::Rebond(word(&a[0]), none)),
            "rebondFromUnbonded" => {
                Call::Bonding(Bonding::RebondFromUnbonded(self.who(&a[0]), word(&a[1]), none))
            }
            "transferBond" => Call::Bonding(Bonding::TransferBond(self.who(&a[0]), word(&a[1]), none, none)),
            "withdrawStake" => Call::Bonding(Bonding::WithdrawStake(word(&a[0]))),
            "withdrawFees" => Call::Bonding(Bonding::WithdrawFees(self.who(&a[0]), word(&a[1]))),
            "claimEarnings" => Call::Bonding(Bonding::ClaimEarnings(word(&a[0]))),
            "transcoder" => Call::Bonding(Bonding::Transcoder(word(&a[0]), word(&a[1]), none)),
            "reward" => Call::Bonding(Bonding::Reward(none)),
            "rewardForTranscoder" => Call::Bonding(Bonding::RewardForTranscoder(self.who(&a[0]), none)),
            "setRewardCaller" => Call::Bonding(Bonding::SetRewardCaller(self.who(&a[0]))),
            "setTreasuryRewardCutRate" => Call::Bonding(Bonding::SetTreasuryRewardCutRate(word(&a[0]))),
            "setInflationChange" => Call::Minter(Minter::SetInflationChange(word(&a[0]))),
            "setTargetBondingRate" => Call::Minter(Minter::SetTargetBondingRate(word(&a[0]))),
            "fundReserve" => Call::Broker(Broker::FundReserve),
            "fundDepositAndReserve" => Call::Broker(Broker::FundDepositAndReserve(word(&a[0]), word(&a[1]))),
            "fundDepositAndReserveFor" => {
                Call::Broker(Broker::FundDepositAndReserveFor(self.who(&a[0]), word(&a[1]), word(&a[2])))
            }
            "unlock" => Call::Broker(Broker::Unlock),
            "cancelUnlock" => Call::Broker(Broker::CancelUnlock),
            "withdraw" => Call::Broker(Broker::Withdraw),
            "redeemWinningTicket" => Call::Broker(Broker::Redeem(Box::new(self.redemption(step)))),
            other => panic!("{other}"),
        }
    }

    /// The ticket of a step, signed by its gateway; with the recipient's number of the receipt, if there is one.
    fn redemption(&mut self, step: &Value) -> Redemption {
        let asked = &step["args"][0];
        let told = step["events"].as_array().unwrap().iter().find(|e| e["event"] == "WinningTicketRedeemed");
        self.nonce += 1;
        let recipient_rand = told.map_or(U256::from(self.nonce), |e| word(&e["args"]["recipientRand"]));
        let round = Round(number(&asked["creationRound"]));
        let hash = self.chain.rounds.block_hash_for_round.at(&round);
        let ticket = Ticket {
            recipient: self.who(&asked["recipient"]),
            sender: self.who(&asked["sender"]),
            face_value: word(&asked["faceValue"]),
            win_prob: U256::MAX,
            sender_nonce: U256::from(asked["senderNonce"].as_u64().unwrap()),
            recipient_rand_hash: rand_hash(recipient_rand),
            aux_data: Ticket::aux(round, hash),
        };
        let (_, key) = GATEWAYS.iter().find(|(name, _)| asked["sender"] == *name).unwrap();
        Redemption { signature: sign(key, ticket.digest()), ticket, recipient_rand }
    }

    fn apply(&mut self, step: &Value) -> Result<Vec<Value>, Revert> {
        if let Some(number) = step["block"].as_u64() {
            let told = step["events"].as_array().unwrap().iter().find(|e| e["event"] == "NewRound");
            let hash = told.map(|e| e["args"]["blockHash"].as_str().unwrap().parse::<B256>().unwrap());
            self.chain.advance(Head {
                number,
                parent_hash: hash.unwrap_or_default(),
                timestamp: number * 12,
            });
        }
        if step["fn"] == "advanceWithoutInit" {
            let rounds = number(&step["args"][0]);
            let head = self.chain.head();
            let clock = self.chain.rounds.clock();
            let number = clock.start_at(head.number).unwrap() + rounds * clock.length;
            self.chain.advance(Head { number, ..head });
            return Ok(Vec::new());
        }
        let from = self.who(&step["actor"]);
        let value = step["value"].as_str().map_or(U256::ZERO, |v| v.parse().unwrap());
        let call = self.call(step);
        let receipt = self.chain.apply(from, value, call)?;
        Ok(receipt
            .events
            .iter()
            .map(|log| {
                let args: serde_json::Map<_, _> = log
                    .event
                    .args()
                    .into_iter()
                    .map(|arg| (arg.name.to_owned(), self.show(&arg.value)))
                    .collect();
                json!({ "contract": contract(log.contract), "event": log.event.name(), "args": args })
            })
            .collect())
    }

    fn show(&self, value: &Arg) -> Value {
        match value {
            Arg::Address(address) => self.name(*address).into(),
            Arg::Uint(n) => n.to_string().into(),
            Arg::Hash(hash) => hash.to_string().into(),
            Arg::Text(text) => text.clone().into(),
            Arg::Bytes(bytes) => bytes.to_string().into(),
            Arg::List(_) => panic!("no list in this history"),
        }
    }

    fn globals(&self) -> Value {
        let (c, b, m) = (&self.chain, &self.chain.bonding, &self.chain.minter);
        let text = |n: U256| n.to_string();
        json!({
            "currentRound": c.current_round().unwrap().to_string(),
            "lastInitializedRound": c.rounds.last_initialized_round.to_string(),
            "inflation": text(*m.inflation),
            "currentMintableTokens": text(*m.current_mintable_tokens),
            "currentMintedTokens": text(*m.current_minted_tokens),
            "currentRoundTotalActiveStake": text(*b.current_round_total_active_stake),
            "nextRoundTotalActiveStake": text(*b.next_round_total_active_stake),
            "lptTotalSupply": text(*c.token.total_supply),
            "treasuryLpt": text(c.token.balances.at(&c.addresses.treasury)),
            "minterLpt": text(c.token.balances.at(&c.addresses.minter)),
            "minterEth": text(c.eth.at(&c.addresses.minter)),
            "treasuryRewardCutRate": text(*b.treasury_reward_cut_rate),
            "nextRoundTreasuryRewardCutRate": text(*b.next_round_treasury_reward_cut_rate),
            "poolSize": text(*b.transcoder_pool.size),
        })
    }

    fn delegator(&self, name: &str) -> Value {
        let (who, b) = (self.names[name], &self.chain.bonding);
        let d = b.delegators.at(&who);
        let locks: serde_json::Map<_, _> = b
            .unbonding_locks
            .iter()
            .filter(|((owner, _), _)| *owner == who)
            .map(|((_, id), lock)| {
                (id.to_string(), json!([lock.amount.to_string(), lock.withdraw_round.to_string()]))
            })
            .collect();
        let status = match b.status(who, self.chain.current_round().unwrap()) {
            DelegatorStatus::Pending => "Pending",
            DelegatorStatus::Bonded => "Bonded",
            DelegatorStatus::Unbonded => "Unbonded",
        };
        json!({
            "bondedAmount": d.bonded_amount.to_string(), "fees": d.fees.to_string(),
            "delegate": self.name(d.delegate_address), "delegatedAmount": d.delegated_amount.to_string(),
            "startRound": d.start_round.to_string(), "lastClaimRound": d.last_claim_round.to_string(),
            "nextUnbondingLockId": d.next_unbonding_lock_id.to_string(), "locks": locks, "status": status,
        })
    }

    fn transcoder(&self, name: &str) -> Value {
        let (who, b) = (self.names[name], &self.chain.bonding);
        let t = b.transcoders.at(&who);
        json!({
            "lastRewardRound": t.last_reward_round.to_string(), "rewardCut": t.reward_cut.to_string(),
            "feeShare": t.fee_share.to_string(),
            "lastActiveStakeUpdateRound": t.last_active_stake_update_round.to_string(),
            "activationRound": t.activation_round.to_string(),
            "deactivationRound": t.deactivation_round.to_word().to_string(),
            "activeCumulativeRewards": t.active_cumulative_rewards.to_string(),
            "cumulativeRewards": t.cumulative_rewards.to_string(), "cumulativeFees": t.cumulative_fees.to_string(),
            "lastFeeRound": t.last_fee_round.to_string(),
            "active": b.is_active(who, self.chain.current_round().unwrap()), "registered": b.is_registered(who),
        })
    }

    /// The whole state of a step against ours; how many values that were.
    fn compare_state(&self, state: &Value) -> usize {
        let mut values = 0;
        for (name, want) in state["delegators"].as_object().unwrap() {
            assert_eq!(&self.delegator(name), want, "delegator {name}");
            values += 9;
        }
        for (name, want) in state["transcoders"].as_object().unwrap() {
            assert_eq!(&self.transcoder(name), want, "transcoder {name}");
            values += 12;
        }
        for (name, rounds) in state["earningsPools"].as_object().unwrap() {
            for (round, want) in rounds.as_object().unwrap() {
                let pool = self.chain.bonding.earnings_pool(self.names[name], Round(round.parse().unwrap()));
                let words = [
                    pool.total_stake,
                    pool.transcoder_reward_cut,
                    pool.transcoder_fee_share,
                    pool.cumulative_reward_factor,
                    pool.cumulative_fee_factor,
                ];
                assert_eq!(json!(words.map(|w| w.to_string())), *want, "{name} in round {round}");
                values += 5;
            }
        }
        for (i, (who, key)) in self.chain.bonding.transcoder_pool.iter().enumerate() {
            assert_eq!(json!([self.name(who), key.to_string()]), state["pool"][i]);
            values += 2;
        }
        values
    }
}

fn contract(contract: Contract) -> String {
    format!("{contract:?}")
}

fn sign(key: &[u8; 32], digest: B256) -> Bytes {
    let key = SigningKey::from_slice(key).unwrap();
    let (signature, recovery) = key.sign_prehash_recoverable(digest.as_slice()).unwrap();
    [signature.to_bytes().as_slice(), &[27 + recovery.to_byte()]].concat().into()
}

/// The reason as the recording node told it.
fn told(revert: &Revert) -> String {
    match revert.panic_code() {
        Some(0x11) => "Panic due to OVERFLOW(17)".into(),
        Some(0x12) => "Panic due to DIVIDE_BY_ZERO(18)".into(),
        _ => revert.to_string(),
    }
}

#[test]
fn every_transaction_does_what_the_contracts_did() {
    let trace: Value = serde_json::from_str(include_str!("vectors/trace_scripted.json")).unwrap();
    let mut replay = Replay::new(&trace);
    let accounts: Vec<String> = trace["addresses"].as_object().unwrap().keys().cloned().collect();
    let (mut pending, mut events, mut reverts, mut globals, mut state, mut snapshots) = (0, 0, 0, 0, 0, 0);
    let steps = trace["steps"].as_array().unwrap();
    for step in steps {
        let at = format!("step {} ({})", step["i"], step["fn"]);
        let before = replay.chain.clone();
        match replay.apply(step) {
            Ok(got) => {
                assert!(step["ok"].as_bool().unwrap_or(true), "{at}: {}", step["revert"]);
                assert_eq!(json!(got), step["events"], "{at}");
                events += got.len();
            }
            Err(revert) => {
                assert_eq!(Some(told(&revert).as_str()), step["revert"].as_str(), "{at}");
                let mut before = before;
                before.advance(replay.chain.head());
                assert!(before == replay.chain, "{at} changed something");
                reverts += 1;
            }
        }
        let round = replay.chain.current_round().unwrap();
        for name in &accounts {
            let got = replay.chain.bonding.pending(replay.names[name], round).unwrap();
            let want = step["pending"].get(name).map_or([U256::ZERO; 2], |p| [word(&p[0]), word(&p[1])]);
            assert_eq!([got.stake.0, got.fees.0], want, "{at}: {name}");
            pending += 2;
        }
        assert_eq!(replay.globals(), step["globals"], "{at}");
        globals += 14;
        let pool: Vec<_> =
            replay.chain.bonding.transcoder_pool.iter().map(|(who, _)| replay.name(who)).collect();
        assert_eq!(json!(pool), step["pool"], "{at}");
        if step["state"].is_object() {
            state += replay.compare_state(&step["state"]);
            snapshots += 1;
        }
    }
    println!(
        "trace: {} transactions, {events} events, {reverts} reverts, {pending} pending values, {globals} totals, \
         {snapshots} snapshots of {state} values",
        steps.len()
    );
    assert_eq!((steps.len(), snapshots), (239, 39));
}
