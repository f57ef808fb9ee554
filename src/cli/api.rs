//! Asks a running node over its HTTP API.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::cli::Failure;

/// Where the running node is.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ApiArgs {
    /// HTTP address of the running node
    #[arg(long, env = "LIVEMESH_API", value_name = "URL", default_value = "http://127.0.0.1:8935")]
    pub(crate) api: String,
}

/// A client of one node.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    base: String,
    client: reqwest::Client,
}

impl Api {
    pub(crate) fn new(base: &str) -> Result<Self, Failure> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client })
    }

    /// Gets `path`, which starts with a slash.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let url = format!("{}{path}", self.base);
        let reply = self.client.get(&url).send().await;
        let reply =
            reply.map_err(|_| format!("no node answers at {}: is one running? see --api", self.base))?;
        if !reply.status().is_success() {
            return Err(format!("{url} answered {}: {}", reply.status(), reply.text().await?.trim()).into());
        }
        Ok(reply.json().await?)
    }

    /// Whether `path` answers with success now.
    pub(crate) async fn is_there(&self, path: &str) -> bool {
        let reply = self.client.get(format!("{}{path}", self.base)).send().await;
        reply.is_ok_and(|r| r.status().is_success())
    }
}
