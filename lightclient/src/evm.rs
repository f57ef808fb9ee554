//! The contracts' own bytecode over proven state: a call or a transaction in, what it returns or why it reverts out. A word
//! or a piece of code that nobody proved never becomes a result: the run goes on with zeros only to find out what else it
//! needs, and ends in [`EvmError::Wanted`]. Knows no source; the caller fetches and runs again.

use alloy_primitives::{Address, B256, Bytes, Log, U256};
use revm::context::result::{EVMError, ExecutionResult};
use revm::context::{BlockEnv, TxEnv};
use revm::primitives::TxKind;
use revm::primitives::hardfork::SpecId;
use revm::{Context, ExecuteEvm, MainBuilder, MainContext};
use thiserror::Error;

mod check;
mod frame;
mod getters;
mod revert;
mod state;

pub use check::{Agreement, Comparison, cross_check};
pub use frame::frame;
pub use revert::Revert;
pub use state::{Codes, NoBlockHash, Wanted};

use crate::state::StateView;
use state::Proven;

/// Gas of a call: what a view of the contracts needs ten times over; bounds time and memory of foreign code.
pub const CALL_GAS: u64 = 30_000_000;

/// The block that code sees itself in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Env {
    /// EIP-155 identifier.
    pub chain_id: u64,
    /// `block.number`; on Arbitrum the L1 block number that the L2 header carries, not the header's own.
    pub number: u64,
    /// `block.timestamp`, seconds since 1970.
    pub timestamp: u64,
    /// What `blockhash` answers where only the course of a transaction matters and not the value (`initializeRound` stores
    /// one); none ends a run that asks. On Arbitrum nobody can prove what it will be.
    pub block_hash: Option<B256>,
}

/// A transaction to try.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transaction {
    /// Who signs it.
    pub from: Address,
    /// Which contract it calls.
    pub to: Address,
    /// Wei that it carries.
    pub value: U256,
    /// ABI-encoded call.
    pub data: Bytes,
    /// Most gas that it may burn. No price is charged for it here; whether `from` can pay it is another question.
    pub gas_limit: u64,
}

/// What a transaction would do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// Gas burnt, after refunds; on Arbitrum without the part for posting data to L1.
    pub gas: u64,
    /// What the call returned.
    pub output: Bytes,
    /// Events.
    pub logs: Vec<Log>,
}

/// Why there is no result.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum EvmError {
    /// More must be proven: fetch it under the same state root and run again.
    #[error("{0} are not proven yet: fetch them and run again")]
    Wanted(Wanted),
    /// The contract refused.
    #[error("the contract reverts: {0}")]
    Reverted(Revert),
    /// The code ran out of gas or is broken.
    #[error("the call ends without a result: {0}")]
    Halted(String),
    /// No node would take the transaction.
    #[error("the transaction is not valid: {0}")]
    Invalid(String),
    /// The code asks for the hash of an L1 block, which no proof covers.
    #[error(transparent)]
    NoBlockHash(#[from] NoBlockHash),
    /// Nothing that could be run lies where a transaction goes.
    #[error("{0} has no bytecode that could be run: a livemesh devnet's contracts are none")]
    NoCode(Address),
    /// The output is not what the function returns: another contract, or none, lives there.
    #[error("{0} does not return what it should: is it the contract that it is taken for?")]
    Output(Address),
}

/// What `to` answers to `data` (`eth_call`).
///
/// # Errors
/// [`EvmError`].
pub fn call(
    view: &dyn StateView,
    codes: &Codes,
    env: Env,
    to: Address,
    data: Bytes,
) -> Result<Bytes, EvmError> {
    let read = Transaction { from: state::NOBODY, to, value: U256::ZERO, data, gas_limit: CALL_GAS };
    simulate(view, codes, env, &read).map(|outcome| outcome.output)
}

/// What a transaction would do if it were the next one.
///
/// # Errors
/// [`EvmError::Reverted`] with the contract's own reason; [`EvmError`] otherwise.
pub fn simulate(
    view: &dyn StateView,
    codes: &Codes,
    env: Env,
    tx: &Transaction,
) -> Result<Outcome, EvmError> {
    let mut proven = Proven::new(view, codes, env.block_hash);
    let results = run(&mut proven, env, std::slice::from_ref(tx));
    let mut all = outcomes(proven, results)?;
    all.pop().ok_or_else(|| EvmError::Halted("nothing was run".to_owned()))
}

