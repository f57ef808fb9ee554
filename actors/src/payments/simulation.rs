//! Many segments between several senders and recipients, with crashes of either side at any step: before something is on disk,
//! after it is and nobody was told, and while messages are on their way. After a crash a side is rebuilt from what was on disk
//! and from nothing else; what it is paid is what the contracts pay.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it measured"
)]

use alloy_primitives::U256;
use ed25519_dalek::SigningKey;
use protocol::payments::entry::Side;
use protocol::payments::{Entry, SessionId};
use protocol::receipt::Receipt;
use protocol::tickets::batch::Batch;
use protocol::tickets::check::Invalid;
use protocol::tickets::credit::Credit;
use protocol::tickets::quote::Quote;
use protocol::tickets::terms::Unacceptable;
use protocol::{Hash, PricePerPixel, SegmentId, Wei};
use rand::Rng;

use self::world::{DAY_MS, PIXELS, Stop, Stream, World};
use super::recipient::Refusal;
use super::recipient::core::Ask;
use super::sender::Unpayable;
use super::sender::core::Healed;

mod audit;
mod world;

/// Segments after which a stream ends and its broadcaster begins another one.
const STREAM: u64 = 150;
/// Blocks for which a disk keeps what it knows of the tickets of an ended session.
const KEPT: u64 = 200;

fn refused(why: impl std::fmt::Display) -> Stop {
    Stop::Refused(why.to_string())
}

impl World {
    /// One segment, from the order to the receipt; whatever is lost is lost.
    fn segment(&mut self, stream: Stream, seq: u64) -> Result<(), Stop> {
        let Stream { s, r, session, price, .. } = stream;
        let recipient = self.orchestrators[r].me;
        let opened = self.senders[s].1.core.open(self.now_ms, session, None, recipient, price);
        self.sender(s, opened.map_err(refused)?)?;
        if self.senders[s].1.core.account(&session).unwrap().unsure {
            if self.chance(15) {
                self.silence();
            }
            self.heal(stream)?;
        }
        if self.senders[s].1.core.wants_quote(&session) {
            self.quote(stream)?;
        }
        let pixels = self.rng.random_range(1..=PIXELS);
        let paid = self.senders[s].1.core.pay(self.now_ms, session, seq, pixels).map_err(|why| {
            self.told.distrusted += u64::from(matches!(why, Unpayable::Distrusted { .. }));
            refused(why)
        })?;
        let payment = self.sender(s, paid)?;
        let done = self.order(stream, seq, pixels, payment.tickets);
        let lost_on_the_way = self.dies();
        let receipt = match done {
            Ok(receipt) if !lost_on_the_way => receipt,
            Ok(_) | Err(Stop::Crashed) => {
                self.senders[s].1.core.on_lost(session, seq);
                return Ok(());
            }
            Err(why) => {
                self.senders[s].1.core.on_lost(session, seq);
                return Err(why);
            }
        };
        let received = self.senders[s].1.core.on_receipt(self.now_ms, session, receipt).unwrap();
        let cost = received.answer;
        self.sender(s, received)?;
        let sum = self.delivered.entry(session).or_default();
        *sum = sum.plus(cost);
        Ok(())
    }

    fn ask(&self, stream: Stream, price: PricePerPixel) -> Ask {
        let sender = self.senders[stream.s].0.address();
        Ask { session: stream.session, sender, stream: None, pixels: PIXELS, price }
    }

    /// New parameters; at times at another price, which both sides refuse.
    fn quote(&mut self, stream: Stream) -> Result<(), Stop> {
        let Stream { s, r, session, price, .. } = stream;
        let dearer = PricePerPixel { wei: price.wei * 2, ..price };
        let known = self.orchestrators[r].side.core.account(&session).is_some();
        let trick = known && self.chance(8);
        let ask = self.ask(stream, if trick { dearer } else { price });
        let seed = U256::from_limbs(self.rng.random());
        let quote = self.orchestrators[r].side.core.quote(self.now_ms, &ask, seed).map_err(refused)?;
        let quote = self.recipient(r, quote)?;
        assert_eq!(quote.price, price, "the session's price stays");
        let core = &mut self.senders[s].1.core;
        if trick {
            self.told.price_tricks += 1;
            let raised = Quote { price: dearer, ..quote };
            assert!(matches!(core.on_quote(raised), Err(Unpayable::Terms(Unacceptable::Price { .. }))));
        }
        core.on_quote(quote).map_err(refused)
    }

