//! What both shells do with a core: they read its books before they answer anything, write before they answer, and read again
//! when something could not be written, because the core is ahead of the disk then.

use std::time::Duration;

use actix::fut::wrap_future;
use actix::prelude::*;
use protocol::payments::Entry;

use super::{Commit, Unready};
use crate::ports::payments::{SharedLedger, SharedRecall};

/// Rest before the books are read again after the ledger failed: a full disk does not get empty sooner.
const AGAIN: Duration = Duration::from_secs(1);

/// A shell around a core that has books.
pub(super) trait Books: Actor<Context = Context<Self>> + Sized {
    /// Where it writes.
    fn ledger(&self) -> &SharedLedger;
    /// Where it reads.
    fn recall(&self) -> &SharedRecall;
    /// Makes its core from what was read; entries to write before it is used.
    fn restored(&mut self, entries: &[Entry]) -> Vec<Entry>;
    /// Takes the core into use, or out of it.
    fn ready(&mut self, ready: bool);
}

/// Reads the books, now or after a rest, until that succeeds.
pub(super) fn read<A: Books>(act: &mut A, ctx: &mut Context<A>) {
    act.ready(false);
    let entries = act.recall().entries();
    ctx.spawn(wrap_future::<_, A>(entries).map(|entries, act, ctx| match entries {
        Ok(entries) => {
            let first = act.restored(&entries);
            begin(act, first, ctx);
        }
        Err(fault) => again(&fault.into(), ctx),
    }));
}

fn begin<A: Books>(act: &mut A, first: Vec<Entry>, ctx: &mut Context<A>) {
    if first.is_empty() {
        return act.ready(true);
    }
    let written = act.ledger().commit(first);
    ctx.spawn(wrap_future::<_, A>(written).map(|written, act, ctx| match written {
        Ok(()) => act.ready(true),
        Err(fault) => again(&fault.into(), ctx),
    }));
}

fn again<A: Books>(why: &Unready, ctx: &mut Context<A>) {
    tracing::error!("payments wait for the ledger: {why}");
    ctx.run_later(AGAIN, read);
}

/// Writes what an answer depends on, then gives it.
pub(super) fn answer<A: Books, T: 'static, E: From<Unready> + 'static>(
    act: &A,
    commit: Result<Commit<T>, E>,
) -> ResponseActFuture<A, Result<T, E>> {
    let Commit { entries, answer } = match commit {
        Ok(commit) => commit,
        Err(refusal) => return Box::pin(actix::fut::ready(Err(refusal))),
    };
    if entries.is_empty() {
        return Box::pin(actix::fut::ready(Ok(answer)));
    }
    let written = act.ledger().commit(entries);
    Box::pin(wrap_future::<_, A>(written).map(|written, act: &mut A, ctx: &mut Context<A>| {
        written.map_err(|fault| {
            tracing::error!("payments stop until the ledger works: {fault}");
            act.ready(false);
            ctx.run_later(AGAIN, read);
            E::from(Unready::Ledger(fault))
        })?;
        Ok(answer)
    }))
}
