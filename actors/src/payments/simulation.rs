//! Many segments between several senders and recipients, with crashes of either side at any step: before something is on disk,
//! after it is and nobody was told, and while messages are on their way. After a crash a side is rebuilt from what was on disk
//! and from nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it measured"
)]

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256, U512};
use ed25519_dalek::SigningKey;
use protocol::payments::{Entry, SessionId};
use protocol::receipt::Receipt;
use protocol::tickets::credit::Credit;
use protocol::tickets::sign::TicketKey;
use protocol::tickets::terms::Funds;
use protocol::{Hash, PricePerPixel, Round, SegmentId, Wei};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Commit;
use super::recipient::core::{Ask, Config as PayeeConfig, Core as Payee};
use super::sender::core::{Config as PayerConfig, Core as Payer, Healed};
use crate::ports::payments::{ChainHead, SenderFacts};

const PRICE: PricePerPixel = PricePerPixel { wei: 1199, pixels: 7 };
const PIXELS: u64 = 20_000_000;

fn ether(thousandths: u64) -> Wei {
    Wei(U256::from(thousandths) * U256::from(1_000_000_000_000_000_u64))
}

/// One side's disk and what it has in memory.
struct Side<C> {
    disk: Vec<Entry>,
    core: C,
}

/// Somebody died: nobody was told anything.
struct Crashed;

/// What went wrong on the way.
#[derive(Default, Debug)]
struct Told {
    crashes: u64,
    healed: u64,
    resent: u64,
    written_off: u64,
    winners: u64,
    receipts_again: u64,
}

struct World {
    rng: StdRng,
    now_ms: u64,
    l1_block: u64,
    senders: Vec<(TicketKey, Side<Payer>)>,
    recipients: Vec<(Address, Side<Payee>)>,
    told: Told,
    one_in: u32,
    made: BTreeMap<SessionId, Credit>,
    delivered: BTreeMap<SessionId, Credit>,
}

impl World {
    fn new(seed: u64, one_in: u32) -> Self {
        let senders = (1..=3_u8).map(|i| TicketKey::from_bytes(&[i; 32]).unwrap());
        let recipients = (1..=3_u8).map(|i| Address::repeat_byte(0xa0 + i));
        let mut world = Self {
            rng: StdRng::seed_from_u64(seed),
            now_ms: 1_700_000_000_000,
            l1_block: 1000,
            senders: senders
                .map(|key| (key.clone(), Side { disk: vec![], core: payer(&key, &[]) }))
                .collect(),
            recipients: recipients
                .map(|who| {
                    let Commit { entries, answer } = payee(who, &[], B256::repeat_byte(who[0]));
                    (who, Side { disk: entries, core: answer })
                })
                .collect(),
            told: Told::default(),
            one_in,
            made: BTreeMap::new(),
            delivered: BTreeMap::new(),
        };
        world.tell_chain();
        world
    }

    fn head(&self) -> ChainHead {
        ChainHead {
            l1_block: self.l1_block,
            round: Round(7),
            round_hash: B256::repeat_byte(7),
            round_end_block: u64::MAX,
            pool_size: 3,
            next_pool_size: 3,
            active: true,
            active_next: true,
            redeem_cost: Wei(U256::from(12_000_000_000_000_u64)),
            redeem_cost_on_average: Wei(U256::from(12_000_000_000_000_u64)),
        }
    }

    fn tell_chain(&mut self) {
        let head = self.head();
        for (_, side) in &mut self.senders {
            side.core.on_head(head);
            side.core.on_funds(Funds {
                deposit: ether(90_000),
                reserve: ether(90_000),
                withdraw_round: Round(0),
            });
        }
        for (_, side) in &mut self.recipients {
            side.core.on_head(head);
            for (key, _) in &self.senders {
                let facts = SenderFacts {
                    l1_block: self.l1_block,
                    l2_block: self.l1_block,
                    round: Round(7),
                    deposit: ether(90_000_000),
                    reserve: ether(90_000_000),
                    ..SenderFacts::default()
                };
                side.core.on_facts(key.address(), facts);
            }
        }
    }

    fn dies(&mut self) -> bool {
        let dies = self.one_in > 0 && self.rng.random_ratio(1, self.one_in);
        self.told.crashes += u64::from(dies);
        dies
    }

    /// The sender writes; it may die before or after.
    fn sender<T>(&mut self, s: usize, commit: Commit<T>) -> Result<T, Crashed> {
        let (before, after) = (self.dies(), self.dies());
        if !before {
            self.senders[s].1.disk.extend(commit.entries);
        }
        if before || after {
            let (key, side) = &mut self.senders[s];
            side.core = payer(key, &side.disk);
            self.tell_chain();
            return Err(Crashed);
        }
        Ok(commit.answer)
    }

