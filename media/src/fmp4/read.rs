//! The reader: any MP4, fragmented or not, from anybody.

use bytes::Bytes;

use super::boxes::{Child, Fields, children, find, need};
use super::{Box4, Codec, MAX_SAMPLES, Movie, Mp4Error, Sample, Track, tables};
use crate::avc::{Avcc, widen_lengths};
use crate::packet::{AudioConfig, VideoConfig};

/// Tracks looked at; a file from a publisher has two.
const MAX_TRACKS: usize = 16;
/// `sample_is_non_sync_sample` of sample flags.
const NON_SYNC: u32 = 0x0001_0000;

/// Reads a file: its H.264 and AAC tracks with all their samples, in decoding order, edit lists applied.
///
/// Memory is bounded by [`MAX_SAMPLES`]; the sum of all samples' sizes by the length of the file.
///
/// # Errors
/// [`Mp4Error`] says which box is wrong and how.
pub fn parse(file: &Bytes) -> Result<Movie, Mp4Error> {
    let top = children(file, *b"file")?;
    let moov = need(&top, b"moov")?.children()?;
    let mut open = open_tracks(&moov)?;
    if open.is_empty() {
        return Err(Mp4Error::NoTrack);
    }
    let mut budget = Budget { samples: MAX_SAMPLES, bytes: file.len() };
    for track in &mut open {
        let table = track.table.take();
        for sample in table.map(|stbl| tables::samples(&stbl, file)).transpose()?.unwrap_or_default() {
            budget.spend(sample.data.len())?;
            track.push(sample)?;
        }
    }
    for moof in top.iter().filter(|child| &child.kind == b"moof") {
        let mut end = moof.at;
        for traf in moof.children()?.iter().filter(|child| &child.kind == b"traf") {
            end = read_traf(traf, moof.at, end, file, &mut open, &mut budget)?;
        }
    }
    Ok(Movie { tracks: open.into_iter().map(|track| track.track).collect() })
}

/// Splits a fragmented file into initialization segment and the rest, without copying.
///
/// # Errors
/// [`Mp4Error`] when there is no `moov`, or a box is cut short.
pub fn split(file: &Bytes) -> Result<(Bytes, Bytes), Mp4Error> {
    let top = children(file, *b"file")?;
    let after =
        top.iter().position(|child| &child.kind == b"moov").ok_or(Mp4Error::Missing(Box4(*b"moov")))? + 1;
    let at = top.get(after).map_or(file.len(), |child| child.at);
    Ok((file.slice(..at), file.slice(at..)))
}

/// What is left to spend on one file.
struct Budget {
    samples: usize,
    bytes: usize,
}

impl Budget {
    fn spend(&mut self, bytes: usize) -> Result<(), Mp4Error> {
        self.samples =
            self.samples.checked_sub(1).ok_or(Mp4Error::TooMany { what: "samples", max: MAX_SAMPLES })?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or(Mp4Error::Field {
            place: Box4(*b"trun"),
            field: "sum of sample sizes",
            value: bytes as i64,
        })?;
        Ok(())
    }
}

/// A track that is still being filled.
struct Open {
    track: Track,
    /// Bytes of the lengths before NAL units.
    length_size: u8,
    /// Subtracted from every time, by the edit list.
    shift: i64,
    /// `default_sample_duration`, `_size`, `_flags` of `trex`.
    defaults: [u32; 3],
    /// Where the next fragment begins when it does not say.
    next_dts: i64,
    /// `stbl`, when it holds samples.
    table: Option<Child>,
}

impl Open {
    fn push(&mut self, mut sample: Sample) -> Result<(), Mp4Error> {
        self.next_dts = sample.dts.saturating_add(i64::from(sample.duration));
        sample.dts = sample.dts.saturating_sub(self.shift);
        sample.pts = sample.pts.saturating_sub(self.shift);
        match self.track.codec {
            Codec::Avc(_) => sample.data = widen_lengths(&sample.data, self.length_size)?,
            Codec::Aac(_) => sample.key = true,
        }
        self.track.samples.push(sample);
        Ok(())
    }
}

fn open_tracks(moov: &[Child]) -> Result<Vec<Open>, Mp4Error> {
    let movie_timescale = find(moov, b"mvhd").map(timescale).transpose()?.unwrap_or(1000);
    let extends = find(moov, b"mvex").map(Child::children).transpose()?.unwrap_or_default();
    let mut open: Vec<Open> = Vec::new();
    for trak in moov.iter().filter(|child| &child.kind == b"trak").take(MAX_TRACKS) {
        open.extend(open_track(trak, movie_timescale)?);
    }
    for trex in extends.iter().filter(|child| &child.kind == b"trex") {
        let (_, _, mut fields) = trex.full()?;
        let (id, _description) = (fields.u32()?, fields.u32()?);
        let defaults = [fields.u32()?, fields.u32()?, fields.u32()?];
        open.iter_mut().filter(|open| open.track.id == id).for_each(|open| open.defaults = defaults);
    }
    Ok(open)
}

