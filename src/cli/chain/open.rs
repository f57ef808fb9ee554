//! The chain for other commands: a client that has reached the head and L2 state, read from until it is stopped.

use alloy_primitives::{Address, U256};
use lightclient::livepeer::{Ask, Contracts, Hint, Read, Unreadable, situation};
use lightclient::proven::{Anchor, Proven};
use lightclient::state::StateView;
use lightclient::sync::LightClient;
use protocol::chain::Chain as State;

pub(in crate::cli) use super::session::PeerArgs;
use super::session::Session;
use super::{ANCHOR_WITHIN, anchored, show as print, synced};
use crate::chain::plan;
use crate::cli::Failure;
use crate::config::chain::{Chain, ChainArgs};

/// A client at the head.
pub(in crate::cli) struct Opened {
    session: Session,
    /// What was configured.
    pub(in crate::cli) chain: Chain,
    known: std::sync::Mutex<String>,
}

/// What calls at the ticket broker touch.
pub(in crate::cli) struct Purse {
    /// The account, its money in the broker, the pool and the round.
    pub(in crate::cli) state: State,
    /// What a unit of gas cost in that block, wei.
    pub(in crate::cli) base_fee: u64,
    /// How all of it is known.
    pub(in crate::cli) proof: serde_json::Value,
}

impl Opened {
    /// Follows the chain to its head, showing how far it is.
    pub(in crate::cli) async fn new(
        args: &ChainArgs,
        peers: &PeerArgs,
        quiet: bool,
    ) -> Result<Self, Failure> {
        let chain = crate::config::chain(args)?;
        let plan = plan(&chain, peers.peer.is_empty()).await?;
        let session = synced(plan, peers, None, quiet).await?;
        anchored(&session.client, ANCHOR_WITHIN).await;
        Ok(Self { session, chain, known: std::sync::Mutex::default() })
    }

    /// The client.
    pub(in crate::cli) const fn client(&self) -> &LightClient {
        &self.session.client
    }

    /// Reads something of Livepeer's, proven.
    pub(in crate::cli) async fn read(&self, ask: &Ask) -> Result<Read, Failure> {
        let read = self.client().livepeer(self.chain.accept, ask, &Hint::default()).await?;
        self.note(&read.anchor);
        Ok(read.value)
    }

    /// What calls of `me` towards `others` touch, proven; with proposals, what votes on them touch too.
    pub(in crate::cli) async fn situation(
        &self,
        me: Address,
        others: &[Address],
        proposals: Option<&[U256]>,
    ) -> Result<State, Failure> {
        let contracts = self.contracts()?;
        let votes = |view: &dyn StateView, state: &mut State| match proposals {
            Some(ids) => situation::votes::add(view, &contracts, state, me, ids),
            None => Ok(()),
        };
        Ok(self.touched(me, others, votes).await?.value.0)
    }

    /// What calls of `me` at the ticket broker touch, proven.
    pub(in crate::cli) async fn purse(&self, me: Address) -> Result<Purse, Failure> {
        let contracts = self.contracts()?;
        let read = self
            .touched(me, &[], |view, state| situation::payments::add(view, &contracts, state, me))
            .await?;
        let (state, base_fee) = read.value;
        let proof = super::known(&read.anchor, self.client().now_ms() / 1000);
        Ok(Purse { state, base_fee, proof })
    }

    fn contracts(&self) -> Result<Contracts, Failure> {
        Ok(self.client().config().contracts.clone().ok_or("this network names no contracts")?)
    }

    /// What calls of `me` towards `others` touch and what `add` adds to it, all of one block, with its base fee, wei.
    async fn touched(
        &self,
        me: Address,
        others: &[Address],
        add: impl Fn(&dyn StateView, &mut State) -> Result<(), Unreadable> + Send + Sync,
    ) -> Result<Proven<(State, u64)>, Failure> {
        let contracts = self.contracts()?;
        let read = self
            .client()
            .read(self.chain.accept, situation::keys(&contracts), |view, anchor| {
                let at = (anchor.nitro.l1_block, anchor.header.timestamp);
                let mut state = situation::read(view, &contracts, me, others, at)?;
                add(view, &mut state)?;
                Ok::<_, Unreadable>((state, anchor.header.base_fee.unwrap_or_default()))
            })
            .await?;
        self.note(&read.anchor);
        Ok(read)
    }

    /// Remembers how something was known.
    pub(in crate::cli) fn note(&self, anchor: &Anchor) {
        let said = print::anchor(anchor, self.client().now_ms() / 1000);
        *self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = said;
    }

    /// How the last value is known, in words.
    pub(in crate::cli) fn known(&self) -> String {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Returns when nothing is being written any more.
    pub(in crate::cli) async fn stop(self) {
        self.session.stop().await;
    }
}

/// Prints a value as indented lines.
pub(in crate::cli) fn show(value: &serde_json::Value) {
    print::value(value, 0);
}
