//! The shell of the verifier: checks run on the blocking pool, so that no actor waits for a parser.

use actix::prelude::*;
use media::check::{self, Violation};

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