    /// The recipient writes; it may die before or after.
    fn recipient<T>(&mut self, r: usize, commit: Commit<T>) -> Result<T, Crashed> {
        let (before, after) = (self.dies(), self.dies());
        if !before {
            self.recipients[r].1.disk.extend(commit.entries);
        }
        if before || after {
            let (who, side) = &mut self.recipients[r];
            let restored = payee(*who, &side.disk, B256::ZERO);
            assert!(restored.entries.is_empty(), "the secret is on disk");
            side.core = restored.answer;
            self.tell_chain();
            return Err(Crashed);
        }
        Ok(commit.answer)
    }

    /// One segment, from the order to the receipt; whatever is lost is lost.
    fn segment(&mut self, s: usize, r: usize, session: SessionId, seq: u64) -> Result<(), Crashed> {
        self.now_ms += 2000;
        if seq.is_multiple_of(6) {
            self.l1_block += 1;
            self.tell_chain();
        }
        let recipient = self.recipients[r].0;
        let sender = self.senders[s].0.address();
        let opened = self.senders[s].1.core.open(self.now_ms, session, None, recipient, PRICE).unwrap();
        self.sender(s, opened)?;
        if self.senders[s].1.core.account(&session).unwrap().unsure {
            self.heal(s, r, session)?;
        }
        if self.senders[s].1.core.wants_quote(&session) {
            let ask = Ask { session, sender, stream: None, pixels: PIXELS, price: PRICE };
            let seed = U256::from_limbs(self.rng.random());
            let quote = self.recipients[r].1.core.quote(self.now_ms, &ask, seed).unwrap();
            let quote = self.recipient(r, quote)?;
            self.senders[s].1.core.on_quote(quote).unwrap();
        }
        let pixels = self.rng.random_range(1..=PIXELS);
        let paid = self.senders[s].1.core.pay(self.now_ms, session, seq, pixels).unwrap();
        let payment = self.sender(s, paid)?;
        let done = self.order(r, sender, session, seq, pixels, payment.tickets);
        let lost_on_the_way = self.dies();
        match done {
            Ok(receipt) if !lost_on_the_way => {
                let received = self.senders[s].1.core.on_receipt(self.now_ms, session, receipt).unwrap();
                let cost = received.answer;
                self.sender(s, received)?;
                let sum = self.delivered.entry(session).or_default();
                *sum = sum.plus(cost);
            }
            _ => self.senders[s].1.core.on_lost(session, seq),
        }
        Ok(())
    }

    fn order(
        &mut self,
        r: usize,
        sender: Address,
        session: SessionId,
        seq: u64,
        pixels: u64,
        tickets: Option<protocol::tickets::batch::Batch>,
    ) -> Result<Receipt, Crashed> {
        if let Some(batch) = tickets {
            if self.dies() {
                return Err(Crashed);
            }
            self.credit(r, &batch)?;
        }
        let side = &mut self.recipients[r].1;
        side.core.admit(sender, session, seq, pixels).expect("an order comes with all that is missing");
        if self.dies() {
            self.recipients[r].1.core.release(session, seq);
            return Err(Crashed);
        }
        let made = self.rng.random_range(pixels / 2..=pixels);
        let segment = SegmentId { stream: "sim".parse().unwrap(), seq };
        let receipt = Receipt {
            segment,
            source: Hash::of(&seq.to_be_bytes()),
            renditions: vec![(Hash::of(b"r"), made)],
        };
        let settled = self.recipients[r].1.core.settle(self.now_ms, session, receipt.clone()).unwrap();
        let cost = settled.answer;
        self.recipient(r, settled)?;
        let sum = self.made.entry(session).or_default();
        *sum = sum.plus(cost);
        Ok(receipt)
    }

    fn credit(&mut self, r: usize, batch: &protocol::tickets::batch::Batch) -> Result<(), Crashed> {
        let accepted = self.recipients[r].1.core.accept(self.now_ms, batch);
        let accepted = self.recipient(r, accepted)?.unwrap();
        self.told.winners += accepted.winners as u64;
        Ok(())
    }

