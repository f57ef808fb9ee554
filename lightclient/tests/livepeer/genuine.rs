//! A state that the contracts' own code made, proven under its state root: our reads against the getters' answers.

use alloy_primitives::{Address, B256, U256};
use lightclient::exec::proof::{AccountProof, verify};
use lightclient::livepeer::layout::{
    bonding_manager as bm, data, field, rounds_manager as rm, service_registry as sr,
};
use lightclient::livepeer::{Ask, Contracts, Hint, Part, Read, Target, Unreadable};
use lightclient::state::StateView;
use serde_json::{Value, json};

use crate::world::World;

/// Round of the recorded state.
pub const ROUND: u64 = 18;

pub struct Genuine {
    pub text: Value,
}

impl Genuine {
    pub fn new() -> Self {
        let text = include_str!("../vectors/protocol/storage_proofs_canonical.json");
        Self { text: serde_json::from_str(text).unwrap() }
    }

    fn account(&self, contract: &str) -> &Value {
        let accounts = self.text["accounts"].as_array().unwrap();
        accounts.iter().find(|account| account["contract"] == contract).unwrap()
    }

    fn contract(&self, name: &str) -> Address {
        self.account(name)["address"].as_str().unwrap().parse().unwrap()
    }

    pub fn who(&self, name: &str) -> Address {
        self.text["addresses"][name].as_str().unwrap().parse().unwrap()
    }

    fn word(&self, contract: &str, label: &str) -> U256 {
        let slots = self.account(contract)["slots"].as_array().unwrap();
        let slot = slots.iter().find(|slot| slot["label"] == label).unwrap();
        slot["value"].as_str().unwrap().parse().unwrap()
    }

    fn target(&self, part: Part, label: &str) -> Target {
        let word = self.word("Controller", &format!("registry[keccak(\"{label}\")].contractAddress"));
        Target::at(part, Address::from_word(word.into()))
    }

    fn contracts(&self) -> Contracts {
        let made_up = |part| Target::at(part, Address::repeat_byte(9));
        Contracts {
            chain_id: 31337,
            controller: self.contract("Controller"),
            bonding_manager: self.contract("BondingManager"),
            rounds_manager: self.contract("RoundsManager"),
            minter: self.contract("Minter"),
            ticket_broker: self.contract("TicketBroker"),
            service_registry: self.contract("ServiceRegistry"),
            bonding_votes: self.contract("BondingVotes"),
            governor: self.contract("LivepeerGovernor"),
            targets: vec![
                self.target(Part::BondingManager, "BondingManagerTarget"),
                self.target(Part::TicketBroker, "TicketBrokerTarget"),
                made_up(Part::RoundsManager),
                made_up(Part::ServiceRegistry),
                made_up(Part::BondingVotes),
                made_up(Part::LivepeerGovernor),
            ],
        }
    }

    /// The proven state. Guards that were not recorded with it are set by hand; everything else is missing unless proven.
    fn state(&self) -> World {
        let accounts = self.text["accounts"].as_array().unwrap();
        let answers: Vec<_> = accounts.iter().map(|a| AccountProof::from_json(&answer(a)).unwrap()).collect();
        let root: B256 = self.text["header"]["stateRoot"].as_str().unwrap().parse().unwrap();
        let proven = verify(&answers, root).unwrap();
        let mut world = World::default();
        world.guards(&self.contracts());
        world.set(self.contract("RoundsManager"), rm::block_hash(ROUND - 1), 7);
        for name in ["O1", "O2"] {
            // A short string has no words beyond its first, and storage there is zero.
            let start = data(sr::uri(self.who(name)));
            (0..3).for_each(|i| world.set(self.contract("ServiceRegistry"), field(start, i), 0));
        }
        world.slots.retain(|(account, slot), _| proven.storage(*account, *slot).is_err());
        world.below = Some(proven);
        world
    }

    fn l1_block(&self) -> u64 {
        let number = self.text["header"]["number"].as_str().unwrap();
        u64::from_str_radix(number.trim_start_matches("0x"), 16).unwrap()
    }

    fn getter(&self, name: &str) -> &Value {
        &self.text["getters"][name]
    }

    fn read(&self, ask: &Ask) -> Value {
        self.read_from(&self.state(), ask)
    }

    fn read_from(&self, state: &World, ask: &Ask) -> Value {
        serde_json::to_value(ask.read(state, &self.contracts(), self.l1_block()).unwrap()).unwrap()
    }
}

