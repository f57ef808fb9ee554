//! The minute of history before the demo: transactions that register, bond and delegate, signed and sent as any others, a round
//! that makes their stake active, and as many blocks as it takes until all of that is finalized and asserted. The devnet is moved
//! by hand meanwhile, so that none of it is waited for.

use std::path::Path;

use alloy_primitives::{Address, U256};
use fixtures::devnet::livepeer::FREE_ACCOUNTS;
use fixtures::devnet::{Config, Devnet, Pace};
use futures::StreamExt;
use futures::future::try_join_all;
use lightclient::livepeer::Contracts;
use protocol::chain::call::{Bonding, Rounds};
use protocol::chain::{Addresses, Call, Chain};
use protocol::predict::calldata::{Doors, encode};
use wallet::{Intent, Progress, Settings, Signer, Until, Wallet};

use super::{DELEGATED, FEE_SHARE, Key, REWARD_CUT, ROUND_LENGTH, Staker, lpt, settings};
use crate::cli::Failure;
use crate::cli::stake::act::foresee;
use crate::cli::stake::register::{Terms, bond, register};

/// Slots before the first transaction.
const BEGIN: u64 = 4;
/// Slots in which what was sent is in a block: of two that follow each other, one has a block.
const TAKEN: u64 = 2;
/// Slots until what an L1 block shows is finalized: two epochs and the rest of one, of eight slots.
const FINALIZED: u64 = 24;
/// Slots of all the history at most: a round and the next assertion, with slots that have no block, and what comes around it.
const HISTORY: u64 = (ROUND_LENGTH + 4) * 13 / 12 + FINALIZED + 2 * TAKEN;
/// Ether for whoever has none, wei.
const GAS: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

/// Makes that history below `dir`, where a devnet goes on with it.
pub(super) async fn found(dir: &Path, stakers: &[Staker], delegator: Key) -> Result<(), Failure> {
    let config = Config {
        settings: settings(),
        history: BEGIN,
        pace: Pace::Manual { behind: HISTORY },
        data_dir: Some(dir.to_owned()),
        ..Config::default()
    };
    let devnet = Devnet::start(config).await?;
    let town = Town::of(&devnet, &dir.join("wallets"), stakers, delegator)?;
    town.settle(stakers, delegator).await?;
    town.begin_a_round().await?;
    drop(town);
    devnet.stop().await;
    Ok(())
}

/// The contracts, and who uses them.
struct Town<'a> {
    devnet: &'a Devnet,
    at: Addresses,
    doors: Doors,
    /// Of the stakers, then of the delegator.
    wallets: Vec<Wallet>,
}

impl<'a> Town<'a> {
    fn of(devnet: &'a Devnet, dir: &Path, stakers: &[Staker], delegator: Key) -> Result<Self, Failure> {
        let Contracts { rounds_manager, service_registry, chain_id, .. } = devnet.contracts.clone();
        let keys = stakers.iter().map(|staker| staker.staking).chain([delegator]);
        let gas = stakers.iter().flat_map(|staker| [staker.rewards, staker.redeems]);
        for key in keys.clone().chain(gas) {
            if key.number >= FREE_ACCOUNTS {
                devnet.fund(key.address, GAS, lpt(100_000).0)?;
            }
        }
        let open = |key: Key| -> Result<Wallet, Failure> {
            let signer = Signer::from(alloy_signer_local::PrivateKeySigner::from_bytes(&key.secret)?);
            let endpoints = vec![devnet.l2_url.parse()?];
            let settings = Settings { poll: std::time::Duration::from_millis(10), ..Settings::default() };
            Ok(Wallet::open(dir, chain_id, signer, endpoints, None, settings)?)
        };
        Ok(Self {
            devnet,
            at: devnet.with(|world| world.livepeer.chain.addresses),
            doors: Doors { rounds_manager, service_registry },
            wallets: keys.map(open).collect::<Result<_, _>>()?,
        })
    }

