//! Amounts of money in whole base units, 256 bits wide as the contracts keep them. As JSON they are decimal strings, because
//! no JSON number holds them; for people they are shown with their decimal point, never rounded.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Livepeer tokens in base units: 10^18 are one LPT.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Lpt(pub U256);

/// Ether in wei: 10^18 are one ETH.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Wei(pub U256);

/// A 256-bit number that is no money: a share, a factor, a rate, in the unit that its field names.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Word(pub U256);

/// Decimals of both tokens.
const DECIMALS: usize = 18;

/// The number with its point, without trailing zeros.
fn with_point(units: U256) -> String {
    let digits = format!("{units:0>width$}", width = DECIMALS + 1);
    let (whole, fraction) = digits.split_at(digits.len() - DECIMALS);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        rest => format!("{whole}.{rest}"),
    }
}

fn parse<'de, D: Deserializer<'de>>(d: D) -> Result<U256, D::Error> {
    let text = String::deserialize(d)?;
    U256::from_str_radix(&text, 10).map_err(serde::de::Error::custom)
}

impl fmt::Display for Lpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} LPT", with_point(self.0))
    }
}

impl fmt::Display for Wei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ETH", with_point(self.0))
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Lpt {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl Serialize for Wei {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Lpt {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse(d).map(Self)
    }
}

impl<'de> Deserialize<'de> for Wei {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse(d).map(Self)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse(d).map(Self)
    }
}

/// What is not an amount.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not an amount: write base units as a decimal number")]
pub struct BadAmount(String);

impl FromStr for Lpt {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Self, BadAmount> {
        U256::from_str_radix(text, 10).map(Self).map_err(|_| BadAmount(text.to_owned()))
    }
}

impl FromStr for Wei {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Self, BadAmount> {
        U256::from_str_radix(text, 10).map(Self).map_err(|_| BadAmount(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_a_point_and_machines_see_every_unit() {
        let amount: Lpt = "7177242542370449091892".parse().unwrap();
        assert_eq!(amount.to_string(), "7177.242542370449091892 LPT");
        assert_eq!(serde_json::to_string(&amount).unwrap(), "\"7177242542370449091892\"");
        assert_eq!(Wei(U256::from(625_000_000_000_000_000u64)).to_string(), "0.625 ETH");
        assert_eq!(Wei(U256::ZERO).to_string(), "0 ETH");
    }

    #[test]
    fn the_largest_word_survives_the_way_through_json() {
        let text = serde_json::to_string(&Wei(U256::MAX)).unwrap();
        assert_eq!(serde_json::from_str::<Wei>(&text).unwrap(), Wei(U256::MAX));
        assert!(serde_json::from_str::<Wei>("\"1.5\"").is_err());
    }
}
