//! Livepeer's contracts as one state machine. A transaction comes in with its sender and value and either changes the state
//! and leaves events, or is refused with the contract's reason and changes nothing. L1 blocks come in as [`Head`]s. Storage
//! is named and shaped as the contracts', a module each; the rules are the modules of this crate. Knows no gas, no
//! signatures of transactions, no clock.

use alloy_primitives::{Address, B256, U256};

use crate::journal::{Cell, Journal, Map};
use crate::math::{Arithmetic, add, sub};
use crate::rounds::Round;

pub mod abi;
pub mod bonding_manager;
pub mod bonding_votes;
pub mod call;
pub mod event;
pub mod genesis;
pub mod governor;
pub mod minter;
pub mod polls;
pub mod revert;
pub mod rounds_manager;
pub mod service_registry;
pub mod ticket_broker;
pub mod token;
mod views;

pub use call::Call;
pub use event::{Event, Log};
pub use genesis::{Addresses, Genesis};
pub use revert::Revert;

/// A contract that emits events.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Contract {
    /// The registry of all, and the switch that pauses them.
    Controller,
    /// Staking.
    BondingManager,
    /// Stake at past rounds.
    BondingVotes,
    /// The clock.
    RoundsManager,
    /// Inflation, and the keeper of all staked LPT and paid ether.
    Minter,
    /// Payments.
    TicketBroker,
    /// Where orchestrators serve.
    ServiceRegistry,
    /// LPT.
    LivepeerToken,
    /// Votes over the treasury.
    LivepeerGovernor,
    /// The treasury and its timelock.
    Treasury,
    /// Where polls are made.
    PollCreator,
    /// A poll, at its own address.
    Poll(Address),
}

/// The newest L1 block, as an L2 transaction sees it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Head {
    /// Its number: `block.number`.
    pub number: u64,
    /// What `blockhash(number - 1)` says; becomes a round's hash.
    pub parent_hash: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
}

/// What a transaction that was not refused leaves behind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Receipt {
    /// Events in the order in which they were emitted.
    pub events: Vec<Log>,
}

/// The state of all contracts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chain {
    /// Where they live.
    pub addresses: Addresses,
    /// Whether the Controller has paused them.
    pub paused: Cell<bool>,
    /// Ether by holder, wei; the contracts' own among them.
    pub eth: Map<Address, U256>,
    /// The clock.
    pub rounds: rounds_manager::RoundsManager,
    /// Staking.
    pub bonding: bonding_manager::BondingManager,
    /// Stake at past rounds.
    pub votes: bonding_votes::BondingVotes,
    /// Inflation.
    pub minter: minter::Minter,
    /// LPT.
    pub token: token::LivepeerToken,
    /// Payments.
    pub broker: ticket_broker::TicketBroker,
    /// Where orchestrators serve.
    pub registry: service_registry::ServiceRegistry,
    /// Votes over the treasury.
    pub governor: governor::LivepeerGovernor,
    /// Polls.
    pub polls: polls::Polls,
    head: Head,
    events: Vec<Log>,
}

crate::journal::journaled!(Chain {
    paused,
    eth,
    rounds,
    bonding,
    votes,
    minter,
    token,
    broker,
    registry,
    governor,
    polls
});

impl Chain {
    /// Contracts as they are deployed, at L1 block `head`.
    ///
    /// # Errors
    /// [`Arithmetic`] for a round length of zero, or more tokens than 256 bits count.
    pub fn new(genesis: &Genesis, head: Head) -> Result<Self, Arithmetic> {
        let mut chain = Self {
            addresses: genesis.addresses,
            paused: Cell::new(false),
            eth: Map::default(),
            rounds: rounds_manager::RoundsManager::new(genesis)?,
            bonding: bonding_manager::BondingManager::new(genesis),
            votes: bonding_votes::BondingVotes::default(),
            minter: minter::Minter::new(genesis),
            token: token::LivepeerToken::default(),
            broker: ticket_broker::TicketBroker::new(genesis),
            registry: service_registry::ServiceRegistry::default(),
            governor: governor::LivepeerGovernor::default(),
            polls: polls::Polls::default(),
            head,
            events: Vec::new(),
        };
        for (holder, amount) in &genesis.lpt {
            chain.token.credit(*holder, *amount)?;
        }
        for (holder, amount) in &genesis.eth {
            chain.credit(*holder, *amount)?;
        }
        Ok(chain)
    }

    /// The newest L1 block.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// A new L1 block. One that is older than the newest changes nothing: no chain goes back.
    pub const fn advance(&mut self, head: Head) {
        if head.number >= self.head.number {
            self.head = head;
        }
    }

