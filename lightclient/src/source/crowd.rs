//! Many untrusted sources asked as one: the best first, another one when it is late, until an answer verifies.
//!
//! In flows a question and the check that its answer must pass; out flows what the first answer that passed was made into,
//! or an error that says what each source said and which check failed. A liar sinks to the bottom, one that is silent costs
//! a hedge and not a timeout, and as long as one honest source lives the question is answered. What the check is, is not
//! known here.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use thiserror::Error;
use tokio::time::{Instant, timeout};

use super::budget::BudgetView;
use super::score::{self, Health, Score};
use super::{Answer, Ask, Fault, Source, SourceError};

mod round;
#[cfg(test)]
mod tests;

use round::{Next, Round};

/// How long anybody is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one source, whatever its own timeouts say.
    pub per_source: Duration,
    /// For an answer that verifies, over all sources and tries.
    pub in_all: Duration,
}

impl Default for Patience {
    /// A slow public endpoint answers within ten seconds; a question that nobody answered in half a minute is asked anew by
    /// whoever still wants to know.
    fn default() -> Self {
        Self { per_source: Duration::from_secs(10), in_all: Duration::from_secs(30) }
    }
}

/// Why an answer was not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// It fails a check that every honest answer passes. Names the check.
    Lie(String),
    /// It may well be true and does not help, such as one that is not newer than what is known.
    Useless(String),
}

/// An answer that passed, as what the check made of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Won<T> {
    /// What the check returned.
    pub value: T,
    /// Name of the source that gave it.
    pub by: Arc<str>,
}

/// What one source said to one question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    /// Nothing usable.
    Fault(Fault),
    /// Something that fails a check.
    Lie(String),
    /// Something of no use.
    Useless(String),
    /// It was still silent when the time was over.
    Nothing,
    /// It was not asked: it rests after failures or refusals for so long.
    Resting(Duration),
}

/// Nobody gave an answer that verifies.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub struct AskError {
    /// What was asked, in words.
    pub ask: String,
    /// The last thing that each source said.
    pub said: Vec<(Arc<str>, Said)>,
}

/// What became of an answer that the asker checked by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It verified.
    Good,
    /// See [`Refusal`].
    Refused(Refusal),
}

/// One source, for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// How it behaves.
    pub health: Health,
    /// What it may still be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetView>,
    /// The last thing that went wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fault: Option<String>,
}

/// The sources of one client. Shared by reference; questions may be asked at the same time.
#[derive(Debug)]
pub struct Crowd {
    seats: RwLock<Vec<Arc<Seat>>>,
    patience: Patience,
    start: Instant,
}

/// A source and what is known of it.
#[derive(Debug)]
struct Seat {
    name: Arc<str>,
    source: Arc<dyn Source>,
    score: Mutex<Score>,
    last_fault: Mutex<Option<String>>,
}

/// A request under way: which contender, since when, and what came of it.
type Flight<'a> = BoxFuture<'a, (usize, u64, Result<Answer, Fault>)>;

impl Crowd {
    /// A crowd of these sources. Of several with one name the last is kept.
    #[must_use]
    pub fn new(sources: impl IntoIterator<Item = Arc<dyn Source>>, patience: Patience) -> Self {
        let crowd = Self { seats: RwLock::default(), patience, start: Instant::now() };
        sources.into_iter().for_each(|source| crowd.add(source));
        crowd
    }

    /// Adds a source, or replaces the one of its name; what is known of that one's conduct stays.
    pub fn add(&self, source: Arc<dyn Source>) {
        let mut seats = self.seats.write().unwrap_or_else(PoisonError::into_inner);
        let name: Arc<str> = source.name().into();
        let known = seats.iter().position(|seat| seat.name == name);
        let score = known.map_or_else(Score::default, |at| *seats.remove(at).score());
        seats.push(Arc::new(Seat { name, source, score: Mutex::new(score), last_fault: Mutex::default() }));
    }

    /// Removes the source of this name.
    pub fn remove(&self, name: &str) {
        let mut seats = self.seats.write().unwrap_or_else(PoisonError::into_inner);
        seats.retain(|seat| &*seat.name != name);
    }

