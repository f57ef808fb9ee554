//! What has happened to an intent in this process, for all who follow it.

use std::sync::Arc;

use futures::Stream;
use tokio::sync::watch;

use super::{Outcome, Progress, Until, WalletError};
use crate::pending::Id;

/// Most events that are kept of one intent; later ones but for the last stages are left out.
const MAX_HISTORY: usize = 1000;

/// What has happened to an intent.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) id: Id,
    pub(super) history: Arc<Vec<Progress>>,
    /// What is known now, and how well.
    pub(super) reached: Option<(Until, Outcome)>,
    /// Why it is not known better.
    pub(super) lacks: Option<String>,
    pub(super) displaced: bool,
    pub(super) ended: bool,
}

impl Track {
    pub(super) fn new(id: Id) -> Self {
        Self { id, history: Arc::default(), reached: None, lacks: None, displaced: false, ended: false }
    }

    /// Writes down what happened, unless it says the same as the last.
    pub(super) fn push(&mut self, progress: Progress) {
        match &progress {
            Progress::Sequenced(outcome) | Progress::Settled(outcome) => {
                self.reached = Some((Until::Sequenced, *outcome))
            }
            Progress::Proven(outcome) => self.reached = Some((Until::Proven, *outcome)),
            Progress::Confirmed(outcome) => self.reached = Some((Until::Confirmed, *outcome)),
            Progress::Reorged { .. } => self.reached = None,
            Progress::Displaced => self.displaced = true,
            Progress::Signed { .. }
            | Progress::Sent { .. }
            | Progress::Refused { .. }
            | Progress::Replaced { .. }
            | Progress::AtCeiling { .. }
            | Progress::Gap { .. } => {}
        }
        let last = matches!(progress, Progress::Confirmed(_) | Progress::Settled(_) | Progress::Displaced);
        if self.history.last() != Some(&progress) && (self.history.len() < MAX_HISTORY || last) {
            Arc::make_mut(&mut self.history).push(progress);
        }
    }
}

/// All events, from the first of this process on.
pub(super) fn stream(track: watch::Receiver<Track>) -> impl Stream<Item = Progress> + Send {
    futures::stream::unfold((track, 0_usize), |(mut track, at)| async move {
        loop {
            let (next, ended) = {
                let now = track.borrow_and_update();
                (now.history.get(at).cloned(), now.ended)
            };
            if let Some(progress) = next {
                return Some((progress, (track, at + 1)));
            }
            if ended || track.changed().await.is_err() {
                return None;
            }
        }
    })
}

/// The outcome once it is known as well as asked.
pub(super) async fn wait(mut track: watch::Receiver<Track>, until: Until) -> Result<Outcome, WalletError> {
    let id = track.borrow().id;
    let enough =
        |track: &Track| track.displaced || track.reached.is_some_and(|(reached, _)| reached >= until);
    let now = track.wait_for(enough).await.map_err(|_| WalletError::NotFollowed(id))?;
    match now.reached {
        Some((_, outcome)) if !now.displaced => Ok(outcome),
        _ => Err(WalletError::Displaced(id)),
    }
}