/// An account as `eth_getProof` answers it.
fn answer(account: &Value) -> Value {
    let slots = account["slots"].as_array().unwrap().iter();
    let slots: Vec<_> =
        slots.map(|s| json!({"key": s["slot"], "value": s["value"], "proof": s["proof"]})).collect();
    let balance = match account["balance"].as_str().unwrap() {
        "0x" => "0x0",
        balance => balance,
    };
    json!({
        "address": account["address"], "nonce": account["nonce"], "balance": balance,
        "storageHash": account["storageHash"], "codeHash": account["codeHash"],
        "accountProof": account["accountProof"], "storageProof": slots,
    })
}

#[test]
fn the_round_is_the_one_that_the_contract_names() {
    let genuine = Genuine::new();
    let round = &genuine.read(&Ask::Round)["round"];
    assert_eq!(round["number"].to_string(), genuine.getter("RoundsManager.currentRound()").as_str().unwrap());
    assert_eq!(&round["locked"], genuine.getter("RoundsManager.currentRoundLocked()"));
    assert_eq!(&round["initialized"], genuine.getter("RoundsManager.currentRoundInitialized()"));
    assert_eq!(round["paused"], false);
    let hash = genuine.word("RoundsManager", "_blockHashForRound[18]");
    assert_eq!(round["block_hash"], B256::from(hash).to_string());
}

/// The hash of the round before is not among the recorded slots; it is asked for and never assumed.
#[test]
fn what_was_not_proven_is_asked_for_and_never_assumed() {
    let genuine = Genuine::new();
    let mut contracts = genuine.contracts();
    contracts.rounds_manager = genuine.contract("RoundsManager");
    let mut state = genuine.state();
    state.slots.remove(&(contracts.rounds_manager, rm::block_hash(17)));
    let error = Ask::Round.read(&state, &contracts, genuine.l1_block()).unwrap_err();
    let wanted = error.wanted().unwrap();
    assert_eq!(wanted[&contracts.rounds_manager].iter().copied().collect::<Vec<_>>(), [rm::block_hash(17)]);
}

#[test]
fn the_pool_is_the_recorded_one() {
    let genuine = Genuine::new();
    let pool = &genuine.read(&Ask::Pool)["pool"];
    assert_eq!(pool["members"].as_array().unwrap().len(), 1);
    assert_eq!(pool["members"][0]["address"], genuine.who("O1").to_string().to_lowercase());
    assert_eq!(pool["stake"], genuine.word("BondingManager", "nextRoundTotalActiveStake").to_string());
}

#[test]
fn orchestrators_are_what_the_getters_say() {
    let genuine = Genuine::new();
    let mut state = genuine.state();
    // Not recorded: O2's own records as a delegator.
    let (o2, c) = (genuine.who("O2"), genuine.contract("BondingManager"));
    for slot in [bm::delegator(o2).bonded(), bm::delegator(o2).delegate(), bm::delegator(o2).delegated()] {
        state.set(c, slot, 0);
    }
    for name in ["O1", "O2"] {
        let read = genuine.read_from(&state, &Ask::Orchestrator(genuine.who(name)));
        let (ours, theirs) =
            (&read["orchestrator"], genuine.getter(&format!("BondingManager.getTranscoder({name})")));
        let number = |i: usize| theirs[i].as_str().unwrap().to_owned();
        assert_eq!(ours["last_reward_round"].to_string(), number(0));
        assert_eq!(ours["reward_cut"].to_string(), number(1));
        assert_eq!(ours["fee_share"].to_string(), number(2));
        assert_eq!(ours["activation_round"].to_string(), number(4));
        assert_eq!(ours["unclaimed_rewards"], number(7));
        assert_eq!(ours["unclaimed_fees"], number(8));
        assert_eq!(ours["last_fee_round"].to_string(), number(9));
        assert_eq!(&ours["active"], genuine.getter(&format!("BondingManager.isActiveTranscoder({name})")));
        let earnings =
            genuine.getter(&format!("BondingManager.getTranscoderEarningsPoolForRound({name},18)"));
        assert_eq!(ours["earning_stake"], earnings[0]);
    }
    let o1 = genuine.read_from(&state, &Ask::Orchestrator(genuine.who("O1")));
    assert_eq!(&o1["orchestrator"]["service_uri"], genuine.getter("ServiceRegistry.getServiceURI(O1)"));
    assert_eq!(&o1["orchestrator"]["stake"], genuine.getter("BondingVotes.getVotes(O1)"));
    assert_eq!(o1["orchestrator"]["rewarded"], true);
    assert_eq!(o1["orchestrator"]["in_pool"], true);
}