/// Reads a `trak`; `None` when its codec is not ours.
fn open_track(trak: &Child, movie_timescale: u32) -> Result<Option<Open>, Mp4Error> {
    let boxes = trak.children()?;
    let mdia = need(&boxes, b"mdia")?.children()?;
    let timescale = timescale(need(&mdia, b"mdhd")?)?;
    let minf = need(&mdia, b"minf")?.children()?;
    let stbl = need(&minf, b"stbl")?;
    let Some((codec, length_size)) = codec(&stbl.children()?)? else { return Ok(None) };
    let (version, _, mut fields) = need(&boxes, b"tkhd")?.full()?;
    fields.take(if version == 1 { 16 } else { 8 })?;
    let id = fields.u32()?;
    let shift = match find(&boxes, b"edts") {
        Some(edts) => edit_shift(edts, timescale, movie_timescale)?,
        None => 0,
    };
    let track = Track { id, timescale, codec, samples: Vec::new() };
    Ok(Some(Open { track, length_size, shift, defaults: [0; 3], next_dts: 0, table: Some(stbl.clone()) }))
}

/// The timescale of an `mvhd` or `mdhd`.
fn timescale(header: &Child) -> Result<u32, Mp4Error> {
    let (version, _, mut fields) = header.full()?;
    fields.take(if version == 1 { 16 } else { 8 })?;
    match fields.u32()? {
        0 => Err(Mp4Error::Field { place: Box4(header.kind), field: "timescale", value: 0 }),
        timescale => Ok(timescale),
    }
}

/// How far an edit list moves its track: the start of the first real edit, minus the empty edits before it.
fn edit_shift(edts: &Child, timescale: u32, movie_timescale: u32) -> Result<i64, Mp4Error> {
    let boxes = edts.children()?;
    let Some(elst) = find(&boxes, b"elst") else { return Ok(0) };
    let (version, _, mut fields) = elst.full()?;
    let mut empty = 0_i128;
    for _ in 0..fields.count(if version == 1 { 20 } else { 12 })? {
        let duration = fields.wide(version)?;
        let media_time = if version == 1 { fields.u64()? as i64 } else { i64::from(fields.u32()? as i32) };
        fields.u32()?;
        if media_time >= 0 {
            let delay = empty * i128::from(timescale) / i128::from(movie_timescale);
            return Ok(media_time.saturating_sub(i64::try_from(delay).unwrap_or(i64::MAX)));
        }
        empty += i128::from(duration);
    }
    Ok(0)
}

/// The codec of the first sample entry and the size of its NAL lengths; `None` when it is not ours.
fn codec(stbl: &[Child]) -> Result<Option<(Codec, u8)>, Mp4Error> {
    let stsd = need(stbl, b"stsd")?;
    let (_, _, fields) = stsd.full()?;
    let entries = Bytes::copy_from_slice(fields.rest().get(4..).unwrap_or(&[]));
    let entries = children(&entries, *b"stsd")?;
    let Some(entry) = entries.first() else { return Ok(None) };
    match &entry.kind {
        b"avc1" | b"avc3" => {
            let avcc = entry_child(entry, 78, *b"avcC")?.body;
            let parameters = Avcc::parse(&avcc)?;
            parameters.info()?;
            let config =
                if parameters.length_size == 4 { VideoConfig { avcc } } else { parameters.to_config()? };
            Ok(Some((Codec::Avc(config), parameters.length_size)))
        }
        b"mp4a" => {
            let version = entry.body.get(8..10).map_or(0, |v| u16::from_be_bytes([v[0], v[1]]));
            let header = 28 + if version == 1 { 16 } else { 0 };
            let asc = decoder_specific(&entry_child(entry, header, *b"esds")?)?;
            let Some(asc) = asc else { return Ok(None) };
            let config = AudioConfig { asc };
            config.info()?;
            Ok(Some((Codec::Aac(config), 0)))
        }
        _ => Ok(None),
    }
}

/// A box inside a sample entry, after the entry's own fields.
fn entry_child(entry: &Child, header: usize, kind: [u8; 4]) -> Result<Child, Mp4Error> {
    if entry.body.len() < header {
        return Err(Mp4Error::Truncated(Box4(entry.kind)));
    }
    need(&children(&entry.body.slice(header..), entry.kind)?, &kind).cloned()
}

/// The AudioSpecificConfig in an `esds` (ISO/IEC 14496-1 7.2.6); `None` when the stream is not AAC.
fn decoder_specific(esds: &Child) -> Result<Option<Bytes>, Mp4Error> {
    let (_, _, mut fields) = esds.full()?;
    let mut stream = descriptor(&mut fields, 3)?;
    stream.u16()?;
    let flags = stream.u8()?;
    if flags & 0x80 != 0 {
        stream.u16()?;
    }
    if flags & 0x40 != 0 {
        let length = stream.u8()?;
        stream.take(usize::from(length))?;
    }
    if flags & 0x20 != 0 {
        stream.u16()?;
    }
    let mut decoder = descriptor(&mut stream, 4)?;
    let object_type = decoder.u8()?;
    if !matches!(object_type, 0x40 | 0x66..=0x68) {
        return Ok(None);
    }
    decoder.take(12)?;
    let specific = descriptor(&mut decoder, 5)?;
    Ok(Some(Bytes::copy_from_slice(specific.rest())))
}

