//! Proven state and the wallet as the redeemer sees them: senders, rounds and used tickets from one proven block; an order becomes
//! one transaction under the order's name, and what it paid is read from logs that hash to a proven block's root.
//!
//! Believes no endpoint: what one says of a ticket only delays it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actors::ports::redeemer::{Ask, Broker, NotProven, Order, OrderFault, Settled, Situation};
use alloy_primitives::{Address, B256, U256};
use futures::future::BoxFuture;
use lightclient::livepeer::Contracts;
use lightclient::proven::Accept;
use lightclient::sync::LightClient;
use protocol::payments::entry::Winner;
use tokio::sync::oneshot;
use url::Url;
use wallet::{
    Call, Id, Intent, Outcome, Settings, Signer, SimulateError, Until, Wallet, WalletError, Witness,
};

use self::receipts::Receipts;
use crate::cli::Failure;

mod calldata;
mod paid;
mod receipts;
pub(crate) mod situation;
#[cfg(test)]
mod tests;

/// Rest between two tries to get the block of a transaction from any endpoint.
const RETRY: Duration = Duration::from_secs(1);

/// How the gas key's wallet behaves on a chain of such slots, where as many endpoints must agree as for what is read.
pub(crate) fn wallet_settings(slot_ms: u64, accept: Accept) -> Settings {
    let slot = Duration::from_millis(slot_ms);
    let agree = match accept {
        Accept::Sequenced { agree } => agree.into(),
        Accept::Confirmed | Accept::Pending { .. } => Settings::default().agree,
    };
    Settings {
        agree,
        poll: (slot / 12).clamp(Duration::from_millis(50), Duration::from_secs(1)),
        poll_included: slot.clamp(Duration::from_millis(200), Duration::from_secs(30)),
        escalate_after: (2 * slot).clamp(Duration::from_secs(2), Duration::from_secs(20)),
        ..Settings::default()
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct ChainBroker {
    client: LightClient,
    accept: Accept,
    contracts: Contracts,
    recipient: Address,
    wallet: Wallet,
    receipts: Arc<Receipts>,
}

impl ChainBroker {
    /// Opens the gas key's transactions below `dir` and follows those under way to their ends. What `accept` takes decides about money.
    #[allow(clippy::too_many_arguments, reason = "each from another part of the node")]
    pub(crate) fn open(
        dir: &Path,
        signer: Signer,
        (client, accept): (LightClient, Accept),
        (contracts, recipient): (Contracts, Address),
        l2: &[String],
        witness: Arc<dyn Witness>,
        settings: Settings,
    ) -> Result<Self, Failure> {
        let endpoints: Vec<Url> = l2.iter().map(|url| url.parse()).collect::<Result<_, _>>()?;
        let receipts = Receipts::new(endpoints.clone(), Arc::clone(&witness), settings.timeout)?;
        let dir = dir.join(signer.address().to_string());
        let wallet = Wallet::open(&dir, contracts.chain_id, signer, endpoints, Some(witness), settings)?;
        let open = wallet.resume().len();
        if open > 0 {
            tracing::info!(open, "transactions of an earlier run go on");
        }
        Ok(Self { client, accept, contracts, recipient, wallet, receipts: Arc::new(receipts) })
    }

    /// Each ticket alone, as it would go now.
    async fn simulate(&self, order: &Order) -> Result<(), OrderFault> {
        let calls = order.winners.iter().map(|winner| async move {
            let call = self.call(std::slice::from_ref(winner));
            (winner.id(), self.wallet.simulate(&call).await)
        });
        let mut refused = BTreeMap::new();
        for (id, said) in futures::future::join_all(calls).await {
            match said {
                Ok(_) => {}
                Err(SimulateError::Reverts(why)) => _ = refused.insert(id, why),
                Err(error @ (SimulateError::Disagree(_) | SimulateError::Unreachable(_))) => {
                    return Err(OrderFault::Unsent(error.to_string()));
                }
            }
        }
        if refused.is_empty() { Ok(()) } else { Err(OrderFault::Refused(refused)) }
    }

    fn call(&self, winners: &[Winner]) -> Call {
        let data = calldata::redeem(winners).into();
        Call { to: self.contracts.ticket_broker, value: U256::ZERO, data, gas_limit: None }
    }

    /// The transaction of an order: the known one, or a new one.
    async fn sign(&self, order: &Order) -> Result<Id, OrderFault> {
        let key = order.name();
        if let Some(id) = self.wallet.find(&key) {
            return Ok(id);
        }
        self.simulate(order).await?;
        let what = format!("redeem {} winning tickets", order.winners.len());
        let intent = Intent { key, call: self.call(&order.winners), what, max_cost: Some(order.max_cost.0) };
        self.wallet.send(intent).await.map_err(|error| OrderFault::Unsent(error.to_string()))
    }

    async fn carry(self, order: Order, sent: oneshot::Sender<B256>) -> Result<Settled, OrderFault> {
        let id = self.sign(&order).await?;
        self.see_through(id, order, sent).await
    }

    async fn take_up(self, order: Order, sent: oneshot::Sender<B256>) -> Result<Settled, OrderFault> {
        let unsent = || OrderFault::Unsent("it had not been signed when the process ended".into());
        let id = self.wallet.find(&order.name()).ok_or_else(unsent)?;
        self.see_through(id, order, sent).await
    }

    async fn see_through(
        self,
        id: Id,
        order: Order,
        sent: oneshot::Sender<B256>,
    ) -> Result<Settled, OrderFault> {
        if let Some(view) = self.wallet.pending().into_iter().find(|view| view.id == id) {
            // Nobody listens any more when the redeemer stops.
            let _ = sent.send(view.hash);
        }
        let outcome = match self.wallet.wait(id, Until::Proven).await {
            Ok(outcome) => outcome,
            Err(WalletError::Displaced(_)) => return Err(OrderFault::Void("its nonce was taken".into())),
            Err(error) => {
                // It is signed and may still happen: only a new process, which finds it by its name, may say how it ended.
                tracing::error!(%error, "a redemption is not followed");
                futures::future::pending().await
            }
        };
        if !outcome.success || outcome.cancelled {
            return Err(OrderFault::Void(format!(
                "{} in block {} changed nothing",
                outcome.hash, outcome.block
            )));
        }
        Ok(self.settled(&order, &outcome).await)
    }

    async fn settled(&self, order: &Order, outcome: &Outcome) -> Settled {
        loop {
            match self.receipts.of(outcome).await {
                Ok((receipt, gas)) => {
                    let paid = paid::paid(&receipt, self.contracts.ticket_broker, &order.winners);
                    return Settled { transaction: outcome.hash, block: outcome.block, gas, paid };
                }
                Err(why) => tracing::debug!(%why, "the logs of a redemption are not proven yet"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn situation(self, ask: Ask) -> Result<Situation, NotProven> {
        let (contracts, recipient) = (self.contracts.clone(), self.recipient);
        let keys = situation::keys(&contracts, recipient, &ask);
        let read = self.client.read(self.accept, keys, |view, anchor| {
            situation::read(view, situation::Block::of(anchor), &contracts, recipient, &ask)
        });
        read.await.map(|proven| proven.value).map_err(|error| NotProven(error.to_string()))
    }
}

impl Broker for ChainBroker {
    fn read(&self, ask: Ask) -> BoxFuture<'static, Result<Situation, NotProven>> {
        Box::pin(self.clone().situation(ask))
    }

    fn under_way(&self) -> Vec<String> {
        self.wallet.pending().into_iter().map(|view| view.key).collect()
    }

    fn redeem(
        &self,
        order: Order,
        sent: oneshot::Sender<B256>,
    ) -> BoxFuture<'static, Result<Settled, OrderFault>> {
        Box::pin(self.clone().carry(order, sent))
    }

    fn follow(
        &self,
        order: Order,
        sent: oneshot::Sender<B256>,
    ) -> BoxFuture<'static, Result<Settled, OrderFault>> {
        Box::pin(self.clone().take_up(order, sent))
    }
}
