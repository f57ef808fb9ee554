//! Contracts of a few instructions each, enough to see what the EVM is given and what it is refused.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use lightclient::evm::{
    Codes, Env, EvmError, NoBlockHash, Revert, Transaction, call, cross_check, simulate, simulate_in_turn,
};
use lightclient::livepeer::layout::{at, bonding_manager as bm, mapping, minter};
use lightclient::livepeer::{Ask, Read};
use lightclient::state::Account;

use crate::world::{World, contracts, who};

const ENV: Env = Env { chain_id: 42161, number: 7_556_512, timestamp: 1_700_000_000, block_hash: None };

mod op {
    pub const ADD: u8 = 0x01;
    pub const EQ: u8 = 0x14;
    pub const SHR: u8 = 0x1c;
    pub const KECCAK256: u8 = 0x20;
    pub const CALLER: u8 = 0x33;
    pub const CALLDATALOAD: u8 = 0x35;
    pub const CALLDATASIZE: u8 = 0x36;
    pub const CALLDATACOPY: u8 = 0x37;
    pub const RETURNDATASIZE: u8 = 0x3d;
    pub const RETURNDATACOPY: u8 = 0x3e;
    pub const BLOCKHASH: u8 = 0x40;
    pub const TIMESTAMP: u8 = 0x42;
    pub const NUMBER: u8 = 0x43;
    pub const CHAINID: u8 = 0x46;
    pub const MSTORE: u8 = 0x52;
    pub const SLOAD: u8 = 0x54;
    pub const SSTORE: u8 = 0x55;
    pub const JUMP: u8 = 0x56;
    pub const JUMPI: u8 = 0x57;
    pub const GAS: u8 = 0x5a;
    pub const JUMPDEST: u8 = 0x5b;
    pub const PUSH0: u8 = 0x5f;
    pub const PUSH1: u8 = 0x60;
    pub const PUSH2: u8 = 0x61;
    pub const PUSH4: u8 = 0x63;
    pub const RETURN: u8 = 0xf3;
    pub const DELEGATECALL: u8 = 0xf4;
    pub const REVERT: u8 = 0xfd;
}
use op::*;

/// Returns the 32 bytes on the stack.
const ANSWER: [u8; 7] = [PUSH0, MSTORE, PUSH1, 32, PUSH0, RETURN, 0];

fn code(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}

struct Chain {
    world: World,
    codes: Codes,
}

impl Chain {
    fn new() -> Self {
        Self { world: World::default(), codes: Codes::default() }
    }

    fn with(mut self, address: Address, code: &Bytes) -> Self {
        self.put(address, code);
        self
    }

    fn put(&mut self, address: Address, code: &Bytes) {
        self.world.accounts.insert(address, Some(account(keccak256(code))));
        self.codes.insert(code.clone());
    }

    fn call(&self, to: Address, data: &[u8]) -> Result<Bytes, EvmError> {
        call(&self.world, &self.codes, ENV, to, Bytes::copy_from_slice(data))
    }
}

fn account(code_hash: B256) -> Account {
    Account { nonce: 1, balance: U256::ZERO, storage_root: B256::ZERO, code_hash }
}

/// Looks an address up in the mapping at slot 3.
fn lookup() -> Bytes {
    let load =
        [PUSH0, CALLDATALOAD, PUSH0, MSTORE, PUSH1, 3, PUSH1, 32, MSTORE, PUSH1, 64, PUSH0, KECCAK256, SLOAD];
    code(&[&load, &ANSWER])
}

/// Runs the code at the address in slot 0 on its own storage, and passes on what comes of it.
fn proxy() -> Bytes {
    let forward = [
        CALLDATASIZE,
        PUSH0,
        PUSH0,
        CALLDATACOPY,
        PUSH0,
        PUSH0,
        CALLDATASIZE,
        PUSH0,
        PUSH0,
        SLOAD,
        GAS,
        DELEGATECALL,
        RETURNDATASIZE,
        PUSH0,
        PUSH0,
        RETURNDATACOPY,
    ];
    let end = forward.len() as u8 + 6;
    let pass = [PUSH1, end, JUMPI, RETURNDATASIZE, PUSH0, REVERT, JUMPDEST, RETURNDATASIZE, PUSH0, RETURN];
    code(&[&forward, &pass])
}

