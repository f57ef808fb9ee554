//! The media plane: segments out, renditions back, on raw QUIC with the node's libp2p identity, or on libp2p streams where
//! no direct path exists.
//!
//! In flow offers with their bytes; out flow the steps of an answer, in order, each checked against the offer. What a
//! segment shows, whom to ask and what it is worth is not known here.

pub mod endpoint;
pub mod fallback;
pub mod introduce;
pub mod link;
pub mod pace;
pub mod raw;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

mod ask;
mod bell;
mod fault;
pub(crate) mod frame;
mod gate;
mod half;
mod opener;
mod serve;
mod sight;
mod tls;
pub(crate) mod wire;

pub use ask::{Answer, Answers};
pub use endpoint::{MediaConfig, MediaEndpoint};
pub use fallback::Fallback;
pub use fault::MediaError;
pub use frame::Floor;
pub use gate::Bounds;
pub use introduce::Introducer;
pub use pace::Congestion;
pub use serve::{IncomingOffer, Reply};

/// The name and major version of the media plane in TLS (ALPN). A node that speaks another major gets a TLS alert, and its
/// side says that one of the two must be updated.
pub const ALPN: &[u8] = b"livemesh-media/1";
