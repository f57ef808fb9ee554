//! What the contracts promise, one claim a test: governance from proposal to payment, polls, slashing, what a pause stops,
//! and that everything is encoded as the contracts encode it.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use protocol::chain::abi::{Value as Abi, call, decode};
use protocol::chain::call::{Action, Bonding, Broker, Governor, Minter, Polls, Rounds, Token};
use protocol::chain::governor::{ProposalState, proposal_id};
use protocol::chain::polls::POLL_PERIOD;
use protocol::chain::{Call, Chain, Contract, Event, Genesis, Head, Receipt, Revert};
use protocol::pool::Hint;
use protocol::rounds::Round;
use serde_json::Value;

const LENGTH: u64 = 100;
const ORCHESTRATOR: Address = Address::repeat_byte(1);
const RIVAL: Address = Address::repeat_byte(2);
const DELEGATOR: Address = Address::repeat_byte(3);
const STRANGER: Address = Address::repeat_byte(4);

fn lpt(n: u64) -> U256 {
    U256::from(n) * U256::from(10).pow(U256::from(18))
}

/// Two orchestrators and a delegator of the first, active in round 2.
struct World(Chain);

impl World {
    fn new() -> Self {
        Self::with(Genesis::default())
    }

    fn with(genesis: Genesis) -> Self {
        let holders = [ORCHESTRATOR, RIVAL, DELEGATOR, STRANGER];
        let genesis = Genesis {
            round_length: LENGTH,
            lpt: holders.iter().map(|who| (*who, lpt(1_000))).collect(),
            eth: holders.iter().map(|who| (*who, lpt(10))).collect(),
            ..genesis
        };
        let mut world = Self(Chain::new(&genesis, Head::default()).unwrap());
        world.round(1);
        for (who, to, stake) in
            [(ORCHESTRATOR, ORCHESTRATOR, 600), (RIVAL, RIVAL, 300), (DELEGATOR, ORCHESTRATOR, 100)]
        {
            let spender = world.0.addresses.bonding_manager;
            world.ok(who, Call::Token(Token::Approve(spender, U256::MAX)));
            world.ok(who, Call::Bonding(Bonding::Bond(lpt(stake), to, Hint::default(), Hint::default())));
        }
        world.round(2);
        world
    }

    fn round(&mut self, round: u64) {
        let head =
            Head { number: round * LENGTH, parent_hash: B256::repeat_byte(9), timestamp: round * 1_200 };
        self.0.advance(head);
        self.ok(STRANGER, Call::Rounds(Rounds::InitializeRound));
    }

    fn try_to(&mut self, from: Address, call: Call) -> Result<Receipt, Revert> {
        self.0.apply(from, U256::ZERO, call)
    }

    fn ok(&mut self, from: Address, call: Call) -> Vec<Event> {
        self.try_to(from, call).unwrap().events.into_iter().map(|log| log.event).collect()
    }

    fn no(&mut self, from: Address, call: Call) -> String {
        self.try_to(from, call).unwrap_err().to_string()
    }

    /// A treasury with rewards in it, and a proposal of the first orchestrator to pay some to a stranger.
    fn with_proposal() -> (Self, Vec<Action>, U256) {
        let mut world = Self::new();
        world.ok(ORCHESTRATOR, Call::Bonding(Bonding::Reward(Hint::default())));
        let actions = vec![Action::pay_lpt(world.0.addresses.token, STRANGER, U256::from(1_000))];
        world.ok(ORCHESTRATOR, Call::Governor(Governor::Propose(actions.clone(), "pay".into())));
        let id = proposal_id(&actions, keccak256("pay"));
        (world, actions, id)
    }
}

fn vote(id: U256, support: u8) -> Call {
    Call::Governor(Governor::CastVote(id, support, String::new()))
}

