//! Merkle-Patricia lookups over a set of nodes (yellow paper, appendix D). In: nodes in any order, a root, a key. Out: the
//! value, or its proven absence. Each node is hashed once, when it enters the set; a path through the set then costs no
//! hashing. Terminates because every step uses up at least one nibble of the key.

use std::collections::BTreeMap;

use alloy_primitives::{B256, b256, keccak256};
use thiserror::Error;

use super::rlp::Item;
pub use super::rlp::RlpError;

/// Root of a trie that holds nothing: keccak-256 of the empty string's RLP.
pub const EMPTY_ROOT: B256 = b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");

/// Why a path through a trie could not be followed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum TrieError {
    /// The proof lacks a node (or holds a changed one, which is the same).
    #[error("node {hash} at nibble {depth} is not in the proof")]
    NoNode {
        /// Hash by which its parent, or the root, names it.
        hash: B256,
        /// Nibbles of the key above it.
        depth: usize,
    },
    /// A node is not RLP of a trie node.
    #[error("node {hash} is malformed: {why}")]
    Malformed {
        /// Hash of the node, or of the one in which it lies.
        hash: B256,
        /// What is wrong with it.
        why: RlpError,
    },
    /// A node is RLP, and yet no trie node.
    #[error("node {hash} is no trie node: {why}")]
    NoTrieNode {
        /// Hash of the node, or of the one in which it lies.
        hash: B256,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The value under the key is not what such a trie holds.
    #[error("the value is malformed: {0}")]
    Value(RlpError),
}

/// Trie nodes by their hash. Of any number of tries: a hash says all.
#[derive(Debug, Default)]
pub struct Nodes<'n> {
    by_hash: BTreeMap<B256, &'n [u8]>,
}

impl<'n> Nodes<'n> {
    /// Hashes every node once.
    pub fn new(nodes: impl IntoIterator<Item = &'n [u8]>) -> Self {
        Self { by_hash: nodes.into_iter().map(|node| (keccak256(node), node)).collect() }
    }

    /// The value under `key` in the trie of `root`; none when its absence is proven.
    ///
    /// # Errors
    /// [`TrieError`] when a node on the way is missing or malformed.
    pub fn lookup(&self, root: B256, key: &[u8]) -> Result<Option<&'n [u8]>, TrieError> {
        if root == EMPTY_ROOT {
            return Ok(None);
        }
        let key = Nibbles { bytes: key, start: 0 };
        let (mut depth, mut hash) = (0, root);
        let mut bytes = self.node(hash, depth)?;
        loop {
            let child = match Node::read(bytes).map_err(|why| why.at(hash))? {
                Node::Leaf { path, value } => return Ok(key.rest_is(depth, path).then_some(value)),
                Node::Extension { path, .. } if !key.continues(depth, path) => return Ok(None),
                Node::Extension { path, child } => {
                    depth += path.len();
                    child
                }
                Node::Branch { children, value } => {
                    let Some(nibble) = key.get(depth) else {
                        return Ok((!value.is_empty()).then_some(value));
                    };
                    depth += 1;
                    children[usize::from(nibble)]
                }
            };
            match child {
                Child::None => return Ok(None),
                Child::Inline(inner) => bytes = inner,
                Child::Hash(next) => {
                    hash = next;
                    bytes = self.node(hash, depth)?;
                }
            }
        }
    }

    fn node(&self, hash: B256, depth: usize) -> Result<&'n [u8], TrieError> {
        self.by_hash.get(&hash).copied().ok_or(TrieError::NoNode { hash, depth })
    }
}

/// A string of nibbles that begins somewhere in bytes.
#[derive(Clone, Copy, Debug)]
struct Nibbles<'a> {
    bytes: &'a [u8],
    start: usize,
}

