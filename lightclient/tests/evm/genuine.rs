//! Livepeer's genuine contracts on a chain of their own, everything read three ways: by slots over proofs, by bytecode over
//! proofs, and by the chain itself.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use lightclient::evm::{
    Agreement, Codes, Env, EvmError, Revert, Transaction, call, cross_check, frame, simulate,
};
use lightclient::livepeer::sender::SenderLock;
use lightclient::livepeer::{Ask, Hint, Part, Read, Unreadable};

use crate::anvil::Proofs;
use crate::stage::{
    Stage, bondCall, claimEarningsCall, claimableReserveCall, currentRoundCall, getDelegatorCall,
    getGlobalTotalSupplyCall, getNextTranscoderInPoolCall, getSenderInfoCall, getServiceURICall,
    getTranscoderCall, initializeRoundCall, isActiveTranscoderCall, pendingFeesCall, pendingStakeCall,
    rewardCall, transcoderCall, transcoderTotalStakeCall, unbondCall,
};

/// Round trips that reads took, values that agreed, answers compared byte by byte.
#[derive(Debug, Default)]
struct Tally {
    reads: usize,
    values: usize,
    calls: usize,
    read_trips: usize,
    evm_trips: usize,
}

fn asks(stage: &Stage) -> Vec<Ask> {
    let mut asks = vec![Ask::Round, Ask::Pool, Ask::Inflation];
    for i in 0..11 {
        let address = stage.who(i);
        asks.extend([Ask::Orchestrator(address), Ask::Delegator(address), Ask::ServiceUri(address)]);
    }
    for (sender, claimant) in [(6, 1), (6, 2), (6, 8), (7, 1), (7, 9), (9, 1)] {
        asks.push(Ask::Sender { address: stage.who(sender), claimant: Some(stage.who(claimant)) });
    }
    asks
}

/// Getters of every account, as calldata.
fn calldata(stage: &Stage) -> Vec<(Address, Vec<u8>)> {
    let c = stage.contracts();
    let mut calls = vec![
        (c.rounds_manager, currentRoundCall {}.abi_encode()),
        (c.minter, getGlobalTotalSupplyCall {}.abi_encode()),
    ];
    for i in 0..11 {
        let who = stage.who(i);
        let bonding = [
            getDelegatorCall { who }.abi_encode(),
            pendingStakeCall { who, endRound: U256::ZERO }.abi_encode(),
            pendingFeesCall { who, endRound: U256::ZERO }.abi_encode(),
            getTranscoderCall { who }.abi_encode(),
            getNextTranscoderInPoolCall { who }.abi_encode(),
            transcoderTotalStakeCall { who }.abi_encode(),
            isActiveTranscoderCall { who }.abi_encode(),
        ];
        calls.extend(bonding.map(|call| (c.bonding_manager, call)));
        calls.push((c.service_registry, getServiceURICall { who }.abi_encode()));
        calls.push((c.ticket_broker, getSenderInfoCall { who }.abi_encode()));
        let claim = claimableReserveCall { holder: stage.who(6), claimant: who };
        calls.push((c.ticket_broker, claim.abi_encode()));
    }
    calls
}

/// Reads everything three ways at the newest block.
fn compare(stage: &Stage) -> Tally {
    let mut tally = Tally::default();
    let (mut slots, mut proofs) = (Proofs::of(&stage.anvil), Proofs::of(&stage.anvil));
    let (mut codes, env) = (Codes::default(), stage.env(&proofs));
    proofs.fetch(&frame(stage.contracts()));
    for ask in asks(stage) {
        let read = stage.read(&mut slots, &ask);
        let agreement: Agreement = stage
            .evm(&mut proofs, &mut codes, |view, codes| {
                cross_check(&read, view, codes, stage.contracts(), env)
            })
            .unwrap_or_else(|error| panic!("{ask:?}: {error}"));
        assert!(agreement.holds(), "{ask:?}: {:?}", agreement.differences().collect::<Vec<_>>());
        tally.reads += 1;
        tally.values += agreement.compared.len();
    }
    for (to, data) in calldata(stage) {
        let ours =
            stage.evm(&mut proofs, &mut codes, |view, codes| call(view, codes, env, to, data.clone().into()));
        let theirs = stage.anvil.eth_call(proofs.header.number, Address::ZERO, to, &data).unwrap();
        assert_eq!(ours.unwrap(), theirs, "{to} {}", Bytes::from(data));
        tally.calls += 1;
    }
    (tally.read_trips, tally.evm_trips) = (slots.round_trips, proofs.round_trips);
    tally
}

/// What was played left something in every corner that is compared.
fn assert_rich(stage: &Stage) {
    let mut proofs = Proofs::of(&stage.anvil);
    let Read::Delegator(d) = stage.read(&mut proofs, &Ask::Delegator(stage.who(10))) else { panic!() };
    assert!(d.pending.fees > d.fees && d.pending.stake > d.bonded, "{d:?}");
    let Read::Orchestrator(o) = stage.read(&mut proofs, &Ask::Orchestrator(stage.who(1))) else { panic!() };
    assert!(
        o.active && o.rewarded && o.unclaimed_rewards.0 > U256::ZERO && o.unclaimed_fees.0 > U256::ZERO,
        "{o:?}"
    );
    let ask = Ask::Sender { address: stage.who(7), claimant: Some(stage.who(1)) };
    let Read::Sender(s) = stage.read(&mut proofs, &ask) else { panic!() };
    assert!(s.claimed.0 > U256::ZERO && s.lock != SenderLock::Locked && s.claim.unwrap().active, "{s:?}");
    let Read::Pool(pool) = stage.read(&mut proofs, &Ask::Pool) else { panic!() };
    assert_eq!(pool.members.len(), 4);
}

