//! How fast a deposit goes, by the ledger of this node: what the tickets of the last day were worth.

use std::collections::BTreeSet;
use std::path::Path;

use alloy_primitives::{Address, U256, U512};
use ledger::SegmentsError;
use protocol::Wei;
use protocol::payments::Entry;
use protocol::payments::entry::Side;
use serde::Serialize;

/// The time that is looked back, milliseconds: a day.
const LOOK_BACK_MS: u64 = 86_400_000;

/// What was sent lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Burn {
    /// Worth of tickets, wei rounded up. What winners among them are paid comes to that in the long run.
    pub(super) spent: Wei,
    /// In so many seconds.
    pub(super) seconds: u64,
    /// What a win of the last ticket pays.
    pub(super) face: Option<Wei>,
}

impl Burn {
    /// Reads what `sender` sent in the day before `now_ms`, Unix milliseconds; the node may be running.
    pub(super) fn read(ledger: &Path, sender: Address, now_ms: u64) -> Result<Self, SegmentsError> {
        let since = now_ms.saturating_sub(LOOK_BACK_MS);
        let (mut own, mut fine) = (BTreeSet::new(), U512::ZERO);
        let (mut first, mut face) = (now_ms, None);
        ledger::read(ledger, u64::MAX, |_, entry| match entry {
            Entry::SessionOpened(opened) if opened.side == Side::Sender && opened.sender == sender => {
                own.insert(opened.session);
            }
            Entry::TicketsSent(order) if own.contains(&order.session) => {
                let Some(sent) = &order.tickets else { return };
                face = Some(sent.quote.face_value);
                if order.at_ms >= since {
                    first = first.min(order.at_ms);
                    fine = fine.saturating_add(sent.each.saturating_mul(U512::from(sent.count)));
                }
            }
            _ => {}
        })?;
        let spent = Wei(U256::saturating_from(fine.div_ceil(U512::from(U256::MAX))));
        Ok(Self { spent, seconds: (now_ms - first) / 1000, face })
    }

    /// Seconds that so much lasts at this pace; none when nothing was spent, or too shortly to say.
    pub(super) fn lasts(&self, deposit: Wei) -> Option<u64> {
        if self.spent.0.is_zero() || self.seconds == 0 {
            return None;
        }
        Some((deposit.0.saturating_mul(U256::from(self.seconds)) / self.spent.0).saturating_to())
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use ledger::{Config, Ledger};
    use protocol::payments::SessionId;
    use protocol::payments::entry::{Sent, SessionOpened, TicketsSent};
    use protocol::tickets::quote::Quote;
    use protocol::{PricePerPixel, Round};

    use super::*;

    const ME: Address = Address::repeat_byte(1);
    const PRICE: PricePerPixel = PricePerPixel { wei: 50, pixels: 1 };
    const DAY: u64 = 86_400_000;

    fn session(n: u8) -> SessionId {
        SessionId([n; 16])
    }

    fn opened(n: u8, sender: Address) -> Entry {
        let (stream, recipient) = (None, Address::repeat_byte(9));
        let side = Side::Sender;
        let session = session(n);
        Entry::SessionOpened(SessionOpened {
            session,
            side,
            stream,
            sender,
            recipient,
            price: PRICE,
            at_ms: 0,
        })
    }

    /// Four tickets, each worth 1000 wei, of wins of a million.
    fn sent(n: u8, seq: u64, at_ms: u64) -> Entry {
        let quote = Quote {
            session: session(n),
            sender: ME,
            recipient: Address::repeat_byte(9),
            face_value: Wei(U256::from(1_000_000)),
            win_prob: U256::MAX / U256::from(1000),
            recipient_rand_hash: B256::repeat_byte(n),
            seed: U256::from(seq),
            expiration_block: 100,
            creation_round: Round(1),
            creation_round_hash: B256::repeat_byte(1),
            price: PRICE,
        };
        let (each, credit) = (protocol::tickets::terms::each(&quote), quote.ticket_credit().times(4));
        let first = u32::try_from(seq * 4 + 1).unwrap();
        let tickets = Some(Sent { quote, first, count: 4, credit, each });
        Entry::TicketsSent(TicketsSent { session: session(n), seq, pixels: 80, tickets, at_ms })
    }

    #[tokio::test]
    async fn what_was_sent_in_the_last_day_says_how_long_the_deposit_lasts() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, _) = Ledger::open_with(dir.path(), Config::default()).unwrap();
        let entries = vec![
            opened(1, ME),
            opened(2, Address::repeat_byte(2)),
            sent(1, 0, DAY / 2),
            sent(1, 1, 2 * DAY),
            sent(2, 0, 2 * DAY),
            sent(1, 2, 2 * DAY + 1000),
        ];
        ledger.commit(entries).await.unwrap();
        let now = 2 * DAY + 10_000;
        let burn = Burn::read(dir.path(), ME, now).unwrap();
        // A thousandth is rounded down in a probability, so eight tickets are worth a hair less than 8000.
        let face = Some(Wei(U256::from(1_000_000)));
        assert_eq!(burn, Burn { spent: Wei(U256::from(8000)), seconds: 10, face });
        assert_eq!(burn.lasts(Wei(U256::from(800_000))), Some(1000));
        let other = Burn::read(dir.path(), Address::repeat_byte(3), now).unwrap();
        assert_eq!((other.spent, other.lasts(Wei(U256::MAX))), (Wei::default(), None));
    }
}
