//! The way of a transaction to where it is final, shown to people: after it was sent, after an interruption, after a restart.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to people")]

use std::time::Duration;

use futures::StreamExt;
use wallet::{Id, Outcome, Progress, Until, Wallet};

use super::act::AccountArgs;
use crate::cli::Failure;
use crate::cli::chain::open::Opened;

/// Time between two looks at why a transaction is not proven yet.
const LOOK: Duration = Duration::from_secs(10);

/// How following ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Followed {
    /// The transaction is as far as was asked.
    Far,
    /// Somebody pressed Ctrl-C.
    Left,
}

/// Shows how far a transaction is until it is far enough, or somebody presses Ctrl-C.
pub(super) async fn follow(wallet: &Wallet, id: Id, until: Until, json: bool) -> Result<Followed, Failure> {
    let mut news = std::pin::pin!(wallet.follow(id));
    let (mut look, mut lacked) = (tokio::time::interval(LOOK), None);
    loop {
        let progress = tokio::select! {
            progress = news.next() => progress,
            _ = look.tick() => {
                say_what_is_lacking(wallet, id, &mut lacked);
                continue;
            }
            _ = tokio::signal::ctrl_c() => {
                eprintln!("left: the transaction is on disk; `livemesh stake pending` goes on with it");
                return Ok(Followed::Left);
            }
        };
        let Some(progress) = progress else { return Err("the transaction is no longer followed".into()) };
        if json {
            println!("{}", serde_json::to_string(&progress)?);
        }
        let reached = match &progress {
            Progress::Sequenced(outcome) => Some((Until::Sequenced, outcome)),
            Progress::Proven(outcome) => Some((Until::Proven, outcome)),
            Progress::Confirmed(outcome) => Some((Until::Confirmed, outcome)),
            Progress::Settled(outcome) => return settled(outcome, until, json).map(|()| Followed::Far),
            Progress::Displaced => {
                return Err("another transaction with the same nonce took its place".into());
            }
            Progress::Refused { why } => {
                eprintln!("  refused, and tried again: {why}");
                None
            }
            other => {
                tracing::debug!(?other, "transaction");
                None
            }
        };
        let Some((stage, outcome)) = reached else { continue };
        if !json {
            println!(
                "  {stage:?}: block {}, {} gas, transaction {}",
                outcome.block, outcome.gas_used, outcome.hash
            );
        }
        if stage >= until {
            return ended(outcome).map(|()| Followed::Far);
        }
    }
}

/// Says why a transaction is not proven yet, once for each reason.
fn say_what_is_lacking(wallet: &Wallet, id: Id, said: &mut Option<String>) {
    let lacks = wallet.pending().into_iter().find(|view| view.id == id).and_then(|view| view.lacks);
    if let Some(why) = lacks.as_ref().filter(|_| lacks != *said) {
        eprintln!("  {why}");
    }
    *said = lacks;
}

/// A transaction under so many blocks that it is followed no further: nothing here has proven it, and nobody says so.
fn settled(outcome: &Outcome, until: Until, json: bool) -> Result<(), Failure> {
    if !json {
        println!(
            "  Settled, by what endpoints say: block {}, {} gas, transaction {}",
            outcome.block, outcome.gas_used, outcome.hash
        );
    }
    ended(outcome)?;
    if until == Until::Sequenced {
        return Ok(());
    }
    Err(format!("transaction {} is deep in the chain by what endpoints say; it was not proven", outcome.hash)
        .into())
}

fn ended(outcome: &Outcome) -> Result<(), Failure> {
    if outcome.success {
        return Ok(());
    }
    Err(format!("transaction {} is in block {} and reverted: its gas is spent", outcome.hash, outcome.block)
        .into())
}

/// `livemesh stake pending`: what is under way goes on.
pub(super) async fn pending(account: &AccountArgs, json: bool) -> Result<(), Failure> {
    let opened = account.read_chain(json).await?;
    let followed = go_on(account, &opened, json).await;
    opened.stop().await;
    followed
}

async fn go_on(account: &AccountArgs, opened: &Opened, json: bool) -> Result<(), Failure> {
    let wallet = account.wallet(opened).await?;
    for view in wallet.pending() {
        if json {
            println!("{}", serde_json::to_string(&view)?);
        } else {
            println!("{}: nonce {}, {}", view.what, view.nonce, view.hash);
        }
    }
    for id in wallet.resume() {
        if follow(&wallet, id, account.until.until(), json).await? == Followed::Left {
            break;
        }
    }
    Ok(())
}

/// Brings transactions into a block that an interrupted command left behind. Whether there were any: then what was read
/// before is no longer what is there.
pub(super) async fn finish(wallet: &Wallet, json: bool) -> Result<bool, Failure> {
    let left = wallet.waiting().await?;
    for view in &left {
        eprintln!("  still under way from before: {}, nonce {}", view.what, view.nonce);
        if follow(wallet, view.id, Until::Sequenced, json).await? == Followed::Left {
            break;
        }
    }
    Ok(!left.is_empty())
}