/// Reads a descriptor of that tag: its fields.
fn descriptor<'a>(fields: &mut Fields<'a>, tag: u8) -> Result<Fields<'a>, Mp4Error> {
    let found = fields.u8()?;
    if found != tag {
        return Err(Mp4Error::Field { place: Box4(*b"esds"), field: "descriptor tag", value: found.into() });
    }
    let mut length = 0_usize;
    for _ in 0..4 {
        let byte = fields.u8()?;
        length = length << 7 | usize::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(Fields::new(fields.take(length)?, *b"esds"))
}

/// What `tfhd` sets for the runs after it.
struct Header {
    base: i64,
    /// Duration, size, flags of a sample that does not say.
    defaults: [u32; 3],
}

/// Reads one track's part of a fragment and says where its data ended.
fn read_traf(
    traf: &Child,
    moof_at: usize,
    previous_end: usize,
    file: &Bytes,
    open: &mut [Open],
    budget: &mut Budget,
) -> Result<usize, Mp4Error> {
    let boxes = traf.children()?;
    let (_, flags, mut fields) = need(&boxes, b"tfhd")?.full()?;
    let id = fields.u32()?;
    let Some(track) = open.iter_mut().find(|open| open.track.id == id) else { return Ok(previous_end) };
    let base = if flags & 1 != 0 { Some(fields.u64()?) } else { None };
    fields.u32_if(flags & 2 != 0)?;
    let mut defaults = track.defaults;
    for (bit, default) in [8, 0x10, 0x20].into_iter().zip(&mut defaults) {
        *default = fields.u32_if(flags & bit != 0)?.unwrap_or(*default);
    }
    let implied = if flags & 0x2_0000 != 0 { moof_at } else { previous_end };
    let base = base.map_or(implied as i64, |base| i64::try_from(base).unwrap_or(i64::MAX));
    if let Some(tfdt) = find(&boxes, b"tfdt") {
        let (version, _, mut fields) = tfdt.full()?;
        let time = fields.wide(version)?;
        track.next_dts = i64::try_from(time).map_err(|_| Mp4Error::Field {
            place: Box4(*b"tfdt"),
            field: "decode time",
            value: i64::MAX,
        })?;
    }
    let header = Header { base, defaults };
    let mut end = base;
    for trun in boxes.iter().filter(|child| &child.kind == b"trun") {
        end = read_run(trun, &header, end, file, track, budget)?;
    }
    Ok(usize::try_from(end).unwrap_or(0))
}

/// Reads one run of samples and says where its data ended.
fn read_run(
    trun: &Child,
    header: &Header,
    previous_end: i64,
    file: &Bytes,
    track: &mut Open,
    budget: &mut Budget,
) -> Result<i64, Mp4Error> {
    let (_, flags, mut fields) = trun.full()?;
    let count = fields.u32()?;
    let offset = fields.u32_if(flags & 1 != 0)?;
    let first_flags = fields.u32_if(flags & 4 != 0)?;
    let mut at = offset.map_or(previous_end, |offset| header.base.saturating_add(i64::from(offset as i32)));
    for index in 0..count {
        let [duration, size, default_flags] = header.defaults;
        let duration = fields.u32_if(flags & 0x100 != 0)?.unwrap_or(duration);
        let size = fields.u32_if(flags & 0x200 != 0)?.unwrap_or(size);
        let own = fields.u32_if(flags & 0x400 != 0)?;
        // Version 0 says unsigned, but writers put negative offsets there too; none is honestly above 2^31.
        let cts = fields.u32_if(flags & 0x800 != 0)?.unwrap_or(0) as i32;
        let sample_flags = own.or(first_flags.filter(|_| index == 0)).unwrap_or(default_flags);
        budget.spend(size as usize)?;
        let dts = track.next_dts;
        track.push(Sample {
            dts,
            pts: dts.saturating_add(i64::from(cts)),
            duration,
            key: sample_flags & NON_SYNC == 0,
            data: slice(file, at, size, trun.kind)?,
        })?;
        at = at.saturating_add(i64::from(size));
    }
    Ok(at)
}

/// The bytes of a sample, which must lie in the file.
pub(super) fn slice(file: &Bytes, at: i64, size: u32, place: [u8; 4]) -> Result<Bytes, Mp4Error> {
    let start = usize::try_from(at).ok();
    let range = start.and_then(|start| Some(start..start.checked_add(size as usize)?));
    match range {
        Some(range) if range.end <= file.len() => Ok(file.slice(range)),
        _ => Err(Mp4Error::Field { place: Box4(place), field: "place of a sample", value: at }),
    }
}
