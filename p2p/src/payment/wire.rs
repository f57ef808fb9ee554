//! Payments, quotes and statements as frames and back. Encoding cannot fail; decoding checks every bound of `proto/ticket.proto` and
//! `proto/payment.proto`, so that what comes out is well-formed (not true). Pure: no stream, no clock.

use alloy_primitives::{Address, B256, FixedBytes, U256, U512};
use bytes::Bytes;
use protocol::payments::entry::Side;
use protocol::payments::unpaid::{Cause, Unpaid};
use protocol::payments::{Payment, SessionId, SignedStatement, Statement};
use protocol::tickets::batch::{Batch, MAX_BATCH, MAX_NONCE, SignedNonce};
use protocol::tickets::credit::Credit;
use protocol::tickets::quote::Quote;
use protocol::{PricePerPixel, Round, Wei};

use super::{Ask, MAX_RECEIPTS, Reply, Request};
use crate::media::wire::{Malformed, bad, decode_receipt, encode_receipt, hash, proto, reason, within};

fn fixed<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], Malformed> {
    match bytes.try_into() {
        Ok(fixed) => Ok(fixed),
        Err(_) => bad(field, format!("has {} bytes, not {N}", bytes.len())),
    }
}

fn session(bytes: &[u8]) -> Result<SessionId, Malformed> {
    fixed("session", bytes).map(SessionId)
}

fn address(field: &'static str, bytes: &[u8]) -> Result<Address, Malformed> {
    fixed(field, bytes).map(Address::from)
}

fn word(field: &'static str, bytes: &[u8]) -> Result<U256, Malformed> {
    fixed::<32>(field, bytes).map(U256::from_be_bytes)
}

fn credit(field: &'static str, bytes: &[u8]) -> Result<Credit, Malformed> {
    fixed::<64>(field, bytes).map(|bytes| Credit(U512::from_be_bytes(bytes)))
}

fn bytes(of: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(of.as_ref())
}

fn given<T>(field: &'static str, message: Option<T>) -> Result<T, Malformed> {
    message.map_or_else(|| bad(field, "is missing"), Ok)
}

// === With an offer ===

/// A payment as it goes with an offer.
pub(crate) fn encode_payment(payment: &Payment) -> proto::Payment {
    proto::Payment {
        session: bytes(payment.session.0),
        sender: bytes(payment.sender),
        tickets: payment.tickets.as_ref().map(encode_batch),
    }
}

/// Checks a payment that came from a stranger.
pub(crate) fn decode_payment(frame: proto::Payment) -> Result<Payment, Malformed> {
    Ok(Payment {
        session: session(&frame.session)?,
        sender: address("sender", &frame.sender)?,
        tickets: frame.tickets.map(decode_batch).transpose()?,
    })
}

fn encode_batch(batch: &Batch) -> proto::Batch {
    let ticket = |t: &SignedNonce| proto::Ticket { nonce: t.nonce, signature: bytes(t.signature) };
    proto::Batch {
        quote: Some(encode_quote(&batch.quote)),
        tickets: batch.tickets.iter().map(ticket).collect(),
    }
}

fn decode_batch(frame: proto::Batch) -> Result<Batch, Malformed> {
    within("number of tickets", frame.tickets.len(), 1, MAX_BATCH)?;
    let ticket = |t: &proto::Ticket| {
        let nonce = within("nonce", t.nonce, 1, MAX_NONCE)?;
        Ok(SignedNonce { nonce, signature: FixedBytes(fixed("ticket signature", &t.signature)?) })
    };
    Ok(Batch {
        tickets: frame.tickets.iter().map(ticket).collect::<Result<_, _>>()?,
        quote: decode_quote(&given("quote", frame.quote)?)?,
    })
}

fn encode_quote(quote: &Quote) -> proto::Quote {
    proto::Quote {
        session: bytes(quote.session.0),
        sender: bytes(quote.sender),
        recipient: bytes(quote.recipient),
        face_value: bytes(quote.face_value.0.to_be_bytes::<32>()),
        win_prob: bytes(quote.win_prob.to_be_bytes::<32>()),
        recipient_rand_hash: bytes(quote.recipient_rand_hash),
        seed: bytes(quote.seed.to_be_bytes::<32>()),
        expiration_block: quote.expiration_block,
        creation_round: quote.creation_round.0,
        creation_round_hash: bytes(quote.creation_round_hash),
        price_wei: quote.price.wei,
        price_pixels: quote.price.pixels,
    }
}

fn decode_quote(frame: &proto::Quote) -> Result<Quote, Malformed> {
    Ok(Quote {
        session: session(&frame.session)?,
        sender: address("sender", &frame.sender)?,
        recipient: address("recipient", &frame.recipient)?,
        face_value: Wei(word("face value", &frame.face_value)?),
        win_prob: word("win probability", &frame.win_prob)?,
        recipient_rand_hash: B256::from(fixed("rand hash", &frame.recipient_rand_hash)?),
        seed: word("seed", &frame.seed)?,
        expiration_block: frame.expiration_block,
        creation_round: Round(frame.creation_round),
        creation_round_hash: B256::from(fixed("round hash", &frame.creation_round_hash)?),
        price: PricePerPixel {
            wei: frame.price_wei,
            pixels: within("price unit", frame.price_pixels, 1, u64::MAX)?,
        },
    })
}