impl<'a> Nibbles<'a> {
    /// Reads the hex-prefix form: whether it ends a path, and the nibbles.
    fn hex_prefixed(bytes: &'a [u8]) -> Result<(bool, Self), Fault> {
        let first = *bytes.first().ok_or(Fault::Shape("a path without its first byte"))?;
        let (leaf, odd) = (first & 0x20 != 0, first & 0x10 != 0);
        if first > 0x3f || !odd && first & 0x0f != 0 {
            return Err(Fault::Shape("a path whose prefix is unknown"));
        }
        Ok((leaf, Self { bytes, start: if odd { 1 } else { 2 } }))
    }

    const fn len(self) -> usize {
        2 * self.bytes.len() - self.start
    }

    fn get(self, index: usize) -> Option<u8> {
        let at = self.start + index;
        let byte = *self.bytes.get(at / 2)?;
        Some(if at.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f })
    }

    /// Whether `path` follows after `depth` nibbles.
    fn continues(self, depth: usize, path: Self) -> bool {
        depth + path.len() <= self.len() && (0..path.len()).all(|i| self.get(depth + i) == path.get(i))
    }

    /// Whether exactly `path` follows after `depth` nibbles.
    fn rest_is(self, depth: usize, path: Self) -> bool {
        depth + path.len() == self.len() && self.continues(depth, path)
    }
}

#[derive(Clone, Copy, Debug)]
enum Child<'a> {
    None,
    Hash(B256),
    /// A node shorter than a hash lies in its parent.
    Inline(&'a [u8]),
}

impl<'a> Child<'a> {
    fn read(item: Item<'a>) -> Result<Self, Fault> {
        match (item.list, item.payload.len()) {
            (false, 0) => Ok(Self::None),
            (false, 32) => Ok(Self::Hash(B256::from_slice(item.payload))),
            (true, _) if item.raw.len() < 32 => Ok(Self::Inline(item.raw)),
            _ => Err(Fault::Shape("a child is neither a hash nor a short node")),
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "lives on the stack for one step of a path")]
enum Node<'a> {
    Branch { children: [Child<'a>; 16], value: &'a [u8] },
    Extension { path: Nibbles<'a>, child: Child<'a> },
    Leaf { path: Nibbles<'a>, value: &'a [u8] },
}

impl<'a> Node<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut rest = Item::only(bytes)?.list()?;
        let mut items = [Item::EMPTY; 17];
        let mut count = 0;
        while !rest.is_empty() {
            let place = items.get_mut(count).ok_or(Fault::Shape("more than 17 items"))?;
            *place = Item::take(&mut rest)?;
            count += 1;
        }
        match count {
            2 => Self::short(items[0], items[1]),
            17 => Self::branch(&items),
            _ => Err(Fault::Shape("neither 2 nor 17 items")),
        }
    }

    fn short(path: Item<'a>, second: Item<'a>) -> Result<Self, Fault> {
        let (leaf, path) = Nibbles::hex_prefixed(path.string()?)?;
        if leaf {
            return Ok(Self::Leaf { path, value: second.string()? });
        }
        match Child::read(second)? {
            _ if path.len() == 0 => Err(Fault::Shape("an extension by nothing")),
            Child::None => Err(Fault::Shape("an extension to nothing")),
            child => Ok(Self::Extension { path, child }),
        }
    }

    fn branch(items: &[Item<'a>; 17]) -> Result<Self, Fault> {
        let mut children = [Child::None; 16];
        for (child, item) in children.iter_mut().zip(items) {
            *child = Child::read(*item)?;
        }
        Ok(Self::Branch { children, value: items[16].string()? })
    }
}

/// What is wrong with a node, before it is known which.
enum Fault {
    Rlp(RlpError),
    Shape(&'static str),
}

impl From<RlpError> for Fault {
    fn from(why: RlpError) -> Self {
        Self::Rlp(why)
    }
}

impl Fault {
    const fn at(self, hash: B256) -> TrieError {
        match self {
            Self::Rlp(why) => TrieError::Malformed { hash, why },
            Self::Shape(why) => TrieError::NoTrieNode { hash, why },
        }
    }
}