#[test]
fn a_proposal_that_wins_moves_the_treasurys_tokens() {
    let (mut world, actions, id) = World::with_proposal();
    assert_eq!(world.0.proposal_state(id), Ok(ProposalState::Pending));
    assert_eq!(world.no(ORCHESTRATOR, vote(id, 1)), "Governor: vote not currently active");
    world.round(4);
    world.ok(ORCHESTRATOR, vote(id, 1));
    assert_eq!(world.no(ORCHESTRATOR, vote(id, 1)), "VoteAlreadyCast()");
    world.ok(DELEGATOR, vote(id, 0));
    assert_eq!(world.no(RIVAL, vote(id, 3)), "InvalidVoteType(3)");
    let tally = world.0.governor.tallies.at(&id);
    let (own, _) = world.0.votes_at(DELEGATOR, Round(3)).unwrap();
    let (all, _) = world.0.votes_at(ORCHESTRATOR, Round(3)).unwrap();
    assert_eq!((tally.against_votes, tally.for_votes), (own.0, all.0 - own.0));

    let hash = keccak256("pay");
    let execute = || Call::Governor(Governor::Execute(actions.clone(), hash));
    assert_eq!(world.no(STRANGER, execute()), "Governor: proposal not successful");
    world.round(14);
    assert_eq!(world.0.proposal_state(id), Ok(ProposalState::Succeeded));
    assert_eq!(world.no(STRANGER, execute()), "TimelockController: operation is not ready");
    world.ok(STRANGER, Call::Governor(Governor::Queue(actions.clone(), hash)));
    assert_eq!(world.0.proposal_state(id), Ok(ProposalState::Queued));
    let before = world.0.token.balances.at(&STRANGER);
    let events = world.ok(STRANGER, execute());
    let names: Vec<_> = events.iter().map(Event::name).collect();
    assert_eq!(names, ["ProposalExecuted", "Transfer", "CallExecuted"]);
    assert_eq!(world.0.token.balances.at(&STRANGER) - before, U256::from(1_000));
    assert_eq!(world.no(STRANGER, execute()), "Governor: proposal not successful");
}

#[test]
fn a_proposal_without_a_third_of_the_stake_is_defeated() {
    let (mut world, actions, id) = World::with_proposal();
    world.round(4);
    world.ok(RIVAL, vote(id, 1));
    world.round(14);
    assert_eq!(world.0.proposal_state(id), Ok(ProposalState::Defeated));
    let queue = Call::Governor(Governor::Queue(actions, keccak256("pay")));
    assert_eq!(world.no(STRANGER, queue), "Governor: proposal not successful");
}

#[test]
fn who_has_no_stake_proposes_nothing_and_who_proposed_may_take_it_back() {
    let (mut world, actions, id) = World::with_proposal();
    let propose = |text: &str| Call::Governor(Governor::Propose(actions.clone(), text.into()));
    assert_eq!(world.no(STRANGER, propose("mine")), "Governor: proposer votes below proposal threshold");
    assert_eq!(world.no(ORCHESTRATOR, propose("pay")), "Governor: proposal already exists");
    let sealed = format!("pay#proposer={}", RIVAL.to_string().to_lowercase());
    assert_eq!(world.no(ORCHESTRATOR, propose(&sealed)), "Governor: proposer restricted");
    world.ok(RIVAL, propose(&sealed));
    let cancel = || Call::Governor(Governor::Cancel(actions.clone(), keccak256("pay")));
    assert_eq!(world.no(RIVAL, cancel()), "Governor: only proposer can cancel");
    world.ok(ORCHESTRATOR, cancel());
    assert_eq!(world.0.proposal_state(id), Ok(ProposalState::Canceled));
}

#[test]
fn a_treasury_that_lacks_the_money_executes_nothing() {
    let (mut world, _, _) = World::with_proposal();
    let actions = vec![Action::pay_eth(STRANGER, U256::ONE)];
    world.ok(ORCHESTRATOR, Call::Governor(Governor::Propose(actions.clone(), "ether".into())));
    let hash = keccak256("ether");
    world.round(4);
    world.ok(ORCHESTRATOR, vote(proposal_id(&actions, hash), 1));
    world.round(14);
    world.ok(STRANGER, Call::Governor(Governor::Queue(actions.clone(), hash)));
    let execute = || Call::Governor(Governor::Execute(actions.clone(), hash));
    assert_eq!(world.no(STRANGER, execute()), "TimelockController: underlying transaction reverted");
    assert_eq!(world.0.proposal_state(proposal_id(&actions, hash)), Ok(ProposalState::Queued));
    let treasury = world.0.addresses.treasury;
    world.0.apply(STRANGER, U256::ONE, Call::Send(treasury)).unwrap();
    world.ok(STRANGER, execute());
}

