//! One stream's accounts with orchestrators: which can pay a segment now, which have one in work, what has to be done about the others
//! and when. Pure: time and names come in, nothing is asked or written here.

use std::collections::BTreeMap;
use std::time::Duration;

use actors::ports::{Candidate, Turn};
use alloy_primitives::Address;
use protocol::payments::SessionId;
use protocol::payments::unpaid::{Remedy, Unpaid};
use protocol::{PeerKey, PricePerPixel};
use tokio::time::Instant;

use super::purse::Account;

/// Rest before books are compared after an order came to nothing: the other side must have noticed too.
const SETTLE: Duration = Duration::from_millis(300);
/// Rest before something is tried again that time may help, and the longest such rest: a killed orchestrator is back within seconds.
const SOON: Duration = Duration::from_millis(250);
const LATE: Duration = Duration::from_secs(4);
/// Rest before somebody is tried again who should be left alone, and the longest such rest.
const AVOIDED: Duration = Duration::from_secs(10);
const LONG_AVOIDED: Duration = Duration::from_secs(300);

/// All accounts of a stream.
#[derive(Debug, Default)]
pub(crate) struct Table(BTreeMap<PeerKey, Session>);

/// One of them.
#[derive(Clone, Debug)]
struct Session {
    account: Account,
    recipient: Address,
    price: PricePerPixel,
    stage: Stage,
    /// The last segment with a receipt.
    last: Option<u64>,
    /// Pixels that its parameters were asked for.
    pixels: u64,
    /// What has to be done before it can pay.
    heal: bool,
    anew: bool,
    reopen: bool,
    /// Times in a row that this was in vain.
    fails: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It can pay.
    Ready,
    /// It can pay, and is quoted again.
    Renewing,
    /// A segment is in work.
    Working(u64),
    /// It is opened, compared or quoted.
    Mending,
    /// It waits to be mended.
    Resting(Instant),
}

/// What has to be done so that an account can pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mend {
    pub(crate) account: Account,
    pub(crate) recipient: Address,
    pub(crate) price: PricePerPixel,
    /// Books have to be compared.
    pub(crate) heal: bool,
    /// Parameters have to be asked for, whatever there are.
    pub(crate) anew: bool,
}

/// What is to be done now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) mend: Vec<Mend>,
    /// Accounts that are not used any more.
    pub(crate) retire: Vec<Account>,
}

impl Table {
    /// How `candidate` may be asked now; none when it cannot be paid.
    pub(crate) fn turn(&self, candidate: &Candidate) -> Option<Turn> {
        let session = self.0.get(&candidate.peer)?;
        let pays = matches!(session.stage, Stage::Ready | Stage::Renewing) && session.fits(candidate);
        pays.then_some(Turn { after: session.last })
    }

    /// Takes an account for a segment of so many pixels.
    pub(crate) fn take(&mut self, peer: PeerKey, seq: u64, pixels: u64) -> Option<Account> {
        let session = self.0.get_mut(&peer)?;
        if !matches!(session.stage, Stage::Ready | Stage::Renewing) {
            return None;
        }
        session.stage = Stage::Working(seq);
        // Parameters for segments of quite another size make too many tickets, or too dear ones.
        session.anew |= pixels > session.pixels || pixels < session.pixels / 4;
        Some(session.account)
    }

    /// The segment's receipt came and is on disk.
    pub(crate) fn received(&mut self, peer: PeerKey, seq: u64) {
        if let Some(session) = self.0.get_mut(&peer).filter(|s| s.stage == Stage::Working(seq)) {
            session.last = session.last.max(Some(seq));
            session.stage = Stage::Ready;
            session.fails = 0;
        }
    }

    /// No receipt will come; `why` if there is a reason that the money has to do with.
    pub(crate) fn lost(&mut self, now: Instant, peer: PeerKey, seq: u64, why: Option<&Unpaid>) {
        if let Some(session) = self.0.get_mut(&peer).filter(|s| s.stage == Stage::Working(seq)) {
            session.heal = true;
            match why {
                Some(why) => session.rest(now, why),
                None => session.stage = Stage::Resting(now + SETTLE),
            }
        }
    }

