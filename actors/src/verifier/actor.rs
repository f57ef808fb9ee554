//! The shell of the verifier: checks run on the blocking pool, so that no actor waits for a parser.

use actix::prelude::*;
use bytes::Bytes;
use media::check::{self, Violation};
use protocol::{Ladder, Rendition};

use super::messages::Check;
use crate::budget;

/// Checks renditions for one broadcaster.
#[derive(Debug, Default)]
pub struct Verifier;

impl Actor for Verifier {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(budget::MAILBOX);
    }
}

impl Handler<Check> for Verifier {
    type Result = ResponseFuture<Result<(), Violation>>;

    fn handle(&mut self, Check { rendition, ladder, source }: Check, _: &mut Context<Self>) -> Self::Result {
        let verdict = tokio::task::spawn_blocking(move || judge(&rendition, &ladder, &source));
        // A panic of a parser on hostile bytes is a verdict too.
        Box::pin(async {
            verdict.await.unwrap_or(Err(Violation::Unreadable("the checker failed on it".into())))
        })
    }
}

fn judge(rendition: &Rendition, Ladder(rungs): &Ladder, source: &Bytes) -> Result<(), Violation> {
    let unordered = || Violation::Unreadable(format!("rendition {} was not ordered", rendition.index));
    let spec = rungs.get(rendition.index).ok_or_else(unordered)?;
    let checked = check::check(&rendition.bytes, spec, source)?;
    if (checked.frames, checked.pixels) != (rendition.frames, rendition.pixels) {
        return Err(Violation::Claim { claimed: rendition.pixels, found: checked.pixels });
    }
    Ok(())
}
