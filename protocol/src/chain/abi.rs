//! The contract ABI: values in, bytes out, for events, reverts and what the governor hashes; and calldata back into calls.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

use super::call::Action;
use crate::rounds::Round;

mod decode;

pub(super) use decode::Args;
pub use decode::{PollMade, Proposed, decode, poll_vote};

/// An ABI value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// `address`
    Address(Address),
    /// `uint256` and smaller numbers
    Uint(U256),
    /// `bytes32`
    Hash(B256),
    /// `string`
    Text(String),
    /// `bytes`
    Bytes(Bytes),
    /// A dynamic array.
    List(Vec<Self>),
}

macro_rules! values {
    ($($variant:ident($kind:ty)),*) => {
        $(impl From<$kind> for Value { fn from(value: $kind) -> Self { Self::$variant(value) } })*
    };
}
values!(Address(Address), Uint(U256), Hash(B256), Text(String), Bytes(Bytes));

impl From<u8> for Value {
    fn from(value: u8) -> Self {
        Self::Uint(U256::from(value))
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Uint(U256::from(value))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::from(u8::from(value))
    }
}

impl From<Round> for Value {
    fn from(round: Round) -> Self {
        Self::Uint(round.to_word())
    }
}

impl From<&'static str> for Value {
    fn from(value: &'static str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl Value {
    /// Its word, when it has exactly one.
    fn word(&self) -> Option<B256> {
        match self {
            Self::Address(address) => Some(address.into_word()),
            Self::Uint(n) => Some(B256::from(*n)),
            Self::Hash(hash) => Some(*hash),
            Self::Text(_) | Self::Bytes(_) | Self::List(_) => None,
        }
    }

    /// What follows the heads.
    fn tail(&self) -> Vec<u8> {
        match self {
            Self::Address(_) | Self::Uint(_) | Self::Hash(_) => Vec::new(),
            Self::Text(text) => blob(text.as_bytes()),
            Self::Bytes(bytes) => blob(bytes),
            Self::List(values) => [length(values.len()).to_vec(), encode(values)].concat(),
        }
    }

    /// As a topic of a log: values of one word are themselves, others are hashed.
    #[must_use]
    pub fn topic(&self) -> B256 {
        self.word().unwrap_or_else(|| match self {
            Self::Text(text) => keccak256(text),
            Self::Bytes(bytes) => keccak256(bytes),
            other => keccak256(other.tail()),
        })
    }
}

fn length(n: usize) -> B256 {
    B256::from(U256::from(n))
}

fn blob(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = length(bytes.len()).to_vec();
    encoded.extend_from_slice(bytes);
    encoded.resize(encoded.len().next_multiple_of(32), 0);
    encoded
}

/// `abi.encode(values...)`: a word for each value, or where it begins; then those that need more than a word.
#[must_use]
pub fn encode(values: &[Value]) -> Vec<u8> {
    let (mut heads, mut tails) = (Vec::with_capacity(values.len() * 32), Vec::new());
    for value in values {
        let head = value.word().unwrap_or_else(|| length(values.len() * 32 + tails.len()));
        heads.extend_from_slice(head.as_slice());
        tails.extend(value.tail());
    }
    heads.extend(tails);
    heads
}

/// The first four bytes of a function's or an error's hashed signature.
#[must_use]
pub fn selector(signature: &str) -> [u8; 4] {
    let hash = keccak256(signature);
    [hash[0], hash[1], hash[2], hash[3]]
}

/// A call: selector and arguments.
#[must_use]
pub fn call(signature: &str, values: &[Value]) -> Vec<u8> {
    [selector(signature).as_slice(), &encode(values)].concat()
}

/// `abi.encode(targets, values, calldatas, tail...)`, which governor and timelock hash.
pub(super) fn batch(actions: &[Action], tail: &[B256]) -> Vec<u8> {
    let targets: Vec<_> = actions.iter().map(|action| action.target).collect();
    let amounts: Vec<_> = actions.iter().map(|action| action.value).collect();
    let calls: Vec<_> = actions.iter().map(|action| action.calldata.clone()).collect();
    let mut values = vec![targets.into(), amounts.into(), calls.into()];
    values.extend(tail.iter().map(|word| Value::Hash(*word)));
    encode(&values)
}
