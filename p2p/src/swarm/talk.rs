//! Records as they come and go: gossip, the table, and who a neighbour says that it is.
//!
//! In flow what neighbours sent; out flow verified records into the roster, and blame for what no honest node sends.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance, PublishError};
use libp2p::request_response::{self, InboundFailure, OutboundFailure, OutboundRequestId};
use libp2p::{PeerId, identify};
use protocol::PeerKey;
use rand::Rng;
use rand::seq::IteratorRandom;

use super::pulls::Pull;
use super::run::{Mesh, unix_ms};
use crate::admission::Fault;
use crate::behaviour::{BadRequest, Page, PageRequest, message_id, names, protocol_version, record_topic};
use crate::identity::{peer_id_of, peer_key_of};
use crate::limits::ROSTER_PULL_PAGES;
use crate::wire::{Refused, Signed, Verified};

/// Shortest announcement period by rule.
const MIN_PERIOD: Duration = Duration::from_secs(10);
/// Announcements that the whole mesh may make in a second.
const PER_SECOND: f64 = 4.0;

/// What came of a record.
enum Taken {
    /// The roster changed.
    New,
    /// It was known, or not for us.
    Nothing,
    /// It does not verify.
    Bad(Refused),
}

impl Mesh {
    /// Sends this node's record when it is due.
    pub(super) fn announce_if_due(&mut self, now_ms: u64) {
        if self.is_silent {
            return;
        }
        let (period, jitter) = (self.period(), self.rng.random());
        let Some(signed) = self.own.renew(now_ms, period, jitter) else {
            self.soon(Duration::from_millis(self.own.due_ms(now_ms).saturating_sub(now_ms).max(1)));
            return;
        };
        match signed.and_then(|signed| signed.verify(&self.config.network, now_ms)) {
            Ok(verified) => self.send_own(now_ms, verified),
            Err(error) => {
                tracing::error!(%error, "this node's own record cannot be sent: correct its configuration")
            }
        }
    }

    fn period(&self) -> Duration {
        let workers = self.roster.iter().filter(|verified| verified.record().roles.orchestrator).count();
        self.config
            .announce
            .unwrap_or_else(|| MIN_PERIOD.max(Duration::from_secs_f64(workers as f64 / PER_SECOND)))
    }

    fn send_own(&mut self, now_ms: u64, verified: Verified<protocol::NodeRecord>) {
        let envelope = verified.envelope().clone();
        if let Err(reason) = self.roster.insert(now_ms, verified) {
            tracing::debug!(%reason, "own record");
        }
        self.roster_changed = true;
        self.unheard = !self.publish(envelope);
    }

    pub(super) fn say_good_bye(&mut self) {
        match self.own.withdraw(unix_ms()) {
            Ok(signed) => {
                self.publish(signed.0);
            }
            Err(error) => tracing::error!(%error, "cannot say good-bye"),
        }
    }

    /// Gossips a record; says whether anybody was there to hear it.
    fn publish(&mut self, envelope: Bytes) -> bool {
        self.gossip(record_topic(&self.config.network), envelope)
    }

    /// Says something to everybody, unless it is going round already; says whether anybody hears it.
    pub(super) fn gossip(&mut self, topic: IdentTopic, data: Bytes) -> bool {
        let id = message_id(&data);
        if self.carried.has(&id) {
            return true;
        }
        match self.swarm.behaviour_mut().gossip.publish(topic, data) {
            Ok(_) | Err(PublishError::Duplicate) => {
                self.carried.note(id);
                true
            }
            Err(error) => {
                tracing::debug!(%error, "not said yet");
                false
            }
        }
    }

