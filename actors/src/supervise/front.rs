//! The stable address in front of a supervised actor.
//!
//! Neighbours hold a `Recipient`, and a recipient dies with its actor; so they hold the front's. It hands each message on to
//! whichever incarnation is alive, one after the other, and waits while there is none. Answers do not hold up the next
//! message, up to a bound. It has no state of its own that could break.

use std::sync::Arc;

use actix::dev::{MessageResponse, OneshotSender};
use actix::fut::wrap_future;
use actix::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::Seat;
use crate::budget::MAILBOX;

pub(super) struct Front<A: Actor> {
    seat: watch::Receiver<Seat<A>>,
    /// Bounds messages that are handed on and not answered, so that the actor's own mailbox is never overrun.
    unanswered: Arc<Semaphore>,
    mailbox: usize,
}

impl<A: Actor<Context = Context<A>>> Front<A> {
    pub(super) fn start(seat: watch::Receiver<Seat<A>>, mailbox: usize) -> Addr<Self> {
        Actor::start(Self { seat, unanswered: Arc::new(Semaphore::new(MAILBOX)), mailbox })
    }
}

impl<A: Actor<Context = Context<A>>> Actor for Front<A> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.mailbox);
        let mut seat = self.seat.clone();
        let gone = async move {
            let _ = seat.wait_for(|seat| matches!(seat, Seat::Stopped)).await;
        };
        ctx.spawn(gone.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}

impl<A, M> Handler<M> for Front<A>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    type Result = Forward<A, M>;

    fn handle(&mut self, message: M, _: &mut Self::Context) -> Self::Result {
        Forward { message, seat: self.seat.clone(), unanswered: Arc::clone(&self.unanswered) }
    }
}

/// Answers with the actor's own answer, or, when that died, by closing the sender's side.
pub(super) struct Forward<A: Actor, M> {
    message: M,
    seat: watch::Receiver<Seat<A>>,
    unanswered: Arc<Semaphore>,
}

impl<A, M> MessageResponse<Front<A>, M> for Forward<A, M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn handle(self, ctx: &mut Context<Front<A>>, reply: Option<OneshotSender<M::Result>>) {
        let Self { message, seat, unanswered } = self;
        let handed_on = async move {
            let Some((actor, permit)) = turn(seat, unanswered).await else { return };
            let answer = actor.send(message);
            actix_rt::spawn(async move {
                let answer = answer.await;
                drop(permit);
                if let (Ok(answer), Some(reply)) = (answer, reply) {
                    let _ = reply.send(answer);
                }
            });
        };
        ctx.wait(wrap_future(handed_on));
    }
}

/// Waits until the actor is up and can take one more; `None` when it has stopped for good.
async fn turn<A: Actor>(
    mut seat: watch::Receiver<Seat<A>>,
    unanswered: Arc<Semaphore>,
) -> Option<(Addr<A>, OwnedSemaphorePermit)> {
    let permit = unanswered.acquire_owned().await.ok()?;
    let seat = seat.wait_for(|seat| !matches!(seat, Seat::Restarting)).await.ok()?;
    match &*seat {
        Seat::Up(addr) => Some((addr.clone(), permit)),
        Seat::Restarting | Seat::Stopped => None,
    }
}
