//! The light client among its peers: each neighbour is one more source that nobody trusts, and what this node has verified is
//! served to whoever asks.
//!
//! In flow requests and news of neighbours, out flow answers from the client's cache and verdicts that let news go on. News is
//! passed on only when it verified and brought this node forward.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lightclient::source::wire::parcel::{Assembly, MAX_REPLY, MAX_REQUEST, Part, Reply, Request};
use lightclient::source::wire::{WireError, decode_answer, encode_answer};
use lightclient::source::{Answer, Ask, Fault, Source, SourceError};
use lightclient::sync::{Event, LightClient, Offered};
use p2p::Control;
use p2p::identity::peer_id_of;
use p2p::proofs::{Asked, Heard, News, NoAnswer, Verdict, Visitors};
use protocol::PeerKey;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

#[cfg(test)]
mod tests;

const _: () =
    assert!(MAX_REQUEST <= p2p::limits::PROOF_REQUEST_BYTES && MAX_REPLY <= p2p::limits::PROOF_REPLY_BYTES);

/// Neighbours that are asked for proofs: two would do, and some of them lie, sleep or leave.
const PEERS: usize = 8;

/// A neighbour as a source.
#[derive(Debug)]
struct PeerSource {
    name: String,
    peer: PeerKey,
    control: Control,
}

/// What a source goes through on its way to a client.
pub(crate) type Wrap = Box<dyn Fn(Arc<dyn Source>) -> Arc<dyn Source> + Send + Sync>;

/// Which neighbours are asked, and what a source goes through before the client has it.
pub(crate) struct Asking {
    /// Libp2p peer ids; all neighbours if empty.
    pub(crate) only: Vec<String>,
    /// Such as something that writes down what was said.
    pub(crate) wrap: Wrap,
}

impl Asking {
    /// Every neighbour, as it is.
    fn everybody() -> Self {
        Self { only: Vec::new(), wrap: Box::new(|source| source) }
    }

    fn takes(&self, peer: PeerKey) -> bool {
        self.only.is_empty() || self.only.contains(&peer_id_of(peer).to_string())
    }
}

/// Joins client and mesh until one of them ends.
pub(crate) fn relay(client: &LightClient, control: &Control, visitors: Visitors) -> Vec<JoinHandle<()>> {
    relay_to(client, control, visitors, Asking::everybody())
}

/// As [`relay`], and only some neighbours are asked.
pub(crate) fn relay_to(
    client: &LightClient,
    control: &Control,
    visitors: Visitors,
    asking: Asking,
) -> Vec<JoinHandle<()>> {
    let Visitors { asked, heard } = visitors;
    vec![
        tokio::spawn(ask_neighbours(client.clone(), control.clone(), asking)),
        tokio::spawn(answer(client.clone(), asked)),
        tokio::spawn(judge(client.clone(), heard)),
        tokio::spawn(tell(client.clone(), control.clone())),
    ]
}

/// Keeps the client's sources in step with the neighbours.
async fn ask_neighbours(client: LightClient, control: Control, asking: Asking) {
    let mut neighbours = control.watch_neighbours();
    let mut known: BTreeSet<PeerKey> = BTreeSet::new();
    loop {
        let near: BTreeSet<PeerKey> =
            neighbours.borrow_and_update().keys().copied().filter(|peer| asking.takes(*peer)).collect();
        for gone in known.iter().filter(|peer| !near.contains(peer)) {
            client.remove_source(&name_of(*gone));
        }
        known.retain(|peer| near.contains(peer));
        for peer in near {
            if known.len() < PEERS && known.insert(peer) {
                let source = PeerSource { name: name_of(peer), peer, control: control.clone() };
                client.add_source((asking.wrap)(Arc::new(source)));
            }
        }
        if neighbours.changed().await.is_err() {
            return;
        }
    }
}

/// What people call a neighbour among the sources.
fn name_of(peer: PeerKey) -> String {
    format!("peer {}", hex::encode(&peer.0[..6]))
}

#[async_trait]
impl Source for PeerSource {
    fn name(&self) -> &str {
        &self.name
    }

    /// Peers answer what they have verified themselves. Hints are for those who can be asked to agree.
    fn can(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Checkpoint | Ask::Config | Ask::Call { .. } | Ask::HeaderAt { .. } => false,
            Ask::Bootstrap { .. }
            | Ask::Update { .. }
            | Ask::Finality
            | Ask::Optimistic
            | Ask::Header { .. }
            | Ask::Proof { .. }
            | Ask::Code { .. }
            | Ask::Assertions { .. }
            | Ask::Bundle { .. }
            | Ask::Members { .. } => true,
        }
    }

    async fn ask(&self, ask: &Ask) -> Result<Answer, SourceError> {
        self.fetch(ask).await.map_err(|fault| SourceError { by: self.name.as_str().into(), fault })
    }
}

impl PeerSource {
    async fn fetch(&self, ask: &Ask) -> Result<Answer, Fault> {
        let mut whole = Assembly::new(self.part(ask, 0).await?);
        while let Some(chunk) = whole.missing() {
            whole.add(self.part(ask, chunk).await?).map_err(|e| malformed(&e))?;
        }
        let bytes =
            whole.whole().ok_or_else(|| Fault::Malformed("an answer without its chunks".to_owned()))?;
        decode_answer(&bytes).map_err(|e| malformed(&e))
    }

