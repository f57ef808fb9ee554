//! The contracts' own bytecode over proven state: a read compared with their getters, transactions before they are sent. Code
//! is asked of anybody, because its proven hash says what it is.

use thiserror::Error;

use super::{Lacking, ReadError, join_keys};
use crate::arbitrum::L2Anchor;
use crate::evm::{self, Agreement, Codes, Env, EvmError, Outcome, Transaction, Wanted};
use crate::livepeer::{Ask, Contracts, Hint, Read, Unreadable};
use crate::proven::{Accept, Proven};
use crate::state::{Keys, StateView};
use crate::sync::shared::Shared;

/// Times that running code may turn out to need more code: a proxy, its target, a library, and a registry's other targets.
const CODE_ROUNDS: usize = 16;

/// Why bytecode over proven state gives nothing.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum CrossError {
    /// The slots cannot be read.
    #[error(transparent)]
    Slots(#[from] Unreadable),
    /// The bytecode gives no result.
    #[error("by the contracts' own bytecode: {0}")]
    Bytecode(#[from] EvmError),
}

impl Lacking for CrossError {
    fn lacking(&self) -> Option<Keys> {
        match self {
            Self::Slots(why) => why.lacking(),
            Self::Bytecode(EvmError::Wanted(Wanted { keys, .. })) => Some(keys.clone()),
            Self::Bytecode(_) => None,
        }
    }
}

impl Shared {
    pub(in crate::sync) async fn cross_checked(
        &self,
        accept: Accept,
        ask: &Ask,
        hint: &Hint,
    ) -> Result<Proven<(Read, Agreement)>, ReadError<CrossError>> {
        let contracts = self.config.contracts.as_ref().ok_or(ReadError::NoRollup)?;
        let mut keys = ask.keys(contracts, hint);
        join_keys(&mut keys, &evm::frame(contracts));
        self.run(accept, keys, |view, codes, anchor, chain_id| {
            twice(ask, view, anchor, codes, contracts, chain_id)
        })
        .await
    }

    pub(in crate::sync) async fn simulated(
        &self,
        accept: Accept,
        txs: &[Transaction],
    ) -> Result<Proven<Vec<Outcome>>, ReadError<CrossError>> {
        let contracts = self.config.contracts.as_ref().ok_or(ReadError::NoRollup)?;
        let mut keys = evm::frame(contracts);
        join_keys(
            &mut keys,
            &txs.iter().flat_map(|tx| [tx.from, tx.to]).map(|who| (who, Default::default())).collect(),
        );
        self.run(accept, keys, |view, codes, anchor, chain_id| {
            // The hash that a round would be called by is not known yet; that there is one is all that matters.
            let block_hash = Some(anchor.header.hash);
            Ok(evm::simulate_in_turn(view, codes, Env { block_hash, ..env(anchor, chain_id) }, txs)?)
        })
        .await
    }

    /// Runs code over proven state until neither state nor code is wanting.
    async fn run<T>(
        &self,
        accept: Accept,
        keys: Keys,
        run: impl Fn(&dyn StateView, &Codes, &L2Anchor, u64) -> Result<T, CrossError> + Send + Sync,
    ) -> Result<Proven<T>, ReadError<CrossError>> {
        let chain_id = self.config.rollup.as_ref().ok_or(ReadError::NoRollup)?.chain_id;
        let mut codes = Codes::default();
        for _ in 0..CODE_ROUNDS {
            let done =
                self.read(accept, keys.clone(), |view, anchor| run(view, &codes, anchor, chain_id)).await;
            match done {
                Err(ReadError::Read(CrossError::Bytecode(EvmError::Wanted(wanted))))
                    if !wanted.codes.is_empty() =>
                {
                    for address in wanted.codes.into_values() {
                        codes.insert(self.code(accept, address).await.map_err(ReadError::widen)?.value);
                    }
                }
                done => return done,
            }
        }
        Err(ReadError::Endless)
    }
}

const fn env(anchor: &L2Anchor, chain_id: u64) -> Env {
    Env { chain_id, number: anchor.nitro.l1_block, timestamp: anchor.header.timestamp, block_hash: None }
}

fn twice(
    ask: &Ask,
    view: &dyn StateView,
    anchor: &L2Anchor,
    codes: &Codes,
    contracts: &Contracts,
    chain_id: u64,
) -> Result<(Read, Agreement), CrossError> {
    let read = ask.read(view, contracts, anchor.nitro.l1_block)?;
    let agreement = evm::cross_check(&read, view, codes, contracts, env(anchor, chain_id))?;
    Ok((read, agreement))
}
