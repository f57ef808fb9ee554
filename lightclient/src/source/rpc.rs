//! JSON-RPC 2.0 over HTTP to a server that is not trusted: ids are checked, errors sorted by what the asker does next.
//!
//! In flow method calls, out flow results as JSON. What they mean is not known here.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::Fault;
use super::http::{Endpoint, quoted};

/// A JSON-RPC server.
#[derive(Debug)]
pub(super) struct Rpc {
    pub(super) endpoint: Endpoint,
    next_id: AtomicU64,
}

/// One call.
pub(super) type Call = (&'static str, Value);

impl Rpc {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, next_id: AtomicU64::new(1) }
    }

    /// Makes one call; the answer has at most `limit` bytes.
    pub(super) async fn call(&self, call: Call, limit: usize) -> Result<Value, Fault> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let body = self.post(&request(id, call), limit).await?;
        // Some servers answer a single call with an error object without an id: it is an answer all the same.
        result(body, Some(id)).map(|(_, value)| value)
    }

    /// Makes several calls in one request. The results are in the order of the calls.
    pub(super) async fn batch(&self, calls: Vec<Call>, limit: usize) -> Result<Vec<Value>, Fault> {
        let first = self.next_id.fetch_add(calls.len() as u64, Ordering::Relaxed);
        let count = calls.len();
        let requests = calls.into_iter().zip(first..).map(|(call, id)| request(id, call));
        let body = self.post(&Value::Array(requests.collect()), limit).await?;
        let Value::Array(answers) = body else {
            // A server without batches answers with one error.
            return Err(result(body, None).err().unwrap_or_else(|| malformed("one answer to several calls")));
        };
        if answers.len() != count {
            return Err(malformed(&format!("{} answers to {count} calls", answers.len())));
        }
        let mut results = vec![None; count];
        for answer in answers {
            let (id, value) = result(answer, None)?;
            let place = id.and_then(|id| id.checked_sub(first)).and_then(|at| usize::try_from(at).ok());
            match place.and_then(|at| results.get_mut(at)) {
                Some(place @ None) => *place = Some(value),
                Some(Some(_)) | None => return Err(malformed("an answer with an id that was not asked")),
            }
        }
        results.into_iter().collect::<Option<_>>().ok_or_else(|| malformed("a call without an answer"))
    }

    async fn post(&self, body: &Value, limit: usize) -> Result<Value, Fault> {
        let reply = self.endpoint.post(body.to_string().into_bytes(), limit).await?;
        serde_json::from_slice(&reply.body)
            .map_err(|e| Fault::Malformed(format!("no JSON ({e}): {}", quoted(&reply.body))))
    }
}

fn request(id: u64, (method, params): Call) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn result(mut answer: Value, expected: Option<u64>) -> Result<(Option<u64>, Value), Fault> {
    if answer["error"].is_object() {
        return Err(fault(&answer["error"]));
    }
    let id = answer["id"].as_u64();
    if expected.is_some() && id != expected {
        return Err(malformed("an answer with an id that was not asked"));
    }
    match answer.get_mut("result") {
        Some(value) => Ok((id, value.take())),
        None => Err(malformed("neither result nor error")),
    }
}

/// Sorts an error by what is to be done about it.
fn fault(error: &Value) -> Fault {
    /// What servers say of state that they no longer keep.
    const GONE: [&str; 10] = [
        "missing trie node",
        "not found",
        "pruned",
        "not available",
        "historical state",
        "no state",
        "unknown block",
        "distance to target block",
        "old data",
        "proof window",
    ];
    let code = error["code"].as_i64().unwrap_or_default();
    let said = quoted(error["message"].as_str().unwrap_or_default().as_bytes());
    let lower = said.to_lowercase();
    match code {
        429 | -32029 => Fault::RateLimited { retry_after: std::time::Duration::from_secs(1) },
        -32601 | -32004 => Fault::NotHere(said),
        _ if lower.contains("rate limit") || lower.contains("too many requests") => {
            Fault::RateLimited { retry_after: std::time::Duration::from_secs(1) }
        }
        _ if GONE.iter().any(|gone| lower.contains(gone)) => Fault::NotHere(said),
        _ => Fault::Rpc { code, said },
    }
}

fn malformed(what: &str) -> Fault {
    Fault::Malformed(what.to_owned())
}
