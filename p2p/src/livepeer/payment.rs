//! The payment that goes with a segment (`Livepeer-Payment`): tickets of one set of parameters, and what their sender takes the
//! price to be. That price is its word only: work is charged at the price of the session.

use alloy_primitives::{Address, U256};
use protocol::payments::SessionId;
use protocol::tickets::batch::{Batch, MAX_NONCE, SignedNonce};
use protocol::tickets::quote::Quote;
use protocol::{PricePerPixel, Round, Wei};

use super::{
    Malformed, address, bad, message, minimal, net, number, price, signature, to_header, unwrap, word,
};

/// What a sender pays with one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Who pays, and who must have signed the order.
    pub sender: Address,
    /// What it takes the price to be.
    pub expected_price: Option<PricePerPixel>,
    /// The tickets; none when there is credit enough. This wire names sessions elsewhere, so theirs is left empty: see
    /// [`Self::in_session`].
    pub tickets: Option<Batch>,
}

impl Payment {
    /// Tickets that are paid into an account at its price.
    #[must_use]
    pub fn of(batch: &Batch) -> Self {
        let Quote { sender, price, .. } = batch.quote;
        let quote = Quote { session: SessionId::default(), ..batch.quote.clone() };
        let tickets = Some(Batch { quote, tickets: batch.tickets.clone() });
        Self { sender, expected_price: Some(price), tickets }
    }

    /// Its tickets, paid into an account.
    #[must_use]
    pub fn in_session(self, session: SessionId) -> Option<Batch> {
        let mut batch = self.tickets?;
        batch.quote.session = session;
        Some(batch)
    }

    /// Its header.
    #[must_use]
    pub fn to_header(&self) -> String {
        let quote = self.tickets.as_ref().map(|batch| &batch.quote);
        let signed = self.tickets.iter().flat_map(|batch| &batch.tickets);
        to_header(&net::Payment {
            ticket_params: quote.map(params),
            sender: self.sender.to_vec().into(),
            expiration_params: quote.map(|quote| net::TicketExpirationParams {
                creation_round: i64::try_from(quote.creation_round.0).unwrap_or(i64::MAX),
                creation_round_block_hash: quote.creation_round_hash.to_vec().into(),
            }),
            ticket_sender_params: signed
                .map(|one| net::TicketSenderParams {
                    sender_nonce: one.nonce,
                    sig: one.signature.to_vec().into(),
                })
                .collect(),
            expected_price: self.expected_price.map(price::encode),
        })
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_header(header: &str) -> Result<Self, Malformed> {
        Self::from_bytes(&unwrap(header)?)
    }

    /// Reads the message by itself.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let from: net::Payment = message(bytes)?;
        let sender = address(&from.sender, "sender")?;
        let expected_price = from.expected_price.as_ref().map(price::decode).transpose()?;
        let Some(params) = &from.ticket_params else {
            return match from.ticket_sender_params.len() {
                0 => Ok(Self { sender, expected_price, tickets: None }),
                _ => Err(bad("ticket_params", "there are tickets without parameters")),
            };
        };
        let price = expected_price.ok_or(bad("expected_price", "there are tickets without a price"))?;
        let made = from.expiration_params.as_ref().or(params.expiration_params.as_ref());
        let quote = quote(sender, price, params, made.unwrap_or(&net::TicketExpirationParams::default()))?;
        if from.ticket_sender_params.len() > MAX_NONCE as usize {
            return Err(bad("ticket_sender_params", "more tickets than nonces"));
        }
        let tickets = from.ticket_sender_params.iter().map(|one| {
            let signature = signature(&one.sig, "sig")?;
            Ok(SignedNonce { nonce: one.sender_nonce, signature })
        });
        let tickets = tickets.collect::<Result<_, Malformed>>()?;
        Ok(Self { sender, expected_price, tickets: Some(Batch { quote, tickets }) })
    }
}

fn params(quote: &Quote) -> net::TicketParams {
    net::TicketParams {
        recipient: quote.recipient.to_vec().into(),
        face_value: minimal(quote.face_value.0),
        win_prob: minimal(quote.win_prob),
        recipient_rand_hash: quote.recipient_rand_hash.to_vec().into(),
        seed: minimal(quote.seed),
        expiration_block: minimal(U256::from(quote.expiration_block)),
        expiration_params: None,
    }
}

fn quote(
    sender: Address,
    price: PricePerPixel,
    params: &net::TicketParams,
    made: &net::TicketExpirationParams,
) -> Result<Quote, Malformed> {
    let expiration_block = number(&params.expiration_block, "expiration_block")?;
    let creation_round = u64::try_from(made.creation_round).map_err(|_| bad("creation_round", "negative"))?;
    Ok(Quote {
        session: SessionId::default(),
        sender,
        recipient: address(&params.recipient, "recipient")?,
        face_value: Wei(number(&params.face_value, "face_value")?),
        win_prob: number(&params.win_prob, "win_prob")?,
        recipient_rand_hash: word(&params.recipient_rand_hash, "recipient_rand_hash")?,
        seed: number(&params.seed, "seed")?,
        expiration_block: expiration_block.try_into().map_err(|_| bad("expiration_block", "no block"))?,
        creation_round: Round(creation_round),
        creation_round_hash: word(&made.creation_round_block_hash, "creation_round_block_hash")?,
        price,
    })
}
