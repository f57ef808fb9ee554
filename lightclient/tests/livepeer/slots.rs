//! Every slot of the recorded state that a node reads, where the compiler put it and where our layout says that it is.

use alloy_primitives::{Address, B256};
use lightclient::livepeer::layout::{
    at, bonding_manager as bm, bonding_votes as bv, controller, data, field, minter, proxy,
    rounds_manager as rm, service_registry as sr, ticket_broker as tb,
};

use crate::genuine::{Genuine, ROUND};

#[test]
fn every_slot_is_where_the_compiler_put_it() {
    let genuine = Genuine::new();
    let mut checked = 0;
    for account in genuine.text["accounts"].as_array().unwrap() {
        let contract = account["contract"].as_str().unwrap();
        for slot in account["slots"].as_array().unwrap() {
            let Some(ours) = slot_of(&genuine, contract, slot["label"].as_str().unwrap()) else { continue };
            assert_eq!(ours.to_string(), slot["slot"].as_str().unwrap(), "{contract} {}", slot["label"]);
            checked += 1;
        }
    }
    println!("layout: {checked} slots");
    assert!(checked >= 125, "{checked}");
}

/// Our slot for a label of the recorded state; none for contracts that no node reads.
fn slot_of(genuine: &Genuine, contract: &str, label: &str) -> Option<B256> {
    let between = |open: char, close: char| {
        let start = label.find(open)? + 1;
        Some(&label[start..start + label[start..].find(close)?])
    };
    let account = || genuine.who(between('[', ']').unwrap());
    let tail = label.rsplit_once('.').map_or("", |(_, tail)| tail);
    Some(match (contract, label) {
        ("Controller", "owner+paused") => controller::OWNER_AND_PAUSED,
        ("Controller", _) => controller::registered(between('"', '"').unwrap()),
        ("LivepeerToken" | "LivepeerGovernor", _) => return None,
        (_, "controller") if contract == "Minter" => at(0),
        (_, "controller") => proxy::CONTROLLER,
        (_, "targetContractId") => proxy::TARGET_CONTRACT_ID,
        ("RoundsManager", "roundLength") => rm::ROUND_LENGTH,
        ("RoundsManager", "roundLockAmount") => rm::ROUND_LOCK_AMOUNT,
        ("RoundsManager", "lastInitializedRound") => rm::LAST_INITIALIZED_ROUND,
        ("RoundsManager", "lastRoundLengthUpdateRound") => rm::LAST_LENGTH_UPDATE_ROUND,
        ("RoundsManager", "lastRoundLengthUpdateStartBlock") => rm::LAST_LENGTH_UPDATE_START_BLOCK,
        ("RoundsManager", _) => rm::block_hash(between('[', ']').unwrap().parse().unwrap()),
        ("Minter", "inflation") => minter::INFLATION,
        ("Minter", "inflationChange") => minter::INFLATION_CHANGE,
        ("Minter", "targetBondingRate") => minter::TARGET_BONDING_RATE,
        ("Minter", "currentMintableTokens") => minter::MINTABLE,
        ("Minter", "currentMintedTokens") => minter::MINTED,
        ("TicketBroker", "unlockPeriod") => tb::UNLOCK_PERIOD,
        ("TicketBroker", "ticketValidityPeriod") => tb::TICKET_VALIDITY_PERIOD,
        ("TicketBroker", "usedTickets[redeemed]") => {
            tb::used_ticket(genuine.text["redeemedTicketHash"].as_str().unwrap().parse().unwrap())
        }
        ("TicketBroker", "usedTickets[other]") => tb::used_ticket(B256::ZERO),
        ("TicketBroker", l) if l.contains("claimedForRound") => tb::claimed_for_round(account(), ROUND),
        ("TicketBroker", l) if l.contains("claimedByAddress") => {
            tb::claimed_by(account(), ROUND, genuine.who("O1"))
        }
        ("TicketBroker", _) => match tail {
            "funds" => tb::reserve_funds(account()),
            "deposit" => tb::deposit(account()),
            "withdrawRound" => tb::withdraw_round(account()),
            other => panic!("{other}"),
        },
        ("ServiceRegistry", l) => match l.split("data word ").nth(1) {
            Some(index) => field(data(sr::uri(account())), index.parse().unwrap()),
            None => sr::uri(account()),
        },
        ("BondingVotes", "totalStakeCheckpoints.rounds.length") => bv::TOTAL_STAKE_ROUNDS,
        ("BondingVotes", "totalStakeCheckpoints.data[18]") => bv::total_stake(18),
        ("BondingVotes", l) if l.ends_with("length") => bv::start_rounds(account()),
        ("BondingVotes", l) if l.ends_with("[4]") => bv::start_round(account(), 4),
        ("BondingVotes", _) => {
            let words =
                ["bondedAmount", "delegateAddress", "delegatedAmount", "lastClaimRound", "lastRewardRound"];
            let index = words.iter().position(|word| *word == tail).unwrap();
            field(bv::checkpoint(account(), 19), index as u64)
        }
        ("BondingManager", l) => bonding_manager(l, tail, &account)?,
        other => panic!("{other:?}"),
    })
}

