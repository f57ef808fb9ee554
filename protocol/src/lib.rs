//! The nouns and rules of the mesh, and the rules of Livepeer.
//!
//! What flows in and out of every other crate is named here: a stream is cut into segments, a segment is offered with a
//! ladder, an orchestrator answers with renditions and a receipt. Pure: no I/O, no clock, no codec, no wire format.
//!
//! Livepeer's rules follow the way of a round: [`rounds`] say when it is, [`inflation`] how much it mints, the [`pool`] who is
//! active, [`earnings`] what everybody gets of rewards and fees, [`tickets`] and the [`reserve`] how fees are paid, [`votes`]
//! who decides. Single formulas are there for whoever predicts; [`chain`] is all contracts as one state machine, for
//! whoever runs them. Both are the contracts' to the wei.

pub mod amount;
pub mod certificate;
pub mod chain;
pub mod earnings;
pub mod economics;
pub mod funding;
pub mod hash;
pub mod inflation;
pub mod journal;
pub mod ladder;
pub mod math;
pub mod offer;
pub mod payments;
pub mod peer;
pub mod pool;
pub mod predict;
pub mod price;
pub mod receipt;
pub mod record;
pub mod rendition;
pub mod reserve;
pub mod rounds;
pub mod segment;
pub mod stream;
pub mod tickets;
pub mod ticks;
pub mod votes;
pub mod written;

pub use amount::{Lpt, Wei};
pub use certificate::{Certificate, SignedCertificate};
pub use hash::Hash;
pub use ladder::Ladder;
pub use offer::{Declined, Failed, Offer};
pub use peer::PeerKey;
pub use price::PricePerPixel;
pub use receipt::{Receipt, SignedReceipt};
pub use record::NodeRecord;
pub use rendition::{Rendition, RenditionSpec};
pub use rounds::Round;
pub use segment::{Segment, SegmentId, SourceInfo};
pub use stream::StreamId;
pub use ticks::Ticks;