#[test]
fn votes_are_the_stake_at_the_end_of_a_round_and_no_future_is_told() {
    let world = World::new();
    let votes = |who, round| world.0.votes_at(who, Round(round)).map(|(votes, _)| votes.0);
    assert_eq!(votes(ORCHESTRATOR, 0), Ok(U256::ZERO));
    assert_eq!(votes(ORCHESTRATOR, 1), Ok(lpt(700)));
    assert_eq!(votes(DELEGATOR, 1), Ok(lpt(100)));
    assert_eq!(votes(STRANGER, 1), Ok(U256::ZERO));
    assert_eq!(world.0.total_votes_at(Round(1)).unwrap().0, lpt(1_000));
    assert_eq!(world.0.total_votes_at(Round(0)).unwrap().0, U256::ZERO);
    assert_eq!(votes(ORCHESTRATOR, 3).unwrap_err().to_string(), "FutureLookup(4, 3)");
}

#[test]
fn a_poll_takes_a_hundred_tokens_of_stake_and_ends_with_its_last_block() {
    let mut world = World::new();
    let create = || Call::Polls(Polls::Create(Bytes::from_static(b"LIP")));
    assert_eq!(world.no(STRANGER, create()), "PollCreator#createPoll: INSUFFICIENT_STAKE");
    let receipt = world.try_to(DELEGATOR, create()).unwrap();
    let Event::PollCreated { poll, end_block, .. } = receipt.events[0].event else { panic!("{receipt:?}") };
    assert_eq!(end_block, U256::from(2 * LENGTH + POLL_PERIOD));
    let vote = Call::Polls(Polls::Vote(poll, U256::ONE));
    let receipt = world.try_to(STRANGER, vote.clone()).unwrap();
    assert_eq!(receipt.events[0].contract, Contract::Poll(poll));
    assert_eq!(world.no(STRANGER, Call::Polls(Polls::Destroy(poll))), "poll is active");
    world.0.advance(Head { number: 2 * LENGTH + POLL_PERIOD + 1, ..world.0.head() });
    assert_eq!(world.no(STRANGER, vote), "poll is over");
    world.ok(STRANGER, Call::Polls(Polls::Destroy(poll)));
}

#[test]
fn only_a_registered_verifier_slashes_and_only_once_the_minter_may_burn() {
    let slash = Call::Bonding(Bonding::SlashTranscoder(
        ORCHESTRATOR,
        STRANGER,
        U256::from(50_000),
        U256::from(100_000),
    ));
    assert_eq!(World::new().no(STRANGER, slash.clone()), "caller must be Verifier");
    let mut genesis = Genesis::default();
    genesis.addresses.verifier = RIVAL;
    let mut world = World::with(genesis);
    assert!(
        world.no(RIVAL, slash.clone()).ends_with(&format!("is missing role {}", keccak256("BURNER_ROLE")))
    );
    world.0.token.minter_may_burn.set(true);
    let supply = *world.0.token.total_supply;
    world.ok(RIVAL, slash);
    assert_eq!(world.0.bonding.delegators.at(&ORCHESTRATOR).bonded_amount, lpt(570));
    assert_eq!(world.0.bonding.delegators.at(&DELEGATOR).bonded_amount, lpt(100));
    assert_eq!(world.0.token.balances.at(&STRANGER), lpt(1_003));
    assert_eq!(supply - *world.0.token.total_supply, lpt(27));
    assert!(!world.0.bonding.transcoder_pool.contains(ORCHESTRATOR));
    assert!(
        world.0.bonding.is_active(ORCHESTRATOR, Round(2))
            && !world.0.bonding.is_active(ORCHESTRATOR, Round(3))
    );
}

