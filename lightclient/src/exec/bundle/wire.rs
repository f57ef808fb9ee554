//! A bundle's bytes. Version 1, integers big-endian:
//!
//! `version u8, accounts u32, { address 20, slots u32, { slot 32 } }, nodes u32, { length u16, bytes }`
//!
//! Accounts, slots and nodes ascend strictly, so a bundle has one spelling. Every count is checked against the bytes that are
//! left before anything is kept.

use alloy_primitives::{Address, B256, Bytes};
use thiserror::Error;

use super::super::proof::MAX_NODE;
use super::ProofBundle;

/// Longest bundle that is written or read, bytes.
pub const MAX_BUNDLE: usize = 4 << 20;
/// Most accounts and slots together: bounds the time that one bundle can take.
pub const MAX_KEYS: usize = 16_384;
const VERSION: u8 = 1;

/// Why bytes are no bundle, or a bundle cannot be written.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum BundleError {
    /// Over [`MAX_BUNDLE`].
    #[error("a bundle of {0} bytes: at most {MAX_BUNDLE} are read")]
    Size(usize),
    /// Over [`MAX_KEYS`].
    #[error("a bundle about {0} accounts and slots: at most {MAX_KEYS} are read")]
    Keys(usize),
    /// A node longer than any trie node.
    #[error("a node of {0} bytes: at most {MAX_NODE} are read")]
    Node(usize),
    /// Another version.
    #[error("version {0} of a bundle, known is {VERSION}: a newer program wrote it")]
    Version(u8),
    /// The bytes end too soon.
    #[error("the bundle ends too soon")]
    Truncated,
    /// Bytes follow.
    #[error("{0} bytes follow the bundle")]
    Trailing(usize),
    /// Something is there twice, or out of order.
    #[error("accounts, slots or nodes are not in ascending order")]
    Order,
}

pub(super) fn size(bundle: &ProofBundle) -> usize {
    let keys: usize = bundle.keys.values().map(|slots| 24 + 32 * slots.len()).sum();
    let nodes: usize = bundle.nodes.iter().map(|node| 2 + node.len()).sum();
    9 + keys + nodes
}

pub(super) fn encode(bundle: &ProofBundle) -> Result<Vec<u8>, BundleError> {
    let keys = bundle.keys.values().map(|slots| 1 + slots.len()).sum();
    check(size(bundle), keys)?;
    let mut out = Vec::with_capacity(size(bundle));
    out.push(VERSION);
    put_count(&mut out, bundle.keys.len());
    for (address, slots) in &bundle.keys {
        out.extend_from_slice(address.as_slice());
        put_count(&mut out, slots.len());
        slots.iter().for_each(|slot| out.extend_from_slice(slot.as_slice()));
    }
    put_count(&mut out, bundle.nodes.len());
    for node in &bundle.nodes {
        let length = u16::try_from(node.len()).ok().filter(|length| usize::from(*length) <= MAX_NODE);
        out.extend_from_slice(&length.ok_or(BundleError::Node(node.len()))?.to_be_bytes());
        out.extend_from_slice(node);
    }
    Ok(out)
}

pub(super) fn decode(bytes: &[u8]) -> Result<ProofBundle, BundleError> {
    check(bytes.len(), 0)?;
    let mut rest = bytes;
    let [version] = take(&mut rest)?;
    if version != VERSION {
        return Err(BundleError::Version(version));
    }
    let mut bundle = ProofBundle::default();
    let mut keys = 0;
    for _ in 0..count(&mut rest, 24)? {
        let address = Address::new(take(&mut rest)?);
        let last = bundle.keys.last_key_value().map(|(last, _)| *last);
        let slots = count(&mut rest, 32)?;
        keys += 1 + slots;
        check(0, keys)?;
        let mut set = std::collections::BTreeSet::new();
        for _ in 0..slots {
            insert(&mut set, B256::new(take(&mut rest)?))?;
        }
        if last.is_some_and(|last| last >= address) {
            return Err(BundleError::Order);
        }
        bundle.keys.insert(address, set);
    }
    for _ in 0..count(&mut rest, 2)? {
        let length = usize::from(u16::from_be_bytes(take(&mut rest)?));
        if length > MAX_NODE {
            return Err(BundleError::Node(length));
        }
        let (node, after) = rest.split_at_checked(length).ok_or(BundleError::Truncated)?;
        rest = after;
        insert(&mut bundle.nodes, Bytes::copy_from_slice(node))?;
    }
    if rest.is_empty() { Ok(bundle) } else { Err(BundleError::Trailing(rest.len())) }
}

const fn check(size: usize, keys: usize) -> Result<(), BundleError> {
    if size > MAX_BUNDLE {
        return Err(BundleError::Size(size));
    }
    if keys > MAX_KEYS { Err(BundleError::Keys(keys)) } else { Ok(()) }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("counted in at most 4 MiB");
    out.extend_from_slice(&count.to_be_bytes());
}

/// A count of things that take at least `each` bytes.
fn count(rest: &mut &[u8], each: usize) -> Result<usize, BundleError> {
    let count = u32::from_be_bytes(take(rest)?) as usize;
    if count > rest.len() / each { Err(BundleError::Truncated) } else { Ok(count) }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], BundleError> {
    let (head, after) = rest.split_first_chunk().ok_or(BundleError::Truncated)?;
    *rest = after;
    Ok(*head)
}

fn insert<T: Ord>(set: &mut std::collections::BTreeSet<T>, value: T) -> Result<(), BundleError> {
    if set.last().is_some_and(|last| *last >= value) {
        return Err(BundleError::Order);
    }
    set.insert(value);
    Ok(())
}
