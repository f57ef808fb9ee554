//! The mesh as the dispatcher sees it: the roster's orchestrators that are admitted, asked over raw QUIC, over libp2p streams where there is no
//! direct path, or in this process when this node is one of them.

use std::sync::{Arc, Mutex, PoisonError};

use actix::Recipient;
use actors::dispatcher::actor::SharedScores;
use actors::ports::{Answer, Candidate, Mesh, MeshFault};
use actors::transcoder::actor::Load;
use actors::transcoder::messages::Take;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use p2p::Control;
use p2p::media::{Answers, Fallback, Introducer, MediaEndpoint, MediaError};
use protocol::{NodeRecord, Offer, PeerKey, PricePerPixel};
use tokio::sync::watch;

use super::admission::Door;
use super::local;

/// Orchestrators to which a connection is kept warm: enough for a choice, few enough for a home router.
const WARM: usize = 24;

/// The mesh, and this node's own transcoder if it has one.
pub(crate) struct MeshAdapter {
    control: Control,
    media: MediaEndpoint,
    fallback: Fallback,
    /// Meets others through NATs for as long as the mesh exists.
    _introducer: Introducer,
    /// Who may be asked.
    door: Door,
    own: Mutex<Option<Own>>,
}

/// This node as an orchestrator for its own streams.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) transcoder: Recipient<Take>,
    pub(crate) price: PricePerPixel,
    pub(crate) capacity: u32,
    pub(crate) receipt_key: PeerKey,
    pub(crate) load: watch::Receiver<Load>,
}

impl std::fmt::Debug for MeshAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeshAdapter").field("me", &self.control.me()).finish_non_exhaustive()
    }
}

impl MeshAdapter {
    /// Joins both planes.
    ///
    /// # Errors
    /// [`MediaError::Protocol`] when somebody else in this node takes introductions already.
    pub(crate) fn new(
        control: Control,
        media: MediaEndpoint,
        fallback: Fallback,
        door: Door,
    ) -> Result<Self, MediaError> {
        let introducer = Introducer::start(&control, &media)?;
        Ok(Self { control, media, fallback, _introducer: introducer, door, own: Mutex::new(None) })
    }

    /// Lets this node's own transcoder take part.
    pub(crate) fn include(&self, own: Own) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
    }

    /// Measured round trip to `peer`, milliseconds.
    pub(crate) fn rtt_ms(&self, peer: PeerKey) -> Option<f64> {
        let of_control = || self.control.watch_neighbours().borrow().get(&peer)?.rtt;
        self.media.rtt(peer).or_else(of_control).map(|rtt| rtt.as_secs_f64() * 1000.0)
    }

    fn own(&self) -> Option<Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn candidate(&self, record: &NodeRecord) -> Option<Candidate> {
        let work = record.work.as_ref().filter(|_| record.peer != self.control.me())?;
        if self.media.is_gone(record.peer) {
            return None;
        }
        let stake = self.door.stake(record.peer);
        if stake.is_none() && !self.door.allow_unstaked {
            return None;
        }
        Some(Candidate {
            peer: record.peer,
            price: work.price,
            capacity: work.capacity,
            load: work.load,
            rtt_ms: self.rtt_ms(record.peer),
            receipt_key: record.receipt_key(),
            stake,
            turn: None,
        })
    }
}

impl Mesh for MeshAdapter {
    fn candidates(&self) -> Vec<Candidate> {
        let roster = self.control.roster();
        let mut all: Vec<Candidate> = roster.orchestrators().filter_map(|r| self.candidate(r)).collect();
        all.extend(self.own().map(|own| Candidate {
            peer: self.control.me(),
            price: PricePerPixel::FREE.min(own.price),
            capacity: own.capacity,
            load: own.load.borrow().in_work,
            rtt_ms: Some(0.0),
            receipt_key: own.receipt_key,
            stake: None,
            turn: None,
        }));
        all
    }

