//! Transactions tried before they are sent: by the contracts' own bytecode over proven state, where there is bytecode. Says in
//! words which kind of simulation was done; the endpoints' own comes in any case, step by step.

use alloy_primitives::{Address, Bytes, U256};
use lightclient::evm::{CALL_GAS, EvmError, Outcome, Transaction};
use lightclient::proven::{Accept, Proven};
use lightclient::sync::{CrossError, LightClient, ReadError};

use crate::cli::Failure;

/// How transactions were simulated, and what came of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Rehearsal {
    /// By bytecode: gas of each step, without what Arbitrum takes for L1.
    Bytecode(Vec<u64>),
    /// By our own rules alone: there is no bytecode.
    NoBytecode,
    /// Not by bytecode: why not.
    Untried(String),
}

/// Tries transactions of `from` one after the other.
///
/// # Errors
/// The contract's reason where one of them would fail.
pub(super) async fn rehearse(
    client: &LightClient,
    accept: Accept,
    from: Address,
    steps: &[(Address, U256, Bytes)],
) -> Result<Rehearsal, Failure> {
    let transaction = |(to, value, data): &(Address, U256, Bytes)| Transaction {
        from,
        to: *to,
        value: *value,
        data: data.clone(),
        gas_limit: CALL_GAS,
    };
    let transactions: Vec<Transaction> = steps.iter().map(transaction).collect();
    judge(client.simulate(accept, &transactions).await)
}

fn judge(tried: Result<Proven<Vec<Outcome>>, ReadError<CrossError>>) -> Result<Rehearsal, Failure> {
    match tried {
        Ok(done) => Ok(Rehearsal::Bytecode(done.value.iter().map(|outcome| outcome.gas).collect())),
        Err(ReadError::Read(CrossError::Bytecode(EvmError::NoCode(_)))) => Ok(Rehearsal::NoBytecode),
        Err(ReadError::Read(CrossError::Bytecode(why @ (EvmError::Reverted(_) | EvmError::Halted(_))))) => {
            Err(format!(
                "the contracts' own bytecode refuses this over proven state, though the rules known here allow it: {why}. \
                 Nothing was sent. The contracts may be newer than this program, or know a transaction of yours that \
                 the proven state does not"
            )
            .into())
        }
        Err(why) => Ok(Rehearsal::Untried(why.to_string())),
    }
}

impl Rehearsal {
    /// In words.
    pub(super) fn says(&self) -> String {
        match self {
            Self::Bytecode(gas) => {
                let gas: Vec<String> = gas.iter().map(u64::to_string).collect();
                format!("simulated by the contracts' own bytecode over proven state: {} gas", gas.join(" + "))
            }
            Self::NoBytecode => {
                "simulated by the contracts' rules over proven state; there is no bytecode here that could be run".to_owned()
            }
            Self::Untried(why) => format!("simulated by the contracts' rules over proven state, not by their bytecode: {why}"),
        }
    }
}