    fn order(
        &mut self,
        stream: Stream,
        seq: u64,
        pixels: u64,
        tickets: Option<Batch>,
    ) -> Result<Receipt, Stop> {
        let Stream { s, r, session, .. } = stream;
        let sender = self.senders[s].0.address();
        if let Some(batch) = tickets {
            if self.dies() {
                return Err(Stop::Crashed);
            }
            self.credit(r, &batch)?;
        }
        self.orchestrators[r].side.core.admit(sender, session, seq, pixels).map_err(refused)?;
        if self.dies() {
            self.orchestrators[r].side.core.release(session, seq);
            return Err(Stop::Crashed);
        }
        let made = self.rng.random_range(pixels / 2..=pixels);
        let receipt = Receipt {
            segment: SegmentId { stream: "sim".parse().unwrap(), seq },
            source: Hash::of(&seq.to_be_bytes()),
            renditions: vec![(Hash::of(b"r"), made)],
        };
        let settled = self.orchestrators[r].side.core.settle(self.now_ms, session, receipt.clone()).unwrap();
        self.recipient(r, settled)?;
        Ok(receipt)
    }

    /// Tickets arrive; at times with a lower price than agreed, before the sender thinks better of it.
    fn credit(&mut self, r: usize, batch: &Batch) -> Result<(), Stop> {
        if self.chance(50) {
            self.told.price_tricks += 1;
            let price = PricePerPixel { wei: 1, pixels: 1_000_000 };
            let cheaper =
                Batch { quote: Quote { price, ..batch.quote.clone() }, tickets: batch.tickets.clone() };
            let told = self.orchestrators[r].side.core.accept(self.now_ms, &cheaper).answer;
            assert!(matches!(told, Err(Refusal::Invalid(Invalid::Price { .. }))));
        }
        let accepted = self.orchestrators[r].side.core.accept(self.now_ms, batch);
        self.recipient(r, accepted)?.map_err(refused)?;
        Ok(())
    }

