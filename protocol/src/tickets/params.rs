//! What an orchestrator asks of tickets: how likely they win, how much a win pays, and the number that it commits to. These
//! are not rules of a contract but what Livepeer's own nodes do, so that tickets of either fit the other.

use alloy_primitives::{Address, Bytes, U256, U512};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;

use crate::amount::Wei;

/// Why no ticket can be asked for.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Refused {
    /// A win could not pay for its own redemption.
    #[error("insufficient sender reserve")]
    InsufficientReserve,
    /// A probability above one.
    #[error("expected value is above the face value: no probability gives it")]
    Unreachable,
}

/// Probability, in parts of 2^256, at which a ticket of `face` is worth `expected` wei. As in Livepeer's nodes it is
/// rounded up, but by the low 64 bits of the remainder alone.
///
/// # Errors
/// [`Refused::Unreachable`].
pub fn win_prob(face: Wei, expected: Wei) -> Result<U256, Refused> {
    match (face.0, expected.0) {
        (U256::ZERO, _) => Ok(U256::ZERO),
        (face, expected) if face == expected => Ok(U256::MAX),
        (face, expected) => {
            let (whole, rest) = U256::MAX.div_rem(face);
            let part = whole.saturating_add(U256::from(rest.as_limbs()[0] != 0));
            part.checked_mul(expected).ok_or(Refused::Unreachable)
        }
    }
}

/// What decides how much a win pays, wei.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Costs {
    /// What a redemption costs now.
    pub redeem: Wei,
    /// What it costs at an average gas price.
    pub redeem_on_average: Wei,
    /// How many times that cost, or the expected value, a win should pay.
    pub multiplier: u64,
    /// Value of one ticket.
    pub expected: Wei,
    /// Most that the sender can surely pay.
    pub max_float: Wei,
    /// Most that a win may pay; zero for no limit.
    pub max_face: Wei,
}

/// What a winning ticket should pay.
///
/// # Errors
/// [`Refused::InsufficientReserve`] when the sender cannot back a ticket that would be worth redeeming.
pub fn face_value(costs: Costs) -> Result<Wei, Refused> {
    let times = U256::from(costs.multiplier);
    let wanted = costs.redeem.0.saturating_mul(times).max(costs.expected.0.saturating_mul(times));
    let backed = wanted.min(costs.max_float.0);
    let face = if costs.max_face.0.is_zero() { backed } else { backed.min(costs.max_face.0) };
    let too_costly = face < costs.redeem.0 && face < costs.redeem_on_average.0;
    if face < costs.expected.0 || too_costly {
        return Err(Refused::InsufficientReserve);
    }
    Ok(Wei(face))
}

/// What a ticket is worth: `face * win_prob / (2^256 - 1)` wei, as a reduced fraction.
#[must_use]
pub fn expected_value(face: Wei, win_prob: U256) -> (U512, U512) {
    let (value, whole) = (U512::from(face.0) * U512::from(win_prob), U512::from(U256::MAX));
    let divisor = value.gcd(whole);
    (value / divisor, whole / divisor)
}

/// Everything that a recipient's number is derived from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RandInputs {
    /// Drawn anew for every set of parameters.
    pub seed: U256,
    /// The gateway.
    pub sender: Address,
    /// What a win pays, wei.
    pub face_value: U256,
    /// Its probability.
    pub win_prob: U256,
    /// Last L1 block in which the parameters hold.
    pub expiration_block: U256,
    /// Wei for [`Self::price_den`] pixels.
    pub price_num: U256,
    /// Pixels.
    pub price_den: U256,
    /// Creation round and block hash.
    pub aux_data: Bytes,
}

/// The number that a recipient commits to, again from the same inputs and its secret: HMAC-SHA-256 over the inputs, integers
/// without leading zeros. (Field boundaries are ambiguous so; it is what Livepeer's nodes do.)
#[must_use]
pub fn recipient_rand(secret: &[u8], inputs: &RandInputs) -> U256 {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&inputs.seed.to_be_bytes_trimmed_vec());
    mac.update(inputs.sender.as_slice());
    let numbers =
        [inputs.face_value, inputs.win_prob, inputs.expiration_block, inputs.price_num, inputs.price_den];
    for number in numbers {
        mac.update(&number.to_be_bytes_trimmed_vec());
    }
    mac.update(&inputs.aux_data);
    U256::from_be_slice(&mac.finalize().into_bytes())
}
