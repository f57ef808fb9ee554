//! FLV tag bodies, as RTMP carries them, to packets: H.264 and AAC, in the old form (Adobe FLV 10.1, annex E) and in that
//! of Enhanced RTMP v2 (Veovera, 2024), of which the first track counts.

use bytes::Bytes;
use media::avc::{Avcc, is_idr, nals, widen_lengths};
use media::packet::{AccessUnit, AudioConfig, AudioFrame, Packet};
use protocol::Ticks;

/// What a tag is worth.
#[derive(Debug)]
pub(crate) enum Tag {
    /// A packet.
    Packet(Packet),
    /// Nothing that anybody needs: commands, metadata, ends of sequences, further tracks.
    Ignored,
    /// Audio in a codec that is not passed on; video goes on without.
    DroppedAudio(&'static str),
    /// Something that cannot be used, after which the next tag may be fine.
    Malformed(String),
    /// Video in a codec that this node does not take: the publisher has to change its settings.
    Unsupported(&'static str),
}

/// Converts the tags of one publisher.
#[derive(Debug, Default)]
pub(crate) struct Converter {
    clock: Clock,
    length_size: Option<u8>,
    aac: bool,
}

/// Unwraps the 32-bit milliseconds of all tags.
#[derive(Debug, Default)]
struct Clock {
    last: Option<(u32, i64)>,
}

impl Clock {
    fn millis(&mut self, time: u32) -> i64 {
        let unwrapped = match self.last {
            Some((last, value)) => value + i64::from(time.wrapping_sub(last).cast_signed()),
            None => i64::from(time),
        };
        self.last = Some((time, unwrapped));
        unwrapped
    }
}

/// A video tag's body behind its header.
enum Video {
    Config(Bytes),
    Frame { composition_ms: i32, data: Bytes },
    Nothing,
}

impl Converter {
    /// Converts a video tag's body; `time` is in milliseconds.
    pub(crate) fn video(&mut self, time: u32, body: &Bytes) -> Tag {
        let millis = self.clock.millis(time);
        let mut body = Body(body.clone());
        let video = match body.peek() {
            Some(first) if first & 0x80 != 0 => enhanced_video(&mut body),
            _ => legacy_video(&mut body),
        };
        match video {
            Ok(Video::Config(record)) => self.config(&record),
            Ok(Video::Frame { composition_ms, data }) => self.frame(millis, composition_ms, &data),
            Ok(Video::Nothing) => Tag::Ignored,
            Err(tag) => tag,
        }
    }

    fn config(&mut self, record: &Bytes) -> Tag {
        let parsed = Avcc::parse(record).and_then(|avcc| Ok((avcc.length_size, avcc.to_config()?)));
        match parsed {
            Ok((length_size, config)) => {
                self.length_size = Some(length_size);
                Tag::Packet(Packet::VideoConfig(config))
            }
            Err(e) => Tag::Malformed(format!("H.264 parameter sets: {e}")),
        }
    }

    fn frame(&self, millis: i64, composition_ms: i32, data: &Bytes) -> Tag {
        let Some(length_size) = self.length_size else {
            return Tag::Malformed("video came before its H.264 parameter sets".into());
        };
        match widen_lengths(data, length_size) {
            Ok(data) => match nals(&data).find_map(Result::err) {
                Some(e) => Tag::Malformed(format!("video: {e}")),
                None if data.is_empty() => Tag::Ignored,
                None => Tag::Packet(Packet::Video(AccessUnit {
                    pts: Some(Ticks::from_millis(millis + i64::from(composition_ms))),
                    dts: Some(Ticks::from_millis(millis)),
                    idr: is_idr(&data),
                    data,
                })),
            },
            Err(e) => Tag::Malformed(format!("video: {e}")),
        }
    }

    /// Converts an audio tag's body; `time` is in milliseconds.
    pub(crate) fn audio(&mut self, time: u32, body: &Bytes) -> Tag {
        let millis = self.clock.millis(time);
        let mut body = Body(body.clone());
        let audio = match body.peek() {
            Some(first) if first >> 4 == 9 => enhanced_audio(&mut body),
            _ => legacy_audio(&mut body),
        };
        match audio {
            Ok((_, data)) if data.is_empty() => Tag::Ignored,
            Ok((0, asc)) => {
                self.aac = true;
                Tag::Packet(Packet::AudioConfig(AudioConfig { asc }))
            }
            Ok((1, _)) if !self.aac => Tag::Malformed("audio came before its AAC parameters".into()),
            Ok((1, data)) => {
                Tag::Packet(Packet::Audio(AudioFrame { pts: Some(Ticks::from_millis(millis)), data }))
            }
            Ok(_) => Tag::Ignored,
            Err(tag) => tag,
        }
    }
}

fn legacy_video(body: &mut Body) -> Result<Video, Tag> {
    let first = body.byte()?;
    match first & 15 {
        7 => {}
        _ if first >> 4 == 5 => return Ok(Video::Nothing),
        12 => return Err(Tag::Unsupported("HEVC (H.265)")),
        13 => return Err(Tag::Unsupported("AV1")),
        2 => return Err(Tag::Unsupported("Sorenson H.263")),
        4 | 5 => return Err(Tag::Unsupported("VP6")),
        _ => return Err(Tag::Unsupported("an unknown codec")),
    }
    match body.byte()? {
        0 => {
            body.take(3)?;
            Ok(Video::Config(body.rest()))
        }
        1 => Ok(Video::Frame { composition_ms: body.signed24()?, data: body.rest() }),
        _ => Ok(Video::Nothing),
    }
}

fn enhanced_video(body: &mut Body) -> Result<Video, Tag> {
    let first = body.byte()?;
    let packet = body.skip_modifiers(first & 15)?;
    if first >> 4 & 7 == 5 && packet != 4 {
        return Ok(Video::Nothing);
    }
    let Some((packet, codec)) = body.first_track(packet, 6)? else { return Ok(Video::Nothing) };
    match &codec {
        b"avc1" => {}
        b"hvc1" => return Err(Tag::Unsupported("HEVC (H.265)")),
        b"av01" => return Err(Tag::Unsupported("AV1")),
        b"vp09" => return Err(Tag::Unsupported("VP9")),
        b"vp08" => return Err(Tag::Unsupported("VP8")),
        _ => return Err(Tag::Unsupported("an unknown codec")),
    }
    match packet {
        0 => Ok(Video::Config(body.rest())),
        1 => Ok(Video::Frame { composition_ms: body.signed24()?, data: body.rest() }),
        3 => Ok(Video::Frame { composition_ms: 0, data: body.rest() }),
        _ => Ok(Video::Nothing),
    }
}

/// Yields the packet type, 0 for parameters and 1 for a frame, and the rest.
fn legacy_audio(body: &mut Body) -> Result<(u8, Bytes), Tag> {
    match body.byte()? >> 4 {
        10 => Ok((body.byte()?, body.rest())),
        2 | 14 => Err(Tag::DroppedAudio("MP3")),
        0 | 3 => Err(Tag::DroppedAudio("PCM")),
        7 | 8 => Err(Tag::DroppedAudio("G.711")),
        4..=6 => Err(Tag::DroppedAudio("Nellymoser")),
        11 => Err(Tag::DroppedAudio("Speex")),
        _ => Err(Tag::DroppedAudio("an unknown codec")),
    }
}

fn enhanced_audio(body: &mut Body) -> Result<(u8, Bytes), Tag> {
    let first = body.byte()?;
    let packet = body.skip_modifiers(first & 15)?;
    let Some((packet, codec)) = body.first_track(packet, 5)? else { return Ok((255, Bytes::new())) };
    match &codec {
        b"mp4a" => Ok((packet, body.rest())),
        b"Opus" => Err(Tag::DroppedAudio("Opus")),
        b".mp3" => Err(Tag::DroppedAudio("MP3")),
        b"fLaC" => Err(Tag::DroppedAudio("FLAC")),
        b"ac-3" | b"ec-3" => Err(Tag::DroppedAudio("AC-3")),
        _ => Err(Tag::DroppedAudio("an unknown codec")),
    }
}

/// The unread rest of a tag.
struct Body(Bytes);

impl Body {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn take(&mut self, n: usize) -> Result<Bytes, Tag> {
        if self.0.len() < n {
            return Err(Tag::Malformed("a tag is cut short".into()));
        }
        Ok(self.0.split_to(n))
    }

    fn byte(&mut self) -> Result<u8, Tag> {
        Ok(self.take(1)?[0])
    }

    fn unsigned(&mut self, size: usize) -> Result<usize, Tag> {
        Ok(self.take(size)?.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
    }

    fn signed24(&mut self) -> Result<i32, Tag> {
        let raw = self.unsigned(3)? as i32;
        Ok(raw << 8 >> 8)
    }

    fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }

    /// Skips E-RTMP's modifiers (packet type 7) and yields the type behind them.
    fn skip_modifiers(&mut self, mut packet: u8) -> Result<u8, Tag> {
        while packet == 7 {
            let size = match self.byte()? {
                255 => self.unsigned(2)? + 1,
                size => usize::from(size) + 1,
            };
            self.take(size)?;
            packet = self.byte()? & 15;
        }
        Ok(packet)
    }

    /// Reads the codec's name; of several tracks (packet type `multitrack`), narrows down to the one numbered 0.
    fn first_track(&mut self, packet: u8, multitrack: u8) -> Result<Option<(u8, [u8; 4])>, Tag> {
        if packet != multitrack {
            return Ok(Some((packet, self.codec()?)));
        }
        let kinds = self.byte()?;
        let (tracks, packet) = (kinds >> 4, kinds & 15);
        let shared = if tracks == 2 { None } else { Some(self.codec()?) };
        loop {
            let codec = match shared {
                Some(codec) => codec,
                None => self.codec()?,
            };
            let track = self.byte()?;
            if tracks == 0 {
                return Ok((track == 0).then_some((packet, codec)));
            }
            let size = self.unsigned(3)?;
            let data = self.take(size)?;
            if track == 0 {
                self.0 = data;
                return Ok(Some((packet, codec)));
            }
            if self.0.is_empty() {
                return Ok(None);
            }
        }
    }

    fn codec(&mut self) -> Result<[u8; 4], Tag> {
        let name = self.take(4)?;
        Ok([name[0], name[1], name[2], name[3]])
    }
}

/// The packets of a whole FLV file, for tests.
#[cfg(test)]
pub(crate) fn flv_packets(mut file: Bytes) -> Vec<Packet> {
    let (mut converter, mut packets) = (Converter::default(), vec![]);
    file = file.slice(13.min(file.len())..);
    while file.len() >= 11 {
        let head = file.split_to(11);
        let size = usize::from(head[1]) << 16 | usize::from(head[2]) << 8 | usize::from(head[3]);
        let time = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
        let body = file.split_to(size);
        file = file.slice(4..);
        let tag = match head[0] {
            8 => converter.audio(time, &body),
            9 => converter.video(time, &body),
            _ => Tag::Ignored,
        };
        packets.extend(if let Tag::Packet(packet) = tag { Some(packet) } else { None });
    }
    packets
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameter sets of a 320x240 stream made by x264, Constrained Baseline, with 4-byte lengths.
    const AVCC: &[u8] = &[
        0x01, 0x42, 0xC0, 0x0D, 0xFF, 0xE1, 0x00, 0x16, 0x67, 0x42, 0xC0, 0x0D, 0xDA, 0x05, 0x07, 0xEC, 0x04,
        0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0F, 0x03, 0xC5, 0x0A, 0xA8, 0x01, 0x00, 0x04, 0x68,
        0xCE, 0x0F, 0xC8,
    ];

    fn configured() -> Converter {
        let mut converter = Converter::default();
        let tag = converter.video(0, &[&[0x17, 0, 0, 0, 0], AVCC].concat().into());
        assert!(matches!(tag, Tag::Packet(Packet::VideoConfig(_))), "{tag:?}");
        converter
    }

    fn unit(tag: Tag) -> AccessUnit {
        match tag {
            Tag::Packet(Packet::Video(unit)) => unit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_frame_is_known_by_its_bytes_not_by_the_tags_word() {
        let mut converter = configured();
        let lie = unit(converter.video(40, &Bytes::from_static(&[0x17, 1, 0, 0, 80, 0, 0, 0, 2, 0x41, 1])));
        assert!(!lie.idr);
        assert_eq!((lie.dts, lie.pts), (Some(Ticks(3600)), Some(Ticks(10_800))));
        assert!(unit(converter.video(80, &Bytes::from_static(&[0x27, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 1]))).idr);
    }

    #[test]
    fn a_negative_composition_time_is_negative() {
        let frame =
            unit(configured().video(40, &Bytes::from_static(&[0x27, 1, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0x41])));
        assert_eq!(frame.pts, Some(Ticks::from_millis(39)));
    }

    #[test]
    fn time_goes_on_past_32_bits() {
        let mut converter = configured();
        let body = Bytes::from_static(&[0x27, 1, 0, 0, 0, 0, 0, 0, 1, 0x41]);
        converter.clock = Clock { last: Some((u32::MAX - 5, i64::from(u32::MAX) - 5)) };
        assert_eq!(unit(converter.video(10, &body)).dts, Some(Ticks::from_millis(i64::from(u32::MAX) + 11)));
    }

    #[test]
    fn enhanced_h264_is_taken_and_other_codecs_are_named() {
        let mut converter = Converter::default();
        let start = converter.video(0, &[&[0x90][..], b"avc1", AVCC].concat().into());
        assert!(matches!(start, Tag::Packet(Packet::VideoConfig(_))));
        let x = converter.video(0, &[&[0x93][..], b"avc1", &[0, 0, 0, 1, 0x65]].concat().into());
        assert!(unit(x).idr);
        let hevc = converter.video(0, &[&[0x90][..], b"hvc1", &[0; 30]].concat().into());
        assert!(matches!(hevc, Tag::Unsupported("HEVC (H.265)")));
        assert!(matches!(converter.video(0, &Bytes::from_static(&[0x1C, 0, 0, 0, 0])), Tag::Unsupported(_)));
    }

    #[test]
    fn the_first_of_several_tracks_counts_and_modifiers_are_skipped() {
        let mut converter = configured();
        let track = |id: u8, nal: u8| [&[id, 0, 0, 8][..], &[0, 0, 0, 0, 0, 0, 1, nal]].concat();
        let many = [&[0xA6, 0x11][..], b"avc1", &track(1, 0x41), &track(0, 0x65)].concat();
        assert!(unit(converter.video(0, &many.into())).idr);
        let modified = [&[0xA7, 2, 0, 0, 1, 0x03][..], b"avc1", &[0, 0, 0, 1, 0x41]].concat();
        assert!(!unit(converter.video(0, &modified.into())).idr);
    }

    #[test]
    fn audio_that_is_not_aac_is_dropped_by_name_and_video_goes_on() {
        let mut converter = configured();
        assert!(matches!(converter.audio(0, &Bytes::from_static(&[0x2F, 1, 2])), Tag::DroppedAudio("MP3")));
        let opus = [&[0x90][..], b"Opus", &[1, 2]].concat();
        assert!(matches!(converter.audio(0, &opus.into()), Tag::DroppedAudio("Opus")));
        let aac =
            |converter: &mut Converter, body: &'static [u8]| converter.audio(0, &Bytes::from_static(body));
        assert!(matches!(aac(&mut converter, &[0xAF, 1, 9]), Tag::Malformed(_)));
        assert!(matches!(aac(&mut converter, &[0xAF, 0, 0x12, 0x10]), Tag::Packet(Packet::AudioConfig(_))));
        assert!(matches!(aac(&mut converter, &[0xAF, 1, 9]), Tag::Packet(Packet::Audio(_))));
    }

    #[test]
    fn every_truncation_and_every_garbage_is_an_answer_not_a_panic() {
        let mut converter = configured();
        let whole = [&[0xA6, 0x21][..], b"avc1", &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 0x65]].concat();
        for end in 0..whole.len() {
            converter.video(0, &Bytes::copy_from_slice(&whole[..end]));
            converter.audio(0, &Bytes::copy_from_slice(&whole[..end]));
        }
        for first in 0..=255_u8 {
            for second in 0..=255_u8 {
                let body = Bytes::copy_from_slice(&[first, second, 255, 255, 255, 255, 0, 0, 9, 9]);
                converter.video(0, &body);
                converter.audio(0, &body);
            }
        }
        let lies = Bytes::from_static(&[0x27, 1, 0, 0, 0, 0, 0, 0xFF, 0, 0x65]);
        assert!(matches!(converter.video(0, &lies), Tag::Malformed(_)));
    }
}