#[test]
#[ignore = "installs @livepeer/sdk and anvil from npm"]
fn an_upgrade_is_an_alarm_until_its_code_is_known() {
    let mut stage = Stage::new();
    stage.play();
    let before = stage.read(&mut Proofs::of(&stage.anvil), &Ask::Pool);
    stage.upgrade(Part::BondingManager);
    let mut proofs = Proofs::of(&stage.anvil);
    proofs.fetch(&Ask::Pool.keys(stage.contracts(), &Hint::default()));
    let alarm = Ask::Pool.read(&proofs, stage.contracts(), proofs.header.number).unwrap_err();
    assert!(matches!(alarm, Unreadable::Unexpected(_)), "{alarm}");
    // Bytecode needs no layout: it answers through the new target at once.
    let (mut codes, env) = (Codes::default(), stage.env(&proofs));
    let agreement = stage.evm(&mut proofs, &mut codes, |view, codes| {
        cross_check(&before, view, codes, stage.contracts(), env)
    });
    assert!(agreement.unwrap().holds());
    stage.know_by_code(Part::BondingManager);
    assert_eq!(stage.read(&mut Proofs::of(&stage.anvil), &Ask::Pool), before);
}

#[test]
#[ignore = "installs @livepeer/sdk and anvil from npm"]
fn genuine_contracts_read_the_same_by_slots_by_bytecode_and_by_the_chain() {
    let stage = Stage::new();
    stage.play();
    assert_rich(&stage);
    println!("end of a round: {:?}", compare(&stage));
    stage.anvil.mine(50);
    println!("a round that nobody began: {:?}", compare(&stage));
    stage.next_round();
    stage.stake(&rewardCall {}, 1);
    let tally = compare(&stage);
    println!("the round after: {tally:?}");
    assert!(tally.values > 250 && tally.calls > 90, "{tally:?}");
}

#[test]
#[ignore = "installs @livepeer/sdk and anvil from npm"]
fn a_simulated_transaction_burns_the_same_gas_and_reverts_for_the_same_reason() {
    let stage = Stage::new();
    stage.play();
    let (bonding, rounds, mut codes) =
        (stage.contracts().bonding_manager, stage.contracts().rounds_manager, Codes::default());
    let transaction = |i: usize, data: Vec<u8>| Transaction {
        from: stage.who(i),
        to: bonding,
        value: U256::ZERO,
        data: data.into(),
        gas_limit: 5_000_000,
    };
    let mut proofs = Proofs::of(&stage.anvil);
    let mut reasons = Vec::new();
    for (i, data) in [
        (1, rewardCall {}.abi_encode()),
        (8, rewardCall {}.abi_encode()),
        (4, unbondCall { amount: U256::MAX }.abi_encode()),
        (9, unbondCall { amount: U256::from(1) }.abi_encode()),
        (1, bondCall { amount: U256::from(1), to: stage.who(2) }.abi_encode()),
        (9, transcoderCall { rewardCut: U256::from(1_000_001), feeShare: U256::ZERO }.abi_encode()),
    ] {
        let tx = transaction(i, data.clone());
        let env = stage.env(&proofs);
        let error =
            stage.evm(&mut proofs, &mut codes, |view, codes| simulate(view, codes, env, &tx)).unwrap_err();
        let EvmError::Reverted(Revert::Reason(reason)) = error else { panic!("{error}") };
        let theirs = stage.anvil.eth_call(proofs.header.number, tx.from, bonding, &data).unwrap_err();
        assert!(theirs["message"].as_str().unwrap().contains(&reason), "{reason}: {theirs}");
        reasons.push(reason);
    }
    println!("reasons: {reasons:#?}");
    for (i, data) in [
        (3, rewardCall {}.abi_encode()),
        (5, unbondCall { amount: U256::from(1_000_000) }.abi_encode()),
        (4, claimEarningsCall { endRound: U256::ZERO }.abi_encode()),
    ] {
        let mut proofs = Proofs::of(&stage.anvil);
        proofs.fetch(&frame(stage.contracts()));
        let tx = transaction(i, data.clone());
        // It will be in the next block.
        let env = Env { number: proofs.header.number + 1, ..stage.env(&proofs) };
        let outcome =
            stage.evm(&mut proofs, &mut codes, |view, codes| simulate(view, codes, env, &tx)).unwrap();
        let receipt = stage.anvil.send(tx.from, Some(bonding), &data, U256::ZERO);
        let burnt =
            u64::from_str_radix(receipt["gasUsed"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
        assert_eq!(outcome.gas, burnt);
        assert_eq!(outcome.logs.len(), receipt["logs"].as_array().unwrap().len());
        println!("gas {burnt}, {} events, {} round trips", outcome.logs.len(), proofs.round_trips);
    }
    stage.anvil.mine(50);
    let mut proofs = Proofs::of(&stage.anvil);
    let begin = Transaction { to: rounds, ..transaction(9, initializeRoundCall {}.abi_encode()) };
    let hash = Some(proofs.header.hash);
    let env = Env { number: proofs.header.number + 1, block_hash: hash, ..stage.env(&proofs) };
    let outcome =
        stage.evm(&mut proofs, &mut codes, |view, codes| simulate(view, codes, env, &begin)).unwrap();
    let receipt = stage.anvil.send(begin.from, Some(rounds), &begin.data, U256::ZERO);
    assert_eq!(format!("{:#x}", outcome.gas), receipt["gasUsed"].as_str().unwrap());
    println!("initializeRound: gas {}", outcome.gas);
}