fn bonding_manager(label: &str, tail: &str, account: &dyn Fn() -> Address) -> Option<B256> {
    Some(match label {
        "unbondingPeriod" => bm::UNBONDING_PERIOD,
        "currentRoundTotalActiveStake" => bm::CURRENT_ROUND_ACTIVE_STAKE,
        "nextRoundTotalActiveStake" => bm::NEXT_ROUND_ACTIVE_STAKE,
        "transcoderPool.head" => bm::POOL_HEAD,
        "transcoderPool.tail" => bm::POOL_TAIL,
        "transcoderPool.maxSize" => bm::POOL_MAX_SIZE,
        "transcoderPool.size" => bm::POOL_SIZE,
        "treasuryRewardCutRate" => bm::TREASURY_CUT,
        "nextRoundTreasuryRewardCutRate" => bm::NEXT_TREASURY_CUT,
        "treasuryBalanceCeiling" => bm::TREASURY_CEILING,
        l if l.starts_with("transcoderToRewardCaller") => bm::reward_caller(account()),
        l if l.contains("earningsPoolPerRound") => earnings(bm::transcoder(account()).earnings(ROUND), tail),
        l if l.contains("unbondingLocks") && tail == "amount" => bm::delegator(account()).lock(0),
        l if l.contains("unbondingLocks") => field(bm::delegator(account()).lock(0), 1),
        l if l.starts_with("delegators") => delegator(bm::delegator(account()), tail),
        l if l.starts_with("transcoders") => transcoder(bm::transcoder(account()), tail),
        l if l.starts_with("transcoderPool.nodes") => match tail {
            "key" => bm::node(account()).key(),
            "nextId" => bm::node(account()).next(),
            "prevId" => bm::node(account()).prev(),
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    })
}

fn earnings(pool: bm::EarningsPool, field: &str) -> B256 {
    match field {
        "totalStake" => pool.total_stake(),
        "transcoderRewardCut" => pool.reward_cut(),
        "transcoderFeeShare" => pool.fee_share(),
        "cumulativeRewardFactor" => pool.reward_factor(),
        "cumulativeFeeFactor" => pool.fee_factor(),
        other => panic!("{other}"),
    }
}

fn delegator(d: bm::Delegator, field: &str) -> B256 {
    match field {
        "bondedAmount" => d.bonded(),
        "fees" => d.fees(),
        "delegateAddress" => d.delegate(),
        "delegatedAmount" => d.delegated(),
        "startRound" => d.start_round(),
        "lastClaimRound" => d.last_claim_round(),
        "nextUnbondingLockId" => d.next_lock_id(),
        other => panic!("{other}"),
    }
}

fn transcoder(t: bm::Transcoder, field: &str) -> B256 {
    match field {
        "lastRewardRound" => t.last_reward_round(),
        "rewardCut" => t.reward_cut(),
        "feeShare" => t.fee_share(),
        "lastActiveStakeUpdateRound" => t.last_stake_update_round(),
        "activationRound" => t.activation_round(),
        "deactivationRound" => t.deactivation_round(),
        "activeCumulativeRewards" => t.active_cumulative_rewards(),
        "cumulativeRewards" => t.cumulative_rewards(),
        "cumulativeFees" => t.cumulative_fees(),
        "lastFeeRound" => t.last_fee_round(),
        other => panic!("{other}"),
    }
}
