//! Keeps one actor alive: builds it, watches its task, tells the group of a death, builds it again.
//!
//! The task that runs the actor is the watch: it ends in order when the actor stops, and with the panic when it dies, in a
//! handler, a spawned future, `started` or the factory alike.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use actix::prelude::*;
use futures::future::LocalBoxFuture;
use tokio::sync::watch;
use tokio::task::JoinError;

use super::{Group, Member, STOP_GRACE, Seat};

/// What the group wants of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// Be alive; a new number means: start anew.
    Live(u64),
    Stop,
}

pub(super) struct Keeper<A: Actor> {
    wish: watch::Sender<Wish>,
    seat: watch::Receiver<Seat<A>>,
}

impl<A: Actor<Context = Context<A>>> Keeper<A> {
    pub(super) fn start(
        name: String,
        group: Group,
        mut factory: impl FnMut() -> A + 'static,
    ) -> (Self, watch::Receiver<Seat<A>>) {
        let (seat, seen) = watch::channel(Seat::Restarting);
        let (wish, wishes) = watch::channel(Wish::Live(0));
        // The first incarnation is there when this returns, so that nobody has to wait for it.
        let first = build(&mut factory);
        if let Ok((addr, _)) = &first {
            seat.send_replace(Seat::Up(addr.clone()));
        }
        actix_rt::spawn(keep(name, group, factory, first, seat, wishes));
        (Self { wish, seat: seen.clone() }, seen)
    }
}

impl<A: Actor<Context = Context<A>>> Member for Keeper<A> {
    fn restart(&self) {
        self.wish.send_modify(|wish| {
            if let Wish::Live(n) = wish {
                *n += 1;
            }
        });
    }

    fn stop(&self) -> LocalBoxFuture<'static, ()> {
        self.wish.send_replace(Wish::Stop);
        let mut seat = self.seat.clone();
        Box::pin(async move {
            let _ = seat.wait_for(|seat| matches!(seat, Seat::Stopped)).await;
        })
    }
}

type Running<A> = (Addr<A>, actix_rt::task::JoinHandle<()>);

/// How one incarnation ended.
enum Ended {
    Died(String),
    InOrder,
    Wished,
}

async fn keep<A: Actor<Context = Context<A>>>(
    name: String,
    group: Group,
    mut factory: impl FnMut() -> A + 'static,
    first: Result<Running<A>, String>,
    seat: watch::Sender<Seat<A>>,
    mut wishes: watch::Receiver<Wish>,
) {
    let mut running = first;
    loop {
        let ended = match running {
            Err(panic) => Ended::Died(panic),
            Ok((addr, task)) => {
                seat.send_replace(Seat::Up(addr));
                watch_over(task, &seat, &mut wishes).await
            }
        };
        if let Ended::Died(why) = &ended {
            seat.send_replace(Seat::Restarting);
            let Some(pause) = group.died(&name, why) else { break };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = wishes.wait_for(|wish| *wish == Wish::Stop) => {}
            }
        }
        if matches!(ended, Ended::InOrder) || *wishes.borrow_and_update() == Wish::Stop {
            break;
        }
        running = build(&mut factory);
    }
    seat.send_replace(Seat::Stopped);
}

/// Waits until the incarnation ends by itself, or ends it as the group wishes.
async fn watch_over<A: Actor>(
    mut task: actix_rt::task::JoinHandle<()>,
    seat: &watch::Sender<Seat<A>>,
    wishes: &mut watch::Receiver<Wish>,
) -> Ended {
    tokio::select! {
        end = &mut task => return ended(end),
        _ = wishes.changed() => {}
    }
    // Without an address the actor finishes its mailbox and stops; one that does not is cut off.
    seat.send_replace(Seat::Restarting);
    if tokio::time::timeout(STOP_GRACE, &mut task).await.is_err() {
        task.abort();
    }
    Ended::Wished
}

fn ended(end: Result<(), JoinError>) -> Ended {
    match end {
        Ok(()) => Ended::InOrder,
        Err(e) => Ended::Died(e.try_into_panic().map_or_else(|e| e.to_string(), |panic| said(&*panic))),
    }
}

fn build<A: Actor<Context = Context<A>>>(factory: &mut impl FnMut() -> A) -> Result<Running<A>, String> {
    let actor = catch_unwind(AssertUnwindSafe(factory)).map_err(|panic| said(&*panic))?;
    let life = Context::new().into_future(actor);
    let addr = life.address();
    Ok((addr, actix_rt::spawn(life)))
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").chars().take(200).collect()
}
