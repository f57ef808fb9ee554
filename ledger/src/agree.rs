//! Whether the ledgers of two sides say the same of their accounts, to the last unit.

use protocol::payments::SessionId;
use protocol::payments::entry::Side;
use serde::Serialize;
use thiserror::Error;

use crate::books::{Account, Amount};

/// What accounts come to in which both sides agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Agreed {
    /// How many.
    pub accounts: u64,
    /// Tickets that arrived.
    pub tickets: u64,
    /// What they are worth.
    pub credited: Amount,
    /// Segments that are paid.
    pub works: u64,
    /// What they cost.
    pub debited: Amount,
}

/// Where two sides differ.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Disagreement {
    /// One side has an account in which there is something, and the other does not know it.
    #[error("the account {session} is in the books of its {side:?} alone")]
    Alone {
        /// Which.
        session: SessionId,
        /// Who has it.
        side: Side,
    },
    /// Both have it, otherwise.
    #[error("of the account {session} the sender says {sender}, the recipient {recipient}")]
    Differs {
        /// Which.
        session: SessionId,
        /// Tickets, worth, segments, cost.
        sender: String,
        /// The same.
        recipient: String,
    },
    /// A sum that fits no number.
    #[error("with the account {0} a sum no longer fits its number")]
    Overflow(SessionId),
}

/// Compares a sender's accounts with those of all its recipients. Tickets that the sender has written off count for neither; accounts
/// of other senders are passed over.
///
/// # Errors
/// The first [`Disagreement`].
pub fn compare(sender: &[Account], recipients: &[Account]) -> Result<Agreed, Disagreement> {
    let ours = sender.iter().filter(|account| account.side == Side::Sender);
    let theirs = || recipients.iter().filter(|account| account.side == Side::Recipient);
    let mut agreed = Agreed::default();
    for mine in ours.clone() {
        match theirs().find(|theirs| theirs.session == mine.session) {
            Some(theirs) => agreed.add(mine, theirs)?,
            None if said(mine) == said(&Account { tickets: 0, works: 0, ..empty(mine) }) => {}
            None => return Err(Disagreement::Alone { session: mine.session, side: Side::Sender }),
        }
    }
    let known = |theirs: &&Account| ours.clone().any(|mine| mine.session == theirs.session);
    let of_sender = |theirs: &&Account| ours.clone().any(|mine| mine.sender == theirs.sender);
    match theirs().filter(of_sender).find(|theirs| !known(theirs)) {
        Some(theirs) => Err(Disagreement::Alone { session: theirs.session, side: Side::Recipient }),
        None => Ok(agreed),
    }
}

/// The same account with nothing in it.
fn empty(account: &Account) -> Account {
    use protocol::Hash;
    use protocol::tickets::credit::Credit;
    let none = Credit::ZERO;
    Account {
        credited: none,
        debited: none,
        written_off: none,
        written_off_tickets: 0,
        chain: Hash::default(),
        ..account.clone()
    }
}

/// What a side says, in comparable words.
fn said(account: &Account) -> String {
    let Account { tickets, credited, works, debited, written_off, written_off_tickets, chain, .. } = account;
    let (tickets, credited) = (tickets.saturating_sub(*written_off_tickets), credited.less(*written_off));
    format!("{tickets} tickets worth {credited}, {works} segments for {debited}, receipts {chain}")
}

impl Agreed {
    fn add(&mut self, mine: &Account, theirs: &Account) -> Result<(), Disagreement> {
        let session = mine.session;
        let (sender, recipient) = (said(mine), said(theirs));
        if sender != recipient || mine.price != theirs.price {
            return Err(Disagreement::Differs { session, sender, recipient });
        }
        self.accounts += 1;
        self.tickets += theirs.tickets;
        self.works += theirs.works;
        let sums =
            self.credited.add(mine.price, theirs.credited).and(self.debited.add(mine.price, theirs.debited));
        sums.ok_or(Disagreement::Overflow(session))
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, U512};
    use protocol::tickets::credit::Credit;
    use protocol::{Hash, PricePerPixel};

    use super::*;

    fn account(side: Side, name: u8, worth: u64) -> Account {
        Account {
            session: SessionId([name; 16]),
            side,
            stream: None,
            sender: Address::repeat_byte(1),
            recipient: Address::repeat_byte(2),
            price: PricePerPixel { wei: 1, pixels: 1 },
            opened_seq: 0,
            last_seq: 0,
            opened_ms: 0,
            closed_ms: None,
            tickets: worth,
            credited: Credit(U512::from(worth)),
            works: 0,
            debited: Credit::ZERO,
            written_off_tickets: 0,
            written_off: Credit::ZERO,
            chain: Hash::default(),
            last_sent: None,
            last_work: None,
            statement: None,
        }
    }

    #[test]
    fn one_unit_of_difference_is_found_on_either_side() {
        let (mine, theirs) = (account(Side::Sender, 1, 5), account(Side::Recipient, 1, 5));
        let agreed = compare(std::slice::from_ref(&mine), std::slice::from_ref(&theirs)).unwrap();
        assert_eq!((agreed.accounts, agreed.tickets), (1, 5));
        let more = Account { credited: Credit(U512::from(6)), ..theirs.clone() };
        assert!(matches!(compare(std::slice::from_ref(&mine), &[more]), Err(Disagreement::Differs { .. })));
        let other = Account { chain: Hash([1; 32]), ..theirs };
        assert!(matches!(compare(&[mine], &[other]), Err(Disagreement::Differs { .. })));
    }

    #[test]
    fn what_is_written_off_counts_for_neither() {
        let lost = Account {
            written_off: Credit(U512::from(2)),
            written_off_tickets: 2,
            ..account(Side::Sender, 1, 5)
        };
        assert!(compare(&[lost], &[account(Side::Recipient, 1, 3)]).is_ok());
    }

    #[test]
    fn an_account_that_one_side_alone_knows_is_told_unless_nothing_is_in_it() {
        let (mine, theirs) = (account(Side::Sender, 1, 5), account(Side::Recipient, 2, 5));
        assert!(matches!(compare(&[mine], &[]), Err(Disagreement::Alone { side: Side::Sender, .. })));
        let empty = account(Side::Sender, 1, 0);
        assert_eq!(compare(std::slice::from_ref(&empty), &[]), Ok(Agreed::default()));
        let alone = compare(&[empty], std::slice::from_ref(&theirs));
        assert!(matches!(alone, Err(Disagreement::Alone { side: Side::Recipient, .. })));
        let foreign = Account { sender: Address::repeat_byte(9), ..theirs };
        assert_eq!(compare(&[account(Side::Sender, 1, 0)], &[foreign]), Ok(Agreed::default()));
    }
}
