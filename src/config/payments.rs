//! The `[payments]` section: which key signs this node's tickets and what may be spent with it, which key redeems those that others
//! sent it, and what tickets have to be.

use std::path::{Path, PathBuf};

use alloy_primitives::{Address, U256};
use protocol::Wei;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::chain::Caller;

/// Spent in a day by default, wei: 0.05 ether, a day of some ten streams at a usual price.
const A_DAY: u64 = 50_000_000_000_000_000;
/// Most that one ticket may be worth by default, and those of one segment, wei: Livepeer's.
const A_TICKET: u64 = 3_000_000_000_000;
const A_SEGMENT: u64 = 20_000_000_000_000;
/// A win pays this many times what its redemption costs, by default: Livepeer's.
const MULTIPLIER: u64 = 100;

/// How this node pays and is paid.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Payments {
    /// Signs tickets; without it nobody is paid.
    pub(crate) tickets: Option<Caller>,
    /// Redeems winning tickets, and holds nothing but gas; without it they wait.
    pub(crate) redeemer: Option<Caller>,
    /// Most that is spent on one stream in a day, wei.
    pub(crate) budget_per_stream: Wei,
    /// Most that is spent in a day, wei.
    pub(crate) budget_per_day: Wei,
    /// Most that one ticket may be worth, wei: sent or asked for.
    pub(crate) max_ticket: Wei,
    /// Most that the tickets of one segment may be worth, wei.
    pub(crate) max_segment: Wei,
    /// A win pays this many times what its redemption costs.
    pub(crate) multiplier: u64,
}

/// `[payments]` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaymentsFile {
    ticket_key: Option<Address>,
    redeemer_key: Option<Address>,
    keystore: Option<PathBuf>,
    password_file: Option<PathBuf>,
    budget_per_stream_wei: Option<u64>,
    budget_per_day_wei: Option<u64>,
    max_ticket_wei: Option<u64>,
    max_segment_wei: Option<u64>,
    win_multiplier: Option<u64>,
}

/// What flags say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Typed {
    pub(super) ticket_key: Option<Address>,
    pub(super) per_stream: Option<u64>,
    pub(super) per_day: Option<u64>,
}

impl PaymentsFile {
    pub(super) fn merge(self, data_dir: &Path, typed: Typed) -> Result<Payments, ConfigError> {
        let keystore = self.keystore.unwrap_or_else(|| data_dir.join("keystore"));
        let caller = |name: &str, address: Option<Address>| {
            let Some(address) = address else { return Ok(None) };
            let none = || {
                format!(
                    "payments.{name} needs payments.password_file: a file with its password, of mode 0600"
                )
            };
            let password_file = self.password_file.clone().ok_or_else(|| ConfigError::Value(none()))?;
            Ok(Some(Caller { address, keystore: keystore.clone(), password_file }))
        };
        let multiplier = self.win_multiplier.unwrap_or(MULTIPLIER);
        if multiplier == 0 {
            return Err(ConfigError::Value(
                "payments.win_multiplier is 0: a win has to pay something".into(),
            ));
        }
        let wei = |wei: u64| Wei(U256::from(wei));
        let per_day = typed.per_day.or(self.budget_per_day_wei).unwrap_or(A_DAY);
        Ok(Payments {
            tickets: caller("ticket_key", typed.ticket_key.or(self.ticket_key))?,
            redeemer: caller("redeemer_key", self.redeemer_key)?,
            budget_per_stream: wei(typed.per_stream.or(self.budget_per_stream_wei).unwrap_or(per_day)),
            budget_per_day: wei(per_day),
            max_ticket: wei(self.max_ticket_wei.unwrap_or(A_TICKET)),
            max_segment: wei(self.max_segment_wei.unwrap_or(A_SEGMENT)),
            multiplier,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(text: &str, typed: Typed) -> Result<Payments, ConfigError> {
        toml::from_str::<PaymentsFile>(text).unwrap().merge(Path::new("/nowhere"), typed)
    }

    #[test]
    fn nobody_is_paid_unless_a_key_is_named_and_spending_has_an_end() {
        let payments = merged("", Typed::default()).unwrap();
        assert!(payments.tickets.is_none() && payments.redeemer.is_none());
        assert_eq!(payments.budget_per_day, Wei(U256::from(A_DAY)));
        assert_eq!(payments.budget_per_stream, payments.budget_per_day);
    }

    #[test]
    fn a_key_needs_a_password_and_lies_in_the_data_directory() {
        let key = Address::repeat_byte(1);
        assert!(merged(&format!("ticket_key = '{key}'"), Typed::default()).is_err());
        let both = format!("ticket_key = '{key}'\npassword_file = '/p'\nbudget_per_day_wei = 5");
        let typed = Typed { per_day: Some(7), ..Typed::default() };
        let payments = merged(&both, typed).unwrap();
        assert_eq!(payments.tickets.unwrap().keystore, Path::new("/nowhere/keystore"));
        assert_eq!(payments.budget_per_day, Wei(U256::from(7)), "a flag beats the file");
        assert!(merged("win_multiplier = 0", Typed::default()).is_err());
    }
}