    /// Makes ether from nothing: a bridge, a faucet, what a block's builder earned.
    ///
    /// # Errors
    /// [`Arithmetic::Overflow`].
    pub fn credit(&mut self, holder: Address, amount: U256) -> Result<(), Arithmetic> {
        let balance = add(self.eth.at(&holder), amount)?;
        self.eth.set(&holder, balance);
        Ok(())
    }

    /// Takes ether away: gas.
    ///
    /// # Errors
    /// [`Revert::InsufficientFunds`].
    pub fn charge(&mut self, holder: Address, amount: U256) -> Result<(), Revert> {
        let balance = self.eth.at(&holder).checked_sub(amount).ok_or(Revert::InsufficientFunds)?;
        self.eth.set(&holder, balance);
        Ok(())
    }

    /// Applies a transaction: all of it, or nothing.
    ///
    /// # Errors
    /// The contract's [`Revert`]; then nothing has changed.
    pub fn apply(&mut self, from: Address, value: U256, call: Call) -> Result<Receipt, Revert> {
        self.begin();
        self.events.clear();
        let done = self.dispatch(from, value, call);
        match done {
            Ok(()) => {
                self.commit();
                Ok(Receipt { events: std::mem::take(&mut self.events) })
            }
            Err(revert) => {
                self.rollback();
                self.events.clear();
                Err(revert)
            }
        }
    }

    /// What a transaction would do, without doing it.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn simulate(&mut self, from: Address, value: U256, call: Call) -> Result<Receipt, Revert> {
        self.begin();
        let answer = self.apply(from, value, call);
        self.rollback();
        answer
    }

    fn dispatch(&mut self, from: Address, value: U256, call: Call) -> Result<(), Revert> {
        if !value.is_zero() && !matches!(call, Call::Send(_) | Call::Broker(_)) {
            return Err(Revert::NotPayable);
        }
        match call {
            Call::Send(to) => self.send(from, to, value),
            Call::Token(call) => self.call_token(from, &call),
            Call::Rounds(call) => self.call_rounds(from, call),
            Call::Bonding(call) => self.call_bonding(from, call),
            Call::Minter(call) => self.call_minter(from, call),
            Call::Broker(call) => self.call_broker(from, value, call),
            Call::SetServiceUri(uri) => {
                self.set_service_uri(from, uri);
                Ok(())
            }
            Call::Governor(call) => self.call_governor(from, call),
            Call::Polls(call) => self.call_polls(from, call),
            Call::Pause(pause) => self.pause(from, pause),
        }
    }

    fn pause(&mut self, from: Address, pause: bool) -> Result<(), Revert> {
        if from != self.addresses.owner {
            return Err(Revert::NotOwner);
        }
        match (*self.paused, pause) {
            (true, true) => return Err(Revert::AlreadyPaused),
            (false, false) => return Err(Revert::NotPaused),
            _ => self.paused.set(pause),
        }
        self.emit(Contract::Controller, if pause { Event::Pause {} } else { Event::Unpause {} });
        Ok(())
    }

    fn emit(&mut self, contract: Contract, event: Event) {
        self.events.push(Log { contract, event });
    }

    /// Moves ether.
    fn send(&mut self, from: Address, to: Address, amount: U256) -> Result<(), Revert> {
        self.charge(from, amount)?;
        Ok(self.credit(to, amount)?)
    }

    fn require_unpaused(&self) -> Result<(), Revert> {
        if *self.paused { Err(Revert::Paused) } else { Ok(()) }
    }

    fn require_owner(&self, from: Address) -> Result<(), Revert> {
        if from == self.addresses.owner { Ok(()) } else { Err(Revert::NotControllerOwner) }
    }

    /// The round that is running.
    ///
    /// # Errors
    /// [`Arithmetic`], which no chain made by [`Self::new`] gives.
    pub fn current_round(&self) -> Result<Round, Arithmetic> {
        self.rounds.clock().round_at(self.head.number)
    }

    /// The running round, when it has been initialized and nothing is paused.
    fn open_round(&self) -> Result<Round, Revert> {
        self.require_unpaused()?;
        let round = self.current_round()?;
        if *self.rounds.last_initialized_round == round {
            Ok(round)
        } else {
            Err(Revert::RoundNotInitialized)
        }
    }
}

/// The difference of two storage words, wrapped for use with `edit`.
fn decrease(word: &mut U256, by: U256) -> Result<(), Arithmetic> {
    *word = sub(*word, by)?;
    Ok(())
}

/// The sum of two storage words.
fn increase(word: &mut U256, by: U256) -> Result<(), Arithmetic> {
    *word = add(*word, by)?;
    Ok(())
}
