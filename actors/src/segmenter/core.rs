//! Decides: packets in, jobs out. A job is what has to be built and delivered; jobs are delivered in the order given.

use media::cut::{Counts, CutAudio, CutVideo, Cutter, Piece};
use media::packet::Packet;
use protocol::ladder::LadderPlan;
use protocol::{Ladder, SegmentId, StreamId, Ticks};

/// One segment's half that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Make the segment, tell the publisher, then the dispatcher.
    Video {
        /// Its name.
        id: SegmentId,
        /// Its pictures.
        video: CutVideo,
        /// The ladder for pictures of this size.
        ladder: Ladder,
    },
    /// Make the audio file, tell the publisher.
    Audio {
        /// Of which segment.
        seq: u64,
        /// Its frames.
        audio: CutAudio,
    },
}

/// A stream's segmenter without its surroundings.
#[derive(Debug)]
pub(super) struct Core {
    stream: StreamId,
    plan: LadderPlan,
    first_seq: u64,
    cutter: Cutter,
    attached_before: bool,
}

impl Core {
    pub(super) fn new(stream: StreamId, plan: LadderPlan, first_seq: u64, target: Ticks) -> Self {
        Self { stream, plan, first_seq, cutter: Cutter::new(target), attached_before: false }
    }

    /// A publisher was joined; every one but the first continues behind a discontinuity.
    pub(super) fn on_attach(&mut self) -> Vec<Job> {
        match std::mem::replace(&mut self.attached_before, true) {
            true => self.on_packet(Packet::Discontinuity),
            false => Vec::new(),
        }
    }

    pub(super) fn on_packet(&mut self, packet: Packet) -> Vec<Job> {
        let mut pieces = Vec::new();
        self.cutter.push(packet, &mut pieces);
        self.jobs(pieces)
    }

    /// The publisher is gone, or the stream is over: what is open ends here.
    pub(super) fn on_detach(&mut self) -> Vec<Job> {
        let mut pieces = Vec::new();
        self.cutter.flush(&mut pieces);
        self.jobs(pieces)
    }

    /// The number that the next segment gets.
    pub(super) fn next_seq(&self) -> u64 {
        self.first_seq.saturating_add(self.cutter.counts().segments)
    }

    pub(super) fn counts(&self) -> Counts {
        self.cutter.counts()
    }

    pub(super) fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn jobs(&self, pieces: Vec<Piece>) -> Vec<Job> {
        let seq = |index| self.first_seq.saturating_add(index);
        let job = |piece| match piece {
            Piece::Video(video) => Job::Video {
                id: SegmentId { stream: self.stream.clone(), seq: seq(video.index) },
                ladder: self.plan.resolve(video.info.width, video.info.height),
                video,
            },
            Piece::Audio(audio) => Job::Audio { seq: seq(audio.index), audio },
        };
        pieces.into_iter().map(job).collect()
    }
}
