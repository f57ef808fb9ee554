//! What a call would do now, by endpoints that must agree.

use std::collections::BTreeMap;

use alloy_primitives::Bytes;
use serde_json::{Value, json};

use super::shared::Shared;
use super::{SimulateError, Simulated};
use crate::pending::Call;
use crate::rpc::refusal::revert;
use crate::rpc::value::{bytes, u64};
use crate::rpc::{RpcError, ask_all};

impl Shared {
    pub(super) async fn simulate(&self, call: &Call) -> Result<Simulated, SimulateError> {
        let endpoints = self.endpoints().await;
        let asked = json!({
            "from": self.signer.address(), "to": call.to, "value": format!("{:#x}", call.value), "data": call.data,
        });
        let latest = json!([asked, "latest"]);
        let (outputs, estimates) = tokio::join!(
            ask_all(&endpoints, "eth_call", &latest),
            ask_all(&endpoints, "eth_estimateGas", &latest),
        );
        let said = outputs.iter().map(|(endpoint, answer)| (endpoint.name(), said(answer)));
        let output = agreed(said.collect(), self.least())?;
        let estimated: Vec<u64> =
            estimates.iter().filter_map(|(_, answer)| answer.as_ref().ok().and_then(u64)).collect();
        if let Some(gas) = estimated.iter().max() {
            return Ok(Simulated { output, gas: *gas });
        }
        // A transaction may fail where a call does not, such as by what its gas costs.
        let failed = estimates.iter().find_map(|(_, answer)| answer.as_ref().err());
        Err(match failed {
            Some(error) => revert(error)
                .map_or_else(|| SimulateError::Unreachable(error.to_string()), SimulateError::Reverts),
            None => SimulateError::Unreachable("no endpoint of this chain answers".to_owned()),
        })
    }
}

/// What an endpoint says the call does; none when it does not say.
fn said(answer: &Result<Value, RpcError>) -> Option<Result<Bytes, String>> {
    match answer {
        Ok(value) => bytes(value).map(Ok),
        Err(error) => revert(error).map(Err),
    }
}

fn agreed(said: Vec<(&str, Option<Result<Bytes, String>>)>, least: usize) -> Result<Bytes, SimulateError> {
    let mut votes: BTreeMap<Result<Bytes, String>, Vec<&str>> = BTreeMap::new();
    for (name, vote) in said {
        if let Some(vote) = vote {
            votes.entry(vote).or_default().push(name);
        }
    }
    if votes.len() > 1 {
        let differ = votes.values().map(|names| names.join(" and ")).collect::<Vec<_>>();
        return Err(SimulateError::Disagree(differ.join(" against ")));
    }
    match votes.pop_first() {
        Some((vote, names)) if names.len() >= least => vote.map_err(SimulateError::Reverts),
        _ => Err(SimulateError::Unreachable(format!("{least} must answer"))),
    }
}
