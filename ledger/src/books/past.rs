//! What can matter no more leaves the books as a sum: accounts long closed, nonces long expired, winners long settled. Every wei
//! of them still counts, and the journal keeps every line.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use protocol::StreamId;
use protocol::payments::entry::Side;
use protocol::tickets::credit::Credit;
use serde::{Deserialize, Serialize};

use super::apply::DAY_MS;
use super::{Account, Amount, Balance, Books, Key, Value};

/// Days for which a closed account is kept: budgets and losses count a day, and a nonce is remembered for three rounds.
const CLOSED_DAYS: u64 = 4;
/// L1 blocks for which a settled winner is kept after its tickets expired: a week and more, when no reorganisation can undo it.
const SETTLED_BLOCKS: u64 = 60_000;

/// What several accounts come to, exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// How many accounts.
    pub accounts: u64,
    /// Tickets sent or accepted.
    pub tickets: u64,
    /// What they are worth.
    pub credited: Amount,
    /// Segments that are paid.
    pub works: u64,
    /// What they cost.
    pub debited: Amount,
    /// Tickets that never arrived, what they were worth.
    pub written_off: Amount,
    /// What is paid ahead.
    pub left: Amount,
    /// What is worked ahead.
    pub owed: Amount,
}

impl Sums {
    /// With one more account. A sum that no longer fits stays what it was: entries that could make one are refused.
    pub(crate) fn add(&mut self, account: &Account) {
        let price = account.price.pixels;
        self.accounts += 1;
        self.tickets += account.tickets;
        self.works += account.works;
        let (left, owed) = match account.balance() {
            Balance::Left(credit) => (credit, Credit::ZERO),
            Balance::Owed(credit) => (Credit::ZERO, credit),
        };
        let sums = [
            (&mut self.credited, account.credited),
            (&mut self.debited, account.debited),
            (&mut self.written_off, account.written_off),
            (&mut self.left, left),
            (&mut self.owed, owed),
        ];
        for (sum, credit) in sums {
            let _ = sum.add_at(price, credit);
        }
    }

    /// With all of another sum, as [`Self::add`].
    pub(crate) fn merge(&mut self, other: &Self) {
        self.accounts += other.accounts;
        self.tickets += other.tickets;
        self.works += other.works;
        for (sum, more) in [
            (&mut self.credited, &other.credited),
            (&mut self.debited, &other.debited),
            (&mut self.written_off, &other.written_off),
            (&mut self.left, &other.left),
            (&mut self.owed, &other.owed),
        ] {
            let _ = sum.merge(more);
        }
    }
}

impl Amount {
    /// With all of another amount; none where it no longer fits.
    pub(crate) fn merge(&mut self, other: &Self) -> Option<()> {
        other.0.iter().try_for_each(|(pixels, credit)| self.add_at(*pixels, *credit))
    }
}

impl Account {
    /// What it is summed under when it can matter no more.
    pub(super) fn past(&self) -> Key {
        Key::Past(self.side, self.sender, self.stream.clone())
    }

    /// Whether it is open, or something may still depend on it.
    fn matters(&self, newest_day: u64) -> bool {
        self.closed_ms.is_none_or(|ms| ms / DAY_MS + CLOSED_DAYS >= newest_day)
    }
}

impl Books {
    /// Adds accounts that matter no more to the sums, and forgets their nonces.
    pub(crate) fn archive(&mut self) {
        let newest = self.newest_day();
        let gone: Vec<Key> = self
            .accounts()
            .filter(|account| !account.matters(newest))
            .map(|account| Key::Account(account.side, account.session))
            .collect();
        for key in &gone {
            self.sum_up(key);
        }
        if gone.is_empty() {
            return;
        }
        self.all.retain(|key, value| match (key, value) {
            (Key::Nonces(side, _), Value::Nonces(nonces)) => {
                gone.binary_search(&Key::Account(*side, nonces.session)).is_err()
            }
            _ => true,
        });
    }

    /// One account into its sum.
    pub(crate) fn sum_up(&mut self, key: &Key) {
        let Some(Value::Account(account)) = self.all.remove(key) else { return };
        let sums = self.all.entry(account.past()).or_insert_with(|| Value::Past(Box::default()));
        let Value::Past(sums) = sums else { unreachable!("the key of a sum holds one") };
        sums.add(&account);
    }

    /// Forgets nonces that no ticket can use any more at this L1 block, and winners that nothing can change.
    pub(crate) fn forget_before(&mut self, l1_block: u64) {
        self.all.retain(|_, value| match value {
            Value::Nonces(nonces) => nonces.expiration_block >= l1_block,
            Value::Won(won) => {
                won.is_open() || won.winner.expiration_block.saturating_add(SETTLED_BLOCKS) >= l1_block
            }
            Value::Secret(_) | Value::Account(_) | Value::Past(_) | Value::Day(_) => true,
        });
    }

    /// What one side's accounts come to, by whatever they are told apart by.
    pub(crate) fn sums<K: Ord>(
        &self,
        side: Side,
        by: impl Fn(Address, Option<&StreamId>) -> K,
    ) -> BTreeMap<K, Sums> {
        let mut all = BTreeMap::<K, Sums>::new();
        for account in self.accounts().filter(|account| account.side == side) {
            all.entry(by(account.sender, account.stream.as_ref())).or_default().add(account);
        }
        for ((of, sender, stream), sums) in self.past() {
            if of == side {
                all.entry(by(sender, stream)).or_default().merge(sums);
            }
        }
        all
    }

    /// The sums of accounts that matter no more.
    pub(crate) fn past(&self) -> impl Iterator<Item = ((Side, Address, Option<&StreamId>), &Sums)> {
        let from = Key::Past(Side::Sender, Address::ZERO, None);
        self.all.range(from..).map_while(|(key, value)| match (key, value) {
            (Key::Past(side, sender, stream), Value::Past(sums)) => {
                Some(((*side, *sender, stream.as_ref()), sums.as_ref()))
            }
            _ => None,
        })
    }

    fn newest_day(&self) -> u64 {
        match self.all.last_key_value() {
            Some((Key::Day(day, _), _)) => *day,
            _ => 0,
        }
    }
}