    /// Orchestrators register as by `livemesh stake register` and name who calls their rewards; then somebody delegates.
    async fn settle(&self, stakers: &[Staker], delegator: Key) -> Result<(), Failure> {
        self.devnet.advance_slots(TAKEN);
        let mut state = self.devnet.with(|world| world.livepeer.chain.clone());
        let mut registrations = Vec::new();
        for staker in stakers {
            let me = staker.address();
            let terms = Terms {
                stake: staker.stake,
                reward_cut: U256::from(REWARD_CUT),
                fee_share: U256::from(FEE_SHARE),
                service_uri: Some(format!("https://{}.demo.livemesh.invalid:8935", staker.name)),
            };
            let mut calls = register(&state, me, terms)?;
            calls.push(Call::Bonding(Bonding::SetRewardCaller(staker.rewards.address)));
            registrations.push(foreseen(&mut state, me, calls, "register")?);
        }
        self.all(&registrations).await?;
        let last = stakers.last().ok_or("nobody stakes")?.address();
        let calls = bond(&state, delegator.address, lpt(DELEGATED), last);
        let delegation = foreseen(&mut state, delegator.address, calls, "delegate")?;
        let nothing = stakers.iter().map(|_| Vec::new());
        self.all(&nothing.chain([delegation]).collect::<Vec<_>>()).await
    }

    /// The next round, in which all of them are active, up to where light clients see it.
    async fn begin_a_round(&self) -> Result<(), Failure> {
        let now = || self.devnet.with(|world| world.livepeer.chain.current_round());
        let first = now().map_err(|revert| revert.to_string())?;
        while now().map_err(|revert| revert.to_string())? == first {
            self.devnet.advance_slots(1);
        }
        self.all(&[vec![Call::Rounds(Rounds::InitializeRound)]]).await?;
        let next = self.devnet.with(|world| world.l1.chain.next_number());
        let seen = next.next_multiple_of(settings().assertion_interval);
        while self.devnet.with(|world| world.finalized_l1()) < seen {
            self.devnet.advance_slots(1);
        }
        Ok(())
    }

    /// Sends the calls of each account, the next one when the one before is in a block, and sees that all of them worked.
    async fn all(&self, calls: &[Vec<Call>]) -> Result<(), Failure> {
        let steps = calls.iter().map(Vec::len).max().unwrap_or(0);
        for step in 0..steps {
            let said =
                self.wallets.iter().zip(calls).filter_map(|(wallet, calls)| Some((wallet, calls.get(step)?)));
            let sent = said.map(|(wallet, call)| async move {
                Ok::<_, Failure>((wallet, self.send(wallet, call).await?))
            });
            let sent = try_join_all(sent).await?;
            self.devnet.advance_slots(TAKEN);
            for (wallet, id) in sent {
                let outcome = wallet.wait(id, Until::Sequenced).await?;
                if !outcome.success {
                    return Err(format!("{} of {} failed", outcome.hash, wallet.address()).into());
                }
            }
        }
        Ok(())
    }

    /// Sends a call until the devnet has it.
    async fn send(&self, wallet: &Wallet, call: &Call) -> Result<wallet::Id, Failure> {
        let (to, data) = encode(call, &self.at, &self.doors).ok_or("no call that people make")?;
        let what = format!("{call:?}");
        let call = wallet::Call { to, value: U256::ZERO, data, gas_limit: None };
        let id = wallet.send(Intent { key: what.clone(), call, what, max_cost: None }).await?;
        let mut progress = Box::pin(wallet.follow(id));
        while let Some(progress) = progress.next().await {
            match progress {
                Progress::Sent { .. } | Progress::Sequenced(_) => break,
                Progress::Refused { why } => return Err(why.into()),
                _ => {}
            }
        }
        Ok(id)
    }
}

/// Calls with their places in the pool filled in, done on `state`.
fn foreseen(state: &mut Chain, me: Address, calls: Vec<Call>, says: &str) -> Result<Vec<Call>, Failure> {
    Ok(foresee(state, me, calls, says)?.into_iter().map(|forecast| forecast.call).collect())
}
