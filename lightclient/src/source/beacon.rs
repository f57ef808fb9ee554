//! A beacon node's REST interface as a source (Ethereum Beacon API, light-client endpoints).
//!
//! In flow questions about the consensus layer; out flow its objects as they came, SSZ where the server offers it and says of
//! which fork, JSON elsewhere. Nothing is decoded here but the wrapping of a list.

use std::sync::Arc;

use alloy_primitives::B256;
use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use super::budget::BudgetView;
use super::http::{BadEndpoint, Endpoint, Reply, Settings, quoted};
use super::{Answer, Ask, BeaconClaim, Fault, Form, Source, SourceError};
use crate::forks::{ChainSpec, Fork, ForkDigest};

/// Largest object, bytes: an update of mainnet is 27 KB of SSZ or 58 KB of JSON.
const OBJECT_BYTES: usize = 512 * 1024;
/// Largest document of parameters, bytes.
const CONFIG_BYTES: usize = 256 * 1024;
/// SSZ is preferred: half the bytes.
const ANY: &str = "application/octet-stream;q=1.0,application/json;q=0.9";
const JSON: &str = "application/json";
/// Says of which fork an SSZ body is.
const VERSION: &str = "eth-consensus-version";

/// One beacon node.
#[derive(Debug)]
pub struct BeaconSource {
    endpoint: Endpoint,
    /// Names the forks behind the digests of SSZ lists; without it lists are asked for as JSON.
    spec: Option<Arc<ChainSpec>>,
}

impl BeaconSource {
    /// A source at this address.
    ///
    /// # Errors
    /// [`BadEndpoint`] when the address cannot be used.
    pub fn new(settings: Settings, spec: Option<Arc<ChainSpec>>) -> Result<Self, BadEndpoint> {
        Ok(Self { endpoint: Endpoint::new(settings)?, spec })
    }

    async fn object(&self, path: &str) -> Result<BeaconClaim, Fault> {
        claim(self.get(path, "", ANY).await?)
    }

    /// One period at a time: of a range, servers answer 500 when a single period is missing.
    async fn update(&self, period: u64) -> Result<BeaconClaim, Fault> {
        let query = format!("start_period={period}&count=1");
        let accept = if self.spec.is_some() { ANY } else { JSON };
        let reply = self.get("/eth/v1/beacon/light_client/updates", &query, accept).await?;
        match &self.spec {
            Some(spec) if is_ssz(&reply) => first_of_ssz(spec, &reply.body),
            Some(_) | None => first_of_json(&reply.body),
        }
        .and_then(|first| first.ok_or_else(|| Fault::NotHere(format!("no update of period {period}"))))
    }

    async fn checkpoint(&self) -> Result<Answer, Fault> {
        let reply = self.get("/eth/v1/beacon/headers/finalized", "", JSON).await?;
        let answer = json(&reply.body)?;
        let root = answer["data"]["root"].as_str().and_then(|root| root.parse::<B256>().ok());
        let slot = answer["data"]["header"]["message"]["slot"].as_str().and_then(|slot| slot.parse().ok());
        match (root, slot) {
            (Some(root), Some(slot)) => Ok(Answer::Checkpoint { root, slot }),
            _ => Err(Fault::Malformed("a header without root and slot".to_owned())),
        }
    }

    async fn config(&self) -> Result<Answer, Fault> {
        let spec = self.endpoint.get("/eth/v1/config/spec", "", JSON, CONFIG_BYTES).await?.body;
        let genesis = self.endpoint.get("/eth/v1/beacon/genesis", "", JSON, CONFIG_BYTES).await?.body;
        Ok(Answer::Config { spec: spec.into(), genesis: genesis.into() })
    }

    async fn get(&self, path: &str, query: &str, accept: &str) -> Result<Reply, Fault> {
        match self.endpoint.get(path, query, accept, OBJECT_BYTES).await {
            Err(Fault::Http { status: 406 | 415, .. }) if accept != JSON => {
                self.endpoint.get(path, query, JSON, OBJECT_BYTES).await
            }
            other => other,
        }
    }

