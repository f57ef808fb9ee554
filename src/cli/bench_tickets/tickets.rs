//! Batches of tickets through an orchestrator's books, beside nothing but their signatures.

use std::time::Duration;

use actors::payments::recipient::core::{Ask, Config, Core};
use actors::ports::payments::{ChainHead, SenderFacts};
use alloy_primitives::{Address, B256, U256};
use k256::ecdsa::{Signature, SigningKey, VerifyingKey};
use protocol::payments::SessionId;
use protocol::tickets::batch::{Batch, MAX_NONCE};
use protocol::tickets::quote::Quote;
use protocol::tickets::sign::TicketKey;
use protocol::{PricePerPixel, Round, Wei};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, SECP256K1, SecretKey};

use crate::cli::Failure;
use crate::cli::contest::quickest;

/// What pays for the largest segment: so many an order has.
const BATCH: u32 = 4;
const KEY: [u8; 32] = [3; 32];
pub(super) const PRICE: PricePerPixel = PricePerPixel { wei: 1200, pixels: 1 };
pub(super) const PIXELS: u64 = 1_000_000;
pub(super) const RECIPIENT: Address = Address::repeat_byte(0x0e);
pub(super) const SESSION: SessionId = SessionId([1; 16]);

/// The quickest times for one ticket or signature.
pub(super) struct Measured {
    pub(super) validate: Duration,
    pub(super) recover: Duration,
    pub(super) recover_by: &'static str,
    pub(super) create: Duration,
    pub(super) sign: Duration,
    pub(super) sign_by: &'static str,
}

pub(super) fn key() -> Result<TicketKey, Failure> {
    Ok(TicketKey::from_bytes(&KEY)?)
}

pub(super) fn ether() -> Wei {
    Wei(U256::from(10_u64).pow(U256::from(18)))
}

/// A chain on which everything is paid.
pub(super) fn head() -> ChainHead {
    let cost = Wei(U256::from(12_000_000_000_000_u64));
    ChainHead {
        l1_block: 1000,
        round: Round(7),
        round_hash: B256::repeat_byte(7),
        round_end_block: 5000,
        pool_size: 4,
        next_pool_size: 4,
        active: true,
        active_next: true,
        redeem_cost: cost,
        redeem_cost_on_average: cost,
    }
}

/// A sender who can pay.
pub(super) fn funds() -> SenderFacts {
    let (deposit, reserve) = (ether(), ether());
    SenderFacts { l1_block: 1000, round: Round(7), deposit, reserve, ..SenderFacts::default() }
}

/// Each side in turn, batch by batch.
pub(super) fn measure(runs: u32) -> Result<Measured, Failure> {
    let (key, mut core) = (key()?, core()?);
    let batches = batches(&mut core, &key, runs)?;
    let bare: Vec<Vec<Bare>> = batches.iter().map(Bare::all).collect::<Result<_, _>>()?;
    let (slow, fast) = (SigningKey::from_slice(&KEY)?, SecretKey::from_byte_array(KEY)?);
    let [mut at_core, mut at_fast, mut at_slow, mut at_new, mut at_sign, mut at_slow_sign] = [0; 6];
    let next = |at: &mut usize| {
        *at += 1;
        *at - 1
    };
    let sides: [Duration; 6] = quickest(
        runs,
        [
            &mut || {
                let accepted = core.accept(1, &batches[next(&mut at_core)]).answer.expect("honest tickets");
                assert_eq!(accepted.credited.len(), BATCH as usize, "{:?}", accepted.refused);
            },
            &mut || bare[next(&mut at_fast)].iter().for_each(Bare::recover),
            &mut || bare[next(&mut at_slow)].iter().for_each(Bare::recover_slow),
            &mut || {
                let batch = &batches[next(&mut at_new)];
                let (first, last) = (batch.tickets[0].nonce, batch.tickets[0].nonce + BATCH - 1);
                assert_eq!(Batch::sign(&batch.quote, first..=last, &key), *batch, "the same tickets");
            },
            &mut || bare[next(&mut at_sign)].iter().for_each(|bare| bare.sign(&fast)),
            &mut || bare[next(&mut at_slow_sign)].iter().for_each(|bare| bare.sign_slow(&slow)),
        ],
    );
    let [validate, recover, recover_slow, create, sign, sign_slow] = sides.map(|batch| batch / BATCH);
    let faster = |fast, slow| if fast <= slow { (fast, "libsecp256k1") } else { (slow, "k256") };
    let ((recover, recover_by), (sign, sign_by)) = (faster(recover, recover_slow), faster(sign, sign_slow));
    Ok(Measured { validate, recover, recover_by, create, sign, sign_by })
}

fn core() -> Result<Core, Failure> {
    let mut core = Core::restore(Config::new(RECIPIENT), [], B256::repeat_byte(9)).answer;
    core.on_head(head());
    core.on_facts(key()?.address(), funds());
    Ok(core)
}

fn batches(core: &mut Core, key: &TicketKey, runs: u32) -> Result<Vec<Batch>, Failure> {
    let of_a_quote = MAX_NONCE / BATCH;
    let ask = Ask { session: SESSION, sender: key.address(), stream: None, pixels: PIXELS, price: PRICE };
    let quote = |n: u32, core: &mut Core| -> Result<Quote, Failure> {
        Ok(core.quote(1, &ask, U256::from(n)).map_err(|refusal| refusal.to_string())?.answer)
    };
    let mut batches = Vec::new();
    while batches.len() < runs as usize {
        let quote = quote(u32::try_from(batches.len())?, core)?;
        let firsts = (0..of_a_quote).map(|n| 1 + n * BATCH);
        batches.extend(firsts.map(|first| Batch::sign(&quote, first..=first + BATCH - 1, key)));
    }
    Ok(batches)
}

/// One signature as each library wants it.
struct Bare {
    digest: B256,
    fast: RecoverableSignature,
    slow: (Signature, k256::ecdsa::RecoveryId),
}

impl Bare {
    fn all(batch: &Batch) -> Result<Vec<Self>, Failure> {
        batch.iter().map(|(_, ticket, signature)| Self::new(ticket.digest(), signature.as_slice())).collect()
    }

    fn new(digest: B256, signature: &[u8]) -> Result<Self, Failure> {
        let odd = signature[64] == 28;
        let recovery = if odd { RecoveryId::One } else { RecoveryId::Zero };
        Ok(Self {
            digest,
            fast: RecoverableSignature::from_compact(&signature[..64], recovery)?,
            slow: (Signature::from_slice(&signature[..64])?, k256::ecdsa::RecoveryId::new(odd, false)),
        })
    }

    fn recover(&self) {
        let message = Message::from_digest(self.digest.0);
        std::hint::black_box(SECP256K1.recover_ecdsa(message, &self.fast).expect("a good signature"));
    }

    fn recover_slow(&self) {
        let (signature, recovery) = &self.slow;
        let key = VerifyingKey::recover_from_prehash(self.digest.as_slice(), signature, *recovery);
        std::hint::black_box(key.expect("a good signature"));
    }

    fn sign(&self, key: &SecretKey) {
        let message = Message::from_digest(self.digest.0);
        std::hint::black_box(SECP256K1.sign_ecdsa_recoverable(message, key));
    }

    fn sign_slow(&self, key: &SigningKey) {
        std::hint::black_box(key.sign_prehash_recoverable(self.digest.as_slice()).expect("32 bytes"));
    }
}