#[test]
fn delegators_are_what_the_getters_say() {
    let genuine = Genuine::new();
    let mut state = genuine.state();
    // Not recorded: D4's delegate never was an orchestrator.
    let (t, c) = (bm::transcoder(genuine.who("D1")), genuine.contract("BondingManager"));
    let pools =
        [0, 2, ROUND].map(|round| [t.earnings(round).reward_factor(), t.earnings(round).fee_factor()]);
    let own = [t.last_reward_round(), t.last_fee_round(), t.cumulative_rewards(), t.cumulative_fees()];
    for slot in pools.into_iter().flatten().chain(own) {
        state.set(c, slot, 0);
    }
    for name in ["O1", "D2", "D4"] {
        let read = genuine.read_from(&state, &Ask::Delegator(genuine.who(name)));
        let (ours, theirs) =
            (&read["delegator"], genuine.getter(&format!("BondingManager.getDelegator({name})")));
        assert_eq!(ours["bonded"], theirs[0]);
        assert_eq!(ours["fees"], theirs[1]);
        assert_eq!(ours["delegate"], theirs[2].as_str().unwrap().to_lowercase());
        assert_eq!(ours["delegated"], theirs[3]);
        assert_eq!(ours["start_round"].to_string(), theirs[4].as_str().unwrap());
        assert_eq!(ours["last_claim_round"].to_string(), theirs[5].as_str().unwrap());
        let pending = |what: &str| genuine.getter(&format!("BondingManager.{what}({name},0)"));
        assert_eq!(&ours["pending"]["stake"], pending("pendingStake"));
        assert_eq!(&ours["pending"]["fees"], pending("pendingFees"));
        assert_eq!(ours["status"], "bonded");
    }
    let read = genuine.read_from(&state, &Ask::Delegator(genuine.who("D2")));
    let lock = &read["delegator"]["locks"][0];
    let theirs = genuine.getter("BondingManager.getDelegatorUnbondingLock(D2,0)");
    assert_eq!(
        (&lock["amount"], lock["withdraw_round"].to_string().as_str()),
        (&theirs[0], theirs[1].as_str().unwrap())
    );
}

#[test]
fn a_senders_money_and_an_orchestrators_part_of_it_are_what_the_getters_say() {
    let genuine = Genuine::new();
    let ask = Ask::Sender { address: genuine.who("G1"), claimant: Some(genuine.who("O1")) };
    let read = genuine.read(&ask);
    let (ours, theirs) = (&read["sender"], genuine.getter("TicketBroker.getSenderInfo(G1)"));
    assert_eq!(ours["deposit"], theirs[0][0]);
    assert_eq!(ours["lock"]["state"], "locked");
    assert_eq!(ours["reserve"], theirs[1][0]);
    assert_eq!(ours["claimed"], theirs[1][1]);
    assert_eq!(&ours["claim"]["share"], genuine.getter("TicketBroker.claimableReserve(G1,O1)"));
}

#[test]
fn short_long_and_unset_service_uris_are_what_the_getters_say() {
    let genuine = Genuine::new();
    let state = genuine.state();
    let uri = |name: &str| {
        let ask = Ask::ServiceUri(genuine.who(name));
        let Read::ServiceUri(read) = ask.read(&state, &genuine.contracts(), 0).unwrap() else { panic!() };
        read.uri
    };
    assert_eq!(uri("O1").as_deref(), genuine.getter("ServiceRegistry.getServiceURI(O1)").as_str());
    assert_eq!(uri("O3").as_deref(), genuine.getter("ServiceRegistry.getServiceURI(O3)").as_str());
    assert_eq!(uri("O2"), None);
}

#[test]
fn inflation_is_the_recorded_one() {
    let genuine = Genuine::new();
    let read = &genuine.read(&Ask::Inflation)["inflation"];
    assert_eq!(read["rate"], genuine.word("Minter", "inflation").to_string());
    assert_eq!(read["mintable"], genuine.word("Minter", "currentMintableTokens").to_string());
    assert_eq!(
        read["active_stake"],
        genuine.word("BondingManager", "currentRoundTotalActiveStake").to_string()
    );
    assert_eq!(read["treasury_cut"], genuine.word("BondingManager", "treasuryRewardCutRate").to_string());
    assert!(read["supply"].as_str().unwrap().starts_with("1000"), "{read}");
}

#[test]
fn a_proof_under_another_root_proves_nothing() {
    let genuine = Genuine::new();
    let account = AccountProof::from_json(&answer(genuine.account("Minter"))).unwrap();
    assert!(verify(&[account], B256::repeat_byte(1)).is_err());
    let empty = World::default();
    let error = Ask::Inflation.read(&empty, &genuine.contracts(), 0).unwrap_err();
    assert_eq!(error, Unreadable::Wanted(Ask::Inflation.keys(&genuine.contracts(), &Hint::default())));
}
