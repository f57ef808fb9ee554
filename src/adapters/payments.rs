//! The actors' payments over the mesh and the light client.
//!
//! On a broadcaster's side [`paid`] is the mesh as a dispatcher of paid work sees it: it keeps a [`session`] with each orchestrator
//! of a stream, filled ahead of need, and asks the [`purse`] for every segment's tickets. On an orchestrator's side [`counter`]
//! answers those who ask of its books. Both know of the chain what [`facts`] has read with proof.

pub(crate) mod counter;
pub(crate) mod facts;
pub(crate) mod paid;
pub(crate) mod purse;
pub(crate) mod session;
