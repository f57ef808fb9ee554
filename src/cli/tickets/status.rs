//! `livemesh tickets status`: an address's deposit and reserve as they are proven, whether they stay, and how long they last.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::{SystemTime, UNIX_EPOCH};

use alloy_primitives::Address;
use ledger::SegmentsError;
use lightclient::livepeer::sender::SenderLock;
use lightclient::livepeer::{Ask, Read, Sender};
use protocol::chain::Chain;
use protocol::funding::{Short, Shortage, deposit_shortage, reserve_shortage, share};
use serde_json::{Value, json};

use super::burn::Burn;
use super::fund::{pool_limit, usual_face};
use super::sums;
use crate::cli::Failure;
use crate::cli::stake::act::AccountArgs;
use crate::cli::vote::proposals::{time, wait};

pub(super) async fn run(account: &AccountArgs, address: Option<Address>, json: bool) -> Result<(), Failure> {
    let address = address.or(account.from).ok_or("whose? give an address, or --from")?;
    let ledger = account.data_dir()?.join("ledger");
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let now_ms = u64::try_from(now.as_millis())?;
    let kept = ledger.is_dir().then(|| {
        tokio::task::spawn_blocking(move || {
            Ok::<_, SegmentsError>((Burn::read(&ledger, address, now_ms)?, sums::read(&ledger)?))
        })
    });
    let (burn, sums) = match kept {
        Some(kept) => kept.await?.map(|(burn, sums)| (Some(burn), Some(sums)))?,
        None => (None, None),
    };
    let opened = account.read_chain(json).await?;
    let read = async {
        let sender = opened.read(&Ask::Sender { address, claimant: None }).await?;
        Ok::<_, Failure>((sender, opened.purse(address).await?))
    };
    let read = read.await;
    let (known, slot_ms) = (opened.known(), opened.client().config().spec.slot_ms);
    opened.stop().await;
    let (Read::Sender(sender), purse) = read? else {
        return Err("a read answered something else than was asked".into());
    };
    let pool = pool_limit(&purse.state);
    let face = burn.and_then(|burn| burn.face).unwrap_or_else(|| usual_face(purse.base_fee));
    let told = Told { sender: &sender, pool, burn, face, known: &known };
    if json {
        let mut value = told.value(&purse.proof);
        value["ledger"] = json!(sums);
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        told.print(&purse.state, slot_ms);
        if let Some(sums) = &sums {
            sums::print(sums);
        }
    }
    Ok(())
}

/// What is told.
struct Told<'a> {
    sender: &'a Sender,
    pool: u64,
    burn: Option<Burn>,
    face: protocol::Wei,
    known: &'a str,
}

impl Told<'_> {
    fn shortages(&self) -> [(&'static str, Option<Shortage>); 2] {
        let deposit = deposit_shortage(self.sender.deposit, self.face);
        let reserve = reserve_shortage(self.sender.reserve, self.pool, self.face);
        [("deposit", deposit), ("reserve", reserve)]
    }

    fn lasts(&self) -> Option<u64> {
        self.burn.and_then(|burn| burn.lasts(self.sender.deposit))
    }

    fn value(&self, proof: &Value) -> Value {
        let short: Value =
            self.shortages().into_iter().map(|(of, short)| (of.to_owned(), json!(short))).collect();
        json!({
            "sender": self.sender, "pool": self.pool, "share": share(self.sender.reserve, self.pool),
            "win": self.face, "short": short, "burn": self.burn, "lasts_s": self.lasts(),
            "known": self.known, "proof": proof,
        })
    }

    fn print(&self, state: &Chain, slot_ms: u64) {
        let Sender { address, round, deposit, reserve, claimed, lock, .. } = *self.sender;
        println!("{address} in round {round}, by state {}", self.known);
        line("deposit", deposit);
        let each = share(reserve, self.pool);
        line(
            "reserve",
            format!("{reserve}, {each} for each of {} orchestrators that a round may have", self.pool),
        );
        line("claimed of it", format!("{claimed} in this round"));
        line(
            "lock",
            match lock {
                SenderLock::Locked => "locked: tickets are paid".to_owned(),
                SenderLock::Unlocking { withdraw_round } => format!(
                    "unlocking: no tickets are taken from round {} on; to be withdrawn from round {withdraw_round}, {}",
                    withdraw_round.0.saturating_sub(1),
                    wait(state, withdraw_round, slot_ms)
                ),
                SenderLock::Unlocked => "unlocked: no tickets are paid; it can be withdrawn".to_owned(),
            },
        );
        line("a win", self.face);
        for (of, shortage) in self.shortages() {
            if let Some(Shortage { short, missing }) = shortage {
                let when = match short {
                    Short::Now => "SHORT",
                    Short::Soon => "short soon",
                };
                line(of, format!("{when}: {missing} more would do"));
            }
        }
        match (self.burn, self.lasts()) {
            (Some(burn), Some(lasts)) => line(
                "lasts",
                format!("about {}: tickets worth {} in {}", time(lasts), burn.spent, time(burn.seconds)),
            ),
            (Some(_), None) => line("lasts", "no tickets were sent in the last day"),
            (None, _) => line("lasts", "not known: there is no ledger in the data directory"),
        }
    }
}

fn line(name: &str, value: impl std::fmt::Display) {
    println!("  {name:<22} {value}");
}
