//! From proven L1 state to an L2 header: honest rollups, challenged ones, and sources that lie about either.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it measured"
)]

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, U256, b256, keccak256};
use alloy_sol_types::{SolEvent, SolValue, sol};
use lightclient::arbitrum::assertion::{AssertionError, CREATED};
use lightclient::arbitrum::l2::L2Error;
use lightclient::arbitrum::node::{Node, NotANode, Status};
use lightclient::arbitrum::path::{End, PathError};
use lightclient::arbitrum::sequenced::{self, Claim, SequencedError};
use lightclient::arbitrum::{Assertion, L2Anchor, Path, Rollup};
use lightclient::exec::ExecHeader;
use lightclient::exec::header::HeaderError;
use lightclient::guard::{Guard, GuardError, IMPLEMENTATION, SECONDARY, Unexpected};
use lightclient::proven::{Accept, Tier};
use lightclient::state::Missing;

#[path = "support/tries.rs"]
mod tries;

use tries::World;

const ROLLUP: Address = Address::repeat_byte(0x4d);
const OUTBOX: Address = Address::repeat_byte(0x0b);
const L1_BLOCK: u64 = 1_000_000;
/// L1 blocks between assertions.
const APART: u64 = 300;

sol! {
    struct GlobalState { bytes32[2] bytes32Vals; uint64[2] u64Vals; }
    struct AssertionState { GlobalState globalState; uint8 machineStatus; bytes32 endHistoryRoot; }
    struct ConfigData {
        bytes32 wasmModuleRoot; uint256 requiredStake; address challengeManager; uint64 confirmPeriodBlocks;
        uint64 nextInboxPosition;
    }
    struct BeforeStateData { bytes32 prevPrevAssertionHash; bytes32 sequencerBatchAcc; ConfigData configData; }
    struct AssertionInputs { BeforeStateData beforeStateData; AssertionState beforeState; AssertionState afterState; }
    event AssertionCreated(
        bytes32 indexed assertionHash, bytes32 indexed parentAssertionHash, AssertionInputs assertion,
        bytes32 afterInboxBatchAcc, uint256 inboxMaxCount, bytes32 wasmModuleRoot, uint256 requiredStake,
        address challengeManager, uint64 confirmPeriodBlocks
    );
}

/// An L2 header as Nitro writes it.
fn l2_header(number: u64, parent: B256) -> Vec<u8> {
    let mut mix = [0; 32];
    mix[..8].copy_from_slice(&(number / 10).to_be_bytes());
    mix[8..16].copy_from_slice(&(L1_BLOCK - 500 + number).to_be_bytes());
    mix[16..24].copy_from_slice(&32_u64.to_be_bytes());
    let items: Vec<Vec<u8>> = vec![
        alloy_rlp::encode(parent),
        alloy_rlp::encode(B256::repeat_byte(1)),
        alloy_rlp::encode(Address::repeat_byte(2)),
        alloy_rlp::encode(keccak256(number.to_be_bytes())),
        alloy_rlp::encode(B256::repeat_byte(4)),
        alloy_rlp::encode(B256::repeat_byte(5)),
        alloy_rlp::encode(&[0_u8; 256][..]),
        alloy_rlp::encode(1_u8),
        alloy_rlp::encode(number),
        alloy_rlp::encode(1_u64 << 50),
        alloy_rlp::encode(21_000_u64),
        alloy_rlp::encode(1_700_000_000 + number),
        alloy_rlp::encode(send_root(number)),
        alloy_rlp::encode(B256::new(mix)),
        alloy_rlp::encode([0_u8; 8]),
        alloy_rlp::encode(100_000_000_u64),
    ];
    let payload = items.concat();
    let mut raw = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut raw);
    raw.extend(payload);
    raw
}

fn send_root(number: u64) -> B256 {
    keccak256([b"send".as_slice(), &number.to_be_bytes()].concat())
}

fn header(number: u64, parent: B256) -> ExecHeader {
    ExecHeader::decode(&l2_header(number, parent)).unwrap()
}

