//! An HTTP proxy on loopback in front of an honest server. It remembers every answer, so that one question has one answer at
//! all times, and lies when told to: one change to every answer of one kind. Knows JSON and HTTP, nothing of chains.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::mutation::Mutation;

/// A proxy that is served until it is dropped.
pub(crate) struct Liar {
    pub(crate) url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    upstream: String,
    http: reqwest::Client,
    /// What was answered to what, while answers are remembered.
    memory: Mutex<Option<Memory>>,
    lies: Mutex<HashMap<String, Mutation>>,
    told: Mutex<u64>,
}

/// Status and body of every answer.
type Memory = HashMap<Request, (u16, Vec<u8>)>;

/// What distinguishes one question from another. The id of a JSON-RPC call does not.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Request {
    path: String,
    body: String,
}

impl Liar {
    /// A proxy before `upstream`. With `remembers`, each question gets the answer that it got first.
    pub(crate) async fn before(upstream: &str, remembers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            http: reqwest::Client::new(),
            memory: Mutex::new(remembers.then(Memory::new)),
            lies: Mutex::default(),
            told: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { url, shared, task }
    }

    /// Another proxy with the same memory and no lies.
    pub(crate) async fn fork(&self) -> Self {
        let fork = Self::before(&self.shared.upstream, true).await;
        let memory = self.shared.memory.lock().unwrap().clone();
        *fork.shared.memory.lock().unwrap() = memory;
        fork
    }

    /// From now on every answer of these kinds has its change.
    pub(crate) fn tell(&self, lies: HashMap<String, Mutation>) {
        *self.shared.lies.lock().unwrap() = lies;
        *self.shared.told.lock().unwrap() = 0;
    }

    /// Changed answers sent since [`Self::tell`].
    pub(crate) fn told(&self) -> u64 {
        *self.shared.told.lock().unwrap()
    }

    /// Honest answers that were seen, by kind; of several of one kind the longest.
    pub(crate) fn seen(&self) -> Vec<(String, Value)> {
        let memory = self.shared.memory.lock().unwrap();
        let mut by_kind: HashMap<String, &Vec<u8>> = HashMap::new();
        for (request, (status, body)) in memory.iter().flatten() {
            let longest = by_kind.entry(request.kind()).or_insert(body);
            if *status == 200 && body.len() > longest.len() {
                *longest = body;
            }
        }
        let mut seen: Vec<_> = by_kind
            .into_iter()
            .filter_map(|(kind, body)| Some((kind, serde_json::from_slice(body).ok()?)))
            .collect();
        seen.sort_by(|(a, _), (b, _)| a.cmp(b));
        seen
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Request {
    /// The last fixed part of the path, or the methods of a JSON-RPC body.
    fn kind(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default().trim_end_matches('/');
        let mut names = path
            .split('/')
            .filter(|part| !part.is_empty() && !part.starts_with("0x") && part.parse::<u64>().is_err());
        let name = names.next_back().unwrap_or_default();
        if self.body.is_empty() {
            return name.to_owned();
        }
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let calls = body.as_array().cloned().unwrap_or_else(|| vec![body]);
        let mut methods: Vec<_> = calls.iter().filter_map(|call| call["method"].as_str()).collect();
        methods.dedup();
        methods.join("+")
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            while let Some((request, ids)) = read(&mut stream).await {
                let (status, body) = shared.answer(&request, &ids).await;
                if write(&mut stream, status, &body).await.is_err() {
                    break;
                }
            }
        });
    }
}

impl Shared {
    async fn answer(&self, request: &Request, ids: &[Value]) -> (u16, Vec<u8>) {
        let known = self.memory.lock().unwrap().as_ref().and_then(|memory| memory.get(request).cloned());
        let (status, body) = match known {
            Some(known) => known,
            None => self.ask(request).await,
        };
        let Ok(mut document) = serde_json::from_slice::<Value>(&body) else { return (status, body) };
        put_ids(&mut document, ids);
        if status == 200
            && let Some(mutation) = self.lies.lock().unwrap().get(&request.kind())
            && mutation.apply(&mut document)
        {
            *self.told.lock().unwrap() += 1;
        }
        (status, serde_json::to_vec(&document).unwrap())
    }

    async fn ask(&self, request: &Request) -> (u16, Vec<u8>) {
        let url = format!("{}{}", self.upstream, request.path);
        let asked = if request.body.is_empty() {
            self.http.get(url)
        } else {
            self.http.post(url).header("Content-Type", "application/json").body(request.body.clone())
        };
        let Ok(answer) = asked.header("Accept", "application/json").send().await else {
            return (502, b"{}".to_vec());
        };
        let (status, body) = (answer.status().as_u16(), answer.bytes().await.unwrap_or_default().to_vec());
        if let Some(memory) = self.memory.lock().unwrap().as_mut() {
            memory.insert(request.clone(), (status, body.clone()));
        }
        (status, body)
    }
}

/// One request, its JSON-RPC ids taken out; none at the end of the connection.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<(Request, Vec<Value>)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let Ok(mut document) = serde_json::from_slice::<Value>(&body) else {
        return Some((Request { path, body: String::new() }, Vec::new()));
    };
    let ids = take_ids(&mut document);
    Some((Request { path, body: document.to_string() }, ids))
}

async fn write(stream: &mut BufReader<TcpStream>, status: u16, body: &[u8]) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} Proxied\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
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

/// Gives the answers the ids of their calls back.
fn put_ids(document: &mut Value, ids: &[Value]) {
    if ids.is_empty() {
        return;
    }
    for answer in calls(document) {
        let at = answer["id"].as_u64().and_then(|at| usize::try_from(at).ok());
        if let Some(id) = at.and_then(|at| ids.get(at)) {
            answer["id"] = id.clone();
        }
    }
}
