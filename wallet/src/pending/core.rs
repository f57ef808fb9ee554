//! Decides which nonce an intent gets, whether a transaction may be signed, and what is open after a restart. No clock, no I/O:
//! entries in, state out, and the same state from the same entries.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256};

use super::entry::{End, Entry, Signed};
use super::{Call, Id, Intent, MAX_DATA, MAX_FOLLOWED, MAX_OPEN, MAX_TEXT, Refused};

/// All intents of one account on one chain.
#[derive(Clone, Debug)]
pub struct Book {
    address: Address,
    chain_id: u64,
    begun: bool,
    intents: BTreeMap<Id, Record>,
    keys: BTreeMap<String, Id>,
    nonces: BTreeMap<u64, Id>,
}

/// An intent and all that was signed for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The caller's name for it.
    pub key: String,
    /// What it does, in plain words.
    pub what: String,
    /// What is called.
    pub call: Call,
    /// Its nonce.
    pub nonce: u64,
    /// Gas limit of its transactions.
    pub gas: u64,
    /// Most that its gas may cost, wei.
    pub max_cost: Option<U256>,
    /// Its transactions, oldest first; never empty.
    pub signed: Vec<Signed>,
    /// How it ended.
    pub end: Option<End>,
}

impl Record {
    /// The transaction that is to be on the chain: the newest.
    #[must_use]
    pub fn newest(&self) -> &Signed {
        self.signed.last().expect("an intent begins with a transaction")
    }

    /// Hashes of all its transactions: any of them may be the one that is included.
    #[must_use]
    pub fn hashes(&self) -> Vec<B256> {
        self.signed.iter().map(|signed| signed.hash).collect()
    }
}

impl Book {
    /// An account without history.
    #[must_use]
    pub const fn new(address: Address, chain_id: u64) -> Self {
        Self {
            address,
            chain_id,
            begun: false,
            intents: BTreeMap::new(),
            keys: BTreeMap::new(),
            nonces: BTreeMap::new(),
        }
    }

    /// What the journal must begin with, if it is still empty.
    #[must_use]
    pub fn beginning(&self) -> Option<Entry> {
        (!self.begun).then_some(Entry::Account { address: self.address, chain_id: self.chain_id })
    }

    /// Takes an entry that is on disk.
    ///
    /// # Errors
    /// [`Refused`] when it does not follow from those before it; then nothing has changed.
    pub fn apply(&mut self, entry: Entry) -> Result<(), Refused> {
        self.check(&entry)?;
        match entry {
            Entry::Account { .. } => self.begun = true,
            Entry::Intended { id, key, what, call, nonce, gas, max_cost, signed } => {
                self.keys.insert(key.clone(), id);
                self.nonces.insert(nonce, id);
                let signed = vec![signed];
                self.intents.insert(id, Record { key, what, call, nonce, gas, max_cost, signed, end: None });
            }
            Entry::Replaced { id, signed } => {
                if let Some(record) = self.intents.get_mut(&id) {
                    record.signed.push(signed);
                }
            }
            Entry::Final { id, end } => {
                if let Some(record) = self.intents.get_mut(&id) {
                    record.end = Some(end);
                }
            }
        }
        Ok(())
    }

    /// Whether an entry may be written.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(&self, entry: &Entry) -> Result<(), Refused> {
        match entry {
            Entry::Account { address, chain_id } => {
                let ours = (*address, *chain_id) == (self.address, self.chain_id);
                if ours { Ok(()) } else { Err(Refused::Other { address: *address, chain_id: *chain_id }) }
            }
            Entry::Intended { id, key, nonce, .. } => {
                if self.keys.contains_key(key) || self.intents.contains_key(id) {
                    return Err(Refused::Key { key: key.clone() });
                }
                if self.nonces.contains_key(nonce) { Err(Refused::Nonce(*nonce)) } else { Ok(()) }
            }
            Entry::Replaced { id, .. } | Entry::Final { id, .. } => self.open_one(*id).map(|_| ()),
        }
    }

    /// Whether an intent is new; if it is known, its number.
    ///
    /// # Errors
    /// [`Refused::Key`] when its name belongs to another call; [`Refused::Long`].
    pub fn known(&self, intent: &Intent) -> Result<Option<Id>, Refused> {
        if let Some(id) = self.keys.get(&intent.key) {
            let call = &self.intents[id].call;
            let same =
                (call.to, call.value, &call.data) == (intent.call.to, intent.call.value, &intent.call.data);
            return if same { Ok(Some(*id)) } else { Err(Refused::Key { key: intent.key.clone() }) };
        }
        if intent.key.len().max(intent.what.len()) > MAX_TEXT {
            return Err(Refused::Long("a name or description"));
        }
        if intent.call.data.len() > MAX_DATA {
            return Err(Refused::Long("calldata"));
        }
        Ok(None)
    }

    /// Whether there is room for another, where the chain says that so many nonces are used.
    ///
    /// # Errors
    /// [`Refused::Many`].
    pub fn room(&self, used: u64) -> Result<(), Refused> {
        let (followed, waiting) = self.open().fold((0, 0), |(followed, waiting), (_, record)| {
            (followed + 1, waiting + usize::from(record.nonce >= used))
        });
        if waiting >= MAX_OPEN || followed >= MAX_FOLLOWED { Err(Refused::Many(followed)) } else { Ok(()) }
    }

    /// The number for the next intent.
    #[must_use]
    pub fn next_id(&self) -> Id {
        Id(self.intents.keys().next_back().map_or(0, |id| id.0 + 1))
    }

    /// The nonce for the next intent, where the chain says that so many are used: the first that neither has.
    #[must_use]
    pub fn next_nonce(&self, used: u64) -> u64 {
        self.nonces.keys().next_back().map_or(used, |last| used.max(last + 1))
    }

    /// Nonces below the lowest open one that nobody here signed, where the chain says that so many are used: until somebody
    /// uses them, nothing of ours can be included.
    #[must_use]
    pub fn gap(&self, used: u64) -> Vec<u64> {
        let Some((_, first)) = self.open().min_by_key(|(_, record)| record.nonce) else { return Vec::new() };
        let ours: BTreeSet<u64> = self.nonces.keys().copied().collect();
        (used..first.nonce).filter(|nonce| !ours.contains(nonce)).take(MAX_OPEN).collect()
    }

    /// The number of the intent of this name.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<Id> {
        self.keys.get(key).copied()
    }

    /// An intent.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<&Record> {
        self.intents.get(&id)
    }

    /// What is under way, in the order it was begun.
    pub fn open(&self) -> impl Iterator<Item = (Id, &Record)> {
        self.intents.iter().filter(|(_, record)| record.end.is_none()).map(|(id, record)| (*id, record))
    }

    fn open_one(&self, id: Id) -> Result<&Record, Refused> {
        self.intents.get(&id).filter(|record| record.end.is_none()).ok_or(Refused::Unknown(id))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
