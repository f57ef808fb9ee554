//! Keys and transactions.
//!
//! In flow intents ("this call, under this name, for at most so much gas"), out flow transactions that are signed on disk before
//! anybody sees them, sent to several endpoints, priced upwards until they are in, and followed until Ethereum itself stands
//! behind them. [`keystore`] keeps the keys, [`pending`] remembers what was signed, [`fees`] prices it, [`rpc`] carries it,
//! [`inclusion`] checks what endpoints say, [`wallet`] joins them. Knows no light client ([`witness`] is its port) and no contract.

pub mod fees;
pub mod inclusion;
pub mod keystore;
pub mod pending;
pub mod rpc;
pub mod signer;
pub mod wallet;
pub mod witness;

pub use self::keystore::{Keystore, KeystoreError, Password};
pub use self::pending::{Call, Id, Intent};
pub use self::signer::{Keys, Signer};
pub use self::wallet::{
    How, Outcome, PendingView, Progress, Settings, SimulateError, Simulated, Until, Wallet, WalletError,
};
pub use self::witness::{ProvenAccount, ProvenBlock, Tier, Witness, WitnessError};
