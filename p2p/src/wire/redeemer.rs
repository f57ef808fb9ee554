//! What a node and its redeemer say to each other, on the wire: winners one way, the steps of their redemption the other.
//!
//! In flow bytes of a peer, out flow values within their bounds; whether a winner is good is not asked here.

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use prost::Message;
use protocol::payments::SessionId;
use protocol::payments::entry::{Redemption, Winner};
use protocol::tickets::Ticket;
use protocol::{Round, Wei};
use thiserror::Error;

use crate::limits::{ASKED_AT_ONCE, REASON_BYTES, STEPS_OF_A_TICKET, WINNERS_AT_ONCE};

/// The messages of `proto/redeemer.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/livemesh.redeemer.v1.rs"));
}

/// What a node wants of its redeemer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Take these over, at most [`WINNERS_AT_ONCE`].
    Take(Vec<Winner>),
    /// What became of these, at most [`ASKED_AT_ONCE`]?
    Ask(Vec<B256>),
}

/// What the redeemer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Tickets with the last steps of each, oldest first. Those that it does not have are not among them.
    pub steps: Vec<(B256, Vec<Redemption>)>,
    /// Why it did not take some; empty where it took all.
    pub refused: String,
}

/// Bytes that say nothing of the kind.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not what a node and its redeemer say to each other: {0}")]
pub struct Malformed(&'static str);

impl Request {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> bytes::Bytes {
        let message = match self {
            Self::Take(winners) => {
                proto::Request { take: winners.iter().map(put_winner).collect(), ask: Vec::new() }
            }
            Self::Ask(tickets) => {
                proto::Request { take: Vec::new(), ask: tickets.iter().map(|id| copy(&id.0)).collect() }
            }
        };
        message.encode_to_vec().into()
    }

    /// From a peer's bytes.
    ///
    /// # Errors
    /// [`Malformed`], also where there are too many.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let message = proto::Request::decode(bytes).map_err(|_| Malformed("no request"))?;
        match (message.take.as_slice(), message.ask.as_slice()) {
            ([], tickets) if tickets.len() <= ASKED_AT_ONCE => {
                tickets.iter().map(|id| fixed(id)).collect::<Result<_, _>>().map(Self::Ask)
            }
            (winners, []) if winners.len() <= WINNERS_AT_ONCE => {
                winners.iter().map(winner).collect::<Result<_, _>>().map(Self::Take)
            }
            _ => Err(Malformed("too much at once")),
        }
    }
}

impl Reply {
    /// As bytes. Of steps and reasons that are too many or too long the beginnings are left out.
    #[must_use]
    pub fn encode(&self) -> bytes::Bytes {
        let ticket = |(id, steps): &(B256, Vec<Redemption>)| proto::Ticket {
            ticket: copy(&id.0),
            steps: steps[steps.len().saturating_sub(STEPS_OF_A_TICKET)..].iter().map(put_step).collect(),
        };
        let tickets = self.steps.iter().map(ticket).collect();
        proto::Reply { tickets, refused: short(&self.refused) }.encode_to_vec().into()
    }

    /// From a peer's bytes.
    ///
    /// # Errors
    /// [`Malformed`], also where there is too much.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let message = proto::Reply::decode(bytes).map_err(|_| Malformed("no reply"))?;
        if message.tickets.len() > ASKED_AT_ONCE {
            return Err(Malformed("too many tickets"));
        }
        let tickets = message.tickets.iter().map(|ticket| {
            if ticket.steps.len() > STEPS_OF_A_TICKET {
                return Err(Malformed("too many steps"));
            }
            Ok((fixed(&ticket.ticket)?, ticket.steps.iter().map(step).collect::<Result<_, _>>()?))
        });
        Ok(Self { steps: tickets.collect::<Result<_, _>>()?, refused: bounded(&message.refused)? })
    }
}

