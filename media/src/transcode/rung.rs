//! One rung of the ladder: pictures in, one rendition out.

use std::sync::mpsc::{Receiver, SyncSender};

use bytes::{BufMut, Bytes, BytesMut};
use protocol::{Hash, Rendition, RenditionSpec};

use super::cpu::{Clock, ENCODER};
use super::ffi::{AvError, Colour, Encoded, Encoder, Frame, Scaler, Settings};
use super::grid::{FrameGrid, KeyGrid};
use super::source::Source;
use super::{InputError, TranscodeError, dts_delay, level, order, plan};
use crate::avc::{self, Avcc, nal_type};
use crate::fmp4::{self, Sample};
use crate::packet::VideoConfig;

/// Payload type of a user data SEI message (ITU-T H.264 D.1.7): x264 writes its options there, hundreds of bytes a segment.
const USER_DATA: u8 = 5;

/// What one rendition is made of.
#[derive(Clone, Copy)]
pub(crate) struct Rung<'a> {
    pub(crate) index: usize,
    spec: &'a RenditionSpec,
    source: &'a Source,
    clock: &'a Clock,
    exact: bool,
    grid: Option<FrameGrid>,
}

impl<'a> Rung<'a> {
    pub(crate) fn new(
        index: usize,
        spec: &'a RenditionSpec,
        source: &'a Source,
        clock: &'a Clock,
        exact: bool,
        max_frames: u32,
    ) -> Result<Self, InputError> {
        let rung = Self { index, spec, source, clock, exact, grid: spec.fps.map(FrameGrid::new) };
        let frames = rung.grid.map_or(source.times.len() as u64, |grid| {
            grid.position(source.end).abs_diff(grid.position(source.start()))
        });
        if frames > u64::from(max_frames) {
            return Err(InputError::Frames { frames, max: max_frames });
        }
        let delay = dts_delay(spec);
        let first = rung.grid.map_or(source.start(), |grid| grid.pts(grid.position(source.start())));
        if first < delay.0 {
            let first = protocol::Ticks(first);
            return Err(InputError::Time(format!(
                "the first picture is at {first}: start at {delay} or later"
            )));
        }
        if frames == 0 {
            let what = "the segment is shorter than one picture at this frame rate".into();
            return Err(InputError::Spec { rendition: spec.name.clone(), what });
        }
        Ok(rung)
    }

    /// Makes the rendition from the pictures of `input`, which are also handed on to `children`; `None` when the job was stopped.
    pub(crate) fn run(
        &self,
        input: &Receiver<Frame>,
        children: &[SyncSender<Frame>],
    ) -> Result<Option<Rendition>, TranscodeError> {
        let codec = |source| TranscodeError::Codec { rendition: self.spec.name.clone(), source };
        let mut scaler = Scaler::new(self.spec.width, self.spec.height, self.exact).map_err(codec)?;
        let mut work = Work {
            rung: self,
            encoder: None,
            keys: KeyGrid::new(self.spec.gop),
            held: None,
            coded: Vec::new(),
        };
        for frame in input {
            if !self.clock.check()? {
                return Ok(None);
            }
            let frame = scaler.scale(&frame).map_err(codec)?;
            for child in children {
                // A child that is gone has reported why.
                let _ = child.send(frame.share().map_err(codec)?);
            }
            work.picture(frame).map_err(codec)?;
        }
        if !self.clock.check()? {
            return Ok(None);
        }
        let (headers, coded) = work.finish().map_err(codec)?;
        self.pack(&headers, coded).map(Some)
    }

    /// The times that the rendition's pictures must have.
    fn expected(&self) -> Vec<i64> {
        match self.grid {
            None => self.source.times.clone(),
            Some(grid) => {
                let range = grid.position(self.source.start())..grid.position(self.source.end);
                range.map(|position| grid.pts(position)).collect()
            }
        }
    }

    fn settings(&self, colour: Colour) -> Settings {
        let fps = self.spec.fps.map_or_else(|| self.source.fps(), |fps| (fps.num, fps.den));
        let exact = if self.exact { ":cpu-independent=1" } else { "" };
        Settings {
            encoder: ENCODER,
            width: self.spec.width,
            height: self.spec.height,
            bitrate: self.spec.bitrate,
            fps,
            b_frames: self.spec.b_frames,
            colour,
            options: vec![
                ("preset", "veryfast".into()),
                ("profile", plan::profile_name(self.spec.profile).into()),
                ("level", level::level(self.spec, fps).into()),
                ("forced-idr", "1".into()),
                // Key frames come from the time grid alone; the depth of reordering never changes.
                ("x264-params", format!("keyint=infinite:scenecut=0:open-gop=0:b-pyramid=normal{exact}")),
            ],
        }
    }

