//! What the demo's nodes have proven of the chain while it runs: the round, the rewards that arrived, and how many facts they
//! took with a proof and how many without one. All of it is what the nodes say of themselves over HTTP.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use futures::future::join_all;
use protocol::Lpt;
use serde::{Deserialize, Serialize};

use super::chain::Staker;
use crate::cli::api::Api;

/// Gathered while it runs.
#[derive(Debug)]
pub(crate) struct Rounds {
    /// Names of the orchestrators by the address of their stake.
    names: BTreeMap<Address, String>,
    /// The newest round, and which part of it is over, percent.
    round: Option<(u64, u64)>,
    /// Stake when it was first proven, and now.
    stakes: BTreeMap<Address, (Lpt, Lpt)>,
    /// By node.
    reads: BTreeMap<String, Counted>,
}

/// What `livemesh demo --json` adds.
#[derive(Debug, Serialize)]
pub(crate) struct Proven {
    /// Newest proven round.
    round: Option<u64>,
    /// LPT by which each orchestrator's stake has grown, by name: decimal, exact.
    rewards: BTreeMap<String, String>,
    /// Facts of the chain that all nodes together took with a proof down from what Ethereum's sync committee signed.
    proven_reads: u64,
    /// Facts that they took because servers said so.
    rpc_trusted: u64,
}

/// What one node has counted, over its restarts, each of which begins at zero.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    before: Reads,
    now: Reads,
}

/// `reads` of `/api/v1/chain`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Reads {
    proven: u64,
    trusted: u64,
}

/// What is wanted of `/api/v1/chain`.
#[derive(Debug, Deserialize)]
struct Said {
    round: Option<Round>,
    members: Vec<Member>,
    reads: Reads,
}

#[derive(Debug, Deserialize)]
struct Round {
    number: u64,
    start_block: u64,
    end_block: u64,
    l1_block_now: u64,
}

#[derive(Debug, Deserialize)]
struct Member {
    address: Address,
    stake: Lpt,
}

impl Rounds {
    /// Of these stakers; nothing is proven yet.
    pub(crate) fn of(stakers: &[Staker]) -> Self {
        let names = stakers.iter().map(|staker| (staker.address(), staker.name.clone())).collect();
        Self { names, round: None, stakes: BTreeMap::new(), reads: BTreeMap::new() }
    }

    /// Asks the broadcaster for everything, the orchestrators for how they know theirs. Who is down is asked the next time.
    pub(crate) async fn poll(&mut self, broadcaster: &Api, orchestrators: &[(String, String)]) {
        if let Ok(said) = broadcaster.get::<Said>("/api/v1/chain").await {
            self.note("broadcaster", said.reads);
            self.take(said);
        }
        let asked = orchestrators.iter().map(|(name, http)| async move {
            let api = Api::new(&format!("http://{http}")).ok()?;
            let said = api.get::<Said>("/api/v1/chain").await.ok()?;
            Some((name, said.reads))
        });
        for (name, reads) in join_all(asked).await.into_iter().flatten() {
            self.note(name, reads);
        }
    }

    fn take(&mut self, said: Said) {
        if let Some(Round { number, start_block, end_block, l1_block_now }) = said.round {
            let length = end_block.saturating_sub(start_block).max(1);
            let over = l1_block_now.saturating_sub(start_block) * 100 / length;
            self.round = Some((number, over.min(100)));
        }
        for Member { address, stake } in said.members {
            self.stakes.entry(address).or_insert((stake, stake)).1 = stake;
        }
    }

    fn note(&mut self, node: &str, reads: Reads) {
        let counted = self.reads.entry(node.to_owned()).or_default();
        if reads.proven < counted.now.proven {
            counted.before.proven += counted.now.proven;
            counted.before.trusted += counted.now.trusted;
        }
        counted.now = reads;
    }

    fn rewards(&self) -> impl Iterator<Item = (&String, Lpt)> {
        self.names.iter().map(|(address, name)| {
            let grown = self.stakes.get(address).map(|(first, now)| now.0.saturating_sub(first.0));
            (name, Lpt(grown.unwrap_or_default()))
        })
    }

    /// The end of the status line.
    pub(crate) fn line(&self) -> String {
        let Some((round, over)) = self.round else { return "  chain: nothing proven yet".to_owned() };
        let all = self.rewards().fold(Lpt::default(), |sum, (_, one)| Lpt(sum.0.saturating_add(one.0)));
        let whole = all.to_string();
        let whole = whole.split(['.', ' ']).next().unwrap_or_default();
        format!("  round {round} {over}%  rewards {whole} LPT")
    }

    pub(crate) fn report(&self) -> Proven {
        let amount = |lpt: Lpt| lpt.to_string().trim_end_matches(" LPT").to_owned();
        let sum = |of: fn(&Reads) -> u64| {
            self.reads.values().map(|counted| of(&counted.before) + of(&counted.now)).sum()
        };
        Proven {
            round: self.round.map(|(round, _)| round),
            rewards: self.rewards().map(|(name, lpt)| (name.clone(), amount(lpt))).collect(),
            proven_reads: sum(|reads| reads.proven),
            rpc_trusted: sum(|reads| reads.trusted),
        }
    }
}

impl Proven {
    /// Whether something was proven and nothing was believed.
    pub(crate) fn is_all(&self) -> bool {
        self.proven_reads > 0 && self.rpc_trusted == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds() -> Rounds {
        let names = [(Address::repeat_byte(1), "one".to_owned())].into();
        Rounds { names, round: None, stakes: BTreeMap::new(), reads: BTreeMap::new() }
    }

    fn said(stake: u64, number: u64) -> Said {
        let text = format!(
            r#"{{"round":{{"number":{number},"start_block":100,"end_block":200,"l1_block_now":150}},
               "members":[{{"address":"{}","stake":"{stake}"}}],"reads":{{"proven":1,"trusted":0}}}}"#,
            Address::repeat_byte(1)
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_reward_is_what_stake_has_grown_by_since_it_was_first_proven() {
        let mut rounds = rounds();
        assert_eq!(rounds.report().rewards["one"], "0");
        rounds.take(said(5_000_000_000_000_000_000, 7));
        rounds.take(said(6_500_000_000_000_000_000, 8));
        let report = rounds.report();
        assert_eq!((report.round, report.rewards["one"].as_str()), (Some(8), "1.5"));
        assert_eq!(rounds.line(), "  round 8 50%  rewards 1 LPT");
    }

    #[test]
    fn what_a_node_counted_before_it_was_killed_counts() {
        let mut rounds = rounds();
        for proven in [10, 12, 3, 4] {
            rounds.note("one", Reads { proven, trusted: 0 });
        }
        assert_eq!(rounds.report().proven_reads, 16);
        assert!(rounds.report().is_all());
        rounds.note("two", Reads { proven: 1, trusted: 1 });
        assert!(!rounds.report().is_all(), "a fact was believed");
    }
}