    async fn answer(&self, ask: &Ask) -> Result<Answer, Fault> {
        const LIGHT: &str = "/eth/v1/beacon/light_client";
        match ask {
            Ask::Bootstrap { root } => {
                Ok(Answer::Bootstrap(self.object(&format!("{LIGHT}/bootstrap/{root}")).await?))
            }
            Ask::Update { period } => Ok(Answer::Update(self.update(*period).await?)),
            Ask::Finality => Ok(Answer::Finality(self.object(&format!("{LIGHT}/finality_update")).await?)),
            Ask::Optimistic => {
                Ok(Answer::Optimistic(self.object(&format!("{LIGHT}/optimistic_update")).await?))
            }
            Ask::Checkpoint => self.checkpoint().await,
            Ask::Config => self.config().await,
            _ => Err(Fault::Unsupported),
        }
    }
}

#[async_trait]
impl Source for BeaconSource {
    fn name(&self) -> &str {
        self.endpoint.name()
    }

    fn can(&self, ask: &Ask) -> bool {
        matches!(
            ask,
            Ask::Bootstrap { .. }
                | Ask::Update { .. }
                | Ask::Finality
                | Ask::Optimistic
                | Ask::Checkpoint
                | Ask::Config
        )
    }

    async fn ask(&self, ask: &Ask) -> Result<Answer, SourceError> {
        let by = || Arc::clone(self.endpoint.name());
        self.answer(ask).await.map_err(|fault| SourceError { by: by(), fault })
    }

    fn budget(&self) -> Option<BudgetView> {
        Some(self.endpoint.budget())
    }
}

fn is_ssz(reply: &Reply) -> bool {
    let kind = reply.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/octet-stream"))
}

fn claim(reply: Reply) -> Result<BeaconClaim, Fault> {
    if !is_ssz(&reply) {
        return Ok(BeaconClaim { form: Form::Json, bytes: reply.body.into() });
    }
    let version = reply.headers.get(VERSION).and_then(|version| version.to_str().ok());
    let version =
        version.ok_or_else(|| Fault::Malformed("SSZ that does not say of which fork".to_owned()))?;
    let fork = version.parse::<Fork>().map_or_else(|unknown| unknown.0, |fork| fork.name().to_owned());
    Ok(BeaconClaim { form: Form::Ssz { fork }, bytes: reply.body.into() })
}

/// The first of a JSON list of `{version, data}`; older servers wrap the list once more.
fn first_of_json(body: &[u8]) -> Result<Option<BeaconClaim>, Fault> {
    let mut answer = json(body)?;
    let list = if answer["data"].is_array() { answer["data"].take() } else { answer };
    let Value::Array(items) = list else {
        return Err(Fault::Malformed(format!("no list of updates: {}", quoted(body))));
    };
    let Some(first) = items.into_iter().next() else { return Ok(None) };
    Ok(Some(BeaconClaim { form: Form::Json, bytes: first.to_string().into_bytes().into() }))
}

/// The first of an SSZ list: length (8 bytes, little-endian), fork digest (4 bytes), object.
fn first_of_ssz(spec: &ChainSpec, body: &[u8]) -> Result<Option<BeaconClaim>, Fault> {
    if body.is_empty() {
        return Ok(None);
    }
    let malformed = || Fault::Malformed("a list of updates whose lengths are wrong".to_owned());
    let (length, rest) = body.split_first_chunk::<8>().ok_or_else(malformed)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| malformed())?;
    let item = rest.get(..length).ok_or_else(malformed)?;
    let (digest, object) = item.split_first_chunk::<4>().ok_or_else(malformed)?;
    let digest = ForkDigest::from(*digest);
    let fork = spec.fork_of_digest(digest);
    let fork = fork.ok_or_else(|| Fault::Malformed(format!("fork digest {digest} is of no known fork")))?;
    let form = Form::Ssz { fork: fork.name().to_owned() };
    Ok(Some(BeaconClaim { form, bytes: object.to_vec().into() }))
}

fn json(body: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(body).map_err(|e| Fault::Malformed(format!("no JSON ({e}): {}", quoted(body))))
}
