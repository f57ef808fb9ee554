//! An HTTP proxy on loopback in front of an honest server. It remembers every answer, so that one question has one answer at
//! all times, and lies when told to: one change to every answer of one kind. Knows JSON and HTTP, nothing of chains.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::BufReader;
use tokio::net::TcpListener;

use crate::mutation::Mutation;
use crate::wire::{Reply, Request, put_ids, read, write};

/// A proxy that is served until it is dropped.
pub(crate) struct Liar {
    pub(crate) url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

/// What is done to an answer.
#[derive(Clone, Debug)]
pub(crate) enum Lie {
    /// To a JSON document.
    Field(Mutation),
    /// One bit of this byte of an SSZ body is flipped.
    Byte(usize),
}

/// Which encoding is offered where there are two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Json,
    Ssz,
}

struct Shared {
    upstream: String,
    form: Form,
    http: reqwest::Client,
    /// What was answered to what, while answers are remembered.
    memory: Mutex<Option<HashMap<Request, Reply>>>,
    lies: Mutex<HashMap<String, Lie>>,
    told: Mutex<u64>,
}

impl Liar {
    /// A proxy before `upstream` that passes every question on.
    pub(crate) async fn before(upstream: &str, form: Form) -> Self {
        Self::with(upstream, form, None).await
    }

    /// A proxy before `upstream` that gives each question the answer that it got first.
    pub(crate) async fn remembering(upstream: &str, form: Form) -> Self {
        Self::with(upstream, form, Some(HashMap::new())).await
    }

    /// Another proxy with the same memory and no lies.
    pub(crate) async fn fork(&self) -> Self {
        let memory = self.shared.memory.lock().unwrap().clone();
        Self::with(&self.shared.upstream, self.shared.form, memory).await
    }

    async fn with(upstream: &str, form: Form, memory: Option<HashMap<Request, Reply>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            form,
            http: reqwest::Client::new(),
            memory: Mutex::new(memory),
            lies: Mutex::default(),
            told: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { url, shared, task }
    }

    /// From now on every answer of these kinds has its change.
    pub(crate) fn tell(&self, lies: HashMap<String, Lie>) {
        *self.shared.lies.lock().unwrap() = lies;
        *self.shared.told.lock().unwrap() = 0;
    }

    /// Changed answers sent since [`Self::tell`].
    pub(crate) fn told(&self) -> u64 {
        *self.shared.told.lock().unwrap()
    }

    /// Honest answers that were seen, by kind; of several of one kind the longest.
    pub(crate) fn seen(&self) -> BTreeMap<String, Reply> {
        let memory = self.shared.memory.lock().unwrap();
        let mut by_kind: BTreeMap<String, Reply> = BTreeMap::new();
        for (request, reply) in memory.iter().flatten().filter(|(_, reply)| reply.status == 200) {
            let longest = by_kind.entry(request.kind()).or_insert_with(|| reply.clone());
            if reply.body.len() > longest.body.len() {
                *longest = reply.clone();
            }
        }
        by_kind
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Lie {
    /// Changes a body; false when it has no such place.
    fn apply(&self, body: &mut Vec<u8>) -> bool {
        match self {
            Self::Field(mutation) => {
                let Ok(mut document) = serde_json::from_slice::<Value>(body) else { return false };
                let changed = mutation.apply(&mut document);
                *body = serde_json::to_vec(&document).unwrap();
                changed
            }
            Self::Byte(at) => body.get_mut(*at).map(|byte| *byte ^= 1).is_some(),
        }
    }
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(mutation) => mutation.fmt(f),
            Self::Byte(at) => write!(f, " byte {at} altered"),
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            while let Some((request, ids)) = read(&mut stream).await {
                let reply = shared.answer(&request, &ids).await;
                if write(&mut stream, &reply).await.is_err() {
                    break;
                }
            }
        });
    }
}

impl Shared {
    async fn answer(&self, request: &Request, ids: &[Value]) -> Reply {
        let known = self.memory.lock().unwrap().as_ref().and_then(|memory| memory.get(request).cloned());
        let mut reply = match known {
            Some(known) => known,
            None => self.ask(request).await,
        };
        put_ids(&mut reply.body, ids);
        if reply.status == 200
            && let Some(lie) = self.lies.lock().unwrap().get(&request.kind())
            && lie.apply(&mut reply.body)
        {
            *self.told.lock().unwrap() += 1;
        }
        reply
    }

    async fn ask(&self, request: &Request) -> Reply {
        let url = format!("{}{}", self.upstream, request.path);
        let asked = if request.body.is_empty() {
            self.http.get(url)
        } else {
            self.http.post(url).header("Content-Type", "application/json").body(request.body.clone())
        };
        let accept = if self.form == Form::Json { "application/json" } else { &request.accept };
        let reply = match asked.header("Accept", accept).send().await {
            Ok(answer) => Reply::of(answer).await,
            Err(_) => return Reply::failure(),
        };
        if let Some(memory) = self.memory.lock().unwrap().as_mut() {
            memory.insert(request.clone(), reply.clone());
        }
        reply
    }
}
