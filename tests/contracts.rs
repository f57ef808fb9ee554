//! Livepeer's genuine contracts, read by the program with all proofs from a signature down, by slots and by bytecode: what lived
//! on anvil is put under an Arbitrum whose assertions are proven. Needs npm, so only on request (`make test-contracts`).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    dead_code,
    missing_debug_implementations,
    reason = "a test may fail by panic, and says what it measured; its helpers are another test's too"
)]

#[path = "../lightclient/tests/evm/anvil.rs"]
mod anvil;
#[path = "../lightclient/tests/evm/deploy.rs"]
mod deploy;
#[path = "../lightclient/tests/evm/stage.rs"]
mod stage;
#[path = "contracts/tickets.rs"]
mod tickets;

use std::path::Path;
use std::process::Command;

use alloy_primitives::{Address, U256};
use anvil::Proofs;
use fixtures::devnet::l2::L2State;
use fixtures::devnet::{Config, Devnet, Pace};
use lightclient::evm::{Codes, cross_check, frame};
use lightclient::livepeer::layout::{controller, proxy};
use lightclient::livepeer::{Ask, Contracts, Part, Target};
use lightclient::state::StateView;
use serde_json::{Value, json};
use stage::Stage;

/// Runs `livemesh chain` on a described network.
fn chain(dir: &Path, network: &Path, args: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_livemesh"));
    command.args(["chain", "--json", "--log", "warn", "--accept", "pending:0", "--data-dir"]);
    command.arg(dir).arg("--network").arg(network).args(args).output().unwrap()
}

/// All words and code that these reads touch, by either way.
fn touched<'a>(stage: &'a Stage, asks: &[Ask]) -> Proofs<'a> {
    let mut proofs = Proofs::of(&stage.anvil);
    let (mut codes, env) = (Codes::default(), stage.env(&proofs));
    proofs.fetch(&frame(stage.contracts()));
    for ask in asks {
        let read = stage.read(&mut proofs, ask);
        let check =
            |view: &Proofs<'_>, codes: &Codes| cross_check(&read, view, codes, stage.contracts(), env);
        assert!(stage.evm(&mut proofs, &mut codes, check).unwrap().holds());
    }
    proofs
}

/// The contracts of 2022 come without those that keep votes, which a cross-check looks for as for all others: a proxy that
/// the registry names takes their place, with a target that is known by its address.
fn add_votes(devnet: &Devnet, contracts: &mut Contracts) {
    let (registry, votes, target) =
        (contracts.controller, contracts.bonding_votes, Address::repeat_byte(0xbc));
    let part = Part::BondingVotes;
    let name = part.target().unwrap();
    let word = |address: Address| U256::from_be_bytes(address.into_word().0);
    devnet.set_storage(registry, controller::registered(part.name()), word(votes));
    devnet.set_storage(registry, controller::registered(name), word(target));
    devnet.set_storage(votes, proxy::CONTROLLER, word(registry));
    devnet.set_storage(votes, proxy::TARGET_CONTRACT_ID, U256::from_be_bytes(controller::id(name).0));
    contracts.targets.push(Target::at(part, target));
}

fn describe(devnet: &Devnet, contracts: &Contracts) -> Value {
    let mut network = devnet.network();
    network["contracts"] = json!(contracts);
    network
}

#[test]
#[ignore = "installs anvil and the contracts from npm: make test-contracts"]
fn slots_and_genuine_bytecode_agree_from_a_signature_down() {
    let stage = Stage::new();
    stage.play();
    let (orchestrator, delegator, gateway) = (stage.who(1), stage.who(5), stage.who(6));
    let asks = [
        (Ask::Round, vec!["round".to_owned()]),
        (Ask::Pool, vec!["pool".to_owned()]),
        (Ask::Inflation, vec!["inflation".to_owned()]),
        (Ask::Orchestrator(orchestrator), vec!["orchestrator".to_owned(), orchestrator.to_string()]),
        (Ask::Delegator(delegator), vec!["delegator".to_owned(), delegator.to_string()]),
        (
            Ask::Sender { address: gateway, claimant: Some(orchestrator) },
            vec!["sender".to_owned(), gateway.to_string(), orchestrator.to_string()],
        ),
        (Ask::ServiceUri(orchestrator), vec!["service-uri".to_owned(), orchestrator.to_string()]),
    ];
    let proofs = touched(&stage, &asks.iter().map(|(ask, _)| ask.clone()).collect::<Vec<_>>());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    // L1 is as high as the chain that the contracts lived on, so that they live in the same round.
    let history = proofs.header.number * 13 / 12 + 40;
    let config = Config { history, pace: Pace::Manual { behind: 40 }, ..Config::default() };
    let devnet = runtime.block_on(Devnet::start(config)).unwrap();
    let (mut words, mut bytes) = (0, 0);
    for (account, slots) in &proofs.keys {
        let code = stage.anvil.code(*account);
        bytes += code.len();
        if !code.is_empty() {
            devnet.with(|world| world.l2.set_code(*account, code));
        }
        for slot in slots {
            words += 1;
            devnet.set_storage(*account, *slot, proofs.storage(*account, *slot).unwrap());
        }
    }
    let mut contracts = stage.contracts().clone();
    add_votes(&devnet, &mut contracts);
    devnet.advance_slots(36);

    let dir = tempfile::tempdir().unwrap();
    let network = dir.path().join("network.json");
    std::fs::write(&network, describe(&devnet, &contracts).to_string()).unwrap();
    let mut compared = 0;
    for (_, what) in &asks {
        let mut args = vec!["read", "--cross-check"];
        args.extend(what.iter().map(String::as_str));
        let output = chain(&dir.path().join("state"), &network, &args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        let read: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(read["agrees"], true, "{args:?}: {read:#}");
        compared += read["cross_check"]["compared"].as_array().unwrap().len();
    }
    println!(
        "{} reads, {compared} values by slots and by bytecode, over {words} words and {bytes} bytes of code",
        asks.len()
    );

    // Placeholders answer nothing, and the program says that rather than that all is well.
    std::fs::write(&network, describe(&devnet, &devnet.contracts).to_string()).unwrap();
    let output = chain(&dir.path().join("state"), &network, &["read", "--cross-check", "pool"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("placeholders"), "{said}");
    runtime.block_on(devnet.stop());
}