/// A rollup that has made assertions of L2 blocks 100, 200, ... one every [`APART`] L1 blocks, the first one confirmed.
struct Chain {
    world: World,
    rollup: Rollup,
    assertions: Vec<Assertion>,
    raw: Vec<Vec<u8>>,
}

impl Chain {
    fn with(count: u64) -> Self {
        let mut rollup = Rollup::new(412_346, ROLLUP, 45_818);
        rollup.outbox = Some(OUTBOX);
        rollup.guards = vec![
            Guard::slot(ROLLUP, IMPLEMENTATION, B256::with_last_byte(0xad)),
            Guard::slot(ROLLUP, SECONDARY, B256::with_last_byte(0x05)),
        ];
        let mut chain = Self { world: World::crowded(50), rollup, assertions: Vec::new(), raw: Vec::new() };
        chain.world.set(ROLLUP, IMPLEMENTATION, U256::from(0xad));
        chain.world.set(ROLLUP, SECONDARY, U256::from(0x05));
        let mut parent = keccak256("genesis");
        for i in 0..count {
            let raw = l2_header(100 * (i + 1), B256::ZERO);
            let assertion = assertion(parent, &raw, 100 * (i + 1));
            parent = assertion.hash();
            chain.raw.push(raw);
            chain.assertions.push(assertion);
            let (status, first) = if i == 0 { (2, true) } else { (1, true) };
            let child = if i + 1 < count { created(count, i + 1) } else { 0 };
            chain.set_node(i as usize, status, first, created(count, i), 0, child);
        }
        let confirmed = chain.assertions[0].hash();
        chain.world.set(ROLLUP, chain.rollup.latest_confirmed_slot(), U256::from_be_bytes(confirmed.0));
        let slot = chain.rollup.outbox_slot(send_root(100));
        chain.world.set(OUTBOX, slot, U256::from_be_bytes(keccak256(&chain.raw[0]).0));
        chain
    }

    fn set_node(&mut self, i: usize, status: u8, first: bool, created: u64, second: u64, child: u64) {
        let slot = self.rollup.assertion_slot(self.assertions[i].hash());
        self.world.set(ROLLUP, slot, word(status, first, created, second, child));
    }

    fn prove(&self) -> Result<Path, PathError> {
        self.prove_with(&self.assertions)
    }

    fn prove_with(&self, preimages: &[Assertion]) -> Result<Path, PathError> {
        let hashes: Vec<B256> = preimages.iter().map(Assertion::hash).collect();
        let state = self.world.proven(&self.rollup.keys(&hashes));
        Path::prove(&self.rollup, &state, preimages, L1_BLOCK)
    }
}

/// L1 block in which assertion `i` of `count` was made; the last is 100 blocks old.
fn created(count: u64, i: u64) -> u64 {
    L1_BLOCK - 100 - (count - 1 - i) * APART
}

fn assertion(parent: B256, raw: &[u8], number: u64) -> Assertion {
    Assertion {
        parent,
        block_hash: keccak256(raw),
        send_root: send_root(number),
        inbox_position: number,
        position_in_message: 0,
        end_history_root: B256::ZERO,
        inbox_acc: keccak256(number.to_be_bytes()),
    }
}

fn word(status: u8, first: bool, created: u64, second: u64, child: u64) -> U256 {
    let mut bytes = [0; 32];
    bytes[6] = status;
    bytes[7] = u8::from(first);
    bytes[8..16].copy_from_slice(&created.to_be_bytes());
    bytes[16..24].copy_from_slice(&second.to_be_bytes());
    bytes[24..].copy_from_slice(&child.to_be_bytes());
    U256::from_be_bytes(bytes)
}