#[test]
fn who_unbonds_before_the_verdict_is_not_slashed() {
    let mut genesis = Genesis::default();
    genesis.addresses.verifier = RIVAL;
    let mut world = World::with(genesis);
    world.0.token.minter_may_burn.set(true);
    world.ok(ORCHESTRATOR, Call::Bonding(Bonding::Unbond(lpt(600), Hint::default())));
    let all = U256::from(1_000_000);
    world.ok(RIVAL, Call::Bonding(Bonding::SlashTranscoder(ORCHESTRATOR, Address::ZERO, all, U256::ZERO)));
    assert_eq!(world.0.bonding.unbonding_locks.at(&(ORCHESTRATOR, U256::ZERO)).amount, lpt(600));
}

#[test]
fn a_pause_stops_money_and_not_words() {
    let mut world = World::new();
    let owner = world.0.addresses.owner;
    assert_eq!(world.no(STRANGER, Call::Pause(true)), "Ownable: caller is not the owner");
    world.ok(owner, Call::Pause(true));
    let reward = Call::Bonding(Bonding::Reward(Hint::default()));
    assert_eq!(world.no(ORCHESTRATOR, reward.clone()), "system is paused");
    assert_eq!(world.no(STRANGER, Call::Broker(Broker::Unlock)), "system is paused");
    world.ok(ORCHESTRATOR, Call::SetServiceUri("https://here".into()));
    assert_eq!(world.0.registry.service_uri.at(&ORCHESTRATOR), "https://here");
    world.ok(owner, Call::Pause(false));
    world.ok(ORCHESTRATOR, reward);
}

#[test]
fn parameters_are_the_owners() {
    let mut world = World::new();
    let calls = [
        Call::Minter(Minter::SetInflationChange(U256::ONE)),
        Call::Bonding(Bonding::SetUnbondingPeriod(1)),
        Call::Broker(Broker::SetUnlockPeriod(1)),
        Call::Rounds(Rounds::SetRoundLength(50)),
    ];
    for call in calls {
        assert_eq!(world.no(STRANGER, call.clone()), "caller must be Controller owner");
        world.ok(world.0.addresses.owner, call);
    }
    let round = world.0.current_round().unwrap();
    world.0.advance(Head { number: 2 * LENGTH + 50, ..world.0.head() });
    assert_eq!(world.0.current_round(), Ok(round.next()));
}

#[test]
fn ether_goes_only_where_a_function_takes_it() {
    let mut world = World::new();
    let reward = Call::Bonding(Bonding::Reward(Hint::default()));
    assert_eq!(world.0.apply(ORCHESTRATOR, U256::ONE, reward), Err(Revert::NotPayable));
    assert_eq!(
        world.0.apply(STRANGER, lpt(11), Call::Broker(Broker::FundDeposit)),
        Err(Revert::InsufficientFunds)
    );
    let unlock = Call::Broker(Broker::Unlock);
    assert_eq!(world.0.apply(STRANGER, U256::ONE, unlock), Err(Revert::NotPayable));
}

#[test]
fn what_a_call_touched_is_known_and_what_it_did_not_is_not() {
    let mut world = World::new();
    world.0.bonding.delegators.take_changed();
    world.ok(ORCHESTRATOR, Call::Bonding(Bonding::Reward(Hint::default())));
    world.no(RIVAL, Call::Bonding(Bonding::Unbond(lpt(301), Hint::default())));
    let changed: Vec<_> = world.0.bonding.delegators.take_changed().into_iter().collect();
    assert_eq!(changed, [ORCHESTRATOR]);
}

fn abi(kind: &str, value: &Value) -> Abi {
    match kind {
        "address" => Abi::Address(text(value).parse().unwrap()),
        "string" => Abi::Text(text(value)),
        "bytes" => Abi::Bytes(text(value).parse().unwrap()),
        "bytes32" => Abi::Hash(text(value).parse().unwrap()),
        _ if kind.ends_with("[]") => {
            Abi::List(value.as_array().unwrap().iter().map(|v| abi(&kind[..kind.len() - 2], v)).collect())
        }
        _ => Abi::Uint(text(value).parse().unwrap()),
    }
}