    async fn part(&self, ask: &Ask, chunk: u32) -> Result<Part, Fault> {
        let request = Request { chunk, ask: ask.clone() }.encode();
        let request = request.map_err(|e| Fault::NotHere(e.to_string()))?;
        let reply = self.control.ask_proof(self.peer, request.into()).await.map_err(fault)?;
        match Reply::decode(&reply).map_err(|e| malformed(&e))? {
            // A peer that has nothing now may have verified it a moment later.
            Reply::Nothing => Err(Fault::NotHere("it has not verified that itself".to_owned())),
            Reply::Part(part) if part.chunk == chunk => Ok(part),
            Reply::Part(_) => Err(Fault::Malformed("another chunk than the one asked for".to_owned())),
        }
    }
}

fn malformed(error: &WireError) -> Fault {
    Fault::Malformed(error.to_string())
}

fn fault(error: NoAnswer) -> Fault {
    match error {
        NoAnswer::Timeout => Fault::Timeout { after: p2p::limits::PROOF_TIMEOUT },
        NoAnswer::Unsupported | NoAnswer::TooLarge => Fault::NotHere(error.to_string()),
        NoAnswer::NotConnected | NoAnswer::Broken(_) | NoAnswer::Gone => {
            Fault::Unreachable(error.to_string())
        }
    }
}

/// Serves neighbours from what the client has verified, and fetches for them what it lacks of its own chain. Beyond
/// [`FETCHING`] of these, who asks is given what is there.
async fn answer(client: LightClient, mut asked: tokio::sync::mpsc::Receiver<Asked>) {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            next = asked.recv() => match next {
                Some(asked) if open.len() < FETCHING => open.push(reply_to(&client, asked, FETCH_WITHIN)),
                Some(asked) => reply_to(&client, asked, Duration::ZERO).await,
                None => return,
            },
            Some(()) = open.next() => {}
        }
    }
}

/// Answers that may wait for somebody else's at the same time.
const FETCHING: usize = 16;
/// Time for fetching what a neighbour wants; below that after which it takes silence for an answer.
const FETCH_WITHIN: Duration = Duration::from_secs(4);
const _: () = assert!(FETCH_WITHIN.as_secs() < p2p::limits::PROOF_TIMEOUT.as_secs());

async fn reply_to(client: &LightClient, asked: Asked, limit: Duration) {
    let Asked { from, request, reply } = asked;
    let request = match Request::decode(&request) {
        Ok(request) => request,
        Err(error) => {
            tracing::debug!(peer = ?from, %error, "no question");
            return;
        }
    };
    let found = if limit.is_zero() {
        client.serve(&request.ask)
    } else {
        tokio::time::timeout(limit, client.supply(&request.ask)).await.unwrap_or_default()
    };
    let found = found.and_then(|answer| encode_answer(&answer).ok());
    tracing::debug!(peer = ?from, ask = %request.ask, found = found.is_some(), "asked");
    let answer = found.map_or(Reply::Nothing, |bytes| Reply::cut(&bytes, request.chunk));
    // An error means that the asker is gone.
    let _ = reply.send(answer.encode().into());
}

/// Says what news is worth.
async fn judge(client: LightClient, mut heard: tokio::sync::mpsc::Receiver<Heard>) {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            news = heard.recv() => match news {
                Some(news) => open.push(weigh(client.clone(), news)),
                None => return,
            },
            Some(()) = open.next() => {}
        }
    }
}

async fn weigh(client: LightClient, heard: Heard) {
    let Heard { from, news, data, verdict } = heard;
    let worth = match (news, decode_answer(&data)) {
        (News::Finality, Ok(answer @ Answer::Finality(_))) => match client.offer(&answer).await {
            Offered::Advanced => Verdict::Accept,
            Offered::Known => Verdict::Ignore,
            Offered::Lie(why) => {
                tracing::info!(peer = ?from, why, "false news");
                Verdict::Reject
            }
        },
        (News::Assertion, Ok(Answer::Assertions(logs))) if !logs.is_empty() => {
            assertion(&client, &logs).await
        }
        (News::Finality | News::Assertion, _) => Verdict::Reject,
    };
    // An error means that its time is over.
    let _ = verdict.send(worth);
}

/// An assertion is true when this client reaches it by its own proofs, which the news only hastens: until then nobody knows.
async fn assertion(client: &LightClient, logs: &[lightclient::source::Log]) -> Verdict {
    let Some(newest) = logs.last().and_then(|log| log.topics.get(1).copied()) else { return Verdict::Reject };
    let Some(rollup) = client.config().rollup.as_ref().map(|rollup| rollup.address) else {
        return Verdict::Ignore;
    };
    let ask = Ask::Assertions { rollup, from_block: 0, to_block: u64::MAX, hashes: vec![newest] };
    let mut events = client.events();
    if client.serve(&ask).is_some() {
        return Verdict::Ignore;
    }
    let arrives = async {
        loop {
            match events.recv().await {
                Ok(Event::Assertion(_)) if client.serve(&ask).is_some() => return Verdict::Accept,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Verdict::Ignore,
            }
        }
    };
    tokio::time::timeout(REACH_WITHIN, arrives).await.unwrap_or(Verdict::Ignore)
}

/// Time for the client to reach an assertion by itself before its news is let go.
const REACH_WITHIN: Duration = Duration::from_secs(2);

/// Tells neighbours what is new here.
async fn tell(client: LightClient, control: Control) {
    let mut events = client.events();
    loop {
        let (news, answer) = match events.recv().await {
            Ok(Event::Verified { answer: answer @ Answer::Finality(_), .. }) => (News::Finality, answer),
            Ok(Event::Verified { answer: Answer::Assertions(logs), .. }) => {
                (News::Assertion, Answer::Assertions(logs.into_iter().rev().take(1).collect()))
            }
            Ok(_) => continue,
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "news not told");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        if let Ok(bytes) = encode_answer(&answer) {
            control.tell(news, Bytes::from(bytes)).await;
        }
    }
}
