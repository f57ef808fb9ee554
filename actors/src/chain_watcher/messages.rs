//! What the chain watcher may be told. What it knows is in its view, which is looked at and not asked for.

use actix::prelude::*;
use alloy_primitives::Address;

use super::view::PriceLimits;

/// These senders or orchestrators are worth an alarm when they take their money out.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Watch(pub Vec<Address>);

/// A price feed says between which prices this node works.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Prices(pub PriceLimits);
