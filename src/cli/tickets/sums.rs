//! What a ledger says, for people: read from its folder, beside the node that writes it.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::path::Path;

use ledger::SegmentsError;
use protocol::Wei;

use crate::http::payments::{Line, Payments, Sheet};

/// Counterparts that are listed; the others are in the sums.
const LISTED: usize = 10;

/// Reads a ledger's sums. Takes as long as reading all of it.
pub(super) fn read(folder: &Path) -> Result<Payments, SegmentsError> {
    Ok(Payments::of(&ledger::summarize(folder)?, |_| None))
}

/// Both sides, as far as they were used.
pub(super) fn print(sums: &Payments) {
    let Payments { sender, recipient, waiting, .. } = sums;
    if used(sender) {
        let Line { totals, wei, .. } = &sender.all;
        println!("paid      {} for {} segments, {} pixels", wei.debited, totals.works, totals.pixels);
        println!("          {} tickets sent, worth {}", totals.tickets, wei.credited);
        if wei.written_off != Wei::default() {
            let lost = totals.written_off_tickets;
            println!("          of them {lost} never arrived, worth {}", wei.written_off);
        }
        who("to", sender);
    }
    if used(recipient) {
        let Line { totals, wei, .. } = &recipient.all;
        println!("earned    {} for {} segments, {} pixels", wei.debited, totals.works, totals.pixels);
        println!("          {} tickets accepted, worth {}", totals.tickets, wei.credited);
        println!(
            "          {} won, {} redeemed for {} at {} of gas, {} expired, {waiting} waiting",
            totals.won, totals.redeemed, totals.redeemed_wei, totals.gas, totals.expired
        );
        who("from", recipient);
    }
    if !used(sender) && !used(recipient) {
        println!("nothing was paid or earned yet");
    }
}

fn used(sheet: &Sheet) -> bool {
    sheet.all.sessions > 0
}

fn who(word: &str, sheet: &Sheet) {
    for of in sheet.counterparts.iter().take(LISTED) {
        let unpaid = match of.line.unpaid_segments {
            0 => String::new(),
            n => format!(", {n} segments UNPAID"),
        };
        let (cost, works) = (of.line.wei.debited, of.line.totals.works);
        println!("  {word:<6} {} {cost} for {works} segments{unpaid}", of.id);
    }
    let left_out = sheet.counterparts.len().saturating_sub(LISTED);
    if left_out > 0 {
        println!("         and {left_out} more");
    }
}
