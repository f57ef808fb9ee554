//! JSON-RPC to several endpoints at once, within bounds of size and time. What an endpoint says is a claim; [`refusal`] tells
//! what its errors mean for the one who sent.

use std::fmt;
use std::time::Duration;

use futures::future::join_all;
use reqwest::Client;
use serde_json::{Value, json};
use thiserror::Error;
use url::Url;

pub mod refusal;
pub mod value;

/// Most bytes of an answer: the receipts of a full block are about four million.
const MAX_ANSWER: usize = 16 << 20;
/// Longest piece of an endpoint's own words that is passed on, characters.
const MAX_WORDS: usize = 300;

/// One server.
#[derive(Clone)]
pub struct Endpoint {
    url: Url,
    name: String,
    client: Client,
    timeout: Duration,
}

/// Why an endpoint gave no result.
#[derive(Clone, Debug, Error)]
pub enum RpcError {
    /// It did not answer, or not now: another try may succeed.
    #[error("{0}")]
    Passing(String),
    /// It answered with an error.
    #[error("{message}")]
    Said {
        /// JSON-RPC's code.
        code: i64,
        /// Its words.
        message: String,
        /// What came with it, such as what a reverted call returned.
        data: Option<Value>,
    },
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Paths and queries of URLs often hold access keys.
        f.debug_tuple("Endpoint").field(&self.name).finish()
    }
}

impl Endpoint {
    /// A server at an address.
    #[must_use]
    pub fn new(url: Url, client: Client, timeout: Duration) -> Self {
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let name = format!("{}{port}", url.host_str().unwrap_or("?"));
        Self { url, name, client, timeout }
    }

    /// Host and port, without what may be secret in its address.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn ask(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let answer = tokio::time::timeout(self.timeout, self.exchange(method, params)).await;
        answer.unwrap_or_else(|_| Err(RpcError::Passing(format!("no answer within {:?}", self.timeout))))
    }

    async fn exchange(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let response = self.client.post(self.url.clone()).json(&request).send().await;
        let mut response = response.map_err(|error| passing(&error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| passing(&error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(RpcError::Passing(format!("more than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        match serde_json::from_slice(&body) {
            Ok(answer) => result(answer),
            Err(_) => Err(RpcError::Passing(format!("HTTP {status} without JSON"))),
        }
    }
}

/// Asks all at once; answers in the order of the endpoints.
pub async fn ask_all<'a>(
    endpoints: &'a [Endpoint],
    method: &str,
    params: &Value,
) -> Vec<(&'a Endpoint, Result<Value, RpcError>)> {
    let asked = endpoints
        .iter()
        .map(|endpoint| async move { (endpoint, endpoint.ask(method, params.clone()).await) });
    join_all(asked).await
}

fn result(mut answer: Value) -> Result<Value, RpcError> {
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        let words = error["message"].as_str().unwrap_or("an error without words");
        return Err(RpcError::Said {
            code: error["code"].as_i64().unwrap_or(0),
            message: words.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect(),
            data: error.get("data").cloned(),
        });
    }
    match answer.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(RpcError::Passing("an answer without a result".to_owned())),
    }
}

fn passing(error: &reqwest::Error) -> RpcError {
    // Without the address, which may hold an access key.
    let why = if error.is_timeout() {
        "it is too slow"
    } else if error.is_connect() {
        "it cannot be reached"
    } else {
        "the connection broke"
    };
    RpcError::Passing(why.to_owned())
}