    /// Statements cross until both agree.
    fn heal(&mut self, s: usize, r: usize, session: SessionId) -> Result<(), Crashed> {
        let sender = self.senders[s].0.address();
        let key = SigningKey::from_bytes(&[9; 32]);
        for _ in 0..3 {
            let ours = self.senders[s].1.core.statement(&session).unwrap().sign(&key);
            let known = ours.statement.works;
            let taken = self.recipients[r].1.core.on_statement(self.now_ms, &ours);
            self.recipient(r, taken)?;
            let said = self.recipients[r].1.core.statement(sender, session, known);
            let Ok((theirs, receipts)) = said else {
                // It never heard of the session: then it has no tickets of it either.
                let ask = Ask { session, sender, stream: None, pixels: PIXELS, price: PRICE };
                let quote = self.recipients[r].1.core.quote(self.now_ms, &ask, U256::ONE).unwrap();
                self.recipient(r, quote)?;
                continue;
            };
            let theirs = theirs.sign(&key);
            let healed = self.senders[s].1.core.on_statement(self.now_ms, &theirs, &receipts).unwrap();
            match self.sender(s, healed)? {
                Healed::Agreed { receipts, written_off } => {
                    self.told.healed += 1;
                    self.told.receipts_again += receipts;
                    self.told.written_off += u64::from(written_off > Credit::ZERO);
                    return Ok(());
                }
                Healed::Resend(batch) => {
                    self.told.resent += 1;
                    self.credit(r, &batch)?;
                }
            }
        }
        panic!("statements did not make the books agree");
    }

    /// Both disks, to the unit.
    fn check(&mut self, sessions: &[(usize, usize, SessionId)]) {
        self.one_in = 0;
        for (s, r, session) in sessions {
            if self.senders[*s].1.core.account(session).is_none_or(|account| !account.unsure) {
                self.senders[*s].1.core.on_lost(*session, u64::MAX);
            }
            self.heal(*s, *r, *session).ok();
            let payer = self.senders[*s].1.core.account(session).unwrap();
            let payee = self.recipients[*r].1.core.account(session).unwrap();
            assert_eq!(payer.credited, payee.credited, "tickets sent and not lost are tickets credited");
            assert_eq!((payer.works, payer.debited, payer.chain), (payee.works, payee.debited, payee.chain));
            let segment = Credit::of_work(PIXELS, PRICE);
            let sent = payer.credited.plus(payer.written_off);
            let got = self.delivered.get(session).copied().unwrap_or_default();
            let one = Credit::of_wei(Wei(segment.to_wei(PRICE).0.div_ceil(U256::from(4))), PRICE);
            assert!(payee.balance() <= segment.plus(one), "at risk is one segment, in whole tickets");
            assert!(payer.written_off <= segment, "what is lost is less than a segment");
            assert!(got <= sent && payee.debited >= got);
        }
        let mut nonces = BTreeSet::new();
        for entry in self.senders.iter().flat_map(|(_, side)| &side.disk) {
            if let Entry::TicketsSent(sent) = entry
                && let Some(tickets) = &sent.tickets
            {
                for nonce in tickets.first..tickets.first + tickets.count {
                    assert!(nonces.insert((tickets.quote.recipient_rand_hash, nonce)), "a nonce was reused");
                }
            }
        }
        let (mut seen, mut sum) = (BTreeSet::new(), U512::ZERO);
        for entry in self.recipients.iter().flat_map(|(_, side)| &side.disk) {
            if let Entry::TicketsAccepted(accepted) = entry {
                sum += accepted.credit.0;
                for nonce in &accepted.nonces {
                    assert!(seen.insert((accepted.rand_hash, *nonce)), "a ticket was accepted twice");
                }
            }
        }
        assert!(seen.is_subset(&nonces));
        println!("{} tickets sent, {} accepted, {sum} units; {:?}", nonces.len(), seen.len(), self.told);
    }
}

fn payer(key: &TicketKey, disk: &[Entry]) -> Payer {
    let mut config = PayerConfig::new(PRICE, ether(1_000_000_000), ether(1_000_000_000));
    config.terms.max_batch = ether(1);
    Payer::restore(config, key.clone(), disk)
}

fn payee(who: Address, disk: &[Entry], fresh: B256) -> Commit<Payee> {
    Payee::restore(PayeeConfig::new(who), disk, fresh)
}

fn run(segments: u64, one_in: u32) {
    let mut world = World::new(20_261_121, one_in);
    let sessions: Vec<_> = (0..9).map(|i| (i / 3, i % 3, SessionId([i as u8 + 1; 16]))).collect();
    let mut lost = 0_u64;
    for seq in 1..=segments {
        let (s, r, session) = sessions[world.rng.random_range(0..sessions.len())];
        lost += u64::from(world.segment(s, r, session, seq).is_err());
        // Whoever died is asked again; its peer was told that the connection is gone.
        world.senders[s].1.core.on_lost(session, seq);
        world.recipients[r].1.core.release(session, seq);
    }
    println!("{segments} segments, {lost} ended in a crash");
    world.check(&sessions);
    assert!(world.told.crashes > 0 && world.told.resent > 0 && world.told.receipts_again > 0);
}

#[test]
fn ledgers_agree_to_the_unit_however_often_either_side_dies() {
    run(3_000, 40);
}

#[test]
#[ignore = "a hundred thousand segments take minutes without optimisation"]
fn ledgers_agree_to_the_unit_over_a_hundred_thousand_segments() {
    run(100_000, 100);
}
