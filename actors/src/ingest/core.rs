//! Decides who may publish. Time is an argument; what has to be done comes back as [`Effect`]s.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::StreamId;
use protocol::ladder::LadderPlan;

use super::keys::Keys;
use super::messages::{Close, Open, Refused, StreamState, StreamStatus, Via};

/// Ended streams whose last sequence number is remembered, so that one that starts again does not reuse names that players
/// and caches have seen. The oldest is forgotten first.
pub const REMEMBERED: usize = 4096;

/// What a person may set.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a stream waits for its publisher to come back.
    pub grace: Duration,
    /// Streams at a time, those that wait for their publisher included.
    pub max_streams: usize,
    /// Who may publish what.
    pub keys: Keys,
}

impl Default for Config {
    /// 30 s to come back, 64 streams, no keys.
    fn default() -> Self {
        Self { grace: Duration::from_secs(30), max_streams: 64, keys: Keys::Open }
    }
}

/// What the shell has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Build the stream.
    Start {
        /// Which.
        stream: StreamId,
        /// The number of its first segment.
        first_seq: u64,
        /// Its own ladder.
        ladder: Option<LadderPlan>,
    },
    /// Join a new publisher to the stream.
    Attach {
        /// Which stream.
        stream: StreamId,
        /// Which publisher.
        session: u64,
        /// Whether the stream had a publisher before this one.
        discontinuity: bool,
    },
    /// End the stream.
    Finish {
        /// Which.
        stream: StreamId,
    },
}

/// A publisher was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// To which stream.
    pub stream: StreamId,
    /// Under which name.
    pub session: u64,
    /// What has to be done.
    pub effects: Vec<Effect>,
}

/// The state of all streams.
#[derive(Debug)]
pub struct Core {
    config: Config,
    streams: BTreeMap<StreamId, Entry>,
    remembered: BTreeMap<StreamId, Remembered>,
    sessions: u64,
    ended: u64,
    stopping: bool,
}

#[derive(Debug)]
struct Entry {
    phase: Phase,
    session: u64,
    publishers: u64,
    via: Via,
    from: String,
    started: Instant,
    joined: Instant,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Live { finish_after: bool },
    Waiting { until: Instant },
    Finishing,
}

#[derive(Debug)]
struct Remembered {
    next_seq: u64,
    order: u64,
}

