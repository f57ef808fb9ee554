//! Whom to ask next for one question: who was asked, who is late, who may be asked again and when.
//!
//! In flow the time and how sources have behaved; out flows the next one to ask or when to look again. Pure.

use super::Said;
use crate::source::score::{self, Score};

/// Sources asked the same thing at once, at most.
const AT_ONCE: usize = 4;
/// How often one source is asked the same thing.
const TRIES: u32 = 3;

/// One question on its way through the sources, which are named by index.
#[derive(Debug)]
pub(super) struct Round {
    contenders: Vec<Contender>,
    /// With requests under way, the next source is asked no sooner.
    hedge_at_ms: u64,
}

#[derive(Debug, Default)]
struct Contender {
    tries: u32,
    flying_since_ms: Option<u64>,
    said: Option<Said>,
    /// Never again in this round.
    out: bool,
    not_before_ms: u64,
}

/// What to do now.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// Ask this one.
    Ask(usize),
    /// Look again then.
    At(u64),
    /// There is nobody left to ask.
    Nobody,
}

impl Round {
    pub(super) fn new(sources: usize) -> Self {
        let contenders = std::iter::repeat_with(Contender::default).take(sources).collect();
        Self { contenders, hedge_at_ms: 0 }
    }

    /// Whom to ask now, if anybody; it counts as asked.
    pub(super) fn next(&mut self, now_ms: u64, scores: &[Score]) -> Next {
        if self.flying().count() >= AT_ONCE {
            return Next::Nobody;
        }
        let order = score::order(now_ms, scores);
        let ready_at = |at: usize| {
            let contender = &self.contenders[at];
            let open = !contender.out && contender.flying_since_ms.is_none();
            open.then(|| contender.not_before_ms.max(now_ms + scores[at].rest_ms(now_ms)))
        };
        let ready = order.iter().filter_map(|at| Some((ready_at(*at)?, *at)));
        // The first of those that are ready soonest: whoever is ready now counts as equally soon.
        let Some((ready_ms, at)) = ready.min_by_key(|(ready_ms, _)| (*ready_ms).max(now_ms)) else {
            return Next::Nobody;
        };
        let from_ms = if self.flying().next().is_some() { ready_ms.max(self.hedge_at_ms) } else { ready_ms };
        if from_ms > now_ms {
            return Next::At(from_ms);
        }
        self.contenders[at].tries += 1;
        self.contenders[at].flying_since_ms = Some(now_ms);
        self.hedge_at_ms = now_ms + scores[at].hedge_ms();
        Next::Ask(at)
    }

    /// A request ended without success; `retry_ms` is when the same source may be asked again, if ever.
    pub(super) fn landed(&mut self, at: usize, now_ms: u64, said: Said, retry_ms: Option<u64>) {
        let contender = &mut self.contenders[at];
        contender.flying_since_ms = None;
        contender.said = Some(said);
        match retry_ms {
            Some(retry_ms) if contender.tries < TRIES => contender.not_before_ms = retry_ms,
            Some(_) | None => contender.out = true,
        }
        // Nobody waits for a hedge after a failure.
        self.hedge_at_ms = now_ms;
    }

    /// Who is being waited for, and since when.
    pub(super) fn flying(&self) -> impl Iterator<Item = (usize, u64)> {
        self.contenders.iter().enumerate().filter_map(|(at, c)| Some((at, c.flying_since_ms?)))
    }

    /// The last thing that each said; none for one that never answered.
    pub(super) fn said(self) -> impl Iterator<Item = Option<Said>> {
        self.contenders.into_iter().map(|contender| contender.said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Said {
        Said::Useless("old".into())
    }

    #[test]
    fn a_second_source_is_asked_only_when_the_first_is_late() {
        let scores = [Score::default(); 3];
        let mut round = Round::new(3);
        assert_eq!(round.next(0, &scores), Next::Ask(0));
        let hedge = scores[0].hedge_ms();
        assert_eq!(round.next(1, &scores), Next::At(hedge));
        assert_eq!(round.next(hedge, &scores), Next::Ask(1));
    }

    #[test]
    fn after_a_failure_nobody_waits() {
        let scores = [Score::default(); 3];
        let mut round = Round::new(3);
        round.next(0, &scores);
        round.landed(0, 5, nothing(), None);
        assert_eq!(round.next(5, &scores), Next::Ask(1));
    }

    #[test]
    fn a_source_is_asked_three_times_and_then_left() {
        let scores = [Score::default()];
        let mut round = Round::new(1);
        for now_ms in [0, 100, 200] {
            assert_eq!(round.next(now_ms, &scores), Next::Ask(0));
            round.landed(0, now_ms, Said::Nothing, Some(now_ms + 100));
        }
        assert_eq!(round.next(300, &scores), Next::Nobody);
    }

    #[test]
    fn who_rests_is_waited_for_when_there_is_nobody_else() {
        let mut score = Score::default();
        score.asked_to_wait(0, 700);
        let mut round = Round::new(1);
        assert_eq!(round.next(0, &[score]), Next::At(700));
        assert_eq!(round.next(700, &[score]), Next::Ask(0));
    }

    #[test]
    fn a_liar_is_asked_when_all_others_are_done() {
        let mut liar = Score::default();
        liar.lied(0);
        let scores = [liar, Score::default()];
        let mut round = Round::new(2);
        assert_eq!(round.next(0, &scores), Next::Ask(1));
        round.landed(1, 1, nothing(), None);
        assert_eq!(round.next(1, &scores), Next::Ask(0));
    }
}
