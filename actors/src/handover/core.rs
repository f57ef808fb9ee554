//! Decides what the redeemer is told and asked next, and what its answers mean for the ledger. The same entries give the same
//! state again after a crash; what the redeemer is asked twice changes nothing there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use alloy_primitives::B256;
use protocol::Wei;
use protocol::payments::Entry;
use protocol::payments::entry::{Redemption, Winner};

use crate::ports::handover::{ASKED_AT_ONCE, Steps, WINNERS_AT_ONCE};
use crate::redeemer::messages::Standing;

/// What is said to the redeemer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// It shall take these over.
    Take(Vec<Winner>),
    /// What became of these?
    Ask(Vec<B256>),
}

/// Winners that are not done with.
#[derive(Debug, Default)]
pub struct Core {
    open: BTreeMap<B256, Open>,
    done: BTreeSet<B256>,
    /// The last ticket that was handed over or asked after: the next ones come first, so that none is in the way of others.
    last: [B256; 2],
    standing: Standing,
}

#[derive(Debug)]
struct Open {
    winner: Winner,
    /// As far as this node's ledger knows.
    steps: Vec<Redemption>,
    /// Whether the redeemer has it, as far as it has said.
    taken: bool,
}

impl Core {
    /// Goes on from a ledger.
    #[must_use]
    pub fn recover(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut core = Self::default();
        for entry in entries {
            match entry {
                Entry::Winner(winner) => core.on_winner(winner),
                Entry::Redemption { ticket, step, .. } => core.know(ticket, step),
                _ => {}
            }
        }
        core.standing = Standing::default();
        core
    }

    /// A ticket won; it is in the ledger. Known ones change nothing.
    pub fn on_winner(&mut self, winner: Winner) {
        let id = winner.id();
        if !self.done.contains(&id) {
            self.open.entry(id).or_insert(Open { winner, steps: Vec::new(), taken: false });
        }
    }

    /// What is to be said next: first the winners that the redeemer does not have. Nothing while nothing is open.
    pub fn to_say(&mut self) -> Option<Say> {
        let winners = self.after(0, WINNERS_AT_ONCE, |open| !open.taken);
        if !winners.is_empty() {
            let winner = |id: &B256| Some(self.open.get(id)?.winner.clone());
            return Some(Say::Take(winners.iter().filter_map(winner).collect()));
        }
        let tickets = self.after(1, ASKED_AT_ONCE, |open| open.taken);
        (!tickets.is_empty()).then_some(Say::Ask(tickets))
    }

    /// What the redeemer says of the tickets that it was told or asked of; gives what is new, for the ledger.
    pub fn on_steps(&mut self, now_ms: u64, said: &Say, steps: Steps) -> Vec<Entry> {
        let named: BTreeSet<B256> = match said {
            Say::Take(winners) => winners.iter().map(Winner::id).collect(),
            Say::Ask(tickets) => tickets.iter().copied().collect(),
        };
        for id in &named {
            // One that it does not have any more is handed over again.
            if let Some(open) = self.open.get_mut(id) {
                open.taken = false;
            }
        }
        let mut entries = Vec::new();
        for (ticket, steps) in steps.into_iter().filter(|(id, _)| named.contains(id)) {
            if let Some(open) = self.open.get_mut(&ticket) {
                open.taken = true;
            }
            // What comes after the last step that is known is new.
            let known = self
                .open
                .get(&ticket)
                .and_then(|open| steps.iter().rposition(|step| open.steps.contains(step)));
            for step in steps.into_iter().skip(known.map_or(0, |at| at + 1)) {
                let Some(open) = self.open.get(&ticket) else { break };
                if fits(&open.winner, &step) {
                    entries.push(Entry::Redemption { ticket, step: step.clone(), at_ms: now_ms });
                    self.know(ticket, step);
                }
            }
        }
        entries
    }

    /// How it goes.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let mut standing = self.standing;
        for open in self.open.values() {
            if matches!(open.steps.last(), Some(Redemption::Sent { .. })) {
                standing.in_flight += 1;
            } else {
                standing.waiting += 1;
                standing.face.0 = standing.face.0.saturating_add(open.winner.ticket.face_value);
            }
        }
        standing
    }

    /// The next tickets of a kind after the last one of that turn, and on from the first.
    fn after(&mut self, turn: usize, most: usize, kind: impl Fn(&Open) -> bool) -> Vec<B256> {
        let last = self.last[turn];
        let behind = self.open.range((Bound::Excluded(last), Bound::Unbounded));
        let ids = behind.chain(self.open.range(..=last)).filter(|(_, open)| kind(open)).map(|(id, _)| *id);
        let ids: Vec<B256> = ids.take(most).collect();
        self.last[turn] = ids.last().copied().unwrap_or(last);
        ids
    }

    fn know(&mut self, ticket: B256, step: Redemption) {
        let Some(open) = self.open.get_mut(&ticket) else { return };
        open.taken = true;
        match &step {
            Redemption::Redeemed { from_deposit, from_reserve, gas, .. } => {
                let earned = from_deposit.0.saturating_add(from_reserve.0);
                self.standing.redeemed += 1;
                self.standing.earned = Wei(self.standing.earned.0.saturating_add(earned));
                self.standing.gas = Wei(self.standing.gas.0.saturating_add(gas.0));
            }
            Redemption::Expired => self.standing.expired += 1,
            Redemption::Dropped { .. } => self.standing.dropped += 1,
            Redemption::Queued | Redemption::Sent { .. } | Redemption::Reopened => {}
        }
        if step.is_final() {
            self.open.remove(&ticket);
            self.done.insert(ticket);
        } else {
            open.steps.push(step);
        }
    }
}

/// Whether the ledger takes it: no ticket is paid more than it promises.
fn fits(winner: &Winner, step: &Redemption) -> bool {
    let Redemption::Redeemed { from_deposit, from_reserve, .. } = step else { return true };
    from_deposit.0.checked_add(from_reserve.0).is_some_and(|paid| paid <= winner.ticket.face_value)
}
