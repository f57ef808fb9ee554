//! Death watch for actors: sees every death, backs off, builds the actor again, and gives up when that does not help.
//!
//! In: a factory for each actor of a [`Group`]. Out: a [`Slot`] for each, whose recipients stay good across restarts, and one
//! call of `escalate` when a group cannot be kept alive. It never knows what the actors do.
//!
//! A panic is a death. An actor that stops itself, or that its group stops, is not. After a death the actor is built again
//! after a pause that grows; what was in its mailbox is lost, and what is sent meanwhile waits. More than
//! [`Policy::deaths`] in [`Policy::within`] restarts the whole group once, and the next time escalates.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::watch;

use crate::budget::FRONT;

mod front;
mod intensity;
mod keeper;

use front::Front;
pub use intensity::Policy;
use intensity::{Intensity, Verdict};
use keeper::Keeper;

/// How long an actor may take to finish what it has when its group stops.
pub const STOP_GRACE: Duration = Duration::from_secs(5);

/// The actor cannot be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// It died and is being built again: try again soon.
    #[error("the actor is being restarted, try again in a moment")]
    Restarting,
    /// It has stopped for good.
    #[error("the actor has stopped")]
    Stopped,
}

/// A group could not be kept alive: the process should end with a code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{group}: {actor} died {deaths} times within {within:?} and a restart of the whole group did not help; last: {last}"
)]
pub struct Escalation {
    /// Name of the group.
    pub group: String,
    /// The actor that died last.
    pub actor: String,
    /// How often actors of the group died.
    pub deaths: usize,
    /// In what time.
    pub within: Duration,
    /// What the last panic said.
    pub last: String,
}

/// Where an actor is now.
#[derive(Debug)]
enum Seat<A: Actor> {
    Up(Addr<A>),
    Restarting,
    Stopped,
}

impl<A: Actor> Clone for Seat<A> {
    fn clone(&self) -> Self {
        match self {
            Self::Up(addr) => Self::Up(addr.clone()),
            Self::Restarting => Self::Restarting,
            Self::Stopped => Self::Stopped,
        }
    }
}

/// Holds the address of a supervised actor, whichever is alive. Clones share it.
pub struct Slot<A: Actor<Context = Context<A>>> {
    seat: watch::Receiver<Seat<A>>,
    front: Addr<Front<A>>,
}

impl<A: Actor<Context = Context<A>>> Clone for Slot<A> {
    fn clone(&self) -> Self {
        Self { seat: self.seat.clone(), front: self.front.clone() }
    }
}

impl<A: Actor<Context = Context<A>>> fmt::Debug for Slot<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("up", &self.addr().is_ok()).finish_non_exhaustive()
    }
}

impl<A: Actor<Context = Context<A>>> Slot<A> {
    /// The actor that is alive now. Do not keep it: it dies with this incarnation and holds up an orderly stop.
    ///
    /// # Errors
    /// [`Unavailable`] when there is none.
    pub fn addr(&self) -> Result<Addr<A>, Unavailable> {
        match &*self.seat.borrow() {
            Seat::Up(addr) => Ok(addr.clone()),
            Seat::Restarting => Err(Unavailable::Restarting),
            Seat::Stopped => Err(Unavailable::Stopped),
        }
    }

    /// A recipient that stays good across restarts. Messages are handed on in order; while the actor is down they wait, up to
    /// [`FRONT`] of them. An answer that died with the actor is `MailboxError::Closed`.
    #[must_use]
    pub fn recipient<M>(&self) -> Recipient<M>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.front.clone().recipient()
    }

    /// Resolves when the actor has stopped for good.
    pub async fn stopped(&self) {
        let _ = self.seat.clone().wait_for(|seat| matches!(seat, Seat::Stopped)).await;
    }
}

/// Actors that live and die together. Clones share it; it belongs to one thread, like the actors. Dropping it stops nothing:
/// call [`Group::stop`] when its actors are no longer wanted.
#[derive(Clone)]
pub struct Group {
    inner: Rc<RefCell<Inner>>,
}

struct Inner {
    name: String,
    intensity: Intensity,
    members: Vec<Rc<dyn Member>>,
    escalate: Option<Box<dyn FnOnce(Escalation)>>,
    stopping: bool,
}

/// What a group can do with an actor whose type it does not know.
trait Member {
    fn restart(&self);
    fn stop(&self) -> futures::future::LocalBoxFuture<'static, ()>;
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.borrow();
        f.debug_struct("Group")
            .field("name", &inner.name)
            .field("members", &inner.members.len())
            .finish_non_exhaustive()
    }
}

impl Group {
    /// An empty group. `escalate` is called once, when restarting did not help.
    #[must_use]
    pub fn new(name: impl Into<String>, policy: Policy, escalate: impl FnOnce(Escalation) + 'static) -> Self {
        let inner = Inner {
            name: name.into(),
            intensity: Intensity::new(policy),
            members: Vec::new(),
            escalate: Some(Box::new(escalate)),
            stopping: false,
        };
        Self { inner: Rc::new(RefCell::new(inner)) }
    }

    /// Starts an actor and keeps it alive. The factory must not rely on what a dead one left half done; a panic in it counts
    /// as a death.
    pub fn keep<A>(&self, name: impl Into<String>, factory: impl FnMut() -> A + 'static) -> Slot<A>
    where
        A: Actor<Context = Context<A>>,
    {
        let (keeper, seat) = Keeper::start(name.into(), self.clone(), factory);
        self.inner.borrow_mut().members.push(Rc::new(keeper));
        let front = Front::start(seat.clone(), FRONT);
        Slot { seat, front }
    }

    /// Stops all actors in the reverse order of their start; each finishes what is in its mailbox, within [`STOP_GRACE`].
    pub async fn stop(&self) {
        let members = {
            let mut inner = self.inner.borrow_mut();
            inner.stopping = true;
            std::mem::take(&mut inner.members)
        };
        for member in members.into_iter().rev() {
            member.stop().await;
        }
    }

    /// A member died: how long it waits before it is built again; `None` when it will not be.
    fn died(&self, actor: &str, last: &str) -> Option<Duration> {
        let mut inner = self.inner.borrow_mut();
        let group = inner.name.clone();
        if inner.stopping {
            return None;
        }
        match inner.intensity.died(tokio::time::Instant::now()) {
            Verdict::Again { after } => {
                tracing::error!(group, actor, "died and will be restarted in {after:?}: {last}");
                Some(after)
            }
            Verdict::RestartGroup { after } => {
                tracing::error!(group, actor, "died too often, the whole group is restarted: {last}");
                inner.members.iter().for_each(|member| member.restart());
                Some(after)
            }
            Verdict::GiveUp { deaths } => {
                inner.stopping = true;
                let within = inner.intensity.policy().within;
                let why = Escalation { group, actor: actor.into(), deaths, within, last: last.into() };
                tracing::error!("{why}");
                let escalate = inner.escalate.take();
                drop(inner);
                escalate.into_iter().for_each(|escalate| escalate(why.clone()));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