#[test]
fn calls_are_encoded_as_the_contracts_read_them() {
    let facts: Value = serde_json::from_str(include_str!("vectors/abi_facts.json")).unwrap();
    let mut checked = 0;
    for case in facts["calldata"].as_array().unwrap() {
        let (contract, name) = (case["contract"].as_str().unwrap(), case["fn"].as_str().unwrap());
        let functions = facts["contracts"][contract]["functions"].as_object().unwrap();
        let start = format!("{name}(");
        let Some(signature) = functions.keys().find(|f| f.starts_with(&start)) else { continue };
        if signature.contains("((") {
            continue; // tickets are structs: read from calldata by whoever serves it
        }
        let kinds = signature[start.len()..signature.len() - 1].split(',').filter(|kind| !kind.is_empty());
        let values: Vec<_> = kinds.zip(case["args"].as_array().unwrap()).map(|(k, v)| abi(k, v)).collect();
        let encoded = format!("0x{}", hex::encode(call(signature, &values)));
        assert_eq!(encoded, case["calldata"].as_str().unwrap(), "{name}");
        checked += 1;
    }
    println!("abi: {checked} calls");
    assert!(checked >= 24, "{checked}");
}

#[test]
fn calldata_is_read_as_it_was_meant_and_broken_calldata_is_refused() {
    let facts: Value = serde_json::from_str(include_str!("vectors/abi_facts.json")).unwrap();
    let cases = facts["calldata"].as_array().unwrap();
    for case in cases {
        let contract = match case["contract"].as_str().unwrap() {
            "BondingManager" => Contract::BondingManager,
            "RoundsManager" => Contract::RoundsManager,
            "ServiceRegistry" => Contract::ServiceRegistry,
            "TicketBroker" => Contract::TicketBroker,
            "LivepeerGovernor" => Contract::LivepeerGovernor,
            "LivepeerToken" => Contract::LivepeerToken,
            "PollCreator" => Contract::PollCreator,
            "Poll" => Contract::Poll(RIVAL),
            other => panic!("{other}"),
        };
        let data = hex::decode(case["calldata"].as_str().unwrap()).unwrap();
        let call = decode(contract, &data).unwrap_or_else(|e| panic!("{}: {e}", case["fn"]));
        let args = &case["args"];
        match &call {
            Call::Bonding(Bonding::Bond(amount, to, _, _)) => {
                assert_eq!((amount.to_string(), to.to_string()), (text(&args[0]), text(&args[1])));
            }
            Call::Broker(Broker::Redeem(redemption)) => {
                let got = (redemption.ticket.face_value.to_string(), redemption.ticket.aux_data.to_string());
                assert_eq!(got, (text(&args[0][2]), text(&args[0][6])));
                assert_eq!(
                    (redemption.signature.to_string(), redemption.recipient_rand.to_string()),
                    (text(&args[1]), text(&args[2]))
                );
            }
            Call::Broker(Broker::RedeemBatch(all)) => {
                assert_eq!(all.len(), args[0].as_array().unwrap().len())
            }
            Call::Governor(Governor::Propose(actions, description)) => {
                assert_eq!(
                    (actions[0].calldata.to_string(), description.clone()),
                    (text(&args[2][0]), text(&args[3]))
                );
            }
            Call::Polls(Polls::Vote(poll, _)) => assert_eq!(*poll, RIVAL),
            _ => {}
        }
        for end in 0..data.len() {
            if let Ok(shorter) = decode(contract, &data[..end]) {
                assert_eq!(shorter, call, "only padding may be missing");
            }
        }
        for at in 4..data.len() {
            let mut broken = data.clone();
            broken[at] ^= 0xff;
            let _ = decode(contract, &broken);
        }
    }
    println!("abi: {} calls read", cases.len());
    assert_eq!(decode(Contract::Treasury, &[1, 2, 3, 4]), Err(Revert::UnknownFunction));
}

