//! The `[price]` section: what an orchestrator asks, of everybody and of some, what a broadcaster pays at most, and what an
//! ether is worth where somebody thinks in dollars.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use protocol::PricePerPixel;
use protocol::price::stated::{BadPrice, Stated, checked_rate};
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Broadcasters that may have a price of their own.
const MAX_BROADCASTERS: usize = 10_000;

/// Prices beside the ones that everybody is asked, see [`Found`].
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Prices {
    /// What these broadcasters are asked instead, by the address that signs their tickets.
    pub(crate) broadcasters: BTreeMap<Address, PricePerPixel>,
    /// US dollars for an ether.
    pub(crate) eth_usd: Option<f64>,
}

/// `[price]` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PriceFile {
    ask: Option<Stated>,
    max: Option<Stated>,
    eth_usd: Option<f64>,
    #[serde(default)]
    broadcasters: BTreeMap<Address, Stated>,
}

/// Prices that are also stated elsewhere: by flag, or as go-livepeer does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Elsewhere {
    /// Flag.
    pub(super) ask: Option<Stated>,
    /// `orchestrator.price_wei` and `price_pixels`.
    pub(super) ask_file: Option<PricePerPixel>,
    /// Flag.
    pub(super) max: Option<Stated>,
    /// `broadcast.max_price_wei`.
    pub(super) max_file: Option<PricePerPixel>,
    /// Flag.
    pub(super) eth_usd: Option<f64>,
}

/// All prices, in wei.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// What everybody else is asked.
    pub(super) ask: PricePerPixel,
    /// Most that is paid.
    pub(super) max: Option<PricePerPixel>,
    /// The rest.
    pub(super) prices: Prices,
}

impl PriceFile {
    pub(super) fn resolve(self, elsewhere: &Elsewhere) -> Result<Found, ConfigError> {
        twice("price.ask and orchestrator.price_wei", self.ask, elsewhere.ask_file)?;
        twice("price.max and broadcast.max_price_wei", self.max, elsewhere.max_file)?;
        if self.broadcasters.len() > MAX_BROADCASTERS {
            let why = format!("price.broadcasters has more than {MAX_BROADCASTERS} entries");
            return Err(ConfigError::Value(why));
        }
        let eth_usd = elsewhere
            .eth_usd
            .or(self.eth_usd)
            .map(checked_rate)
            .transpose()
            .map_err(|bad| named("price.eth_usd", &bad))?;
        let in_wei = |name: &str, stated: Stated| stated.at(eth_usd).map_err(|bad| named(name, &bad));
        let chosen = |name, flag: Option<Stated>, written: Option<Stated>, wei: Option<PricePerPixel>| {
            flag.or(written).or(wei.map(Stated::Wei)).map(|stated| in_wei(name, stated)).transpose()
        };
        let ask = chosen("the price that is asked", elsewhere.ask, self.ask, elsewhere.ask_file)?;
        let max = chosen("the highest price", elsewhere.max, self.max, elsewhere.max_file)?;
        let of = |(who, stated)| Ok((who, in_wei(&format!("price.broadcasters of {who}"), stated)?));
        let broadcasters = self.broadcasters.into_iter().map(of).collect::<Result<_, ConfigError>>()?;
        Ok(Found { ask: ask.unwrap_or(PricePerPixel::FREE), max, prices: Prices { broadcasters, eth_usd } })
    }
}

fn named(what: &str, bad: &BadPrice) -> ConfigError {
    ConfigError::Value(format!("{what}: {bad}"))
}

fn twice(names: &str, one: Option<Stated>, other: Option<PricePerPixel>) -> Result<(), ConfigError> {
    match (one, other) {
        (Some(_), Some(_)) => {
            Err(ConfigError::Value(format!("{names} say the same thing; keep one of the two")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, elsewhere: &Elsewhere) -> Result<Found, String> {
        let file: PriceFile = toml::from_str(text).map_err(|error| error.to_string())?;
        file.resolve(elsewhere).map_err(|error| error.to_string())
    }

    const WHO: &str = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";

    #[test]
    fn dollars_and_wei_stand_side_by_side() {
        let text = format!(
            "ask = '0.002USD/min'\nmax = '900wei'\neth_usd = 2500.0\n[broadcasters]\n{WHO:?} = '1wei/4px'"
        );
        let found = found(&text, &Elsewhere::default()).unwrap();
        assert!((found.ask.as_f64() - 482.253_086).abs() < 1e-6);
        assert_eq!(found.max, Some(PricePerPixel { wei: 900, pixels: 1 }));
        assert_eq!(
            found.prices.broadcasters[&WHO.parse::<Address>().unwrap()],
            PricePerPixel { wei: 1, pixels: 4 }
        );
    }

    #[test]
    fn a_flag_beats_the_file_and_nothing_is_said_twice() {
        let flag = Elsewhere { ask: Some("7wei".parse().unwrap()), ..Elsewhere::default() };
        assert_eq!(found("ask = '9wei'", &flag).unwrap().ask.wei, 7);
        let old = Elsewhere { ask_file: Some(PricePerPixel { wei: 9, pixels: 1 }), ..Elsewhere::default() };
        assert_eq!(found("", &old).unwrap().ask.wei, 9);
        assert!(found("ask = '9wei'", &old).unwrap_err().contains("keep one of the two"));
        assert_eq!(found("", &Elsewhere::default()).unwrap().ask, PricePerPixel::FREE);
    }

    #[test]
    fn what_is_no_price_is_refused_with_its_place() {
        let none = Elsewhere::default();
        assert!(found("ask = '0.002USD/min'", &none).unwrap_err().contains("price.eth_usd"));
        assert!(found("eth_usd = 0.0", &none).unwrap_err().contains("price.eth_usd"));
        assert!(found("eth_usd = nan", &none).is_err() && found("ask = 'cheap'", &none).is_err());
        assert!(found("[broadcasters]\nme = '1wei'", &none).is_err());
        let dollars = format!("[broadcasters]\n{WHO:?} = '1USD'");
        assert!(found(&dollars, &none).unwrap_err().contains(WHO));
    }
}
