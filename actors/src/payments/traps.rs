//! The ways in which tickets are known to lose money, a test each, named after the trap: what it would have cost, to the wei, and
//! that here it costs nothing.
//!
//! [`contract`] is what the contracts do that nobody expects, [`habits`] what is lost by what deployed nodes do, [`senders`] and
//! [`orchestrators`] what strangers try. What a redemption alone can lose is among the redeemer's own tests.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unused_must_use,
    reason = "a test may fail by panic, says what it measured, and writes only what it reads again"
)]

use protocol::Wei;
use protocol::payments::entry::Winner;

use super::contracts::{Contracts, minus};

mod contract;
mod habits;
mod orchestrators;
mod senders;

/// Holds a trap to its price: `lost` wei without a defence, as the test's first line says, and nothing with ours.
pub(crate) fn spared(trap: &str, lost: Wei, said: u128, ours: Wei) {
    let said = Wei(alloy_primitives::U256::from(said));
    println!("{trap}: {lost} would have been lost");
    assert!(said > Wei::default(), "{trap}: what costs nothing is no trap");
    assert_eq!(lost, said, "{trap}: it costs {lost} and not {said}");
    assert_eq!(ours, Wei::default(), "{trap}: {ours} lost, where {lost} may be");
}

/// What a node loses that took a winning ticket for its face value and gives it away now.
fn unpaid(contracts: &mut Contracts, winner: &Winner) -> Wei {
    let paid = contracts.redeem(winner).unwrap_or_default();
    minus(Wei(winner.ticket.face_value), paid)
}

/// What this node loses of it: only what it did work for counts.
fn ours(winner: &Winner, unpaid: Wei) -> Wei {
    if winner.credited { unpaid } else { Wei::default() }
}