/// Answers each selector with a slot.
fn getters(table: &[(&str, u8)]) -> Bytes {
    let mut out = vec![PUSH0, CALLDATALOAD, PUSH1, 224, SHR];
    let start = out.len() + table.len() * 12 + 3;
    for (i, (signature, _)) in table.iter().enumerate() {
        out.extend([0x80, PUSH4]); // DUP1
        out.extend(&keccak256(signature)[..4]);
        out.extend([EQ, PUSH2]);
        out.extend(((start + i * 11) as u16).to_be_bytes());
        out.extend([JUMPI, JUMPDEST]);
    }
    out.extend([PUSH0, PUSH0, REVERT]);
    for (_, slot) in table {
        out.extend([JUMPDEST, PUSH1, *slot, SLOAD]);
        out.extend(ANSWER);
    }
    out.into()
}

fn reverting(data: &[u8]) -> Bytes {
    let n = data.len() as u8;
    let prefix = [PUSH1, n, PUSH1, 11, PUSH0, 0x39, PUSH1, n, PUSH0, REVERT, 0]; // CODECOPY
    code(&[&prefix, data])
}

#[test]
fn code_sees_the_l1_block_number_the_time_and_the_chain() {
    for (opcode, value) in [(NUMBER, ENV.number), (TIMESTAMP, ENV.timestamp), (CHAINID, ENV.chain_id)] {
        let chain = Chain::new().with(who(1), &code(&[&[opcode], &ANSWER]));
        assert_eq!(chain.call(who(1), &[]).unwrap(), Bytes::from(U256::from(value).to_be_bytes_vec()));
    }
}

#[test]
fn a_missing_slot_is_asked_for_and_never_a_zero() {
    let mut chain = Chain::new().with(who(1), &lookup());
    let key = who(9).into_word();
    let EvmError::Wanted(wanted) = chain.call(who(1), key.as_slice()).unwrap_err() else { panic!() };
    assert_eq!(wanted.keys[&who(1)].iter().copied().collect::<Vec<_>>(), [mapping(key, at(3))]);
    assert!(wanted.codes.is_empty());
    chain.world.set(who(1), mapping(key, at(3)), 77);
    assert_eq!(chain.call(who(1), key.as_slice()).unwrap(), Bytes::from(U256::from(77).to_be_bytes_vec()));
}

#[test]
fn missing_accounts_and_code_are_asked_for_by_address_and_hash() {
    let mut chain = Chain::new();
    let EvmError::Wanted(wanted) = chain.call(who(1), &[]).unwrap_err() else { panic!() };
    assert!(wanted.keys.contains_key(&who(1)));
    let hash = keccak256(proxy());
    chain.world.accounts.insert(who(1), Some(account(hash)));
    let EvmError::Wanted(wanted) = chain.call(who(1), &[]).unwrap_err() else { panic!() };
    assert_eq!(wanted.codes, [(hash, who(1))].into());
}

#[test]
fn code_is_what_its_hash_says_whoever_brings_it() {
    let mut chain = Chain::new();
    chain.world.accounts.insert(who(1), Some(account(keccak256(lookup()))));
    chain.codes.insert(code(&[&[NUMBER], &ANSWER]));
    assert!(matches!(chain.call(who(1), &[]), Err(EvmError::Wanted(_))), "other code does not pass for it");
    assert!(!chain.codes.contains(keccak256(lookup())));
}

#[test]
fn a_proxy_runs_its_targets_code_on_its_own_storage() {
    let mut chain = Chain::new().with(who(1), &proxy()).with(who(2), &lookup());
    let key = who(9).into_word();
    chain.world.set_address(who(1), at(0), who(2));
    chain.world.set(who(1), mapping(key, at(3)), 5);
    assert_eq!(chain.call(who(1), key.as_slice()).unwrap(), Bytes::from(U256::from(5).to_be_bytes_vec()));
}

/// One run goes on with zeros to find out what else it needs, so a proxy takes few rounds and not one a slot.
#[test]
fn one_run_asks_for_all_that_it_can_foresee() {
    let sum = [PUSH0, SLOAD, PUSH1, 1, SLOAD, ADD, PUSH1, 2, SLOAD, ADD];
    let chain = Chain::new().with(who(1), &code(&[&sum, &ANSWER]));
    let EvmError::Wanted(wanted) = chain.call(who(1), &[]).unwrap_err() else { panic!() };
    assert_eq!(wanted.keys[&who(1)].len(), 3);
}