fn log(assertion: &Assertion, machine_status: u8) -> (Vec<B256>, Vec<u8>) {
    let after = AssertionState {
        globalState: GlobalState {
            bytes32Vals: [assertion.block_hash, assertion.send_root],
            u64Vals: [assertion.inbox_position, assertion.position_in_message],
        },
        machineStatus: machine_status,
        endHistoryRoot: assertion.end_history_root,
    };
    let hash = keccak256([assertion.parent, keccak256(after.abi_encode()), assertion.inbox_acc].concat());
    let event = AssertionCreated {
        assertionHash: hash,
        parentAssertionHash: assertion.parent,
        assertion: AssertionInputs {
            beforeStateData: BeforeStateData {
                prevPrevAssertionHash: B256::repeat_byte(0xaa),
                sequencerBatchAcc: B256::repeat_byte(0xab),
                configData: ConfigData {
                    wasmModuleRoot: B256::repeat_byte(0xac),
                    requiredStake: U256::from(3600),
                    challengeManager: Address::repeat_byte(0xad),
                    confirmPeriodBlocks: 45_818,
                    nextInboxPosition: 9,
                },
            },
            beforeState: after.clone(),
            afterState: after,
        },
        afterInboxBatchAcc: assertion.inbox_acc,
        inboxMaxCount: U256::from(10),
        wasmModuleRoot: B256::repeat_byte(0xac),
        requiredStake: U256::from(3600),
        challengeManager: Address::repeat_byte(0xad),
        confirmPeriodBlocks: 45_818,
    };
    let log = event.encode_log_data();
    (log.topics().to_vec(), log.data.to_vec())
}

#[test]
fn layout_numbers_are_those_of_the_contract() {
    // Solidity: keccak256(abi.encode(key, slot)).
    let key = B256::repeat_byte(0x11);
    let rollup = Rollup::arbitrum_one();
    assert_eq!(rollup.assertion_slot(key), keccak256((key, U256::from(117)).abi_encode()));
    assert_eq!(rollup.outbox_slot(key), keccak256((key, U256::from(3)).abi_encode()));
    assert_eq!(rollup.latest_confirmed_slot(), B256::with_last_byte(116));
    assert_eq!(IMPLEMENTATION, minus_one(keccak256("eip1967.proxy.implementation")));
    assert_eq!(SECONDARY, minus_one(keccak256("eip1967.proxy.implementation.secondary")));
    assert_eq!(CREATED, b256!("901c3aee23cf4478825462caaab375c606ab83516060388344f0650340753630"));
    assert_eq!(rollup.keys(&[key])[&rollup.address].len(), 4);
}

fn minus_one(hash: B256) -> B256 {
    (U256::from_be_bytes(hash.0) - U256::ONE).into()
}

#[test]
fn a_node_unpacks_as_the_contract_packs_it() {
    let node = Node::decode(word(2, true, 7_556_670, 0, 7_556_999)).unwrap();
    let expected = Node {
        status: Status::Confirmed,
        is_first_child: true,
        created_at: 7_556_670,
        first_child: 7_556_999,
        second_child: 0,
    };
    assert_eq!(node, expected);
    for foreign in [U256::MAX, U256::ONE << 250, word(3, true, 1, 0, 0), U256::from(2) << 192] {
        assert_eq!(Node::decode(foreign), Err(NotANode(foreign)));
    }
}

#[test]
fn the_youngest_unchallenged_assertion_that_is_old_enough_counts() {
    let path = Chain::with(5).prove().unwrap();
    assert_eq!((path.pending.len(), path.end), (4, End::Tip));
    let block = |least| {
        let (link, tier) = path.youngest(least);
        (link.assertion.inbox_position, tier)
    };
    assert_eq!(block(0), (500, Tier::Pending { l1_blocks: 100 }));
    assert_eq!(block(100), (500, Tier::Pending { l1_blocks: 100 }));
    assert_eq!(block(101), (400, Tier::Pending { l1_blocks: 400 }));
    assert_eq!(block(1001), (100, Tier::Confirmed));
    assert_eq!(path.choose(Accept::Confirmed).1, Tier::Confirmed);
    assert_eq!(path.choose(Accept::Sequenced { agree: 2 }).0.hash, path.pending[3].hash);
    for accept in [Accept::Confirmed, Accept::Pending { l1_blocks: 300 }, Accept::Sequenced { agree: 1 }] {
        assert!(accept.takes(path.choose(accept).1));
    }
}