    /// Asks until an answer passes `verify`, which makes of it what the asker wants.
    ///
    /// # Errors
    /// [`AskError`] when no source gave such an answer in time, with what each said.
    pub async fn ask<T: Send>(
        &self,
        ask: &Ask,
        mut verify: impl FnMut(Answer) -> Result<T, Refusal> + Send,
    ) -> Result<Won<T>, AskError> {
        let seats = self.able(ask);
        let mut round = Round::new(seats.len());
        let mut flights: FuturesUnordered<Flight<'_>> = FuturesUnordered::new();
        let deadline = Instant::now() + self.patience.in_all;
        loop {
            let now_ms = self.now_ms();
            let scores: Vec<Score> = seats.iter().map(|seat| *seat.score()).collect();
            let wake = match round.next(now_ms, &scores) {
                Next::Ask(at) => {
                    flights.push(Box::pin(self.fly(at, &seats[at], ask)));
                    continue;
                }
                Next::At(at_ms) => deadline.min(self.start + Duration::from_millis(at_ms)),
                Next::Nobody if flights.is_empty() => break,
                Next::Nobody => deadline,
            };
            let landed = tokio::select! {
                Some(landed) = flights.next() => Some(landed),
                () = tokio::time::sleep_until(wake) => None,
            };
            if let Some((at, since_ms, answer)) = landed {
                let said = match answer.map(&mut verify) {
                    Ok(Ok(value)) => {
                        self.won(&seats, &round, at, since_ms);
                        return Ok(Won { value, by: Arc::clone(&seats[at].name) });
                    }
                    Ok(Err(Refusal::Lie(why))) => Said::Lie(why),
                    Ok(Err(Refusal::Useless(why))) => Said::Useless(why),
                    Err(fault) => Said::Fault(fault),
                };
                let now_ms = self.now_ms();
                seats[at].note(now_ms, since_ms, ask, &said);
                let retry_ms = again(&said).then(|| now_ms + seats[at].score().rest_ms(now_ms));
                round.landed(at, now_ms, said, retry_ms);
            } else if Instant::now() >= deadline {
                break;
            }
        }
        Err(self.nobody(ask, &seats, round))
    }

    /// Asks every source that can be asked, at once, and returns what each said; for questions on which several must agree.
    /// Whoever asked says by [`Self::note`] what the answers were worth.
    pub async fn ask_each(&self, ask: &Ask) -> Vec<(Arc<str>, Result<Answer, SourceError>)> {
        let seats = self.able(ask);
        let flights = seats.iter().enumerate().map(|(at, seat)| self.fly(at, seat, ask));
        let landed = futures::future::join_all(flights).await;
        landed
            .into_iter()
            .map(|(at, since_ms, answer)| {
                let by = Arc::clone(&seats[at].name);
                let answer = answer.map_err(|fault| {
                    seats[at].note(self.now_ms(), since_ms, ask, &Said::Fault(fault.clone()));
                    SourceError { by: Arc::clone(&by), fault }
                });
                (by, answer)
            })
            .collect()
    }

    /// What an answer of [`Self::ask_each`] was worth.
    pub fn note(&self, by: &str, ask: &Ask, outcome: Outcome) {
        let now_ms = self.now_ms();
        let seats = self.seats();
        let Some(seat) = seats.iter().find(|seat| &*seat.name == by) else { return };
        let latency = seat.score().hedge_ms();
        match outcome {
            Outcome::Good => seat.score().good(now_ms, latency),
            Outcome::Refused(Refusal::Lie(why)) => seat.note(now_ms, now_ms, ask, &Said::Lie(why)),
            Outcome::Refused(Refusal::Useless(why)) => seat.note(now_ms, now_ms, ask, &Said::Useless(why)),
        }
    }

    /// A verified item of this source was signed at `slot`: who lags behind the best is asked later.
    pub fn showed(&self, by: &str, slot: u64) {
        if let Some(seat) = self.seats().iter().find(|seat| &*seat.name == by) {
            seat.score().showed(slot);
        }
    }

    /// How every source does, in the order in which they would be asked now.
    #[must_use]
    pub fn status(&self) -> Vec<SourceStatus> {
        let (now_ms, seats) = (self.now_ms(), self.seats());
        let scores: Vec<Score> = seats.iter().map(|seat| *seat.score()).collect();
        let best_slot = scores.iter().filter_map(Score::slot).max().unwrap_or(0);
        let order = score::order(now_ms, &scores);
        order
            .into_iter()
            .map(|at| SourceStatus {
                name: seats[at].name.to_string(),
                health: scores[at].view(now_ms, best_slot),
                budget: seats[at].source.budget(),
                last_fault: seats[at].last_fault().clone(),
            })
            .collect()
    }

    /// How many sources may be asked this.
    #[must_use]
    pub fn count(&self, ask: &Ask) -> usize {
        self.able(ask).len()
    }

