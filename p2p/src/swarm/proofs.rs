//! Proofs and news on their way between peers and the application behind the [`Door`](crate::proofs::Door).
//!
//! In flow requests and gossip of neighbours, and what the application asks and says; out flow answers, and the verdicts that
//! let gossip go on. Everything that waits is bounded in number and time.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use libp2p::PeerId;
use libp2p::gossipsub::{MessageAcceptance, MessageId, TopicHash};
use libp2p::request_response::{self, InboundFailure, OutboundFailure, OutboundRequestId, ResponseChannel};
use protocol::PeerKey;
use tokio::sync::oneshot;

use super::run::{Mesh, unix_ms};
use crate::admission::Fault;
use crate::behaviour::{BadRequest, news_topic};
use crate::identity::{peer_id_of, peer_key_of};
use crate::limits::{NEWS_BYTES, PROOF_REPLY_BYTES, PROOF_REQUEST_BYTES, PROOFS_AT_ONCE};
use crate::proofs::{Asked, Door, Heard, News, NoAnswer, Verdict};

/// Time for the application to answer a request.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Time for a verdict: gossip forgets a message after some heartbeats of a second.
const JUDGE_WITHIN: Duration = Duration::from_secs(3);

/// What became of something that the application was shown.
pub(super) enum Done {
    /// An answer to a request, if there is one.
    Answer(ResponseChannel<Bytes>, Option<Bytes>),
    /// A verdict on news.
    Judged(MessageId, PeerId, Verdict),
}

/// What is under way between peers and the application.
#[derive(Default)]
pub(super) struct Proofs {
    door: Option<Door>,
    /// What the application has been shown.
    pub(super) shown: FuturesUnordered<BoxFuture<'static, Done>>,
    /// What peers have been asked.
    asked: HashMap<OutboundRequestId, oneshot::Sender<Result<Bytes, NoAnswer>>>,
}

impl Proofs {
    pub(super) fn new(door: Option<Door>) -> Self {
        Self { door, ..Self::default() }
    }
}

impl Mesh {
    /// The application asks a peer.
    pub(super) fn ask_proof(
        &mut self,
        peer: PeerKey,
        request: Bytes,
        answer: oneshot::Sender<Result<Bytes, NoAnswer>>,
    ) {
        let id = peer_id_of(peer);
        let connected = self.links.get(&id).is_some();
        let Some(proofs) = self.swarm.behaviour_mut().proofs.as_mut() else { return };
        let refused = if request.len() > PROOF_REQUEST_BYTES {
            NoAnswer::TooLarge
        } else if !connected {
            NoAnswer::NotConnected
        } else {
            self.proofs.asked.insert(proofs.send_request(&id, Ok(request)), answer);
            return;
        };
        // An error means that nobody waits any more.
        let _ = answer.send(Err(refused));
    }

    /// The application has news, which it has verified.
    pub(super) fn tell(&mut self, news: News, data: Bytes) {
        if data.len() > NEWS_BYTES || self.proofs.door.is_none() {
            tracing::debug!(?news, bytes = data.len(), "news not told");
            return;
        }
        // News that nobody hears now will be old when somebody does.
        self.gossip(news_topic(&self.config.network, news), data);
    }