#[test]
fn nothing_after_a_challenged_link_counts() {
    let mut chain = Chain::with(5);
    chain.set_node(2, 1, true, created(5, 2), L1_BLOCK - 50, created(5, 3));
    let path = chain.prove().unwrap();
    let parent = chain.assertions[2].hash();
    assert_eq!(path.end, End::Challenged { parent, l1_block: L1_BLOCK - 50 });
    assert_eq!(path.youngest(0).0.hash, parent);
    chain.set_node(0, 2, true, created(5, 0), L1_BLOCK - 40, created(5, 1));
    let path = chain.prove().unwrap();
    assert_eq!(path.youngest(0), (&path.confirmed, Tier::Confirmed));
}

#[test]
fn an_assertion_that_the_contract_does_not_know_is_passed_over() {
    let chain = Chain::with(3);
    // Of a block that was reorganized away, or invented: its hash is not in the state.
    let invented = assertion(chain.assertions[1].hash(), &l2_header(300, B256::repeat_byte(6)), 300);
    let mut preimages = vec![invented];
    preimages.extend(&chain.assertions);
    let path = chain.prove_with(&preimages).unwrap();
    assert_eq!(path.youngest(0).0.hash, chain.assertions[2].hash());
    let path = chain.prove_with(&[chain.assertions[0], chain.assertions[1], invented]).unwrap();
    assert_eq!(path.end, End::Unknown { parent: chain.assertions[1].hash() });
}

#[test]
fn a_preimage_with_another_parent_is_another_assertion() {
    let chain = Chain::with(3);
    let moved = Assertion { parent: chain.assertions[0].hash(), ..chain.assertions[2] };
    let path = chain.prove_with(&[chain.assertions[0], chain.assertions[1], moved]).unwrap();
    assert_eq!((path.pending.len(), path.end), (1, End::Unknown { parent: chain.assertions[1].hash() }));
}

#[test]
fn hints_that_lack_something_name_what_they_lack() {
    let chain = Chain::with(3);
    let path = chain.prove_with(&[chain.assertions[0], chain.assertions[2]]).unwrap();
    assert_eq!(path.end, End::Unknown { parent: chain.assertions[0].hash() });
    let state = chain.world.proven(&chain.rollup.keys(&[chain.assertions[0].hash()]));
    let without = Path::prove(&chain.rollup, &state, &[], L1_BLOCK).unwrap_err();
    assert_eq!(without, PathError::NoPreimage(chain.assertions[0].hash()));
    let slot = chain.rollup.assertion_slot(chain.assertions[1].hash());
    let unproven = Path::prove(&chain.rollup, &state, &chain.assertions, L1_BLOCK).unwrap_err();
    assert_eq!(unproven, PathError::Missing(Missing::Slot { account: ROLLUP, slot }));
}

#[test]
fn a_node_that_does_not_fit_its_place_is_refused_not_read() {
    type Change = fn(&mut Chain);
    let changes: [(Change, &str); 5] = [
        (|c| c.set_node(0, 1, true, created(3, 0), 0, created(3, 1)), "the latest confirmed is pending"),
        (
            |c| c.set_node(1, 2, true, created(3, 1), 0, created(3, 2)),
            "a confirmed child of the latest confirmed",
        ),
        (|c| c.set_node(1, 1, false, created(3, 1), 0, created(3, 2)), "an only child that is not the first"),
        (
            |c| c.set_node(1, 1, true, created(3, 1) + 1, 0, created(3, 2)),
            "made when its parent had no child",
        ),
        (|c| c.set_node(1, 7, true, created(3, 1), 0, created(3, 2)), "an unknown status"),
    ];
    for (change, what) in changes {
        let mut chain = Chain::with(3);
        change(&mut chain);
        let refused = chain.prove().unwrap_err();
        assert!(matches!(refused, PathError::Misplaced { .. } | PathError::Layout(_)), "{what}: {refused}");
    }
}