    fn transcode(
        &self,
        peer: PeerKey,
        offer: Offer,
        segment: Bytes,
    ) -> BoxStream<'static, Result<Answer, MeshFault>> {
        if peer == self.control.me() {
            return match self.own() {
                Some(own) => local::ask(own, peer, offer, segment),
                None => fault(MeshFault::Unreachable("this node does not transcode".into())),
            };
        }
        let Some(record) = self.control.roster().get(peer).cloned() else {
            return fault(MeshFault::Unreachable("its record has expired".into()));
        };
        if record.media.is_empty() {
            return steps(self.fallback.request(peer, offer, segment));
        }
        let direct = self.media.request(peer, &record.media, offer.clone(), segment.clone());
        let (control, fallback) = (self.control.clone(), self.fallback.clone());
        let second_way = move || {
            let connected = control.watch_neighbours().borrow().contains_key(&peer);
            connected.then(|| fallback.request(peer, offer, segment))
        };
        stream::once(first_then_fall_back(direct, second_way)).flatten().boxed()
    }
}

/// Waits for the first step of `direct`. When the peer cannot be reached that way at all, the other way is tried.
async fn first_then_fall_back(
    mut direct: Answers,
    second_way: impl FnOnce() -> Option<Answers>,
) -> BoxStream<'static, Result<Answer, MeshFault>> {
    match direct.next().await {
        Some(Err(MediaError::Unreachable(why))) => match second_way() {
            Some(answers) => steps(answers),
            None => fault(MeshFault::Unreachable(why)),
        },
        Some(first) => stream::iter([first.map(step).map_err(translate)]).chain(steps(direct)).boxed(),
        None => fault(MeshFault::Unreachable("it ended without an answer".into())),
    }
}

fn steps(answers: Answers) -> BoxStream<'static, Result<Answer, MeshFault>> {
    answers.map(|answer| answer.map(step).map_err(translate)).boxed()
}

fn fault(fault: MeshFault) -> BoxStream<'static, Result<Answer, MeshFault>> {
    stream::iter([Err(fault)]).boxed()
}

fn step(answer: p2p::media::Answer) -> Answer {
    match answer {
        p2p::media::Answer::Accepted => Answer::Accepted,
        p2p::media::Answer::Beat => Answer::Beat,
        p2p::media::Answer::Rendition(rendition) => Answer::Rendition(rendition),
        p2p::media::Answer::Receipt(receipt) => Answer::Receipt(receipt),
    }
}

fn translate(error: MediaError) -> MeshFault {
    match error {
        MediaError::Declined(declined) => MeshFault::Declined(declined),
        MediaError::Failed(failed) => MeshFault::Failed(failed),
        MediaError::Protocol(why) => MeshFault::Protocol(why),
        MediaError::Unreachable(_) | MediaError::Cancelled | MediaError::Bind { .. } => {
            MeshFault::Unreachable(error.to_string())
        }
    }
}

/// Keeps connections to orchestrators warm, and forgives those that come back as a new process. Runs until the mesh ends.
pub(crate) async fn keep_warm(mesh: Arc<MeshAdapter>, scores: SharedScores) {
    let mut roster = mesh.control.watch();
    let mut door = mesh.door.clone();
    let mut warm: Vec<Arc<NodeRecord>> = Vec::new();
    loop {
        let view = Arc::clone(&roster.borrow_and_update());
        let me = mesh.control.me();
        let wanted: Vec<Arc<NodeRecord>> = view
            .orchestrators()
            .filter(|r| r.peer != me && !r.media.is_empty())
            .filter(|r| door.allow_unstaked || door.stake(r.peer).is_some())
            .take(WARM)
            .cloned()
            .collect();
        for record in &wanted {
            let before = warm.iter().find(|old| old.peer == record.peer);
            if before.is_some_and(|old| old.media != record.media) {
                scores.lock().unwrap_or_else(PoisonError::into_inner).returned(record.peer);
            }
            mesh.media.keep(record.peer, &record.media);
        }
        for gone in warm.iter().filter(|old| wanted.iter().all(|r| r.peer != old.peer)) {
            mesh.media.forget(gone.peer);
        }
        warm = wanted;
        tokio::select! {
            changed = roster.changed() => if changed.is_err() { return },
            () = door.changed() => {}
        }
    }
}

#[cfg(test)]
mod tests;