fn put_winner(winner: &Winner) -> proto::Winner {
    let Winner { session, ticket, signature, recipient_rand, expiration_block, .. } = winner;
    proto::Winner {
        session: copy(&session.0),
        recipient: copy(ticket.recipient.as_slice()),
        sender: copy(ticket.sender.as_slice()),
        face_value: put_word(ticket.face_value),
        win_prob: put_word(ticket.win_prob),
        sender_nonce: put_word(ticket.sender_nonce),
        recipient_rand_hash: copy(&ticket.recipient_rand_hash.0),
        aux_data: copy(&ticket.aux_data),
        signature: copy(signature.as_slice()),
        recipient_rand: put_word(*recipient_rand),
        expiration_block: *expiration_block,
        creation_round: winner.creation_round.0,
        credited: winner.credited,
        at_ms: winner.at_ms,
    }
}

fn winner(said: &proto::Winner) -> Result<Winner, Malformed> {
    let aux: FixedBytes<64> = fixed(&said.aux_data)?;
    let ticket = Ticket {
        recipient: Address(fixed(&said.recipient)?),
        sender: Address(fixed(&said.sender)?),
        face_value: word(&said.face_value)?,
        win_prob: word(&said.win_prob)?,
        sender_nonce: word(&said.sender_nonce)?,
        recipient_rand_hash: fixed(&said.recipient_rand_hash)?,
        aux_data: Bytes::copy_from_slice(aux.as_slice()),
    };
    Ok(Winner {
        session: SessionId(fixed::<16>(&said.session)?.0),
        ticket,
        signature: fixed(&said.signature)?,
        recipient_rand: word(&said.recipient_rand)?,
        expiration_block: said.expiration_block,
        creation_round: Round(said.creation_round),
        credited: said.credited,
        at_ms: said.at_ms,
    })
}

fn put_step(step: &Redemption) -> proto::Step {
    use proto::step::Step;
    let step = match step {
        Redemption::Queued => Step::Queued(proto::Queued {}),
        Redemption::Sent { transaction, attempt } => {
            Step::Sent(proto::Sent { transaction: copy(&transaction.0), attempt: *attempt })
        }
        Redemption::Redeemed { transaction, block, from_deposit, from_reserve, gas } => {
            Step::Redeemed(proto::Redeemed {
                transaction: copy(&transaction.0),
                block: *block,
                from_deposit: put_word(from_deposit.0),
                from_reserve: put_word(from_reserve.0),
                gas: put_word(gas.0),
            })
        }
        Redemption::Reopened => Step::Reopened(proto::Reopened {}),
        Redemption::Expired => Step::Expired(proto::Expired {}),
        Redemption::Dropped { reason } => Step::Dropped(proto::Dropped { reason: short(reason) }),
    };
    proto::Step { step: Some(step) }
}

fn step(said: &proto::Step) -> Result<Redemption, Malformed> {
    use proto::step::Step;
    Ok(match said.step.as_ref().ok_or(Malformed("a step that this program does not know"))? {
        Step::Queued(_) => Redemption::Queued,
        Step::Sent(sent) => {
            Redemption::Sent { transaction: fixed(&sent.transaction)?, attempt: sent.attempt }
        }
        Step::Redeemed(redeemed) => Redemption::Redeemed {
            transaction: fixed(&redeemed.transaction)?,
            block: redeemed.block,
            from_deposit: Wei(word(&redeemed.from_deposit)?),
            from_reserve: Wei(word(&redeemed.from_reserve)?),
            gas: Wei(word(&redeemed.gas)?),
        },
        Step::Reopened(_) => Redemption::Reopened,
        Step::Expired(_) => Redemption::Expired,
        Step::Dropped(dropped) => Redemption::Dropped { reason: bounded(&dropped.reason)? },
    })
}

fn copy(bytes: &[u8]) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(bytes)
}

fn put_word(n: U256) -> bytes::Bytes {
    copy(&n.to_be_bytes::<32>())
}