    /// What is to be done, for those among `candidates` that are paid, where segments have so many pixels. `fresh` names accounts.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        candidates: &[Candidate],
        pixels: u64,
        mut fresh: impl FnMut() -> SessionId,
    ) -> Due {
        let mut due = Due::default();
        for candidate in candidates {
            let Some(recipient) = candidate.stake.as_ref().map(|stake| stake.staker) else { continue };
            let mut new = || {
                let account =
                    Account { session: fresh(), peer: candidate.peer, signer: candidate.receipt_key };
                Session::new(now, account, recipient, candidate.price)
            };
            let session = self.0.entry(candidate.peer).or_insert_with(&mut new);
            if session.is_idle() && (session.reopen || !session.fits(candidate)) {
                let fails = if session.reopen { session.fails } else { 0 };
                let (stage, last) = (session.stage, session.last);
                let old = std::mem::replace(session, Session { fails, stage, last, ..new() });
                if session.stage == Stage::Ready {
                    session.stage = Stage::Resting(now);
                }
                due.retire.push(old.account);
            }
            due.mend.extend(session.due(now, pixels));
        }
        due
    }

    /// What came of mending; the reason, if it cannot pay.
    pub(crate) fn mended(&mut self, now: Instant, mend: &Mend, done: Result<(), &Unpaid>) {
        let peer = mend.account.peer;
        let Some(session) = self.0.get_mut(&peer).filter(|s| s.account == mend.account) else { return };
        match (session.stage, done) {
            // A segment was ordered meanwhile, with the parameters that it had.
            (Stage::Ready | Stage::Working(_) | Stage::Resting(_), _) => {}
            (Stage::Renewing, Err(why)) if why.cause.remedy() < Remedy::Avoid => {
                session.stage = Stage::Ready;
            }
            (Stage::Mending | Stage::Renewing, Ok(())) => {
                session.stage = Stage::Ready;
                (session.heal, session.fails) = (false, 0);
            }
            (Stage::Mending | Stage::Renewing, Err(why)) => session.rest(now, why),
        }
    }

    /// All accounts, of a stream that has ended.
    pub(crate) fn drain(&mut self) -> Vec<Account> {
        std::mem::take(&mut self.0).into_values().map(|session| session.account).collect()
    }
}

impl Session {
    fn new(now: Instant, account: Account, recipient: Address, price: PricePerPixel) -> Self {
        Self {
            account,
            recipient,
            price,
            stage: Stage::Resting(now),
            last: None,
            pixels: 0,
            heal: false,
            anew: false,
            reopen: false,
            fails: 0,
        }
    }

    fn fits(&self, candidate: &Candidate) -> bool {
        let recipient = candidate.stake.as_ref().map(|stake| stake.staker);
        (self.price, Some(self.recipient), self.account.signer)
            == (candidate.price, recipient, candidate.receipt_key)
    }

    const fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Ready | Stage::Resting(_))
    }

    fn due(&mut self, now: Instant, pixels: u64) -> Option<Mend> {
        self.stage = match self.stage {
            Stage::Ready => Stage::Renewing,
            Stage::Resting(until) if until <= now => Stage::Mending,
            Stage::Resting(_) | Stage::Renewing | Stage::Working(_) | Stage::Mending => return None,
        };
        let Self { account, recipient, price, heal, .. } = *self;
        if self.anew || self.pixels == 0 {
            self.pixels = pixels;
        }
        Some(Mend { account, recipient, price, heal, anew: std::mem::take(&mut self.anew) })
    }

    fn rest(&mut self, now: Instant, why: &Unpaid) {
        let (first, longest) = match why.cause.remedy() {
            Remedy::Wait | Remedy::Renew => (SOON, LATE),
            Remedy::Heal => (SETTLE, LATE),
            Remedy::Avoid => (AVOIDED, LONG_AVOIDED),
        };
        self.anew |= why.cause.remedy() == Remedy::Renew;
        self.heal |= why.cause.remedy() == Remedy::Heal;
        self.reopen |= why.cause == protocol::payments::unpaid::Cause::Session;
        self.stage = Stage::Resting(now + (first * (1 << self.fails.min(6))).min(longest));
        self.fails = self.fails.saturating_add(1);
    }
}

#[cfg(test)]
mod tests;
