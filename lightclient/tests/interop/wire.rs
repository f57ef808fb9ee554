//! As much HTTP/1.1 as a proxy on loopback needs: requests in, replies out, over one connection after the other.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// What distinguishes one question from another. The id of a JSON-RPC call does not.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// Of a POST; empty otherwise.
    pub(crate) body: String,
    /// What the asker would like to get.
    pub(crate) accept: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    /// `Eth-Consensus-Version`: the fork of an SSZ body.
    pub(crate) version: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The last fixed part of the path, or the methods of a JSON-RPC body.
    pub(crate) fn kind(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default().trim_end_matches('/');
        let mut names = path
            .split('/')
            .filter(|part| !part.is_empty() && !part.starts_with("0x") && part.parse::<u64>().is_err());
        if self.body.is_empty() {
            return names.next_back().unwrap_or_default().to_owned();
        }
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let calls = body.as_array().cloned().unwrap_or_else(|| vec![body]);
        let mut methods: Vec<_> = calls.iter().filter_map(|call| call["method"].as_str()).collect();
        methods.dedup();
        methods.join("+")
    }
}

impl Reply {
    /// What a server said.
    pub(crate) async fn of(answer: reqwest::Response) -> Self {
        let header =
            |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            status: answer.status().as_u16(),
            content_type: header("content-type").unwrap_or_default(),
            version: header("eth-consensus-version"),
            body: answer.bytes().await.unwrap_or_default().to_vec(),
        }
    }

    /// No server said anything.
    pub(crate) fn failure() -> Self {
        Self { status: 502, content_type: "application/json".to_owned(), version: None, body: b"{}".to_vec() }
    }

    /// The document, where the body is one.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// One request, its JSON-RPC ids taken out; none at the end of the connection.
pub(crate) async fn read(stream: &mut BufReader<TcpStream>) -> Option<(Request, Vec<Value>)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut accept) = (0, String::new());
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
        if name.eq_ignore_ascii_case("accept") {
            value.trim().clone_into(&mut accept);
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let Ok(mut document) = serde_json::from_slice::<Value>(&body) else {
        return Some((Request { path, body: String::new(), accept }, Vec::new()));
    };
    let ids = take_ids(&mut document);
    Some((Request { path, body: document.to_string(), accept }, ids))
}

/// One reply.
pub(crate) async fn write(stream: &mut BufReader<TcpStream>, reply: &Reply) -> std::io::Result<()> {
    let Reply { status, content_type, version, body } = reply;
    let version =
        version.as_ref().map(|fork| format!("Eth-Consensus-Version: {fork}\r\n")).unwrap_or_default();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Proxied\r\nContent-Type: {content_type}\r\n{version}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await
}

/// The calls of a JSON-RPC document, one or many.
fn calls(document: &mut Value) -> Vec<&mut Value> {
    match document {
        Value::Array(calls) => calls.iter_mut().collect(),
        single => vec![single],
    }
}

/// Numbers the calls from 0 and says what their ids were.
fn take_ids(document: &mut Value) -> Vec<Value> {
    let calls = calls(document).into_iter().enumerate();
    calls.map(|(at, call)| std::mem::replace(&mut call["id"], Value::from(at))).collect()
}

/// Gives the answers in a body the ids of their calls back.
pub(crate) fn put_ids(body: &mut Vec<u8>, ids: &[Value]) {
    if ids.is_empty() {
        return;
    }
    let Ok(mut document) = serde_json::from_slice::<Value>(body) else { return };
    for answer in calls(&mut document) {
        let at = answer["id"].as_u64().and_then(|at| usize::try_from(at).ok());
        if let Some(id) = at.and_then(|at| ids.get(at)) {
            answer["id"] = id.clone();
        }
    }
    *body = serde_json::to_vec(&document).unwrap();
}