/// A refusal as a frame.
pub(crate) fn encode_unpaid(unpaid: &Unpaid) -> proto::Unpaid {
    let place = Cause::ALL.iter().position(|cause| *cause == unpaid.cause).expect("all are in it");
    proto::Unpaid {
        cause: u32::try_from(place).expect("a score of causes") + 1,
        words: reason(&unpaid.words),
    }
}

/// A refusal from a stranger. A cause that is not known here asks for somebody else.
pub(crate) fn decode_unpaid(frame: &proto::Unpaid) -> Unpaid {
    let place = usize::try_from(frame.cause).ok().and_then(|place| place.checked_sub(1));
    let cause = place.and_then(|place| Cause::ALL.get(place)).copied().unwrap_or(Cause::Terms);
    Unpaid { cause, words: reason(&frame.words) }
}

// === Requests and replies ===

/// A request as a frame.
pub(crate) fn encode_request(request: &Request) -> proto::PaymentRequest {
    use proto::payment_request::Ask as P;
    let ask = match request {
        Request::Quote(ask) => P::Quote(proto::QuoteAsk {
            session: bytes(ask.session.0),
            sender: bytes(ask.sender),
            stream: ask.stream.as_ref().map(|stream| stream.as_str().to_owned()).unwrap_or_default(),
            pixels: ask.pixels,
        }),
        Request::Compare { session, sender, theirs } => P::Compare(proto::Comparison {
            session: bytes(session.0),
            sender: bytes(sender),
            theirs: theirs.as_ref().map(encode_statement),
        }),
        Request::Again(batch) => P::Again(encode_batch(batch)),
    };
    proto::PaymentRequest { ask: Some(ask) }
}

/// Checks a request that came from a stranger.
pub(crate) fn decode_request(frame: proto::PaymentRequest) -> Result<Request, Malformed> {
    use proto::payment_request::Ask as P;
    Ok(match given("request", frame.ask)? {
        P::Quote(ask) => Request::Quote(Ask {
            session: session(&ask.session)?,
            sender: address("sender", &ask.sender)?,
            stream: match ask.stream.as_str() {
                "" => None,
                name => match name.parse() {
                    Ok(stream) => Some(stream),
                    Err(why) => return bad("stream", format!("is refused: {why}")),
                },
            },
            pixels: ask.pixels,
        }),
        P::Compare(compare) => Request::Compare {
            session: session(&compare.session)?,
            sender: address("sender", &compare.sender)?,
            theirs: compare.theirs.as_ref().map(decode_statement).transpose()?,
        },
        P::Again(batch) => Request::Again(decode_batch(batch)?),
    })
}

/// A reply as a frame.
pub(crate) fn encode_reply(reply: &Reply) -> proto::PaymentReply {
    use proto::payment_reply::Said as P;
    let said = match reply {
        Reply::Quote(quote) => P::Quote(encode_quote(quote)),
        Reply::Compared { statement, receipts } => P::Compared(proto::Compared {
            statement: Some(encode_statement(statement)),
            receipts: receipts.iter().map(encode_receipt).collect(),
        }),
        Reply::Taken { credited } => P::Taken(proto::Taken { credited: *credited }),
        Reply::Unpaid(unpaid) => P::Unpaid(encode_unpaid(unpaid)),
    };
    proto::PaymentReply { said: Some(said) }
}

/// Checks a reply that came from a stranger.
pub(crate) fn decode_reply(frame: proto::PaymentReply) -> Result<Reply, Malformed> {
    use proto::payment_reply::Said as P;
    Ok(match given("reply", frame.said)? {
        P::Quote(quote) => Reply::Quote(decode_quote(&quote)?),
        P::Compared(compared) => {
            within("number of receipts", compared.receipts.len(), 0, MAX_RECEIPTS)?;
            Reply::Compared {
                statement: decode_statement(&given("statement", compared.statement)?)?,
                receipts: compared.receipts.into_iter().map(decode_receipt).collect::<Result<_, _>>()?,
            }
        }
        P::Taken(taken) => {
            Reply::Taken { credited: within("tickets taken", taken.credited, 0, MAX_BATCH as u32)? }
        }
        P::Unpaid(unpaid) => Reply::Unpaid(decode_unpaid(&unpaid)),
    })
}

fn encode_statement(signed: &SignedStatement) -> proto::Statement {
    let said = &signed.statement;
    proto::Statement {
        session: bytes(said.session.0),
        recipient_side: said.side == Side::Recipient,
        sender: bytes(said.sender),
        recipient: bytes(said.recipient),
        tickets: said.tickets,
        credited: bytes(said.credited.0.to_be_bytes::<64>()),
        works: said.works,
        debited: bytes(said.debited.0.to_be_bytes::<64>()),
        chain: bytes(said.chain.0),
        signature: bytes(signed.signature),
    }
}

fn decode_statement(frame: &proto::Statement) -> Result<SignedStatement, Malformed> {
    Ok(SignedStatement {
        statement: Statement {
            session: session(&frame.session)?,
            side: if frame.recipient_side { Side::Recipient } else { Side::Sender },
            sender: address("sender", &frame.sender)?,
            recipient: address("recipient", &frame.recipient)?,
            tickets: frame.tickets,
            credited: credit("credited", &frame.credited)?,
            works: frame.works,
            debited: credit("debited", &frame.debited)?,
            chain: hash("chain", &frame.chain)?,
        },
        signature: FixedBytes(fixed("signature", &frame.signature)?),
    })
}

#[cfg(test)]
mod tests;
