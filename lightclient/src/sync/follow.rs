//! The shell around the core: asks what the plan says, sleeps until the plan says, and lets a second task
//! compare all sources at every new finalized header, because a first answer that wins would otherwise be the
//! only one that is ever seen.

use std::sync::Arc;
use std::time::Duration;

use super::checkpoint::{Trust, Word, agree};
use super::core::{Plan, Want};
use super::items;
use super::shared::Shared;
use crate::source::crowd::{AskError, Outcome, Refusal, Said};
use crate::source::{Answer, Ask, Fault};

/// Pause between tries to find sources that agree on a checkpoint.
const AGREE_AGAIN: Duration = Duration::from_secs(10);

/// Follows the chain until the task is ended.
pub(super) async fn follow(shared: Arc<Shared>) {
    shared.look();
    find_checkpoint(&shared).await;
    loop {
        let now_ms = shared.now_ms();
        let plan = shared.core().plan(now_ms);
        match plan {
            Plan::Ask(want) => ask(&shared, want).await,
            Plan::Wait { until_ms } => {
                let pause = Duration::from_millis(until_ms.saturating_sub(now_ms).max(1));
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = shared.wake.notified() => {}
                }
            }
            Plan::Halted => shared.wake.notified().await,
        }
        shared.look();
    }
}

async fn ask(shared: &Shared, want: Want) {
    let question = items::ask_for(want);
    let won = shared.crowd.ask(&question, |answer| shared.check(want, &answer)).await;
    match won {
        Ok(won) => {
            let (item, checked) = won.value;
            shared.crowd.showed(&won.by, item.slot());
            shared.take(item, checked).await;
        }
        Err(error) => {
            let now_ms = shared.now_ms();
            match want {
                Want::Finality | Want::Optimistic if nothing_newer(&error) => {
                    shared.core().nothing_newer(now_ms, want, error.to_string());
                }
                _ => shared.core().failed(now_ms, want, error.to_string()),
            }
        }
    }
}

/// Whether at least one source answered and nobody has more: others that are silent do not make that a
/// failure.
fn nothing_newer(error: &AskError) -> bool {
    let spoke = |said: &Said| match said {
        Said::Useless(_) => true,
        Said::Fault(fault) => fault.is_absence() && *fault != Fault::Unsupported,
        Said::Lie(_) | Said::Nothing | Said::Resting(_) => false,
    };
    error.said.iter().any(|(_, said)| spoke(said))
}

/// Where sources are to agree on the beginning, asks all until enough of them do.
async fn find_checkpoint(shared: &Shared) {
    let Trust::Agreed { least } = shared.config.trust else { return };
    while shared.core().needs_trust() {
        let answers = shared.crowd.ask_each(&Ask::Checkpoint).await;
        let words: Vec<Word> = answers
            .into_iter()
            .filter_map(|(by, answer)| match answer {
                Ok(Answer::Checkpoint { root, slot }) => Some(Word { by: by.to_string(), root, slot }),
                _ => None,
            })
            .collect();
        match agree(&words, least) {
            Ok((checkpoint, by)) => return shared.trust_agreed(checkpoint, by),
            Err(error) => shared.core().why(error.to_string()),
        }
        shared.look();
        tokio::select! {
            () = tokio::time::sleep(AGREE_AGAIN) => {}
            () = shared.wake.notified() => {}
        }
    }
}

/// Compares what all sources call finalized, once after every newly finalized header.
pub(super) async fn witness(shared: Arc<Shared>) {
    let mut finalized = shared.finalized_slots();
    let settle = Duration::from_millis(shared.config.spec.slot_ms / 2);
    while finalized.changed().await.is_ok() {
        // Others are given half a slot to see it as well.
        tokio::time::sleep(settle).await;
        finalized.borrow_and_update();
        if shared.crowd.count(&Ask::Finality) < 2 || !shared.core().is_synced() {
            continue;
        }
        for (by, answer) in shared.crowd.ask_each(&Ask::Finality).await {
            let Ok(answer) = answer else { continue };
            let outcome = match shared.check(Want::Finality, &answer) {
                Ok((item, checked)) => {
                    shared.crowd.showed(&by, item.slot());
                    shared.take(item, checked).await;
                    Outcome::Good
                }
                Err(refusal @ (Refusal::Lie(_) | Refusal::Useless(_))) => Outcome::Refused(refusal),
            };
            shared.crowd.note(&by, &Ask::Finality, outcome);
        }
        shared.look();
    }
}