#[test]
fn an_upgraded_rollup_is_an_alarm_not_a_misreading() {
    let mut chain = Chain::with(2);
    chain.world.set(ROLLUP, SECONDARY, U256::from(6));
    let alarm = Unexpected {
        contract: ROLLUP,
        slot: SECONDARY,
        expected: B256::with_last_byte(5),
        found: B256::with_last_byte(6),
    };
    assert_eq!(chain.prove().unwrap_err(), PathError::Guard(GuardError::Slot(alarm)));
}

#[test]
fn a_log_gives_the_preimage_and_a_changed_one_does_not() {
    let assertion = Chain::with(2).assertions[1];
    let (topics, data) = log(&assertion, 1);
    assert_eq!(topics, vec![CREATED, assertion.hash(), assertion.parent]);
    assert_eq!(data.len(), 25 * 32);
    assert_eq!(Assertion::from_log(&topics, &data), Ok(assertion));
    let json = serde_json::json!({ "topics": topics, "data": alloy_primitives::hex::encode_prefixed(&data) });
    assert_eq!(Assertion::from_rpc_log(&json), Ok(assertion));
    let mut refused = BTreeSet::new();
    for at in 0..data.len() {
        let mut lie = data.clone();
        lie[at] ^= 1;
        if let Err(why) = Assertion::from_log(&topics, &lie) {
            refused.insert((at / 32, matches!(why, AssertionError::Hash { .. } | AssertionError::Log(_))));
        }
        assert!(Assertion::from_log(&topics, &data[..at]).is_err());
    }
    // Words 13 to 18 are the state after, 19 the inbox accumulator; the rest is not covered by the hash and not used.
    assert!((13..20).all(|word| refused.contains(&(word, true))));
    let other = [topics[0], topics[1], B256::ZERO];
    assert!(matches!(Assertion::from_log(&other, &data), Err(AssertionError::Hash { .. })));
    assert!(matches!(Assertion::from_log(&topics[..2], &data), Err(AssertionError::Log(_))));
}

#[test]
fn an_assertion_of_an_unfinished_machine_is_refused() {
    let assertion = Chain::with(2).assertions[1];
    for status in [0, 2] {
        let (topics, data) = log(&assertion, status);
        let refused = Assertion::from_log(&topics, &data).unwrap_err();
        assert_eq!(refused, AssertionError::Unfinished { hash: topics[1], status });
        assert_ne!(topics[1], assertion.hash());
    }
}

#[test]
fn an_assertion_leads_to_its_header_and_to_no_other() {
    let chain = Chain::with(4);
    let path = chain.prove().unwrap();
    let (link, tier) = path.youngest(300);
    let anchor = L2Anchor::asserted(link, tier, &chain.raw[2], 77).unwrap();
    assert_eq!(
        (anchor.nitro.l1_block, anchor.nitro.arbos, anchor.nitro.send_count),
        (L1_BLOCK - 200, 32, 30)
    );
    let proven = anchor.anchor();
    assert_eq!((proven.l1_slot, proven.l2_block, proven.timestamp), (77, 300, 1_700_000_300));
    assert_eq!(proven.tier, Tier::Pending { l1_blocks: 400 });
    let other = L2Anchor::asserted(link, tier, &chain.raw[1], 77).unwrap_err();
    assert!(matches!(other, L2Error::Header(HeaderError::Hash { .. })));
    for at in 0..chain.raw[2].len() {
        let mut lie = chain.raw[2].clone();
        lie[at] ^= 4;
        assert!(L2Anchor::asserted(link, tier, &lie, 77).is_err());
    }
}

#[test]
fn a_header_whose_send_root_is_not_the_assertions_is_refused() {
    let chain = Chain::with(2);
    let mut link = *chain.prove().unwrap().youngest(0).0;
    link.assertion.send_root = B256::ZERO;
    let refused = L2Anchor::asserted(&link, Tier::Confirmed, &chain.raw[1], 0).unwrap_err();
    assert!(matches!(refused, L2Error::SendRoot { number: 200, .. }));
}