    /// Statements cross until both agree.
    fn heal(&mut self, stream: Stream) -> Result<(), Stop> {
        let Stream { s, r, session, price, .. } = stream;
        let sender = self.senders[s].0.address();
        let key = SigningKey::from_bytes(&[9; 32]);
        for _ in 0..3 {
            let ours = self.senders[s].1.core.statement(&session).unwrap().sign(&key);
            let known = ours.statement.works;
            let taken = self.orchestrators[r].side.core.on_statement(self.now_ms, &ours);
            self.recipient(r, taken)?;
            let said = self.orchestrators[r].side.core.statement(sender, session, known);
            let Ok((theirs, receipts)) = said else {
                // It never heard of the session: then it has no tickets of it either.
                let ask = self.ask(stream, price);
                let quote = self.orchestrators[r].side.core.quote(self.now_ms, &ask, U256::ONE);
                self.recipient(r, quote.map_err(refused)?)?;
                continue;
            };
            let theirs = theirs.sign(&key);
            let healed =
                self.senders[s].1.core.on_statement(self.now_ms, &theirs, &receipts).map_err(refused)?;
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
        Err(refused("statements did not make the books agree"))
    }

    /// A stream ends: its books agree to the unit, and disks forget what no longer counts.
    fn end(&mut self, stream: Stream) {
        let Stream { s, r, session, price, .. } = stream;
        let one_in = std::mem::take(&mut self.one_in);
        self.senders[s].1.core.on_lost(session, u64::MAX);
        let mut tries = 0;
        while self.senders[s].1.core.account(&session).is_some_and(|account| account.unsure) {
            if let Err(Stop::Refused(why)) = self.heal(stream) {
                self.silence();
                self.tomorrow();
                tries += 1;
                assert!(tries < 2_000, "{why}");
            }
        }
        self.one_in = one_in;
        let Some(payer) = self.senders[s].1.core.account(&session) else { return };
        let Some(payee) = self.orchestrators[r].side.core.account(&session) else {
            assert_eq!((payer.credited, payer.works), (Credit::ZERO, 0));
            return;
        };
        assert_eq!(payer.credited, payee.credited, "tickets sent and not lost are tickets credited");
        assert_eq!((payer.works, payer.debited, payer.chain), (payee.works, payee.debited, payee.chain));
        let segment = Credit::of_work(PIXELS, price);
        let one = Credit::of_wei(Wei(segment.to_wei(price).0.div_ceil(U256::from(4))), price);
        assert!(payee.balance() <= segment.plus(one), "at risk is one segment, in whole tickets");
        let got = self.delivered.remove(&session).unwrap_or_default();
        assert!(got <= payee.debited && got <= payer.credited.plus(payer.written_off));
        let lost = payer.written_off > Credit::ZERO;
        let closed = self.senders[s].1.core.close(self.now_ms, session);
        self.senders[s].1.disk.extend(closed.entries);
        let closed = Entry::SessionClosed { session, side: Side::Recipient, at_ms: self.now_ms };
        self.orchestrators[r].side.disk.push(closed);
        let today = self.now_ms / DAY_MS;
        self.over.insert(session, if lost { today } else { 0 });
        let l1_block = self.contracts.l1_block();
        let ended = |session: &SessionId| self.over.get(session).is_some_and(|day| *day < today);
        self.senders[s].1.disk.retain(|entry| counts(entry, ended, l1_block));
        self.orchestrators[r].side.disk.retain(|entry| counts(entry, ended, l1_block));
        self.restart_sender(s);
        self.restart_recipient(r);
        self.told.sessions += 1;
    }
}

/// Whether an entry still counts, when these sessions have ended.
fn counts(entry: &Entry, ended: impl Fn(&SessionId) -> bool, l1_block: u64) -> bool {
    match entry {
        Entry::SessionOpened(opened) => !ended(&opened.session),
        Entry::SessionClosed { session, .. } | Entry::WrittenOff { session, .. } => !ended(session),
        Entry::TicketsSent(sent) => !ended(&sent.session),
        Entry::Receipt(work) | Entry::Debit(work) => !ended(&work.session),
        Entry::Statement { statement, .. } => !ended(&statement.statement.session),
        Entry::NonceReserved { expiration_block, .. } => expiration_block + KEPT > l1_block,
        Entry::TicketsAccepted(accepted) => {
            !ended(&accepted.session) || accepted.expiration_block + KEPT > l1_block
        }
        Entry::ParamsSecret { .. } | Entry::Winner(_) | Entry::Redemption { .. } => true,
    }
}

fn run(segments: u64, one_in: u32) {
    let mut world = World::new(20_261_121, one_in);
    let price = PricePerPixel { wei: 1199, pixels: 7 };
    let name = |n: u64| SessionId(std::array::from_fn(|i| n.to_be_bytes()[i % 8]));
    let mut streams: Vec<_> = (0..9)
        .map(|i| Stream { s: i / 3, r: i % 3, session: name(i as u64 + 1), price, segments: 0 })
        .collect();
    let (mut next, mut crashed) = (10, 0_u64);
    for seq in 1..=segments {
        world.now_ms += 2000;
        if seq.is_multiple_of(6) {
            world.block();
        }
        let at = world.rng.random_range(0..streams.len());
        let stream = streams[at];
        match world.segment(stream, seq) {
            Ok(()) => {}
            Err(Stop::Crashed) => crashed += 1,
            Err(Stop::Refused(why)) => {
                assert!(why.len() > 10, "a refusal says why: {why}");
                let words = why.chars().filter(|c| c.is_alphabetic() || *c == ' ').take(32).collect();
                *world.told.refused.entry(words).or_default() += 1;
                // A broadcaster that is refused everywhere waits for another day.
                if world.chance(40) {
                    world.tomorrow();
                }
            }
        }
        // Whoever died is asked again; its peer was told that the connection is gone.
        world.senders[stream.s].1.core.on_lost(stream.session, seq);
        world.orchestrators[stream.r].side.core.release(stream.session, seq);
        streams[at].segments += 1;
        if streams[at].segments == STREAM {
            world.end(stream);
            let price = PricePerPixel { wei: 1199 + next % 200, pixels: 7 };
            streams[at] = Stream { session: name(next), price, segments: 0, ..stream };
            next += 1;
        }
    }
    streams.into_iter().for_each(|stream| world.end(stream));
    finish(&mut world, segments, crashed);
}

/// What is under way is redeemed, then everything is counted.
fn finish(world: &mut World, segments: u64, crashed: u64) {
    (0..450).for_each(|_| world.block());
    let audit = &world.audit;
    let dearest = Credit::of_work(PIXELS, PricePerPixel { wei: 1399, pixels: 7 });
    let segment = dearest.to_wei(PricePerPixel { wei: 1399, pixels: 7 });
    println!("{segments} segments, {crashed} ended in a crash; {:?}", world.told);
    println!(
        "{} tickets sent, {} accepted, 0 twice; most lost to one orchestrator in a day {}, a segment is {segment}; \
         winners that got credit: {} unpaid, {} open",
        audit.sent.len(),
        audit.accepted.len(),
        audit.worst_loss(),
        audit.unpaid,
        audit.owed(),
    );
    assert!(audit.accepted.is_subset(&audit.sent));
    assert!(audit.worst_loss() <= segment, "a sender loses no more than a segment");
    assert_eq!(
        audit.unpaid,
        Wei::default(),
        "a recipient loses nothing that it worked for: {:?}",
        audit.unpaid_by
    );
    let earned = world.orchestrators.iter().map(|o| o.desk.earned.0).fold(U256::ZERO, |a, b| a + b);
    let gas = world.orchestrators.iter().map(|o| o.desk.gas.0).fold(U256::ZERO, |a, b| a + b);
    assert!(gas < earned, "redemptions pay");
    let told = &world.told;
    assert!(told.crashes > 0 && told.resent > 0 && told.receipts_again > 0 && told.price_tricks > 0);
    assert!(told.winners > 0 && told.redeemed > 0 && told.sessions > 0);
    let reached = [told.written_off, told.unlocks, told.withdrawals, told.pool_changes, told.distrusted];
    assert!(segments < 50_000 || reached.iter().all(|count| *count > 0), "{told:?}");
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