    pub(super) fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.carried.note(message_id.clone());
                if let Some(news) = self.news_on(&message.topic) {
                    return self.on_news(news, propagation_source, message_id, message.data.into());
                }
                let acceptance = self.on_record(propagation_source, message.data.into());
                let gossip = &mut self.swarm.behaviour_mut().gossip;
                gossip.report_message_validation_result(&message_id, &propagation_source, acceptance);
            }
            gossipsub::Event::Subscribed { peer_id, .. } => self.on_listener(peer_id),
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                self.blame(peer_id, Fault::Slight, "speaks no gossip of ours");
            }
            gossipsub::Event::Unsubscribed { .. } | gossipsub::Event::SlowPeer { .. } => {}
        }
    }

    /// A neighbour listens: if nobody heard our record so far, it is told now.
    fn on_listener(&mut self, peer: PeerId) {
        if let Some(near) = self.links.get_mut(&peer) {
            near.subscribed = true;
        }
        let own = self.roster.get(self.me).map(|verified| verified.envelope().clone());
        if let (true, Some(envelope)) = (self.unheard, own) {
            self.unheard = !self.publish(envelope);
        }
    }

    fn on_record(&mut self, from: PeerId, data: Bytes) -> MessageAcceptance {
        let now_ms = unix_ms();
        if !self.admission.may_bring_record(now_ms, from) {
            self.blame(from, Fault::Slight, "brings too many records");
            return MessageAcceptance::Ignore;
        }
        match self.take(now_ms, Signed(data)) {
            Taken::New => MessageAcceptance::Accept,
            Taken::Nothing => MessageAcceptance::Ignore,
            Taken::Bad(refused) if refused.is_fault() => {
                // Whoever passes on what it must have found to be forged is no honest node.
                let forged = matches!(refused, Refused::BadSignature(_));
                let fault = if forged { Fault::Fatal } else { Fault::Serious };
                self.blame(from, fault, &refused.to_string());
                MessageAcceptance::Reject
            }
            Taken::Bad(_) => MessageAcceptance::Ignore,
        }
    }

    /// Takes in a record from anywhere. What is not newer is not even verified.
    fn take(&mut self, now_ms: u64, signed: Signed) -> Taken {
        if let Some((peer, sequence)) = signed.peek()
            && self.roster.sequence(peer).is_some_and(|known| sequence <= known)
        {
            return Taken::Nothing;
        }
        let chain_id = self.config.chain_id;
        let checked = signed.verify(&self.config.network, now_ms).and_then(|verified| {
            chain_id.map_or(Ok(()), |chain_id| verified.check_stake(chain_id)).map(|()| verified)
        });
        let verified = match checked {
            Ok(verified) => verified,
            Err(refused) => {
                if let Some(claimer) = refused.claimer().filter(|claimer| *claimer != self.me) {
                    self.cut_claimer(now_ms, claimer, &refused);
                }
                return Taken::Bad(refused);
            }
        };
        let record = verified.record().clone();
        if record.peer == self.me {
            self.own.outbid(record.sequence);
            self.soon(Duration::ZERO);
            return Taken::Nothing;
        }
        let was_at = self.roster.get(record.peer).map(|known| known.record().control.clone());
        if self.roster.insert(now_ms, verified).is_err() {
            return Taken::Nothing;
        }
        if was_at.is_none_or(|control| control != record.control) {
            self.dialer.moved(record.peer);
        }
        self.roster_changed = true;
        self.changed();
        Taken::New
    }

    /// Whoever claims foreign stake is cut off, whoever brought the news: nobody else can have signed it. What it said before
    /// counts no more either.
    fn cut_claimer(&mut self, now_ms: u64, claimer: PeerKey, refused: &Refused) {
        let peer = peer_id_of(claimer);
        if !self.admission.is_banned(now_ms, &peer) {
            tracing::warn!(%peer, %refused, "cut off");
            self.blame(peer, Fault::Fatal, &refused.to_string());
        }
        self.roster.forget(claimer);
        self.roster_changed = true;
        self.changed();
    }

    /// Asks neighbours for their table, as long as two have not given it.
    pub(super) fn ask_for_tables(&mut self, now_ms: u64) {
        for peer in self.pulls.to_ask(now_ms, self.links.peers()) {
            self.pull(now_ms, peer, None, 0);
        }
    }

    /// Looks now and then whether gossip has missed something.
    pub(super) fn pull_if_due(&mut self, now_ms: u64) {
        let jitter = self.rng.random();
        if self.pulls.refresh(now_ms, jitter)
            && let Some(peer) = self.links.peers().choose(&mut self.rng).copied()
        {
            self.pull(now_ms, peer, None, 0);
        }
    }

    fn pull(&mut self, now_ms: u64, from: PeerId, after: Option<PeerKey>, page: usize) {
        let own = self.roster.get(self.me).filter(|_| page == 0).map(|own| Signed(own.envelope().clone()));
        let id = self.swarm.behaviour_mut().table.send_request(&from, Ok(PageRequest { after, own }));
        self.pulls.asked(id, Pull { from, page, since_ms: now_ms });
    }

    pub(super) fn on_table(&mut self, event: request_response::Event<Result<PageRequest, BadRequest>, Page>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                request_response::Message::Request { request, channel, .. } => {
                    let Some(page) = self.serve(peer, request) else { return };
                    // An error means that the asker is gone.
                    let _ = self.swarm.behaviour_mut().table.send_response(channel, page);
                }
                request_response::Message::Response { request_id, response } => {
                    self.on_page(request_id, response);
                }
            },
            request_response::Event::OutboundFailure { peer, request_id, error, .. } => {
                self.on_no_page(peer, request_id, &error);
            }
            request_response::Event::InboundFailure { peer, error, .. } => self.on_bad_request(peer, &error),
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    /// A page for a neighbour, unless it asks too often. Its own record, which it brings along, is passed on.
    fn serve(&mut self, peer: PeerId, request: Result<PageRequest, BadRequest>) -> Option<Page> {
        let now_ms = unix_ms();
        let request = match request {
            Ok(request) => request,
            Err(bad) => {
                let fault = if bad == BadRequest::Unfinished { Fault::Serious } else { Fault::Fatal };
                self.blame(peer, fault, &bad.to_string());
                return None;
            }
        };
        if !self.admission.may_ask_page(now_ms, peer) {
            self.blame(peer, Fault::Slight, "asks for the table too often");
            return None;
        }
        if let Some(own) = request.own {
            let names_itself = own.peek().map(|(key, _)| key) == peer_key_of(&peer);
            match self.take(now_ms, own.clone()) {
                Taken::New if names_itself => {
                    self.publish(own.0);
                }
                Taken::Bad(refused) if refused.is_fault() => {
                    self.blame(peer, Fault::Serious, &refused.to_string());
                }
                Taken::New | Taken::Nothing | Taken::Bad(_) => {}
            }
        }
        let (envelopes, more) = self.roster.page(request.after);
        Some(Page { envelopes, more })
    }

    fn on_page(&mut self, id: OutboundRequestId, page: Page) {
        let Some(Pull { from, page: number, .. }) = self.pulls.ended(&id) else { return };
        let now_ms = unix_ms();
        self.soon(Duration::ZERO);
        let last = page.envelopes.last().and_then(|bytes| Signed(bytes.clone()).peek()).map(|(key, _)| key);
        for envelope in page.envelopes {
            if let Taken::Bad(refused) = self.take(now_ms, Signed(envelope))
                && refused.is_fault()
            {
                self.pulls.refused(now_ms, from);
                self.blame(from, Fault::Serious, &refused.to_string());
                return;
            }
        }
        match last {
            Some(after) if page.more && number + 1 < ROSTER_PULL_PAGES => {
                self.pull(now_ms, from, Some(after), number + 1);
            }
            Some(_) | None => {
                tracing::debug!(peer = %from, records = self.roster.len(), "table taken");
                self.pulls.taken(from);
            }
        }
    }

    fn on_no_page(&mut self, peer: PeerId, id: OutboundRequestId, error: &OutboundFailure) {
        tracing::debug!(%peer, %error, "no page");
        if self.pulls.ended(&id).is_some() {
            self.pulls.refused(unix_ms(), peer);
        }
        match error {
            OutboundFailure::UnsupportedProtocols => {
                tracing::warn!(%peer, "does not speak {}: one of the two nodes has to be upgraded", names::ROSTER);
                self.blame(peer, Fault::Serious, "does not speak the roster protocol");
                self.cut(unix_ms(), peer);
            }
            OutboundFailure::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.blame(peer, Fault::Fatal, &error.to_string());
            }
            OutboundFailure::Timeout => self.blame(peer, Fault::Slight, "answers too late"),
            OutboundFailure::Io(_) | OutboundFailure::DialFailure | OutboundFailure::ConnectionClosed => {}
        }
        self.soon(Duration::ZERO);
    }

    fn on_bad_request(&mut self, peer: PeerId, error: &InboundFailure) {
        match error {
            InboundFailure::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.blame(peer, Fault::Fatal, &error.to_string());
            }
            // Requests that do not end are noticed before: this is an answer that is not taken, as on a bad path.
            InboundFailure::Timeout => self.blame(peer, Fault::Slight, "does not take what it asked for"),
            InboundFailure::Io(_)
            | InboundFailure::ConnectionClosed
            | InboundFailure::UnsupportedProtocols
            | InboundFailure::ResponseOmission => {}
        }
    }

    /// Who a neighbour says that it is: one of another network or version is refused.
    pub(super) fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id, info, .. } = event else { return };
        let ours = protocol_version(&self.config.network);
        if info.protocol_version != ours {
            let theirs: String = info.protocol_version.chars().take(64).collect();
            tracing::warn!(
                peer = %peer_id,
                "refused: it speaks {theirs:?}, this node speaks {ours:?}. Upgrade the older one, or correct its network"
            );
            self.blame(peer_id, Fault::Fatal, "speaks another version or network");
            return;
        }
        if let Some(near) = self.links.get_mut(&peer_id) {
            near.identified = true;
            self.dialer.proved(near.key);
            self.links_changed = true;
            self.changed();
        }
        self.learn_route(peer_id, &info);
    }

    /// Public nodes answer for addresses; only addresses that they signed are believed.
    fn learn_route(&mut self, peer: PeerId, info: &identify::Info) {
        if !info.protocols.contains(&names::KAD) {
            return;
        }
        let Some(known) = peer_key_of(&peer).and_then(|key| self.roster.get(key)) else { return };
        let addrs: Vec<_> = known.record().control.iter().map(super::addr::quic).collect();
        for addr in addrs {
            self.swarm.behaviour_mut().kad.add_address(&peer, addr);
        }
    }
}