#[test]
fn the_outbox_confirms_a_header_by_one_slot() {
    let chain = Chain::with(2);
    let slots = [100, 200].map(|number| chain.rollup.outbox_slot(send_root(number)));
    let state = chain.world.proven(&[(OUTBOX, slots.into())].into());
    let anchor = L2Anchor::in_outbox(&chain.rollup, &state, &chain.raw[0], 5).unwrap();
    assert_eq!((anchor.tier, anchor.header.number), (Tier::Confirmed, 100));
    let pending = L2Anchor::in_outbox(&chain.rollup, &state, &chain.raw[1], 5).unwrap_err();
    assert!(matches!(pending, L2Error::NotInOutbox { number: 200, found: B256::ZERO, .. }));
}

#[test]
fn a_header_of_another_chain_is_no_arbitrum_header() {
    let mut raw = l2_header(5, B256::ZERO);
    let end = raw.len();
    assert!(ExecHeader::decode(&raw).unwrap().nitro().is_ok());
    // Drop the base fee: a header of 15 fields.
    raw.truncate(end - 5);
    let length = u16::try_from(raw.len() - 3).unwrap();
    raw[1..3].copy_from_slice(&length.to_be_bytes());
    assert!(matches!(ExecHeader::decode(&raw).unwrap().nitro(), Err(HeaderError::NotNitro(5, _))));
}

fn claims(of: &[(u32, &ExecHeader)]) -> Vec<Claim> {
    of.iter().map(|(source, header)| Claim { source: *source, header: (*header).clone() }).collect()
}

#[test]
fn sources_settle_the_newest_header_that_enough_of_them_name() {
    let (old, new, lie) = (header(9, B256::ZERO), header(10, B256::ZERO), header(10, B256::repeat_byte(1)));
    let said = claims(&[(0, &new), (1, &new), (2, &lie), (3, &old), (2, &lie), (2, &lie)]);
    let agreed = sequenced::agree(&said, 4, 2, &[]).unwrap();
    assert_eq!((&agreed.header, agreed.tier), (&new, Tier::Sequenced { agree: 2, asked: 4 }));
    assert_eq!(agreed.dissent, vec![2]);
    let few = sequenced::agree(&said, 4, 3, &[]).unwrap_err();
    assert_eq!(few, SequencedError::TooFew { agree: 2, asked: 4, least: 3 });
    assert!(!few.is_contradiction());
    assert!(sequenced::agree(&[], 0, 0, &[]).is_err());
}

#[test]
fn two_headers_with_enough_voices_each_stop_everything() {
    let (one, other) = (header(10, B256::ZERO), header(10, B256::repeat_byte(1)));
    let said = claims(&[(0, &one), (1, &one), (2, &other), (3, &other)]);
    let split = sequenced::agree(&said, 4, 2, &[]).unwrap_err();
    assert!(matches!(split, SequencedError::Split { number: 10, .. }));
    assert!(split.is_contradiction());
    let asserted = sequenced::agree(&said[..2], 4, 2, &[&other]).unwrap_err();
    assert_eq!(asserted, SequencedError::AgainstL1 { number: 10, asserted: other.hash, found: one.hash });
    assert_eq!(sequenced::agree(&said[..2], 4, 2, &[&one]).unwrap().header, one);
}

#[test]
fn headers_follow_each_other_by_parent_hash_and_height() {
    let first = header(1, B256::ZERO);
    let second = header(2, first.hash);
    let third = header(3, second.hash);
    assert_eq!(sequenced::follow(&first, [&second, &third]), Ok(&third));
    let broken = sequenced::follow(&first, [&third]).unwrap_err();
    assert_eq!((broken.number, broken.expected, broken.found), (3, first.hash, second.hash));
    assert!(sequenced::follow(&first, [&header(3, first.hash)]).is_err());
}
