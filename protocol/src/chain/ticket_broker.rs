//! `TicketBroker`: what gateways have put down, and which winning tickets it pays. The Minter holds the ether; a ticket is
//! paid from the deposit first, then from the recipient's share of the reserve.

use alloy_primitives::{Address, B256, U256};

use super::call::{Broker, Redemption};
use super::{Chain, Contract, Event, Genesis, Revert, decrease, increase};
use crate::amount::Wei;
use crate::journal::{Cell, Journal, Map, journaled};
use crate::math::add;
use crate::reserve;
use crate::rounds::Round;
use crate::tickets::{Ticket, rand_hash};

/// A gateway's deposit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sender {
    /// Wei that winning tickets are paid from.
    pub deposit: U256,
    /// Round from which it may be withdrawn; zero while it is locked.
    pub withdraw_round: Round,
}

/// Its storage. Nested mappings are keyed by all their keys; amounts in wei.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TicketBroker {
    /// What is left of each gateway's reserve.
    pub reserve_funds: Map<Address, U256>,
    /// What was taken from a reserve in a round.
    pub claimed_for_round: Map<(Address, Round), U256>,
    /// What one orchestrator took from a reserve in a round.
    pub claimed_by_address: Map<(Address, Round, Address), U256>,
    /// Gateways.
    pub senders: Map<Address, Sender>,
    /// Rounds from unlocking to withdrawal.
    pub unlock_period: Cell<u64>,
    /// Tickets that were redeemed, by hash.
    pub used_tickets: Map<B256, bool>,
    /// Rounds in which a ticket may be redeemed.
    pub ticket_validity_period: Cell<u64>,
}

journaled!(TicketBroker {
    reserve_funds,
    claimed_for_round,
    claimed_by_address,
    senders,
    unlock_period,
    used_tickets,
    ticket_validity_period,
});

impl TicketBroker {
    pub(super) fn new(genesis: &Genesis) -> Self {
        Self {
            unlock_period: Cell::new(genesis.unlock_period),
            ticket_validity_period: Cell::new(genesis.ticket_validity_period),
            ..Self::default()
        }
    }
}

impl Chain {
    pub(super) fn call_broker(&mut self, from: Address, value: U256, call: Broker) -> Result<(), Revert> {
        match call {
            Broker::FundDeposit => self.fund_deposit(from, value),
            Broker::FundReserve => self.fund_reserve(from, value),
            Broker::FundDepositAndReserve(deposit, reserve) => self.fund(from, value, from, deposit, reserve),
            Broker::FundDepositAndReserveFor(to, deposit, reserve) => {
                self.fund(from, value, to, deposit, reserve)
            }
            _ if !value.is_zero() => Err(Revert::NotPayable),
            Broker::Unlock => self.unlock(from),
            Broker::CancelUnlock => self.cancel_unlock(from),
            Broker::Withdraw => self.withdraw(from),
            Broker::Redeem(redemption) => self.redeem(&redemption),
            Broker::RedeemBatch(redemptions) => self.redeem_batch(&redemptions),
            Broker::SetUnlockPeriod(rounds) => {
                self.require_owner(from)?;
                self.broker.unlock_period.set(rounds);
                self.emit(Contract::TicketBroker, Event::ParameterUpdate { param: "unlockPeriod" });
                Ok(())
            }
            Broker::SetTicketValidityPeriod(rounds) => {
                self.require_owner(from)?;
                self.broker.ticket_validity_period.set(rounds);
                self.emit(Contract::TicketBroker, Event::ParameterUpdate { param: "ticketValidityPeriod" });
                Ok(())
            }
        }
    }

    fn fund_deposit(&mut self, from: Address, value: U256) -> Result<(), Revert> {
        self.require_unpaused()?;
        self.add_deposit(from, from, value)?;
        self.send(from, self.addresses.minter, value)?;
        self.emit(Contract::TicketBroker, Event::DepositFunded { sender: from, amount: value });
        Ok(())
    }

    fn fund_reserve(&mut self, from: Address, value: U256) -> Result<(), Revert> {
        self.require_unpaused()?;
        self.add_reserve(from, from, value)?;
        self.send(from, self.addresses.minter, value)
    }

    fn fund(
        &mut self,
        from: Address,
        value: U256,
        sender: Address,
        deposit: U256,
        reserve: U256,
    ) -> Result<(), Revert> {
        self.require_unpaused()?;
        if value != add(deposit, reserve)? {
            return Err(Revert::WrongValue);
        }
        self.add_deposit(from, sender, deposit)?;
        self.add_reserve(from, sender, reserve)?;
        self.send(from, self.addresses.minter, value)?;
        self.emit(Contract::TicketBroker, Event::DepositFunded { sender, amount: deposit });
        Ok(())
    }