#[test]
fn calls_that_share_their_bytes_are_not_made_long() {
    let long = vec![7; 3_000];
    let batch = Abi::List(vec![Abi::Bytes(long.clone().into())]);
    let signature = "propose(address[],uint256[],bytes[],string)";
    let one = |n: usize| [vec![Abi::Address(RIVAL); n].into(), vec![Abi::Uint(U256::ZERO); n].into()];
    let [targets, values] = one(1);
    let honest = call(signature, &[targets, values, batch, Abi::Text(String::new())]);
    assert!(decode(Contract::LivepeerGovernor, &honest).is_ok());
    // Two calls, both at the offset of the only blob.
    let [targets, values] = one(2);
    let mut shared = call(signature, &[targets, values, Abi::List(vec![]), Abi::Text(String::new())]);
    let end = shared.len() - 4;
    shared[4 + 64..4 + 96].copy_from_slice(&U256::from(end).to_be_bytes::<32>());
    for n in [2, 64, 64, long.len()] {
        shared.extend(U256::from(n).to_be_bytes::<32>());
    }
    shared.extend(long);
    assert_eq!(decode(Contract::LivepeerGovernor, &shared), Err(Revert::BadCalldata));
    let differ = call(
        signature,
        &[Abi::List(vec![]), vec![Abi::Uint(U256::ZERO)].into(), Abi::List(vec![]), Abi::Text(String::new())],
    );
    assert_eq!(decode(Contract::LivepeerGovernor, &differ), Err(Revert::ProposalLength));
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[test]
fn a_proposal_has_the_number_that_the_governor_gives_it() {
    let facts: Value = serde_json::from_str(include_str!("vectors/abi_facts.json")).unwrap();
    let calls = facts["calldata"].as_array().unwrap();
    let args = |name: &str| &calls.iter().find(|case| case["fn"] == name).unwrap()["args"];
    let propose = args("propose");
    let action = Action {
        target: propose[0][0].as_str().unwrap().parse().unwrap(),
        value: U256::ZERO,
        calldata: propose[2][0].as_str().unwrap().parse().unwrap(),
    };
    let id = proposal_id(&[action], keccak256(propose[3].as_str().unwrap()));
    assert_eq!(id.to_string(), args("castVote")[0].as_str().unwrap());
}

#[test]
fn errors_and_events_have_the_contracts_selectors_and_topics() {
    let facts: Value = serde_json::from_str(include_str!("vectors/abi_facts.json")).unwrap();
    let begins = |revert: Revert, selector: &str| {
        assert_eq!(format!("0x{}", hex::encode(&revert.data()[..4])), selector, "{revert}");
    };
    begins(Revert::VoteAlreadyCast, "0xb3808bab");
    begins(Revert::InvalidVoteType(3), "0x2081b223");
    begins(Revert::FutureLookup(U256::ONE, U256::ZERO), "0x7f07449b");
    begins(Revert::MissingEarningsPool(ORCHESTRATOR, U256::ONE), "0x92ad5a72");
    begins(Revert::Paused, "0x08c379a0");
    begins(Revert::Assertion, "0x4e487b71");

    let (mut world, _, id) = World::with_proposal();
    world.round(4);
    let mut seen = world.ok(ORCHESTRATOR, vote(id, 1));
    seen.extend(world.ok(ORCHESTRATOR, Call::Bonding(Bonding::Reward(Hint::default()))));
    seen.extend(world.ok(DELEGATOR, Call::Bonding(Bonding::Unbond(lpt(1), Hint::default()))));
    let mut known = std::collections::BTreeSet::new();
    for contract in facts["contracts"].as_object().unwrap().values() {
        known.extend(
            contract["events"].as_object().unwrap().values().map(|e| e[0].as_str().unwrap().to_owned()),
        );
    }
    for event in &seen {
        assert!(known.contains(&event.topic().to_string()), "{}", event.name());
        let words = event.topics().len() - 1 + event.data().len() / 32;
        assert!(words >= event.args().len());
    }
    assert!(seen.len() > 6);
}