#[test]
fn reasons_of_reverts_are_told() {
    let reason = [
        &hex("08c379a0")[..],
        &U256::from(32).to_be_bytes::<32>(),
        &U256::from(16).to_be_bytes::<32>(),
        b"system is paused\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ]
    .concat();
    let panic = [&hex("4e487b71")[..], &U256::from(0x11).to_be_bytes::<32>()].concat();
    let cases = [
        (reason, Revert::Reason("system is paused".to_owned())),
        (panic, Revert::Panic(U256::from(0x11))),
        (hex("b3808bab"), Revert::Custom(hex("b3808bab").into())),
        (vec![], Revert::Silent),
    ];
    for (data, want) in cases {
        let chain = Chain::new().with(who(1), &reverting(&data));
        assert_eq!(chain.call(who(1), &[]).unwrap_err(), EvmError::Reverted(want));
    }
}

fn hex(text: &str) -> Vec<u8> {
    alloy_primitives::hex::decode(text).unwrap()
}

#[test]
fn code_that_never_ends_ends_with_its_gas() {
    let chain = Chain::new().with(who(1), &code(&[&[JUMPDEST, PUSH0, JUMP]]));
    assert!(matches!(chain.call(who(1), &[]), Err(EvmError::Halted(why)) if why.contains("OutOfGas")));
}

#[test]
fn a_block_hash_is_not_made_up_unless_somebody_gives_one() {
    let chain = Chain::new().with(who(1), &code(&[&[PUSH1, 1, NUMBER, 0x03, BLOCKHASH], &ANSWER])); // SUB
    assert_eq!(chain.call(who(1), &[]).unwrap_err(), EvmError::NoBlockHash(NoBlockHash(ENV.number - 1)));
    let hash = B256::repeat_byte(7);
    let env = Env { block_hash: Some(hash), ..ENV };
    assert_eq!(call(&chain.world, &chain.codes, env, who(1), Bytes::new()).unwrap(), Bytes::from(hash));
}

#[test]
fn a_transaction_is_tried_as_its_sender_and_tells_its_gas() {
    let mut chain = Chain::new().with(who(1), &code(&[&[PUSH1, 7, PUSH0, SSTORE, CALLER], &ANSWER]));
    let tx =
        Transaction { from: who(8), to: who(1), value: U256::ZERO, data: Bytes::new(), gas_limit: 100_000 };
    let EvmError::Wanted(wanted) = simulate(&chain.world, &chain.codes, ENV, &tx).unwrap_err() else {
        panic!()
    };
    assert!(wanted.keys.contains_key(&who(8)), "the sender's account decides");
    chain
        .world
        .accounts
        .insert(who(8), Some(Account { nonce: 41, ..account(alloy_primitives::KECCAK256_EMPTY) }));
    chain.world.set(who(1), at(0), 0);
    let outcome = simulate(&chain.world, &chain.codes, ENV, &tx).unwrap();
    assert_eq!(outcome.output, Bytes::from(who(8).into_word()));
    assert!((43_000..44_000).contains(&outcome.gas), "{}", outcome.gas);
    let poor = Transaction { value: U256::from(1), ..tx.clone() };
    assert!(matches!(simulate(&chain.world, &chain.codes, ENV, &poor), Err(EvmError::Invalid(_))));
    let little = Transaction { gas_limit: 30_000, ..tx };
    assert!(matches!(simulate(&chain.world, &chain.codes, ENV, &little), Err(EvmError::Halted(_))));
}

/// A minter, and a bonding manager behind a proxy whose target lies elsewhere.
fn inflation(target: &[(&str, u8)]) -> (Chain, lightclient::livepeer::Contracts) {
    let contracts = contracts();
    let mut chain = Chain { world: World::new(&contracts), codes: Codes::default() };
    let words = [(minter::INFLATION, 221_000), (minter::INFLATION_CHANGE, 500), (minter::MINTABLE, 6_000)];
    words.into_iter().for_each(|(slot, word)| chain.world.set(contracts.minter, slot, word));
    chain.world.set(contracts.bonding_manager, bm::CURRENT_ROUND_ACTIVE_STAKE, 11);
    chain.world.set(contracts.bonding_manager, bm::NEXT_ROUND_ACTIVE_STAKE, 12);
    let minter = [
        ("inflation()", 1),
        ("inflationChange()", 2),
        ("targetBondingRate()", 3),
        ("currentMintableTokens()", 4),
        ("currentMintedTokens()", 5),
    ];
    chain.put(contracts.minter, &getters(&minter));
    chain.put(contracts.bonding_manager, &getters(target));
    (chain, contracts)
}

#[test]
fn slots_and_bytecode_agree_where_the_layout_is_right() {
    let (chain, contracts) = inflation(&[("getTotalBonded()", 5), ("nextRoundTotalActiveStake()", 6)]);
    let read = Ask::Inflation.read(&chain.world, &contracts, ENV.number).unwrap();
    let agreement = cross_check(&read, &chain.world, &chain.codes, &contracts, ENV).unwrap();
    assert_eq!((agreement.compared.len(), agreement.holds()), (7, true), "{agreement:?}");
}

#[test]
fn bytecode_that_keeps_a_word_elsewhere_is_found_out() {
    let (chain, contracts) = inflation(&[("getTotalBonded()", 5), ("nextRoundTotalActiveStake()", 5)]);
    let read = Ask::Inflation.read(&chain.world, &contracts, ENV.number).unwrap();
    let agreement = cross_check(&read, &chain.world, &chain.codes, &contracts, ENV).unwrap();
    let differences: Vec<_> = agreement.differences().collect();
    assert_eq!(differences.len(), 1);
    let found = differences[0];
    assert_eq!(
        (found.getter.as_str(), found.slots.as_str(), found.bytecode.as_str()),
        ("nextRoundTotalActiveStake()", "12", "11")
    );
}

#[test]
fn a_contract_that_does_not_answer_is_not_taken_for_one_that_agrees() {
    let (mut chain, contracts) = inflation(&[("getTotalBonded()", 5)]);
    let Read::Inflation(_) = Ask::Inflation.read(&chain.world, &contracts, ENV.number).unwrap() else {
        panic!()
    };
    let read = Ask::Inflation.read(&chain.world, &contracts, ENV.number).unwrap();
    let error = cross_check(&read, &chain.world, &chain.codes, &contracts, ENV).unwrap_err();
    assert_eq!(error, EvmError::Reverted(Revert::Silent));
    chain.world.accounts.insert(contracts.bonding_manager, None);
    let error = cross_check(&read, &chain.world, &chain.codes, &contracts, ENV).unwrap_err();
    assert_eq!(error, EvmError::Output(contracts.bonding_manager));
}

/// Counts how often it was called, and says so.
fn counter() -> Bytes {
    code(&[&[PUSH0, SLOAD, PUSH1, 1, ADD, 0x80, PUSH0, SSTORE], &ANSWER]) // DUP1
}

fn to(address: Address) -> Transaction {
    Transaction { from: who(2), to: address, value: U256::ZERO, data: Bytes::new(), gas_limit: 1_000_000 }
}

#[test]
fn each_transaction_sees_what_those_before_it_did() {
    let mut chain = Chain::new().with(who(1), &counter());
    chain.world.accounts.insert(who(2), Some(account(alloy_primitives::KECCAK256_EMPTY)));
    let three = vec![to(who(1)); 3];
    let run = |chain: &Chain, txs: &[Transaction]| simulate_in_turn(&chain.world, &chain.codes, ENV, txs);
    let Err(EvmError::Wanted(wanted)) = run(&chain, &three) else { panic!("the counter is not proven") };
    assert!(wanted.keys[&who(1)].contains(&at(0)));
    chain.world.set(who(1), at(0), 40);
    let counts: Vec<U256> =
        run(&chain, &three).unwrap().iter().map(|outcome| U256::from_be_slice(&outcome.output)).collect();
    assert_eq!(counts, [41, 42, 43].map(U256::from));
}

#[test]
fn the_first_transaction_that_fails_says_why() {
    let mut chain = Chain::new().with(who(1), &counter()).with(who(3), &reverting(&[1, 2, 3, 4]));
    chain.world.accounts.insert(who(2), Some(account(alloy_primitives::KECCAK256_EMPTY)));
    chain.world.set(who(1), at(0), 40);
    let refused = simulate_in_turn(&chain.world, &chain.codes, ENV, &[to(who(1)), to(who(3)), to(who(1))]);
    let custom = Revert::Custom(Bytes::from_static(&[1, 2, 3, 4]));
    assert_eq!(refused, Err(EvmError::Reverted(custom)));
}

#[test]
fn where_nothing_can_run_nothing_is_said_to_succeed() {
    let mut chain = Chain::new().with(who(1), &Bytes::from_static(b"\xfeBondingManager"));
    chain.world.accounts.insert(who(2), Some(account(alloy_primitives::KECCAK256_EMPTY)));
    chain.world.accounts.insert(who(4), None);
    for nothing in [who(1), who(2), who(4)] {
        let tried = simulate_in_turn(&chain.world, &chain.codes, ENV, &[to(nothing)]);
        assert_eq!(tried, Err(EvmError::NoCode(nothing)));
    }
}
