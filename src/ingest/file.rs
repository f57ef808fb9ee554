//! A file as a live stream: paced at real time by its decoding times, or as fast as the stream takes it; once or in a loop.
//!
//! In: packets of a file, read by a worker process. Out: the same packets through the gate, in a loop with times that go on.
//! Knows no container.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use media::packet::Packet;
use media::worker::Workers;
use protocol::{StreamId, Ticks};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::gate::{Gate, Turned, Visitor};
use super::push::Unusable;

/// A picture of this length is assumed after the last one of a file with a single picture.
const LONE_PICTURE: Ticks = Ticks(Ticks::PER_SECOND / 30);
/// Packets that are read ahead of the one that is sent.
const AHEAD: usize = 64;

/// A file to be sent.
#[derive(Clone, Debug)]
pub(crate) struct FileSource {
    /// The file.
    pub(crate) path: PathBuf,
    /// The name under which it is published.
    pub(crate) stream: StreamId,
    /// How fast.
    pub(crate) pace: Pace,
    /// Over and over, until the future is dropped.
    pub(crate) repeat: bool,
}

/// How fast a file is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// One second a second.
    RealTime,
    /// As fast as the stream takes it.
    AsFastAsPossible,
}

/// Why a file was not sent to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The file.
    #[error("{path} cannot be opened: {error}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// What is in it.
    #[error("{path} cannot be streamed: {why}")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: Unusable,
    },
    /// It has no video.
    #[error(
        "{0} has no H.264 video: convert it first, for example with ffmpeg -i FILE -c:v libx264 -c:a aac OUT.mp4"
    )]
    NoVideo(PathBuf),
    /// The gate.
    #[error(transparent)]
    Turned(#[from] Turned),
    /// The stream was ended by the node.
    #[error("the node has ended the stream")]
    Ended,
}

/// Sends a file to its end; then the stream is over. Dropping the future leaves the stream as a publisher that went away.
///
/// # Errors
/// [`FileError`] says why not.
pub(crate) async fn publish(gate: Gate, workers: Arc<Workers>, source: FileSource) -> Result<(), FileError> {
    let reader = FileReader { workers, path: source.path.clone() };
    // Before anybody sees a stream.
    reader.open()?;
    send(&gate, &reader, &source).await
}

/// Where packets come from.
#[async_trait]
trait Reader: Send + Sync {
    /// Reads the file from its start, packets about in order of decoding time.
    async fn read(&self, out: mpsc::Sender<Packet>) -> Result<(), FileError>;
}

struct FileReader {
    workers: Arc<Workers>,
    path: PathBuf,
}

impl FileReader {
    fn open(&self) -> Result<std::fs::File, FileError> {
        std::fs::File::open(&self.path).map_err(|error| FileError::Open { path: self.path.clone(), error })
    }
}

#[async_trait]
impl Reader for FileReader {
    async fn read(&self, out: mpsc::Sender<Packet>) -> Result<(), FileError> {
        let unusable = |e| FileError::Unusable { path: self.path.clone(), why: Unusable::from(e) };
        self.workers.demux_file(self.open()?, out).await.map_err(unusable)
    }
}

async fn send(gate: &Gate, reader: &dyn Reader, source: &FileSource) -> Result<(), FileError> {
    let path = source.path.display().to_string();
    let opened = gate.open(Visitor::file(&source.stream, path)).await?;
    let mut sender = Sender { packets: opened.packets, clock: Clock::new(source.pace), video: false };
    let ended = sender.rounds(reader, &source.path, source.repeat).await;
    drop(sender);
    gate.finish(opened.stream, opened.session).await;
    ended
}

struct Sender {
    packets: mpsc::Sender<Packet>,
    clock: Clock,
    video: bool,
}

impl Sender {
    async fn rounds(&mut self, reader: &dyn Reader, path: &Path, repeat: bool) -> Result<(), FileError> {
        loop {
            let (out, packets) = mpsc::channel(AHEAD);
            let (read, sent) = tokio::join!(reader.read(out), self.round(packets));
            // What stopped the sending also stopped the reading.
            sent.and(read)?;
            if !self.video {
                return Err(FileError::NoVideo(path.into()));
            }
            if !repeat {
                return Ok(());
            }
            if !self.clock.next_round() {
                self.send(Packet::Discontinuity).await?;
            }
        }
    }

    async fn round(&mut self, mut packets: mpsc::Receiver<Packet>) -> Result<(), FileError> {
        while let Some(packet) = packets.recv().await {
            self.video |= matches!(packet, Packet::Video(_));
            let packet = self.clock.place(packet).await;
            self.send(packet).await?;
        }
        Ok(())
    }

    async fn send(&self, packet: Packet) -> Result<(), FileError> {
        self.packets.send(packet).await.map_err(|_| FileError::Ended)
    }
}

/// Places packets in time, on the stream's line and on the wall's clock.
#[derive(Debug)]
struct Clock {
    pace: Pace,
    /// Added to the file's times in this round.
    shift: Ticks,
    /// Of this round, in the file's own times: first and latest decoding time, and the step before the latest.
    round: Option<(Ticks, Ticks, Ticks)>,
    /// Whether every packet of this round had a time.
    timed: bool,
    began: Option<(Instant, Ticks)>,
}

impl Clock {
    fn new(pace: Pace) -> Self {
        Self { pace, shift: Ticks::ZERO, round: None, timed: true, began: None }
    }

    /// Shifts the file's times to the end of what was sent; false when that cannot be known.
    fn next_round(&mut self) -> bool {
        let known = self.timed && self.round.is_some();
        if let Some((first, latest, step)) = self.round.take().filter(|_| known) {
            self.shift += latest + step - first;
        }
        self.timed = true;
        known
    }