    /// Checks what the encoder made and puts it into a file.
    fn pack(&self, headers: &[u8], coded: Vec<Encoded>) -> Result<Rendition, TranscodeError> {
        let wrong = |what: String| TranscodeError::Output { rendition: self.spec.name.clone(), what };
        let frames = self.check(&coded).map_err(wrong)?;
        let config = parameter_sets(headers).map_err(|e| wrong(format!("its parameter sets: {e}")))?;
        let pts: Vec<i64> = coded.iter().map(|c| c.pts).collect();
        let delay = dts_delay(self.spec).0;
        let dts = order::decoding_times(&pts, delay);
        let end = self.grid.map_or(self.source.end, |grid| grid.pts(grid.position(self.source.end)));
        let next = dts.iter().skip(1).copied().chain([end - delay]);
        let samples: Vec<Sample> = coded
            .into_iter()
            .zip(dts.iter().zip(next))
            .map(|(coded, (&dts, next))| Sample {
                dts,
                pts: coded.pts,
                duration: u32::try_from(next - dts).unwrap_or(1),
                key: coded.key,
                data: length_prefixed(&coded.data),
            })
            .collect();
        let bytes = fmp4::video_segment(&config, 1, &samples).map_err(|e| wrong(e.to_string()))?;
        let hash = Hash::of(&bytes);
        Ok(Rendition {
            index: self.index,
            frames,
            pixels: u64::from(frames) * self.spec.pixels(),
            bytes,
            hash,
        })
    }

    /// Every expected picture, once, an IDR picture first. Returns how many.
    fn check(&self, coded: &[Encoded]) -> Result<u32, String> {
        let expected = self.expected();
        if coded.len() != expected.len() {
            return Err(format!("{} pictures instead of {}", coded.len(), expected.len()));
        }
        let mut times: Vec<i64> = coded.iter().map(|c| c.pts).collect();
        if !coded.first().is_some_and(|c| c.key && c.pts == expected[0]) {
            return Err("it does not start with an IDR picture at the source's start".into());
        }
        times.sort_unstable();
        match times.iter().zip(&expected).find(|(made, wanted)| made != wanted) {
            Some((made, wanted)) => Err(format!("a picture at {made} instead of {wanted}")),
            None => u32::try_from(coded.len()).map_err(|e| e.to_string()),
        }
    }
}

/// A rendition in the making.
struct Work<'a> {
    rung: &'a Rung<'a>,
    encoder: Option<Encoder>,
    keys: KeyGrid,
    /// With a converted frame rate: the last picture, shown until the next one comes.
    held: Option<(i64, Frame)>,
    coded: Vec<Encoded>,
}

impl Work<'_> {
    fn picture(&mut self, frame: Frame) -> Result<(), AvError> {
        let pts = frame.pts().unwrap_or_default();
        let Some(grid) = self.rung.grid else { return self.encode(frame, pts) };
        let position = grid.position(pts);
        if let Some((from, held)) = self.held.replace((position, frame)) {
            self.show(grid, from..position, &held)?;
        }
        Ok(())
    }

    fn show(
        &mut self,
        grid: FrameGrid,
        positions: std::ops::Range<i64>,
        frame: &Frame,
    ) -> Result<(), AvError> {
        for position in positions {
            self.encode(frame.share()?, grid.pts(position))?;
        }
        Ok(())
    }

    fn encode(&mut self, mut frame: Frame, pts: i64) -> Result<(), AvError> {
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(Encoder::open(&self.rung.settings(Colour::of(&frame)))?),
        };
        frame.stamp(pts, self.keys.key(pts));
        encoder.send(Some(&frame))?;
        take(encoder, &mut self.coded)
    }

    /// The parameter sets and the pictures, all of them.
    fn finish(mut self) -> Result<(Vec<u8>, Vec<Encoded>), AvError> {
        if let (Some(grid), Some((from, held))) = (self.rung.grid, self.held.take()) {
            self.show(grid, from..grid.position(self.rung.source.end), &held)?;
        }
        let Some(mut encoder) = self.encoder else { return Ok((Vec::new(), self.coded)) };
        encoder.send(None)?;
        take(&mut encoder, &mut self.coded)?;
        Ok((encoder.headers().to_vec(), self.coded))
    }
}

/// Takes everything that the encoder has to give.
pub(super) fn take(encoder: &mut Encoder, coded: &mut Vec<Encoded>) -> Result<(), AvError> {
    while let Some(picture) = encoder.receive()? {
        coded.push(picture);
    }
    Ok(())
}

/// The record of an encoder's parameter sets.
pub(super) fn parameter_sets(headers: &[u8]) -> Result<VideoConfig, avc::AvcError> {
    let of = |wanted| {
        let found = avc::annexb(headers).filter(move |nal| avc::unit_type(nal) == Some(wanted));
        found.map(Bytes::copy_from_slice).collect::<Vec<_>>()
    };
    Avcc::new(of(nal_type::SPS), of(nal_type::PPS))?.to_config()
}

/// NAL units with their lengths, less those that the container or nobody needs.
pub(super) fn length_prefixed(annexb: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(annexb.len() + 16);
    for nal in avc::annexb(annexb) {
        let needless = match avc::unit_type(nal) {
            Some(nal_type::SEI) => nal.get(1) == Some(&USER_DATA),
            Some(nal_type::AUD | nal_type::SPS | nal_type::PPS) | None => true,
            Some(_) => false,
        };
        if !needless {
            out.put_u32(nal.len() as u32);
            out.put_slice(nal);
        }
    }
    out.freeze()
}