/// What transactions would do one after the other if they were the next ones: each sees what those before it did.
///
/// # Errors
/// As [`simulate`], by the first that fails; [`EvmError::NoCode`] where one goes to what is no contract.
pub fn simulate_in_turn(
    view: &dyn StateView,
    codes: &Codes,
    env: Env,
    txs: &[Transaction],
) -> Result<Vec<Outcome>, EvmError> {
    let mut proven = Proven::new(view, codes, env.block_hash);
    if let Some(tx) = txs.iter().find(|tx| !proven.runs(tx.to)) {
        return Err(EvmError::NoCode(tx.to));
    }
    let results = run(&mut proven, env, txs);
    outcomes(proven, results)
}

/// Runs transactions in turn, up to the first that fails.
fn run(
    proven: &mut Proven<'_>,
    env: Env,
    txs: &[Transaction],
) -> Result<Vec<Result<Outcome, EvmError>>, EvmError> {
    let block = BlockEnv {
        number: U256::from(env.number),
        beneficiary: state::NOBODY,
        timestamp: U256::from(env.timestamp),
        gas_limit: u64::MAX,
        basefee: 0,
        ..BlockEnv::default()
    };
    let nonces: Vec<u64> = (0..)
        .zip(txs)
        .map(|(at, tx)| {
            let before = txs[..at].iter().filter(|earlier| earlier.from == tx.from).count() as u64;
            proven.nonce(tx.from) + before
        })
        .collect();
    let context = Context::mainnet()
        .modify_cfg_chained(|cfg| {
            cfg.set_spec_and_mainnet_gas_params(SpecId::CANCUN);
            cfg.chain_id = env.chain_id;
        })
        .with_block(block)
        .with_db(proven);
    let mut evm = context.build_mainnet();
    let mut results = Vec::new();
    for (tx, nonce) in txs.iter().zip(nonces) {
        let result = outcome(evm.transact_one(tx.at(nonce, env.chain_id)).map_err(failure)?);
        let failed = result.is_err();
        results.push(result);
        if failed {
            break;
        }
    }
    Ok(results)
}

/// What was run counts only if nothing was wanting.
fn outcomes(
    proven: Proven<'_>,
    results: Result<Vec<Result<Outcome, EvmError>>, EvmError>,
) -> Result<Vec<Outcome>, EvmError> {
    let wanted = proven.into_wanted();
    if !wanted.is_empty() {
        return Err(EvmError::Wanted(wanted));
    }
    results?.into_iter().collect()
}

impl Transaction {
    fn at(&self, nonce: u64, chain_id: u64) -> TxEnv {
        TxEnv {
            caller: self.from,
            gas_limit: self.gas_limit,
            gas_price: 0,
            kind: TxKind::Call(self.to),
            value: self.value,
            data: self.data.clone(),
            nonce,
            chain_id: Some(chain_id),
            ..TxEnv::default()
        }
    }
}

fn failure(error: EVMError<NoBlockHash>) -> EvmError {
    match error {
        EVMError::Database(no_hash) => no_hash.into(),
        EVMError::Transaction(why) => EvmError::Invalid(why.to_string()),
        EVMError::Header(why) => EvmError::Invalid(why.to_string()),
        EVMError::Custom(why) => EvmError::Halted(why),
        EVMError::CustomAny(why) => EvmError::Halted(why.to_string()),
    }
}

fn outcome(result: ExecutionResult) -> Result<Outcome, EvmError> {
    match result {
        ExecutionResult::Success { gas, logs, output, .. } => {
            Ok(Outcome { gas: gas.tx_gas_used(), output: output.into_data(), logs })
        }
        ExecutionResult::Revert { output, .. } => Err(EvmError::Reverted(Revert::decode(&output))),
        ExecutionResult::Halt { reason, .. } => Err(EvmError::Halted(format!("{reason:?}"))),
    }
}