    /// Waits until it is the packet's turn and moves it to its place.
    async fn place(&mut self, packet: Packet) -> Packet {
        let packet = self.shifted(packet);
        let due = match &packet {
            Packet::Video(unit) => unit.dts.or(unit.pts),
            Packet::Audio(frame) => frame.pts,
            Packet::VideoConfig(_)
            | Packet::AudioConfig(_)
            | Packet::Discontinuity
            | Packet::Boundary { .. } => return packet,
        };
        if let (Some(due), Pace::RealTime) = (due, self.pace) {
            let (began, first) = *self.began.get_or_insert_with(|| (Instant::now(), due));
            let millis = u64::try_from((due - first).as_millis()).unwrap_or(0);
            sleep_until(began + Duration::from_millis(millis)).await;
        }
        packet
    }

    fn shifted(&mut self, packet: Packet) -> Packet {
        match packet {
            Packet::Video(mut unit) => {
                self.note(unit.dts.or(unit.pts));
                unit.dts = unit.dts.map(|t| t + self.shift);
                unit.pts = unit.pts.map(|t| t + self.shift);
                Packet::Video(unit)
            }
            Packet::Audio(mut frame) => {
                self.timed &= frame.pts.is_some();
                frame.pts = frame.pts.map(|t| t + self.shift);
                Packet::Audio(frame)
            }
            other => other,
        }
    }

    /// Keeps the pictures' times: they decide where the next round begins.
    fn note(&mut self, time: Option<Ticks>) {
        let Some(time) = time else {
            self.timed = false;
            return;
        };
        self.round = Some(match self.round {
            Some((first, latest, _)) if time > latest => (first, time, time - latest),
            Some(same) => same,
            None => (time, time, LONE_PICTURE),
        });
    }
}

#[cfg(test)]
mod tests {
    use actors::ingest::Config;
    use bytes::Bytes;
    use media::packet::{AccessUnit, AudioFrame, VideoConfig};

    use super::*;
    use crate::ingest::testing::{Taken, Took};

    /// Pictures at 25 a second with one frame of reordering, and audio.
    struct Clip {
        pictures: i64,
        timed: bool,
    }

    #[async_trait]
    impl Reader for Clip {
        async fn read(&self, out: mpsc::Sender<Packet>) -> Result<(), FileError> {
            let ended = |_| FileError::Ended;
            let time = |t: i64| self.timed.then_some(Ticks(t));
            out.send(Packet::VideoConfig(VideoConfig { avcc: Bytes::new() })).await.map_err(ended)?;
            for i in 0..self.pictures {
                let (dts, pts) = (time(500 + i * 3600), time(500 + (i + 1) * 3600));
                let unit = AccessUnit { pts, dts, idr: i == 0, data: Bytes::new() };
                out.send(Packet::Video(unit)).await.map_err(ended)?;
                out.send(Packet::Audio(AudioFrame { pts: dts, data: Bytes::new() })).await.map_err(ended)?;
            }
            Ok(())
        }
    }

    fn source(pace: Pace, repeat: bool) -> FileSource {
        FileSource { path: "clip.mp4".into(), stream: "me".parse().unwrap(), pace, repeat }
    }

    fn breaks(took: &Took) -> usize {
        took.packets.iter().filter(|p| matches!(p, Packet::Discontinuity)).count()
    }

    #[actix::test]
    async fn a_file_takes_its_own_time_and_then_the_stream_is_over() {
        tokio::time::pause();
        let taken = Taken::new();
        let (gate, _ingest) = taken.gate(Config::default(), None);
        let begin = Instant::now();
        send(&gate, &Clip { pictures: 76, timed: true }, &source(Pace::RealTime, false)).await.unwrap();
        assert_eq!(begin.elapsed().as_millis() / 10, 300);
        let took = taken.until("me", |took| took.finished).await;
        assert_eq!((took.videos(), took.audios()), (76, 76));
    }

    #[actix::test]
    async fn a_loop_goes_on_in_time_without_a_seam() {
        tokio::time::pause();
        let taken = Taken::new();
        let (gate, _ingest) = taken.gate(Config::default(), None);
        let (clip, source) = (Clip { pictures: 25, timed: true }, source(Pace::RealTime, true));
        let took = tokio::select! {
            ended = send(&gate, &clip, &source) => panic!("{ended:?}"),
            took = taken.until("me", |took| took.videos() > 60) => took,
        };
        let time = |packet: &Packet| if let Packet::Video(unit) = packet { unit.dts } else { None };
        let times: Vec<_> = took.packets.iter().filter_map(time).collect();
        assert!(times.windows(2).all(|w| w[1] - w[0] == Ticks(3600)), "{times:?}");
        assert_eq!(breaks(&took), 0);
    }

    #[actix::test]
    async fn a_loop_without_times_says_where_it_starts_again() {
        let taken = Taken::new();
        let (gate, _ingest) = taken.gate(Config::default(), None);
        let (clip, source) = (Clip { pictures: 5, timed: false }, source(Pace::AsFastAsPossible, true));
        tokio::select! {
            ended = send(&gate, &clip, &source) => panic!("{ended:?}"),
            _ = taken.until("me", |took| breaks(took) > 1) => {}
        }
    }

    #[actix::test]
    async fn a_file_without_video_is_an_error_that_says_what_to_do() {
        let taken = Taken::new();
        let (gate, _ingest) = taken.gate(Config::default(), None);
        let (clip, source) = (Clip { pictures: 0, timed: true }, source(Pace::AsFastAsPossible, true));
        let said = send(&gate, &clip, &source).await.unwrap_err().to_string();
        assert!(said.contains("clip.mp4 has no H.264 video"), "{said}");
    }
}
