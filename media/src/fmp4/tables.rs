//! Sample tables of a file that is not fragmented (ISO/IEC 14496-12 8.6 and 8.7): what recorders write and people push.

use bytes::Bytes;

use super::boxes::{Child, Fields, find, need};
use super::read::slice;
use super::{Box4, MAX_SAMPLES, Mp4Error, Sample};

/// The samples that an `stbl` describes; none when it is the empty one of a fragmented file.
pub(super) fn samples(stbl: &Child, file: &Bytes) -> Result<Vec<Sample>, Mp4Error> {
    let boxes = stbl.children()?;
    let sizes = sizes(&boxes)?;
    if sizes.is_empty() {
        return Ok(Vec::new());
    }
    let places = places(&boxes, &sizes)?;
    let mut durations = Runs::of(find(&boxes, b"stts"))?;
    let mut offsets = Runs::of(find(&boxes, b"ctts"))?;
    let mut sync = sync_samples(&boxes)?;
    let mut dts = 0_i64;
    let mut samples = Vec::with_capacity(sizes.len());
    for (index, (&size, at)) in sizes.iter().zip(places).enumerate() {
        let duration = durations.next()?.unwrap_or(0);
        let cts = offsets.next()?.unwrap_or(0) as i32;
        let key = sync.as_mut().is_none_or(|sync| sync.next_if(index as u32 + 1));
        let pts = dts.saturating_add(i64::from(cts));
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        samples.push(Sample { dts, pts, duration, key, data: slice(file, at, size, *b"stco")? });
        dts = dts.saturating_add(i64::from(duration));
    }
    Ok(samples)
}

fn sizes(boxes: &[Child]) -> Result<Vec<u32>, Mp4Error> {
    let Some(stsz) = find(boxes, b"stsz") else { return Ok(Vec::new()) };
    let (_, _, mut fields) = stsz.full()?;
    let all = fields.u32()?;
    let count = if all == 0 { fields.count(4)? } else { fields.u32()? as usize };
    if count > MAX_SAMPLES {
        return Err(Mp4Error::TooMany { what: "samples", max: MAX_SAMPLES });
    }
    if all != 0 {
        return Ok(vec![all; count]);
    }
    (0..count).map(|_| fields.u32()).collect()
}

/// Where each sample begins in the file: chunk by chunk.
fn places(boxes: &[Child], sizes: &[u32]) -> Result<Vec<u64>, Mp4Error> {
    let (mut chunks, wide) = match find(boxes, b"co64") {
        Some(co64) => (co64.full()?.2, true),
        None => (need(boxes, b"stco")?.full()?.2, false),
    };
    let (_, _, mut map) = need(boxes, b"stsc")?.full()?;
    let mut entries = Vec::new();
    for _ in 0..map.count(12)?.min(MAX_SAMPLES) {
        entries.push((map.u32()?, map.u32()?));
        map.u32()?;
    }
    let mut places = Vec::with_capacity(sizes.len());
    let mut entry = 0;
    for chunk in 1..=chunks.count(if wide { 8 } else { 4 })? as u64 {
        let mut at = if wide { chunks.u64()? } else { chunks.u32()?.into() };
        while entries.get(entry + 1).is_some_and(|&(first, _)| u64::from(first) <= chunk) {
            entry += 1;
        }
        let in_chunk = entries.get(entry).map_or(0, |&(_, count)| count as usize);
        for &size in sizes.iter().skip(places.len()).take(in_chunk) {
            places.push(at);
            at = at.saturating_add(u64::from(size));
        }
        if places.len() == sizes.len() {
            return Ok(places);
        }
    }
    Err(Mp4Error::Truncated(Box4(*b"stco")))
}

/// A run-length table of `(count, value)`, read entry by entry.
struct Runs<'a> {
    fields: Option<Fields<'a>>,
    entries: usize,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    fn of(table: Option<&'a Child>) -> Result<Self, Mp4Error> {
        let mut fields = table.map(Child::full).transpose()?.map(|(_, _, fields)| fields);
        let entries = fields.as_mut().map_or(Ok(0), |fields| fields.count(8))?;
        Ok(Self { fields, entries, left: 0, value: 0 })
    }

    /// The value of the next sample; `None` after the table's end.
    fn next(&mut self) -> Result<Option<u32>, Mp4Error> {
        while self.left == 0 {
            let Some(fields) = self.fields.as_mut().filter(|_| self.entries > 0) else { return Ok(None) };
            (self.left, self.value) = (fields.u32()?, fields.u32()?);
            self.entries -= 1;
        }
        self.left -= 1;
        Ok(Some(self.value))
    }
}

/// The numbers of the samples at which decoding can start; `None` when it can at all.
fn sync_samples(boxes: &[Child]) -> Result<Option<Sync<'_>>, Mp4Error> {
    let Some(stss) = find(boxes, b"stss") else { return Ok(None) };
    let (_, _, mut fields) = stss.full()?;
    let count = fields.count(4)?;
    Ok(Some(Sync { fields, left: count, head: 0 }))
}

struct Sync<'a> {
    fields: Fields<'a>,
    left: usize,
    head: u32,
}

impl Sync<'_> {
    /// Whether `number` is in the list; asked with rising numbers.
    fn next_if(&mut self, number: u32) -> bool {
        while self.head < number && self.left > 0 {
            self.head = self.fields.u32().unwrap_or(0);
            self.left -= 1;
        }
        self.head == number
    }
}