impl Core {
    /// No streams yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            streams: BTreeMap::new(),
            remembered: BTreeMap::new(),
            sessions: 0,
            ended: 0,
            stopping: false,
        }
    }

    /// Somebody asks to publish.
    ///
    /// # Errors
    /// [`Refused`] says why not.
    pub fn open(&mut self, now: Instant, open: &Open) -> Result<Admitted, Refused> {
        if self.stopping {
            return Err(Refused::Stopping);
        }
        let stream = match open.via {
            // A local file is the operator's own.
            Via::File => open.stream.clone(),
            Via::Rtmp | Via::Push => self.config.keys.admit(&open.stream, open.key.as_deref())?,
        };
        let session = self.sessions + 1;
        let effects = match self.streams.get_mut(&stream) {
            Some(entry) => entry.rejoin(now, session, open, &stream)?,
            None => self.start(now, session, open, &stream)?,
        };
        self.sessions = session;
        Ok(Admitted { stream, session, effects })
    }

    fn start(
        &mut self,
        now: Instant,
        session: u64,
        open: &Open,
        stream: &StreamId,
    ) -> Result<Vec<Effect>, Refused> {
        if self.streams.len() >= self.config.max_streams {
            return Err(Refused::Full { max: self.config.max_streams });
        }
        let first_seq = self.remembered.remove(stream).map_or(0, |r| r.next_seq);
        self.streams.insert(
            stream.clone(),
            Entry {
                phase: Phase::Live { finish_after: false },
                session,
                publishers: 1,
                via: open.via,
                from: open.from.clone(),
                started: now,
                joined: now,
            },
        );
        Ok(vec![
            Effect::Start { stream: stream.clone(), first_seq, ladder: open.ladder.clone() },
            Effect::Attach { stream: stream.clone(), session, discontinuity: false },
        ])
    }

    /// A publisher says that it leaves; its channel may still hold packets.
    pub fn close(&mut self, close: &Close) -> Vec<Effect> {
        let Some(entry) = self.streams.get_mut(&close.stream) else { return vec![] };
        if entry.session != close.session || !close.finish {
            return vec![];
        }
        match &mut entry.phase {
            Phase::Live { finish_after } => *finish_after = true,
            Phase::Waiting { .. } => return entry.finish(&close.stream),
            Phase::Finishing => {}
        }
        vec![]
    }

    /// The last packet of a publisher was taken; with `died`, nothing takes packets any more.
    pub fn detached(&mut self, now: Instant, stream: &StreamId, session: u64, died: bool) -> Vec<Effect> {
        let grace = self.config.grace;
        let Some(entry) = self.streams.get_mut(stream) else { return vec![] };
        match entry.phase {
            Phase::Live { finish_after } if entry.session == session => {
                if finish_after || died {
                    return entry.finish(stream);
                }
                entry.phase = Phase::Waiting { until: now + grace };
            }
            Phase::Live { .. } | Phase::Waiting { .. } | Phase::Finishing => {}
        }
        vec![]
    }

    /// A stream's playlists say that it is over.
    pub fn finished(&mut self, stream: &StreamId, next_seq: u64) {
        if self.streams.remove(stream).is_none() {
            return;
        }
        self.ended += 1;
        self.remembered.insert(stream.clone(), Remembered { next_seq, order: self.ended });
        if self.remembered.len() > REMEMBERED {
            let oldest = self.remembered.iter().min_by_key(|(_, r)| r.order).map(|(id, _)| id.clone());
            oldest.map(|id| self.remembered.remove(&id));
        }
    }

    /// Takes no more publishers and ends every stream.
    pub fn drain(&mut self) -> Vec<Effect> {
        self.stopping = true;
        self.streams.iter_mut().flat_map(|(id, entry)| entry.finish(id)).collect()
    }

    /// Time has passed: ends the streams whose publisher did not come back.
    pub fn tick(&mut self, now: Instant) -> Vec<Effect> {
        self.streams
            .iter_mut()
            .filter(|(_, entry)| matches!(entry.phase, Phase::Waiting { until } if until <= now))
            .flat_map(|(id, entry)| entry.finish(id))
            .collect()
    }

    /// When [`Self::tick`] has something to do.
    #[must_use]
    pub fn next_wake(&self) -> Option<Instant> {
        self.streams
            .values()
            .filter_map(|entry| match entry.phase {
                Phase::Waiting { until } => Some(until),
                Phase::Live { .. } | Phase::Finishing => None,
            })
            .min()
    }

    /// Whether there is no stream left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// All streams, by name.
    #[must_use]
    pub fn list(&self, now: Instant) -> Vec<StreamStatus> {
        self.streams
            .iter()
            .map(|(id, entry)| StreamStatus {
                id: id.clone(),
                state: match entry.phase {
                    Phase::Live { .. } => StreamState::Live,
                    Phase::Waiting { .. } => StreamState::Reconnecting,
                    Phase::Finishing => StreamState::Finishing,
                },
                via: entry.via,
                from: entry.from.clone(),
                age: now.saturating_duration_since(entry.started),
                publishers: entry.publishers,
            })
            .collect()
    }
}

impl Entry {
    fn rejoin(
        &mut self,
        now: Instant,
        session: u64,
        open: &Open,
        stream: &StreamId,
    ) -> Result<Vec<Effect>, Refused> {
        match self.phase {
            Phase::Live { .. } => {
                let age = now.saturating_duration_since(self.joined);
                return Err(Refused::Occupied { stream: stream.clone(), from: self.from.clone(), age });
            }
            Phase::Finishing => return Err(Refused::Finishing(stream.clone())),
            Phase::Waiting { .. } => {}
        }
        self.phase = Phase::Live { finish_after: false };
        self.session = session;
        self.publishers += 1;
        self.via = open.via;
        self.from.clone_from(&open.from);
        self.joined = now;
        Ok(vec![Effect::Attach { stream: stream.clone(), session, discontinuity: true }])
    }

    fn finish(&mut self, stream: &StreamId) -> Vec<Effect> {
        if self.phase == Phase::Finishing {
            return vec![];
        }
        self.phase = Phase::Finishing;
        vec![Effect::Finish { stream: stream.clone() }]
    }
}
