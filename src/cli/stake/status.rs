//! `livemesh stake status`: what an address has at stake, in people's units and times.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use alloy_primitives::Address;
use lightclient::livepeer::delegator::Lock;
use lightclient::livepeer::{Ask, Delegator, Orchestrator, Read};
use protocol::Round;
use protocol::chain::Chain;
use serde_json::json;

use super::act::AccountArgs;
use crate::cli::Failure;
use crate::cli::vote::proposals::wait;

pub(super) async fn run(account: &AccountArgs, address: Option<Address>, json: bool) -> Result<(), Failure> {
    let address = address.or(account.from).ok_or("whose? give an address, or --from")?;
    let opened = account.read_chain(json).await?;
    let delegator = opened.read(&Ask::Delegator(address)).await?;
    let orchestrator = opened.read(&Ask::Orchestrator(address)).await?;
    let state = opened.situation(address, &[], None).await?;
    let (known, slot_ms) = (opened.known(), opened.client().config().spec.slot_ms);
    opened.stop().await;
    if json {
        let value = json!({ "delegator": delegator, "orchestrator": orchestrator, "known": known });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    let (Read::Delegator(held), Read::Orchestrator(works)) = (&delegator, &orchestrator) else {
        return Err("a read answered something else than was asked".into());
    };
    println!("{address} in round {}, by state {known}", held.round);
    of_delegator(held, &state, slot_ms);
    if works.registered {
        of_orchestrator(works);
    }
    Ok(())
}

fn line(name: &str, value: impl std::fmt::Display) {
    println!("  {name:<22} {value}");
}

fn of_delegator(held: &Delegator, state: &Chain, slot_ms: u64) {
    line("stake", held.pending.stake);
    match held.delegate {
        Some(to) if to == held.address => line("with", "itself"),
        Some(to) => line("with", to),
        None => line("with", "nobody"),
    }
    if held.start_round > held.round {
        let wait = wait(state, held.start_round, slot_ms);
        line("counts", format!("from round {}, {wait}", held.start_round));
    }
    line("fees to withdraw", held.pending.fees);
    held.locks.iter().for_each(|lock| of_lock(lock, held.round, state, slot_ms));
    if held.locks_unread > 0 {
        line("older locks", format!("{}, not shown", held.locks_unread));
    }
}

fn of_lock(lock: &Lock, now: Round, state: &Chain, slot_ms: u64) {
    let when = match lock.withdraw_round {
        round if round <= now => "can be withdrawn".to_owned(),
        round => format!("can be withdrawn from round {round}, {}", wait(state, round, slot_ms)),
    };
    line(&format!("lock {}", lock.id), format!("{}, {when}", lock.amount));
}

fn of_orchestrator(works: &Orchestrator) {
    let place = match (works.active, works.in_pool) {
        (true, _) => "active",
        (false, true) => "in the pool, active from the next round",
        (false, false) => "outside the pool",
    };
    line("orchestrator", place);
    line("stake of all", works.stake);
    line("keeps of rewards", percent(works.reward_cut));
    line("shares of fees", percent(works.fee_share));
    line("this round's reward", if works.rewarded { "called" } else { "not called yet" });
    line("unclaimed rewards", works.unclaimed_rewards);
    line("unclaimed fees", works.unclaimed_fees);
    line("serves at", works.service_uri.as_deref().unwrap_or("nowhere"));
    if let Some(caller) = works.reward_caller {
        line("reward caller", caller);
    }
}

/// Parts per million as people write them.
fn percent(ppm: u64) -> String {
    format!("{}.{:04}%", ppm / 10_000, ppm % 10_000)
}
