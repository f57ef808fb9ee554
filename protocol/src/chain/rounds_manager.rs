//! `RoundsManager`: which round it is, who may begin it, and the block hash that its tickets must name. The arithmetic is in
//! [`crate::rounds`].

use alloy_primitives::{Address, B256};

use super::call::Rounds;
use super::{Chain, Contract, Event, Genesis, Revert};
use crate::journal::{Cell, Map, journaled};
use crate::math::{Arithmetic, PPM};
use crate::rounds::{Clock, Round};

/// Its storage.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RoundsManager {
    /// Length of a round, L1 blocks.
    pub round_length: Cell<u64>,
    /// Length of the locked phase, parts per million.
    pub round_lock_amount: Cell<u64>,
    /// Last round that somebody initialized.
    pub last_initialized_round: Cell<Round>,
    /// Round in which the length last changed.
    pub last_round_length_update_round: Cell<Round>,
    /// First L1 block of that round.
    pub last_round_length_update_start_block: Cell<u64>,
    /// Block hash by round, for the rounds that were initialized.
    pub block_hash_for_round: Map<Round, B256>,
}

journaled!(RoundsManager {
    round_length,
    round_lock_amount,
    last_initialized_round,
    last_round_length_update_round,
    last_round_length_update_start_block,
    block_hash_for_round,
});

impl RoundsManager {
    pub(super) fn new(genesis: &Genesis) -> Result<Self, Arithmetic> {
        if genesis.round_length == 0 {
            return Err(Arithmetic::DivisionByZero);
        }
        Ok(Self {
            round_length: Cell::new(genesis.round_length),
            round_lock_amount: Cell::new(genesis.round_lock_amount),
            last_round_length_update_round: Cell::new(genesis.first_round.0),
            last_round_length_update_start_block: Cell::new(genesis.first_round.1),
            ..Self::default()
        })
    }

    /// The words that decide which round a block lies in.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock {
            length: *self.round_length,
            lock: *self.round_lock_amount,
            since_round: *self.last_round_length_update_round,
            since_block: *self.last_round_length_update_start_block,
        }
    }
}

impl Chain {
    pub(super) fn call_rounds(&mut self, from: Address, call: Rounds) -> Result<(), Revert> {
        match call {
            Rounds::InitializeRound => self.initialize_round(),
            Rounds::SetRoundLength(blocks) => {
                self.require_owner(from)?;
                self.set_round_length(blocks)
            }
            Rounds::SetRoundLockAmount(ppm) => {
                self.require_owner(from)?;
                if !PPM.is_share(alloy_primitives::U256::from(ppm)) {
                    return Err(Revert::RoundLockInvalid);
                }
                self.rounds.round_lock_amount.set(ppm);
                self.emit(Contract::RoundsManager, Event::ParameterUpdate { param: "roundLockAmount" });
                Ok(())
            }
        }
    }

    /// Begins the running round: its total stake, its inflation, its block hash.
    fn initialize_round(&mut self) -> Result<(), Revert> {
        self.require_unpaused()?;
        let round = self.current_round()?;
        if *self.rounds.last_initialized_round >= round {
            return Err(Revert::RoundAlreadyInitialized);
        }
        self.rounds.last_initialized_round.set(round);
        let block_hash = self.head().parent_hash;
        self.rounds.block_hash_for_round.set(&round, block_hash);
        self.set_current_round_total_active_stake(round);
        self.set_current_reward_tokens()?;
        self.emit(Contract::RoundsManager, Event::NewRound { round: round.to_word(), block_hash });
        Ok(())
    }

    fn set_round_length(&mut self, blocks: u64) -> Result<(), Revert> {
        if blocks == 0 {
            return Err(Revert::RoundLengthZero);
        }
        let clock = self.rounds.clock().with_length(self.head().number, blocks)?;
        self.rounds.round_length.set(clock.length);
        self.rounds.last_round_length_update_round.set(clock.since_round);
        self.rounds.last_round_length_update_start_block.set(clock.since_block);
        self.emit(Contract::RoundsManager, Event::ParameterUpdate { param: "roundLength" });
        Ok(())
    }

    /// Whether the running round is in its locked phase.
    pub(super) fn round_is_locked(&self) -> Result<bool, Arithmetic> {
        self.rounds.clock().locked_at(self.head().number)
    }
}