    fn seats(&self) -> Vec<Arc<Seat>> {
        self.seats.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn able(&self, ask: &Ask) -> Vec<Arc<Seat>> {
        self.seats().into_iter().filter(|seat| seat.source.can(ask)).collect()
    }

    fn now_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    async fn fly(&self, at: usize, seat: &Seat, ask: &Ask) -> (usize, u64, Result<Answer, Fault>) {
        let since_ms = self.now_ms();
        let answer = match timeout(self.patience.per_source, seat.source.ask(ask)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(error.fault),
            Err(_) => Err(Fault::Timeout { after: self.patience.per_source }),
        };
        (at, since_ms, answer)
    }

    fn won(&self, seats: &[Arc<Seat>], round: &Round, winner: usize, since_ms: u64) {
        let now_ms = self.now_ms();
        seats[winner].score().good(now_ms, now_ms.saturating_sub(since_ms));
        for (loser, since_ms) in round.flying().filter(|(at, _)| *at != winner) {
            seats[loser].score().overtaken(now_ms.saturating_sub(since_ms));
        }
    }

    fn nobody(&self, ask: &Ask, seats: &[Arc<Seat>], round: Round) -> AskError {
        let now_ms = self.now_ms();
        let resting = |at: usize| {
            let rest_ms = seats[at].score().rest_ms(now_ms);
            if rest_ms > 0 { Said::Resting(Duration::from_millis(rest_ms)) } else { Said::Nothing }
        };
        let said = round.said().enumerate();
        let said = said.map(|(at, said)| (Arc::clone(&seats[at].name), said.unwrap_or_else(|| resting(at))));
        AskError { ask: ask.to_string(), said: said.collect() }
    }
}

impl Seat {
    fn score(&self) -> MutexGuard<'_, Score> {
        self.score.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_fault(&self) -> MutexGuard<'_, Option<String>> {
        self.last_fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds against the source what is to be held against it.
    fn note(&self, now_ms: u64, since_ms: u64, ask: &Ask, said: &Said) {
        let waited_ms = now_ms.saturating_sub(since_ms);
        let mut score = self.score();
        match said {
            Said::Lie(why) => {
                tracing::warn!(source = %self.name, %ask, why, "does not verify: asked last from now on");
                score.lied(now_ms);
            }
            Said::Useless(_) => score.useless(now_ms, waited_ms),
            Said::Fault(fault) if fault.is_absence() => score.useless(now_ms, waited_ms),
            Said::Fault(Fault::RateLimited { retry_after }) => {
                score.asked_to_wait(now_ms, retry_after.as_millis() as u64);
            }
            Said::Fault(Fault::WrongChain { .. }) => score.lied(now_ms),
            Said::Fault(fault) if fault.is_foul() => score.broken(now_ms, waited_ms),
            Said::Fault(_) => score.failed(now_ms, waited_ms),
            Said::Nothing | Said::Resting(_) => return,
        }
        drop(score);
        tracing::debug!(source = %self.name, %ask, %said, "no answer");
        if !matches!(said, Said::Useless(_)) && !matches!(said, Said::Fault(fault) if fault.is_absence()) {
            *self.last_fault() = Some(format!("{ask}: {said}"));
        }
    }
}

/// Whether it makes sense to ask the same source the same thing again.
const fn again(said: &Said) -> bool {
    match said {
        Said::Fault(fault) => !fault.is_absence() && !fault.is_foul(),
        Said::Lie(_) | Said::Useless(_) | Said::Nothing | Said::Resting(_) => false,
    }
}

impl AskError {
    /// Whether every source that spoke had nothing newer or nothing at all, and none failed or lied.
    #[must_use]
    pub fn nothing_new(&self) -> bool {
        let quiet = |said: &Said| match said {
            Said::Useless(_) => true,
            Said::Fault(fault) => fault.is_absence(),
            Said::Lie(_) | Said::Nothing | Said::Resting(_) => false,
        };
        !self.said.is_empty() && self.said.iter().all(|(_, said)| quiet(said))
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.said.is_empty() {
            return write!(f, "no source can be asked for {}: add one that can", self.ask);
        }
        write!(f, "nobody gave {} that verifies", self.ask)?;
        for (at, (by, said)) in self.said.iter().enumerate() {
            write!(f, "{} {by} {said}", if at == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Lie(why) => write!(f, "sent what fails a check: {why}"),
            Self::Useless(why) => write!(f, "sent nothing of use: {why}"),
            Self::Nothing => write!(f, "was silent until the time was over"),
            Self::Resting(rest) => {
                write!(f, "rests for {} s after failures", rest.as_secs_f64().ceil())
            }
        }
    }
}