    fn add_deposit(&mut self, from: Address, sender: Address, amount: U256) -> Result<(), Revert> {
        increase(&mut self.broker.senders.edit(&sender).deposit, amount)?;
        self.cancel_unlock_by_funding(from, sender)
    }

    fn add_reserve(&mut self, from: Address, sender: Address, amount: U256) -> Result<(), Revert> {
        increase(self.broker.reserve_funds.edit(&sender), amount)?;
        self.emit(Contract::TicketBroker, Event::ReserveFunded { reserve_holder: sender, amount });
        self.cancel_unlock_by_funding(from, sender)
    }

    /// Who funds its own account wants to keep it; a stranger's ether says nothing.
    fn cancel_unlock_by_funding(&mut self, from: Address, sender: Address) -> Result<(), Revert> {
        let unlocking = self.broker.senders.at(&sender).withdraw_round > Round(0);
        if from == sender && unlocking { self.cancel_unlock(sender) } else { Ok(()) }
    }

    fn unlock(&mut self, from: Address) -> Result<(), Revert> {
        self.require_unpaused()?;
        self.require_funded(from)?;
        if self.broker.senders.at(&from).withdraw_round > Round(0) {
            return Err(Revert::UnlockInitiated);
        }
        let round = self.current_round()?;
        let end = round.0.checked_add(*self.broker.unlock_period);
        let end = end.map(Round).ok_or(crate::math::Arithmetic::Overflow)?;
        self.broker.senders.edit(&from).withdraw_round = end;
        let event = Event::Unlock { sender: from, start_round: round.to_word(), end_round: end.to_word() };
        self.emit(Contract::TicketBroker, event);
        Ok(())
    }

    fn cancel_unlock(&mut self, sender: Address) -> Result<(), Revert> {
        self.require_unpaused()?;
        if self.broker.senders.at(&sender).withdraw_round == Round(0) {
            return Err(Revert::NoUnlock);
        }
        self.broker.senders.edit(&sender).withdraw_round = Round(0);
        self.emit(Contract::TicketBroker, Event::UnlockCancelled { sender });
        Ok(())
    }

    fn withdraw(&mut self, from: Address) -> Result<(), Revert> {
        self.require_unpaused()?;
        self.require_funded(from)?;
        if self.broker.senders.at(&from).withdraw_round == Round(0) {
            return Err(Revert::NoUnlock);
        }
        if self.is_locked(from)? {
            return Err(Revert::AccountLocked);
        }
        let (deposit, reserve) = (self.broker.senders.at(&from).deposit, self.broker.reserve_funds.at(&from));
        self.broker.senders.edit(&from).deposit = U256::ZERO;
        self.broker.reserve_funds.set(&from, U256::ZERO);
        self.pay_eth(from, add(deposit, reserve)?)?;
        self.emit(Contract::TicketBroker, Event::Withdrawal { sender: from, deposit, reserve });
        Ok(())
    }

    fn require_funded(&self, sender: Address) -> Result<(), Revert> {
        let empty = self.broker.senders.at(&sender).deposit.is_zero()
            && self.broker.reserve_funds.at(&sender).is_zero();
        if empty { Err(Revert::NothingFunded) } else { Ok(()) }
    }

    fn is_locked(&self, sender: Address) -> Result<bool, Revert> {
        let withdraw = self.broker.senders.at(&sender).withdraw_round;
        Ok(withdraw == Round(0) || self.current_round()? < withdraw)
    }

    fn redeem_batch(&mut self, redemptions: &[Redemption]) -> Result<(), Revert> {
        self.open_round()?;
        for redemption in redemptions {
            let emitted = self.events.len();
            self.begin();
            if self.redeem(redemption).is_ok() {
                self.commit();
            } else {
                self.rollback();
                self.events.truncate(emitted);
            }
        }
        Ok(())
    }

