//! One exchange with a mesh peer: a question and the number of the chunk that is wanted; back comes that chunk, with the
//! hashes of all. So a chunk that is damaged or made up is found when it comes, and the others may come from somebody else.

use alloy_primitives::{B256, keccak256};

use super::letters::{Reader, put_u32};
use super::{MAX_ANSWER, MAX_ASK, VERSION, WireError, decode_ask, encode_ask};
use crate::source::Ask;

/// Bytes of a chunk: with its hashes below the mebibyte that peers carry in one message.
pub const CHUNK: usize = 512 * 1024;
/// Chunks of the largest answer.
pub const MAX_CHUNKS: usize = MAX_ANSWER.div_ceil(CHUNK);
/// Largest request, bytes.
pub const MAX_REQUEST: usize = MAX_ASK + 4;
/// Largest reply, bytes.
pub const MAX_REPLY: usize = CHUNK + 32 * MAX_CHUNKS + 16;

/// Asks for a chunk of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// Which chunk, from 0.
    pub chunk: u32,
    /// Of the answer to this.
    pub ask: Ask,
}

/// What a peer gives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// It has no answer.
    Nothing,
    /// A chunk.
    Part(Part),
}

/// A chunk of an answer whose bytes are found to have the hash that stands for them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    /// keccak-256 of each chunk; all but the last have [`CHUNK`] bytes.
    pub hashes: Vec<B256>,
    /// Which one this is.
    pub chunk: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Request {
    /// Writes it.
    ///
    /// # Errors
    /// [`WireError::TooMuch`] when the question is over a limit.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let ask = encode_ask(&self.ask)?;
        Ok([&self.chunk.to_le_bytes()[..], &ask].concat())
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut from = Reader::new(bytes, "request");
        let chunk = from.u32()?;
        if chunk as usize >= MAX_CHUNKS {
            return Err(WireError::TooMuch { what: "number of a chunk", limit: MAX_CHUNKS });
        }
        Ok(Self { chunk, ask: decode_ask(from.rest())? })
    }
}

impl Reply {
    /// The wanted chunk of an encoded answer; nothing when it has no such chunk.
    #[must_use]
    pub fn cut(answer: &[u8], chunk: u32) -> Self {
        let Some(bytes) = answer.chunks(CHUNK).nth(chunk as usize) else { return Self::Nothing };
        let hashes = answer.chunks(CHUNK).map(keccak256).collect();
        Self::Part(Part { hashes, chunk, bytes: bytes.to_vec() })
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Nothing => vec![VERSION, 0],
            Self::Part(part) => {
                let mut out = vec![VERSION, 1];
                out.extend_from_slice(&part.chunk.to_le_bytes());
                put_u32(&mut out, part.hashes.len());
                part.hashes.iter().for_each(|hash| out.extend_from_slice(&hash[..]));
                out.extend_from_slice(&part.bytes);
                out
            }
        }
    }

    /// Reads it; a chunk must have its hash and its length.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut from = Reader::new(bytes, "reply");
        match from.u8()? {
            VERSION => {}
            other => return Err(WireError::Version(other)),
        }
        match from.u8()? {
            0 => {
                from.end()?;
                Ok(Self::Nothing)
            }
            1 => part(from).map(Self::Part),
            _ => Err(WireError::Meaning("kind of reply")),
        }
    }
}

fn part(mut from: Reader<'_>) -> Result<Part, WireError> {
    let chunk = from.u32()?;
    let count = from.count("chunks", MAX_CHUNKS, 32)?;
    let hashes: Vec<B256> =
        (0..count).map(|_| from.array().map(B256::from)).collect::<Result<_, WireError>>()?;
    let bytes = from.rest();
    let expected = hashes.get(chunk as usize).ok_or(WireError::Meaning("number of a chunk"))?;
    let last = chunk as usize + 1 == count;
    if bytes.is_empty() || bytes.len() > CHUNK || (!last && bytes.len() != CHUNK) {
        return Err(WireError::Length("chunk"));
    }
    if keccak256(bytes) != *expected {
        return Err(WireError::Meaning("chunk that has not its hash"));
    }
    Ok(Part { hashes, chunk, bytes: bytes.to_vec() })
}

/// An answer of which some chunks have come.
#[derive(Debug)]
pub struct Assembly {
    hashes: Vec<B256>,
    chunks: Vec<Option<Vec<u8>>>,
}

impl Assembly {
    /// Begins with the first chunk that came: its hashes say what the others must be.
    #[must_use]
    pub fn new(first: Part) -> Self {
        let mut assembly = Self { chunks: vec![None; first.hashes.len()], hashes: first.hashes };
        assembly.chunks[first.chunk as usize] = Some(first.bytes);
        assembly
    }

    /// The next chunk to ask for; none when all are there.
    #[must_use]
    pub fn missing(&self) -> Option<u32> {
        self.chunks.iter().position(Option::is_none).and_then(|at| u32::try_from(at).ok())
    }

    /// Adds a chunk.
    ///
    /// # Errors
    /// [`WireError::Meaning`] when it is of another answer.
    pub fn add(&mut self, part: Part) -> Result<(), WireError> {
        if part.hashes != self.hashes {
            return Err(WireError::Meaning("chunk of another answer"));
        }
        self.chunks[part.chunk as usize] = Some(part.bytes);
        Ok(())
    }

    /// The whole, once nothing is missing.
    #[must_use]
    pub fn whole(self) -> Option<Vec<u8>> {
        self.chunks.into_iter().collect::<Option<Vec<_>>>().map(|chunks| chunks.concat())
    }
}