    pub(super) fn on_proofs(&mut self, event: request_response::Event<Result<Bytes, BadRequest>, Bytes>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                request_response::Message::Request { request, channel, .. } => {
                    self.on_proof_request(peer, request, channel);
                }
                request_response::Message::Response { request_id, response } => {
                    self.proof_came(request_id, Ok(response));
                }
            },
            request_response::Event::OutboundFailure { peer, request_id, error, .. } => {
                if let OutboundFailure::Io(error) = &error
                    && error.kind() == io::ErrorKind::InvalidData
                {
                    self.blame(peer, Fault::Serious, &error.to_string());
                }
                self.proof_came(request_id, Err(no_answer(&error)));
            }
            request_response::Event::InboundFailure { peer, error, .. } => match error {
                InboundFailure::Timeout => {
                    self.blame(peer, Fault::Slight, "does not take what it asked for");
                }
                InboundFailure::Io(_)
                | InboundFailure::ConnectionClosed
                | InboundFailure::UnsupportedProtocols
                | InboundFailure::ResponseOmission => {}
            },
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    fn on_proof_request(
        &mut self,
        peer: PeerId,
        request: Result<Bytes, BadRequest>,
        channel: ResponseChannel<Bytes>,
    ) {
        let request = match request {
            Ok(request) => request,
            Err(bad) => {
                let fault = if bad == BadRequest::Unfinished { Fault::Serious } else { Fault::Fatal };
                return self.blame(peer, fault, &bad.to_string());
            }
        };
        if !self.admission.may_ask_proof(unix_ms(), peer) {
            return self.blame(peer, Fault::Slight, "asks for proofs too often");
        }
        let (Some(from), Some(door)) = (peer_key_of(&peer), &self.proofs.door) else { return };
        if self.proofs.shown.len() >= PROOFS_AT_ONCE {
            return;
        }
        let (reply, answer) = oneshot::channel();
        // A full or closed door is a request without an answer: dropping the channel says so.
        if door.asked.try_send(Asked { from, request, reply }).is_ok() {
            self.proofs.shown.push(Box::pin(async move {
                let answer = tokio::time::timeout(ANSWER_WITHIN, answer).await;
                Done::Answer(channel, answer.ok().and_then(Result::ok))
            }));
        }
    }

    fn proof_came(&mut self, id: OutboundRequestId, result: Result<Bytes, NoAnswer>) {
        if let Some(waiting) = self.proofs.asked.remove(&id) {
            let _ = waiting.send(result);
        }
    }

    /// Shows news to the application. Whether they go on is decided when it says what they are worth.
    pub(super) fn on_news(&mut self, news: News, from: PeerId, id: MessageId, data: Bytes) {
        if !self.admission.may_bring_news(unix_ms(), from) {
            self.blame(from, Fault::Slight, "brings too much news");
            return self.judged(id, from, Verdict::Ignore);
        }
        let (Some(key), Some(door)) = (peer_key_of(&from), &self.proofs.door) else {
            return self.judged(id, from, Verdict::Ignore);
        };
        let (verdict, said) = oneshot::channel();
        let full = self.proofs.shown.len() >= PROOFS_AT_ONCE;
        if full || door.heard.try_send(Heard { from: key, news, data, verdict }).is_err() {
            return self.judged(id, from, Verdict::Ignore);
        }
        self.proofs.shown.push(Box::pin(async move {
            let said = tokio::time::timeout(JUDGE_WITHIN, said).await;
            Done::Judged(id, from, said.ok().and_then(Result::ok).unwrap_or(Verdict::Ignore))
        }));
    }

    /// The application has answered or judged, or let its time pass.
    pub(super) fn on_done(&mut self, done: Done) {
        match done {
            Done::Answer(channel, Some(bytes)) if bytes.len() <= PROOF_REPLY_BYTES => {
                if let Some(proofs) = self.swarm.behaviour_mut().proofs.as_mut() {
                    // An error means that the asker is gone.
                    let _ = proofs.send_response(channel, bytes);
                }
            }
            Done::Answer(..) => {}
            Done::Judged(id, from, verdict) => {
                if verdict == Verdict::Reject {
                    self.blame(from, Fault::Serious, "brings news that is false");
                }
                self.judged(id, from, verdict);
            }
        }
    }

    fn judged(&mut self, id: MessageId, from: PeerId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        self.swarm.behaviour_mut().gossip.report_message_validation_result(&id, &from, acceptance);
    }

    /// The kind of news that travels on a topic.
    pub(super) fn news_on(&self, topic: &TopicHash) -> Option<News> {
        News::ALL.into_iter().find(|news| news_topic(&self.config.network, *news).hash() == *topic)
    }
}

fn no_answer(error: &OutboundFailure) -> NoAnswer {
    match error {
        OutboundFailure::UnsupportedProtocols => NoAnswer::Unsupported,
        OutboundFailure::Timeout => NoAnswer::Timeout,
        OutboundFailure::DialFailure | OutboundFailure::ConnectionClosed => NoAnswer::NotConnected,
        OutboundFailure::Io(error) => NoAnswer::Broken(error.to_string()),
    }
}