    /// Checks a winning ticket in the contract's order and pays it.
    fn redeem(&mut self, redemption: &Redemption) -> Result<(), Revert> {
        self.open_round()?;
        let Redemption { ticket, signature, recipient_rand } = redemption;
        let hash = ticket.hash();
        self.require_valid(ticket, hash, signature, *recipient_rand)?;
        if !self.is_locked(ticket.sender)? {
            return Err(Revert::SenderUnlocked);
        }
        let deposit = self.broker.senders.at(&ticket.sender).deposit;
        if add(deposit, self.broker.reserve_funds.at(&ticket.sender))? < ticket.face_value {
            return Err(Revert::InsufficientCover);
        }
        self.broker.used_tickets.set(&hash, true);
        let from_deposit = ticket.face_value.min(deposit);
        decrease(&mut self.broker.senders.edit(&ticket.sender).deposit, from_deposit)?;
        let mut amount = from_deposit;
        if ticket.face_value > deposit {
            amount = add(amount, self.claim_from_reserve(ticket, ticket.face_value - deposit)?)?;
        }
        self.pay_ticket(redemption, amount)
    }

    fn require_valid(&self, ticket: &Ticket, hash: B256, signature: &[u8], rand: U256) -> Result<(), Revert> {
        match () {
            () if ticket.recipient.is_zero() => return Err(Revert::NullRecipient),
            () if ticket.sender.is_zero() => return Err(Revert::NullSender),
            () => self.require_valid_creation(ticket)?,
        }
        match () {
            () if rand_hash(rand) != ticket.recipient_rand_hash => Err(Revert::WrongRand),
            () if self.broker.used_tickets.at(&hash) => Err(Revert::TicketUsed),
            () if !ticket.is_signed_by_sender(signature)? => Err(Revert::NotSignedBySender),
            () if !ticket.wins(signature, rand) => Err(Revert::DidNotWin),
            () => Ok(()),
        }
    }

    /// A ticket names the round in which it was made and that round's hash, so that it cannot be older than it says.
    fn require_valid_creation(&self, ticket: &Ticket) -> Result<(), Revert> {
        let (creation, named) = ticket.creation().ok_or(Revert::AuxLength)?;
        let round = Round::from_word(creation);
        let hash = self.rounds.block_hash_for_round.at(&round);
        let validity = U256::from(*self.broker.ticket_validity_period);
        match () {
            () if round == Round::NEVER || hash.is_zero() => Err(Revert::NoBlockHash),
            () if hash != named => Err(Revert::WrongBlockHash),
            () if add(creation, validity)? <= self.current_round()?.to_word() => Err(Revert::TicketExpired),
            () => Ok(()),
        }
    }

    /// What an orchestrator may still take of a gateway's reserve in this round (`claimableReserve`).
    ///
    /// # Errors
    /// [`Revert::Panic`] when the pool grew after it took its share.
    pub fn claimable_reserve(&self, holder: Address, claimant: Address) -> Result<Wei, Revert> {
        let round = self.current_round()?;
        if !self.bonding.is_active(claimant, round) {
            return Ok(Wei::default());
        }
        let reserve = reserve::Reserve {
            funds: Wei(self.broker.reserve_funds.at(&holder)),
            claimed: Wei(self.broker.claimed_for_round.at(&(holder, round))),
            claimed_by: Wei(self.broker.claimed_by_address.at(&(holder, round, claimant))),
        };
        Ok(reserve.share(*self.bonding.transcoder_pool.size)?)
    }

    fn claim_from_reserve(&mut self, ticket: &Ticket, wanted: U256) -> Result<U256, Revert> {
        let (holder, claimant) = (ticket.sender, ticket.recipient);
        let amount = self.claimable_reserve(holder, claimant)?.0.min(wanted);
        if amount.is_zero() {
            return Ok(amount);
        }
        let round = self.current_round()?;
        increase(self.broker.claimed_for_round.edit(&(holder, round)), amount)?;
        increase(self.broker.claimed_by_address.edit(&(holder, round, claimant)), amount)?;
        decrease(self.broker.reserve_funds.edit(&holder), amount)?;
        self.emit(Contract::TicketBroker, Event::ReserveClaimed { reserve_holder: holder, claimant, amount });
        Ok(amount)
    }

    fn pay_ticket(&mut self, redemption: &Redemption, amount: U256) -> Result<(), Revert> {
        let ticket = &redemption.ticket;
        let (sender, recipient) = (ticket.sender, ticket.recipient);
        if !amount.is_zero() {
            self.update_transcoder_with_fees(recipient, amount)?;
            self.emit(Contract::TicketBroker, Event::WinningTicketTransfer { sender, recipient, amount });
        }
        let event = Event::WinningTicketRedeemed {
            sender,
            recipient,
            face_value: ticket.face_value,
            win_prob: ticket.win_prob,
            sender_nonce: ticket.sender_nonce,
            recipient_rand: redemption.recipient_rand,
            aux_data: ticket.aux_data.clone(),
        };
        self.emit(Contract::TicketBroker, event);
        Ok(())
    }
}
