//! A container's first H.264 and AAC streams, as packets of one form whatever the container was.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use bytes::Bytes;
use protocol::Ticks;

use super::messages::Fault;
use super::serve::JobError;
use crate::aac::{self, Asc};
use crate::avc::{self, Avcc};
use crate::packet::{AccessUnit, AudioConfig, AudioFrame, Packet, VideoConfig};
use crate::transcode::ffi::{AvError, Demuxed, Demuxer, Format, Track, TrackKind};

/// Damaged packets in a row after which a file is given up.
const MAX_DAMAGED: u32 = 1000;

/// A file being read.
#[derive(Debug)]
pub(super) struct Demux {
    demuxer: Demuxer,
    video: Option<usize>,
    audio: Option<usize>,
    video_config: Option<VideoConfig>,
    audio_config: Option<AudioConfig>,
    ready: VecDeque<Packet>,
    pictures: u64,
    damaged: u32,
    /// The file ends within a transport packet, and so within a picture.
    torn: bool,
}

/// Lengths of transport packets, bytes: plain, with a time stamp (BDAV), with error correction.
const TRANSPORT_PACKETS: [usize; 3] = [188, 192, 204];

fn input(message: String) -> JobError {
    JobError { fault: Fault::Input, message }
}

impl Demux {
    /// Opens a file in memory.
    pub(super) fn memory(bytes: Bytes) -> Result<Self, JobError> {
        let format = Format::sniff(&bytes);
        let torn = matches!(format, Some(Format::MpegTs))
            && TRANSPORT_PACKETS.iter().all(|length| !bytes.len().is_multiple_of(*length));
        Ok(Self { torn, ..Self::open(Cursor::new(bytes), format)? })
    }

    /// Opens a file on disk.
    pub(super) fn file(mut file: File) -> Result<Self, JobError> {
        let unreadable = |error: io::Error| input(format!("the file cannot be read: {error}"));
        let mut head = Vec::new();
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        (&file).take(Format::SNIFF_BYTES as u64).read_to_end(&mut head).map_err(unreadable)?;
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        Self::open(file, Format::sniff(&head))
    }

    fn open<R: Read + Seek + Send + 'static>(reader: R, format: Option<Format>) -> Result<Self, JobError> {
        let format =
            format.ok_or_else(|| input("not MPEG-TS, MP4, Matroska or FLV: send one of these".into()))?;
        let broken =
            |error: AvError| input(format!("no {format:?} that can be read ({error}): was it sent whole?"));
        let demuxer = Demuxer::open(reader, format).map_err(broken)?;
        Ok(Self {
            demuxer,
            video: None,
            audio: None,
            video_config: None,
            audio_config: None,
            ready: VecDeque::new(),
            pictures: 0,
            damaged: 0,
            torn: false,
        })
    }

    /// The next packet, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, JobError> {
        while self.ready.is_empty() {
            match self.demuxer.read() {
                Ok(Some(demuxed)) => {
                    self.damaged = 0;
                    self.take(demuxed)?;
                }
                Ok(None) => return self.end(),
                // Containers are resynchronised by libav; one that never is has ended.
                Err(_) if self.damaged < MAX_DAMAGED => self.damaged += 1,
                Err(_) => return self.end(),
            }
        }
        Ok(self.ready.pop_front())
    }

    fn end(&self) -> Result<Option<Packet>, JobError> {
        if self.pictures == 0 {
            return Err(input("there is no H.264 picture in it: publish H.264 video".into()));
        }
        if self.torn && self.pictures == 1 {
            return Err(input("the one picture in it is cut short: was it sent whole?".into()));
        }
        Ok(None)
    }

    fn take(&mut self, demuxed: Demuxed) -> Result<(), JobError> {
        let Some(track) = self.demuxer.tracks().into_iter().nth(demuxed.track) else { return Ok(()) };
        match &track.kind {
            TrackKind::H264 if *self.video.get_or_insert(demuxed.track) == demuxed.track => {
                self.take_video(&track, &demuxed);
                Ok(())
            }
            TrackKind::Aac if *self.audio.get_or_insert(demuxed.track) == demuxed.track => {
                self.take_audio(&track, &demuxed);
                Ok(())
            }
            TrackKind::Video(codec) if self.video.is_none() => {
                Err(input(format!("its video is {codec}, which is not supported: publish H.264")))
            }
            TrackKind::Audio(codec) if self.audio.is_none() => {
                Err(input(format!("its audio is {codec}, which is not supported: publish AAC, or no audio")))
            }
            _ => Ok(()),
        }
    }

    /// Pictures before their parameters are known cannot be decoded by anybody and are left out.
    fn take_video(&mut self, track: &Track, demuxed: &Demuxed) {
        let (record, data) = if track.extradata.first() == Some(&1) {
            let Ok(record) = Avcc::parse(&track.extradata) else { return };
            let Ok(data) = avc::widen_lengths(&demuxed.data, record.length_size) else { return };
            (Some(record), data)
        } else {
            (None, avc::from_annexb(&demuxed.data))
        };
        let (sps, pps) = avc::in_band(&data);
        // Parameters in the stream are newer than those of the container.
        let config = match record {
            _ if !sps.is_empty() => Avcc::new(sps, pps).and_then(|record| record.to_config()).ok(),
            Some(record) if self.video_config.is_none() => record.to_config().ok(),
            _ => None,
        };
        if let Some(config) = config
            && self.video_config.as_ref() != Some(&config)
        {
            self.ready.push_back(Packet::VideoConfig(config.clone()));
            self.video_config = Some(config);
        }
        if self.video_config.is_some() && !data.is_empty() {
            self.pictures += 1;
            let idr = avc::is_idr(&data);
            self.ready.push_back(Packet::Video(AccessUnit { pts: demuxed.pts, dts: demuxed.dts, idr, data }));
        }
    }

    fn take_audio(&mut self, track: &Track, demuxed: &Demuxed) {
        if !track.extradata.is_empty() {
            self.audio_config(AudioConfig { asc: track.extradata.clone() });
            let frame = AudioFrame { pts: demuxed.pts, data: demuxed.data.clone() };
            self.ready.push_back(Packet::Audio(frame));
            return;
        }
        let mut samples = 0;
        for frame in aac::adts(&demuxed.data).map_while(Result::ok) {
            let Ok(asc) = Asc::parse(&frame.config.asc) else { return };
            let later = Ticks::from_units(samples, 1, i64::from(asc.rate)).unwrap_or_default();
            samples += i64::from(asc.frame_samples);
            self.audio_config(frame.config);
            let pts = demuxed.pts.map(|pts| pts + later);
            self.ready.push_back(Packet::Audio(AudioFrame { pts, data: frame.data }));
        }
    }

    fn audio_config(&mut self, config: AudioConfig) {
        if self.audio_config.as_ref() != Some(&config) {
            self.ready.push_back(Packet::AudioConfig(config.clone()));
            self.audio_config = Some(config);
        }
    }
}
