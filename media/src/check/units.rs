//! What is in a rendition's samples: one picture each, IDR where the time grid says so, and not filled up with nothing.

use protocol::RenditionSpec;

use super::{MAX_EMPTY_PER_CENT, Violation};
use crate::avc::{nal_type, nals, unit_type};
use crate::fmp4::Sample;

/// Metadata that is never held against anybody, bytes: an encoder's settings, picture timing.
const FREE_METADATA: usize = 2048;

/// Looks at every NAL unit's type and length.
pub(super) fn check(samples: &[Sample], spec: &RenditionSpec) -> Result<(), Violation> {
    let (mut filler, mut metadata, mut total) = (0, 0, 0);
    let mut idr = Vec::with_capacity(samples.len());
    for (index, sample) in samples.iter().enumerate() {
        let unit = Unit::read(&sample.data).map_err(|why| Violation::NoPicture { index, why })?;
        if sample.key != unit.idr {
            return Err(Violation::Key {
                index,
                why: "its mark and its bytes disagree on whether it is IDR",
            });
        }
        idr.push(unit.idr);
        filler += unit.filler;
        metadata += unit.metadata;
        total += sample.data.len();
    }
    keys(samples, &idr, spec)?;
    let too_much = |bytes: usize| bytes > total * MAX_EMPTY_PER_CENT / 100;
    if too_much(filler) {
        return Err(Violation::Empty { what: "filler", found: filler, total });
    }
    if too_much(metadata.saturating_sub(FREE_METADATA)) {
        return Err(Violation::Empty { what: "metadata", found: metadata, total });
    }
    Ok(())
}

/// The first picture is IDR and so is the first one in every interval of the absolute grid.
fn keys(samples: &[Sample], idr: &[bool], spec: &RenditionSpec) -> Result<(), Violation> {
    if idr.first() != Some(&true) {
        return Err(Violation::Key { index: 0, why: "a rendition starts with an IDR picture" });
    }
    let Some(interval) = spec.gop.filter(|&interval| interval > 0) else { return Ok(()) };
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|&index| samples[index].pts);
    let mut cell = None;
    for index in order {
        let here = samples[index].pts.div_euclid(interval);
        if cell.replace(here) != Some(here) && !idr[index] {
            return Err(Violation::Key { index, why: "an IDR picture belongs here on the key frame grid" });
        }
    }
    Ok(())
}

/// What one sample holds.
struct Unit {
    idr: bool,
    /// Bytes of filler NAL units.
    filler: usize,
    /// Bytes of SEI and of types nobody decodes.
    metadata: usize,
}

impl Unit {
    fn read(data: &[u8]) -> Result<Self, String> {
        let (mut unit, mut slices) = (Self { idr: false, filler: 0, metadata: 0 }, 0);
        for nal in nals(data) {
            let nal = nal.map_err(|error| error.to_string())?;
            match unit_type(nal) {
                Some(nal_type::IDR) => (unit.idr, slices) = (true, slices + 1),
                Some(nal_type::SLICE) => slices += 1,
                Some(nal_type::FILLER) => unit.filler += nal.len(),
                _ => unit.metadata += nal.len(),
            }
        }
        if slices == 0 { Err("no slice".into()) } else { Ok(unit) }
    }
}
