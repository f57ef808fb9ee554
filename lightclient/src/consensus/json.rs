//! Objects to and from the Beacon API's JSON, `{"version": ..., "data": ...}` (beacon-APIs `light_client/`).
//!
//! In: bytes of strangers, bounded before they are parsed. Numbers may be strings or numbers; without a version, as old servers
//! answer, the attested header's slot says the format. Unknown fields are passed over; lengths must be those of the format.

mod header;
mod number;
mod shapes;

use alloy_primitives::B256;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::shapes::{JsonBootstrap, JsonFinalityUpdate, JsonOptimisticUpdate, JsonUpdate};
use super::ssz::{Format, SszError};
use super::types::{Bootstrap, FinalityUpdate, OptimisticUpdate, Update};
use crate::forks::{ChainSpec, Fork, UnknownFork};

/// Longest JSON of one object: an update of mainnet has 58 KB.
const MAX_OBJECT_BYTES: usize = 256 * 1024;

/// Longest JSON of a list: 128 updates of mainnet have 7.5 MB.
const MAX_LIST_BYTES: usize = 12 * 1024 * 1024;

/// Most updates in one answer (consensus-specs `MAX_REQUEST_LIGHT_CLIENT_UPDATES`).
const MAX_UPDATES: usize = 128;

/// Why JSON is not the object that it was said to be.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum JsonError {
    /// Longer than any honest answer.
    #[error("{length} bytes of JSON, more than {most}")]
    TooLong {
        /// Bytes that came.
        length: usize,
        /// Bytes that are read.
        most: usize,
    },
    /// Not JSON, or fields missing or of another kind.
    #[error("not light-client JSON: {0}")]
    Malformed(String),
    /// A version that this program does not know.
    #[error(transparent)]
    Fork(#[from] UnknownFork),
    /// A format without light-client data.
    #[error(transparent)]
    Format(#[from] SszError),
    /// A field that the format has is not there.
    #[error("{fork} data without {field}")]
    Lacks {
        /// The format.
        fork: Fork,
        /// The field.
        field: &'static str,
    },
    /// A list or a text of another length than the format's.
    #[error("{field} has {got} items, in {fork} data it has {expected}")]
    Length {
        /// The format.
        fork: Fork,
        /// The field.
        field: &'static str,
        /// By the format.
        expected: usize,
        /// That came.
        got: usize,
    },
    /// More updates than may be asked for.
    #[error("{0} updates, but at most {MAX_UPDATES} can be asked for")]
    TooMany(usize),
}

/// The envelope. Old servers leave the version out, or the envelope altogether.
#[derive(Deserialize, Serialize)]
struct Versioned<T> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    data: T,
}

impl<T> Versioned<T> {
    const fn bare(data: T) -> Self {
        Self { version: None, data }
    }
}

/// A list in an envelope, as some old servers answer.
#[derive(Deserialize)]
struct Enveloped<T> {
    data: Vec<T>,
}

/// An object as JSON has it.
trait Shape: Sized {
    /// What it becomes.
    type Object;

    /// Slot that says the format when nothing else does.
    fn slot(&self) -> u64;

    /// Checks every length against the format.
    fn into_object(self, format: Format) -> Result<Self::Object, JsonError>;
}

macro_rules! json_of {
    ($object:ty, $shape:ty) => {
        impl $object {
            /// Reads the Beacon API's JSON.
            ///
            /// # Errors
            /// [`JsonError`] says what does not fit.
            pub fn from_json(spec: &ChainSpec, bytes: &[u8]) -> Result<Self, JsonError> {
                object(spec, one::<$shape>(bytes)?)
            }

            /// Writes the Beacon API's JSON.
            #[must_use]
            pub fn to_json(&self) -> Vec<u8> {
                let version = Some(self.fork.name().to_owned());
                let versioned = Versioned { version, data: <$shape>::from(self) };
                serde_json::to_vec(&versioned).expect("text, lists and numbers always have JSON")
            }
        }
    };
}

json_of!(Bootstrap, JsonBootstrap);
json_of!(Update, JsonUpdate);
json_of!(FinalityUpdate, JsonFinalityUpdate);
json_of!(OptimisticUpdate, JsonOptimisticUpdate);

impl Update {
    /// Reads a beacon node's answer to a range of periods: a list, each item in its own envelope.
    ///
    /// # Errors
    /// [`JsonError`] says what does not fit.
    pub fn list_from_json(spec: &ChainSpec, bytes: &[u8]) -> Result<Vec<Self>, JsonError> {
        let answers = many::<JsonUpdate>(bytes)?;
        if answers.len() > MAX_UPDATES {
            return Err(JsonError::TooMany(answers.len()));
        }
        answers.into_iter().map(|answer| object(spec, answer)).collect()
    }
}

/// An object in its envelope, or bare. No form is parsed into anything but itself: what does not fit fails where it differs.
fn one<T: DeserializeOwned>(bytes: &[u8]) -> Result<Versioned<T>, JsonError> {
    parse(bytes, MAX_OBJECT_BYTES).or_else(|enveloped| {
        let bare = parse(bytes, MAX_OBJECT_BYTES).map(Versioned::bare);
        bare.map_err(|bare| telling(enveloped, bare))
    })
}

/// A list of objects in envelopes, or bare, or the list itself in an envelope.
fn many<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<Versioned<T>>, JsonError> {
    let most = MAX_LIST_BYTES;
    let bare = |list: Vec<T>| list.into_iter().map(Versioned::bare).collect();
    parse::<Vec<Versioned<T>>>(bytes, most).or_else(|expected| {
        parse::<Vec<T>>(bytes, most)
            .map(bare)
            .or_else(|_| parse::<Enveloped<Versioned<T>>>(bytes, most).map(|list| list.data))
            .or_else(|_| parse::<Enveloped<T>>(bytes, most).map(|list| bare(list.data)))
            .map_err(|_| expected)
    })
}

/// Of two errors the one about the form that the text has.
fn telling(enveloped: JsonError, bare: JsonError) -> JsonError {
    match &enveloped {
        JsonError::Malformed(why) if why.starts_with("missing field `data`") => bare,
        _ => enveloped,
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8], most: usize) -> Result<T, JsonError> {
    if bytes.len() > most {
        return Err(JsonError::TooLong { length: bytes.len(), most });
    }
    serde_json::from_slice(bytes).map_err(|error| JsonError::Malformed(error.to_string()))
}

fn object<T: Shape>(spec: &ChainSpec, answer: Versioned<T>) -> Result<T::Object, JsonError> {
    let fork = match answer.version {
        Some(name) => name.parse()?,
        None => spec.fork_at_slot(answer.data.slot()),
    };
    answer.data.into_object(Format::new(fork, &spec.preset)?)
}

/// A branch of the length that the format asks for.
fn branch(
    format: Format,
    field: &'static str,
    nodes: Vec<B256>,
    expected: usize,
) -> Result<Vec<B256>, JsonError> {
    sized(format, field, nodes.len(), expected).map(|()| nodes)
}

const fn sized(format: Format, field: &'static str, got: usize, expected: usize) -> Result<(), JsonError> {
    if got == expected { Ok(()) } else { Err(JsonError::Length { fork: format.fork, field, expected, got }) }
}
