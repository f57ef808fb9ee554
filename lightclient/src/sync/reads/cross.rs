//! One read, twice over the same proven state: by slots, whose layout we know, and by the contracts' own getters. Code is
//! asked of anybody, because its proven hash says what it is.

use thiserror::Error;

use super::{Lacking, ReadError, join_keys};
use crate::arbitrum::L2Anchor;
use crate::evm::{self, Agreement, Codes, Env, EvmError, Wanted};
use crate::livepeer::{Ask, Contracts, Hint, Read, Unreadable};
use crate::proven::{Accept, Proven};
use crate::state::{Keys, StateView};
use crate::sync::shared::Shared;

/// Times that running code may turn out to need more code: a proxy, its target, a library, and a registry's other targets.
const CODE_ROUNDS: usize = 16;

/// Why a read and its cross-check give nothing.
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
        let (Some(contracts), Some(rollup)) = (&self.config.contracts, &self.config.rollup) else {
            return Err(ReadError::NoRollup);
        };
        let mut keys = ask.keys(contracts, hint);
        join_keys(&mut keys, &evm::frame(contracts));
        let mut codes = Codes::default();
        for _ in 0..CODE_ROUNDS {
            let read = self
                .read(accept, keys.clone(), |view, anchor| {
                    twice(ask, view, anchor, &codes, contracts, rollup.chain_id)
                })
                .await;
            match read {
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

fn twice(
    ask: &Ask,
    view: &dyn StateView,
    anchor: &L2Anchor,
    codes: &Codes,
    contracts: &Contracts,
    chain_id: u64,
) -> Result<(Read, Agreement), CrossError> {
    let read = ask.read(view, contracts, anchor.nitro.l1_block)?;
    let env =
        Env { chain_id, number: anchor.nitro.l1_block, timestamp: anchor.header.timestamp, block_hash: None };
    let agreement = evm::cross_check(&read, view, codes, contracts, env)?;
    Ok((read, agreement))
}
