//! Service URIs: a string in storage, by Solidity's rules for short and long strings. Anybody may set any string for itself,
//! so its length is bounded before a word of it is asked for, and what is no text is an error.

use alloy_primitives::{Address, B256, U256};
use protocol::amount::Word;
use serde::Serialize;
use thiserror::Error;

use super::Unreadable;
use super::contracts::{Contracts, Part};
use super::guard;
use super::layout::{data, field, service_registry};
use super::words::{Words, require, want};
use crate::state::{Keys, StateView};

/// Longest service URI that is read, bytes: no host name with a path needs more, and it bounds a proof to 17 slots.
pub const MAX_BYTES: u64 = 512;

/// Words of a long string that are asked for before its length is known.
const LIKELY_WORDS: u64 = 3;

/// What an address has registered.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ServiceUri {
    /// Whose it is.
    pub address: Address,
    /// The string; none when nothing is set.
    pub uri: Option<String>,
}

/// A string that is not read.
#[derive(Clone, Debug, Eq, Error, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BadText {
    /// Longer than anybody reads.
    #[error("the service URI of {address} has {bytes} bytes: more than {MAX_BYTES} are not read")]
    TooLong {
        /// Whose it is.
        address: Address,
        /// Its length.
        bytes: Word,
    },
    /// The word that holds its length is none that Solidity writes.
    #[error("the service URI of {address} is not encoded as a string: {word}")]
    Malformed {
        /// Whose it is.
        address: Address,
        /// The word.
        word: B256,
    },
    /// Not UTF-8, or with control characters, which would steer the terminal of whoever prints it.
    #[error("the service URI of {0} is not text")]
    NotText(Address),
}

/// Contracts that a read of the registry relies on.
pub(super) const GUARDED: &[Part] = &[Part::ServiceRegistry];

/// What to fetch; a string longer than 96 bytes takes a second round trip.
#[must_use]
pub fn keys(contracts: &Contracts, address: Address) -> Keys {
    let mut keys = guard::keys(contracts, GUARDED);
    let slot = service_registry::uri(address);
    want(&mut keys, contracts.service_registry, [slot]);
    want(&mut keys, contracts.service_registry, words_of(slot, LIKELY_WORDS));
    keys
}

/// Reads the service URI of an address.
///
/// # Errors
/// [`Unreadable`]; [`BadText`] when it is too long or no text.
pub fn read(view: &dyn StateView, contracts: &Contracts, address: Address) -> Result<ServiceUri, Unreadable> {
    guard::check(view, contracts, GUARDED)?;
    let slot = service_registry::uri(address);
    let word = B256::from(Words::of(view, contracts.service_registry).word(slot)?);
    let bytes = match length(address, word)? {
        Length::Short(length) => word[..length].to_vec(),
        Length::Long(length) => long(view, contracts, slot, length)?,
    };
    let text = String::from_utf8(bytes).map_err(|_| BadText::NotText(address))?;
    if text.chars().any(char::is_control) {
        return Err(BadText::NotText(address).into());
    }
    Ok(ServiceUri { address, uri: (!text.is_empty()).then_some(text) })
}

enum Length {
    Short(usize),
    Long(usize),
}

/// The length that a string's first word tells: `2 * length` in its last byte up to 31 bytes, else `2 * length + 1`.
fn length(address: Address, word: B256) -> Result<Length, BadText> {
    let value = U256::from_be_bytes(word.0);
    let malformed = Err(BadText::Malformed { address, word });
    if !value.bit(0) {
        let length = usize::from(word[31] / 2);
        return if length < 32 { Ok(Length::Short(length)) } else { malformed };
    }
    let bytes = value >> 1;
    if bytes > U256::from(MAX_BYTES) {
        return Err(BadText::TooLong { address, bytes: Word(bytes) });
    }
    let length: usize = bytes.saturating_to();
    if length < 32 { malformed } else { Ok(Length::Long(length)) }
}

fn words_of(slot: B256, words: u64) -> impl Iterator<Item = B256> {
    let start = data(slot);
    (0..words).map(move |i| field(start, i))
}

fn long(
    view: &dyn StateView,
    contracts: &Contracts,
    slot: B256,
    length: usize,
) -> Result<Vec<u8>, Unreadable> {
    let mut keys = Keys::new();
    let slots: Vec<B256> = words_of(slot, length.div_ceil(32) as u64).collect();
    want(&mut keys, contracts.service_registry, slots.iter().copied());
    require(view, &keys)?;
    let words = Words::of(view, contracts.service_registry);
    let mut bytes = Vec::with_capacity(slots.len() * 32);
    for slot in slots {
        bytes.extend_from_slice(&words.word(slot)?.to_be_bytes::<32>());
    }
    bytes.truncate(length);
    Ok(bytes)
}
