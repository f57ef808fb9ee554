//! Livepeer's own encodings of what is signed and paid: the payment that goes with a segment, the order, the session's token. In
//! flow header texts from strangers and values of [`protocol`]; out flow values whose every field was checked, or headers.
//!
//! These are values only: whoever speaks HTTP and gRPC with Livepeer's nodes uses them and knows the rest of that wire. Whether a
//! ticket is good is decided elsewhere, by the same rules for every wire.

use alloy_primitives::{Address, B256, FixedBytes, U256};
use prost::Message;
use thiserror::Error;

pub mod auth_token;
pub mod capabilities;
pub mod introduction;
pub mod order;
pub mod payment;
pub mod price;
pub mod profile;
pub mod signing;

pub use auth_token::AuthToken;
pub use capabilities::Capabilities;
pub use order::Order;
pub use payment::Payment;
pub use profile::Profile;

/// The messages of `proto/livepeer.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod net {
    include!(concat!(env!("OUT_DIR"), "/net.rs"));
}

/// Longest header that is looked at: all 600 tickets that one set of parameters may have, 75 bytes each, in base64.
pub const MAX_HEADER: usize = 64 << 10;

/// Why a header is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Longer than any.
    #[error("a header of {0} bytes, the limit is {MAX_HEADER}")]
    TooLong(usize),
    /// Not standard base64.
    #[error("base64 decode error")]
    Base64,
    /// Not that message.
    #[error("protobuf unmarshal error")]
    Protobuf,
    /// A field is missing, or out of its bounds.
    #[error("{field}: {why}")]
    Field {
        /// As the message names it.
        field: &'static str,
        /// What is wrong.
        why: &'static str,
    },
}

const fn bad(field: &'static str, why: &'static str) -> Malformed {
    Malformed::Field { field, why }
}

/// A message in a header.
fn to_header(message: &impl Message) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(message.encode_to_vec())
}

/// The bytes of a header.
fn unwrap(header: &str) -> Result<Vec<u8>, Malformed> {
    use base64::Engine;
    if header.len() > MAX_HEADER {
        return Err(Malformed::TooLong(header.len()));
    }
    base64::engine::general_purpose::STANDARD.decode(header).map_err(|_| Malformed::Base64)
}

fn message<M: Message + Default>(bytes: &[u8]) -> Result<M, Malformed> {
    M::decode(bytes).map_err(|_| Malformed::Protobuf)
}

fn address(bytes: &[u8], field: &'static str) -> Result<Address, Malformed> {
    Address::try_from(bytes).map_err(|_| bad(field, "an address has 20 bytes"))
}

fn word(bytes: &[u8], field: &'static str) -> Result<B256, Malformed> {
    B256::try_from(bytes).map_err(|_| bad(field, "a hash has 32 bytes"))
}

fn signature(bytes: &[u8], field: &'static str) -> Result<FixedBytes<65>, Malformed> {
    FixedBytes::try_from(bytes).map_err(|_| bad(field, "a signature has 65 bytes"))
}

fn number(bytes: &[u8], field: &'static str) -> Result<U256, Malformed> {
    U256::try_from_be_slice(bytes).ok_or(bad(field, "a number has at most 32 bytes"))
}

/// A number without leading zeros; none for zero.
fn minimal(number: U256) -> bytes::Bytes {
    number.to_be_bytes_trimmed_vec().into()
}

#[cfg(test)]
mod tests;