fn word(bytes: &[u8]) -> Result<U256, Malformed> {
    Ok(U256::from_be_bytes(fixed::<32>(bytes)?.0))
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<FixedBytes<N>, Malformed> {
    FixedBytes::try_from(bytes).map_err(|_| Malformed("a field of another length"))
}

fn bounded(text: &str) -> Result<String, Malformed> {
    if text.len() > REASON_BYTES { Err(Malformed("too long a reason")) } else { Ok(text.to_owned()) }
}

/// As much of a text as fits.
fn short(text: &str) -> String {
    let end = (0..=REASON_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn won(n: u64) -> Winner {
        let ticket = Ticket {
            recipient: Address::repeat_byte(1),
            sender: Address::repeat_byte(2),
            face_value: U256::MAX,
            win_prob: U256::from(3),
            sender_nonce: U256::from(n),
            recipient_rand_hash: B256::repeat_byte(4),
            aux_data: Ticket::aux(Round(5), B256::repeat_byte(6)),
        };
        Winner {
            session: SessionId([7; 16]),
            ticket,
            signature: FixedBytes::repeat_byte(8),
            recipient_rand: U256::from(n + 1),
            expiration_block: u64::MAX,
            creation_round: Round(5),
            credited: true,
            at_ms: 9,
        }
    }

    fn all_steps() -> Vec<Redemption> {
        let transaction = B256::repeat_byte(1);
        let (from_deposit, from_reserve, gas) = (Wei(U256::MAX), Wei(U256::ZERO), Wei(U256::from(1)));
        vec![
            Redemption::Queued,
            Redemption::Sent { transaction, attempt: 3 },
            Redemption::Redeemed { transaction, block: 2, from_deposit, from_reserve, gas },
            Redemption::Reopened,
            Redemption::Expired,
            Redemption::Dropped { reason: "it is used".into() },
        ]
    }

    #[test]
    fn what_is_said_is_what_is_heard_and_the_most_of_it_fits_its_bounds() {
        let take = Request::Take((0..WINNERS_AT_ONCE as u64).map(won).collect());
        assert_eq!(Request::decode(&take.encode()), Ok(take.clone()));
        let ask = Request::Ask(vec![B256::repeat_byte(1); ASKED_AT_ONCE]);
        assert_eq!(Request::decode(&ask.encode()), Ok(ask.clone()));
        let most = take.encode().len().max(ask.encode().len());
        assert!(most <= crate::limits::PROOF_REQUEST_BYTES, "{most}");
        let steps = vec![(B256::repeat_byte(1), all_steps()); 3];
        let said = Reply { steps, refused: "no".into() };
        assert_eq!(Reply::decode(&said.encode()), Ok(said));
        let longest = vec![Redemption::Dropped { reason: "é".repeat(REASON_BYTES) }; STEPS_OF_A_TICKET + 1];
        let steps = vec![(B256::ZERO, longest); ASKED_AT_ONCE];
        let most = Reply { steps, refused: "é".repeat(REASON_BYTES) }.encode();
        assert!(most.len() <= crate::limits::PROOF_REPLY_BYTES, "{}", most.len());
        let heard = Reply::decode(&most).unwrap();
        assert_eq!((heard.refused.len(), heard.steps[0].1.len()), (REASON_BYTES, STEPS_OF_A_TICKET));
    }

    #[test]
    fn what_is_out_of_its_bounds_is_refused() {
        let many = Request::Take((0..=WINNERS_AT_ONCE as u64).map(won).collect());
        assert!(Request::decode(&many.encode()).is_err());
        assert!(Request::decode(&Request::Ask(vec![B256::ZERO; ASKED_AT_ONCE + 1]).encode()).is_err());
        let mut short = put_winner(&won(1));
        short.signature = short.signature.slice(..64);
        let short = proto::Request { take: vec![short], ask: Vec::new() };
        assert!(Request::decode(&short.encode_to_vec()).is_err());
        let both = proto::Request { take: vec![put_winner(&won(1))], ask: vec![copy(&[0; 32])] };
        assert!(Request::decode(&both.encode_to_vec()).is_err());
        let unknown = proto::Ticket { ticket: copy(&[0; 32]), steps: vec![proto::Step { step: None }] };
        let unknown = proto::Reply { tickets: vec![unknown], refused: String::new() };
        assert!(Reply::decode(&unknown.encode_to_vec()).is_err());
        assert!(Reply::decode(&[0xff; 40]).is_err() && Request::decode(&[0xff; 40]).is_err());
    }
}
