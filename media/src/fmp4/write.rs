//! The writer: initialization segments and fragments in the shape that CMAF players expect (ISO/IEC 23000-19).
//!
//! One track in a file, `moof` before its `mdat`, data offsets relative to the `moof`, absolute decode times, no edit list.

use bytes::{BufMut, Bytes, BytesMut};
use mp4_atom::{
    Atom, Audio, Avc1, Avcc as AvccBox, Dinf, Dref, Encode, Esds, FourCC, Ftyp, Hdlr, Mdhd, Mdia, Mfhd, Minf,
    Moof, Moov, Mp4a, Mvex, Mvhd, Smhd, Stbl, Stsd, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun, TrunEntry, Url,
    Visual, Vmhd, esds,
};

use super::{Box4, MAX_SAMPLES, Mp4Error, Sample, VIDEO_TIMESCALE};
use crate::avc::Avcc;
use crate::packet::{AudioConfig, VideoConfig};

/// Number of the track in files with video.
pub const VIDEO_TRACK: u32 = 1;
/// Number of the track in files with audio.
pub const AUDIO_TRACK: u32 = 2;
/// `sample_flags` of a picture or frame at which decoding can start: depends on no other.
const SYNC: u32 = 0x0200_0000;
/// `sample_flags` of one at which it cannot: depends on others, is no sync sample.
const NON_SYNC: u32 = 0x0101_0000;

/// The initialization segment of an H.264 track, timescale [`VIDEO_TIMESCALE`].
///
/// # Errors
/// [`Mp4Error::Avc`] when the parameter sets cannot be read.
pub fn init_video(config: &VideoConfig) -> Result<Bytes, Mp4Error> {
    let parameters = Avcc::parse(&config.avcc)?;
    if parameters.length_size != 4 {
        return Err(field(b"avcC", "length of NAL lengths", parameters.length_size.into()));
    }
    let info = parameters.info()?;
    let side = |name, value: u32| u16::try_from(value).map_err(|_| field(b"avc1", name, value.into()));
    let (width, height) = (side("width", info.width)?, side("height", info.height)?);
    let avcc = AvccBox::decode_body(&mut config.avcc.as_ref()).map_err(write_error)?;
    let visual = Visual {
        data_reference_index: 1,
        width,
        height,
        horizresolution: 72.into(),
        vertresolution: 72.into(),
        frame_count: 1,
        compressor: mp4_atom::Compressor::default(),
        depth: 24,
    };
    let pasp = info.pixel_aspect.map(|(h, v)| mp4_atom::Pasp { h_spacing: h.into(), v_spacing: v.into() });
    let entry = Avc1 { visual, avcc, pasp, ..Default::default() };
    let track = Trak {
        tkhd: header(VIDEO_TRACK, width, height),
        mdia: media(
            VIDEO_TIMESCALE,
            b"vide",
            Minf { vmhd: Some(Vmhd::default()), ..sample_table(entry.into()) },
        ),
        ..Default::default()
    };
    init(VIDEO_TRACK, track)
}

/// The initialization segment of an AAC track, timescale its sampling rate.
///
/// # Errors
/// [`Mp4Error::Aac`] when the AudioSpecificConfig cannot be read.
pub fn init_audio(config: &AudioConfig) -> Result<Bytes, Mp4Error> {
    let info = config.info()?;
    let dec_specific = esds::DecoderSpecific { raw: config.asc.to_vec(), ..Default::default() };
    let dec_config = esds::DecoderConfig {
        object_type_indication: 0x40,
        stream_type: 5,
        dec_specific: Some(dec_specific),
        ..Default::default()
    };
    let audio = Audio {
        data_reference_index: 1,
        channel_count: u16::from(info.channels.max(1)),
        sample_size: 16,
        sample_rate: u16::try_from(info.rate).unwrap_or(0).into(),
    };
    let es_desc = esds::EsDescriptor { es_id: AUDIO_TRACK as u16, dec_config, ..Default::default() };
    let entry = Mp4a { audio, esds: Esds { es_desc }, btrt: None, taic: None };
    let track = Trak {
        tkhd: Tkhd { volume: 1.into(), ..header(AUDIO_TRACK, 0, 0) },
        mdia: media(info.rate, b"soun", Minf { smhd: Some(Smhd::default()), ..sample_table(entry.into()) }),
        ..Default::default()
    };
    init(AUDIO_TRACK, track)
}

/// One fragment, `moof` and `mdat`, that begins at its first sample's decoding time. Times are in units of the track's
/// timescale; every duration but the last is the distance to the next decoding time, so that a file cannot contradict itself.
///
/// # Errors
/// [`Mp4Error`] when there is no sample, or more than [`MAX_SAMPLES`], or decoding times do not rise or do not fit.
pub fn fragment(track: u32, sequence: u32, samples: &[Sample]) -> Result<Bytes, Mp4Error> {
    let bytes: usize = samples.iter().map(|sample| sample.data.len()).sum();
    let data_size = u32::try_from(bytes + 8).map_err(|_| field(b"mdat", "size", bytes as i64))?;
    let mut moof = moof(track, sequence, samples)?;
    let mut out = BytesMut::with_capacity(bytes + 256 + samples.len() * 16);
    moof.encode(&mut out).map_err(write_error)?;
    // The offset is counted from the moof and known once that has a length; its field's width does not change.
    moof.traf[0].trun[0].data_offset = Some(out.len() as i32 + 8);
    out.clear();
    moof.encode(&mut out).map_err(write_error)?;
    out.put_u32(data_size);
    out.put_slice(b"mdat");
    samples.iter().for_each(|sample| out.put_slice(&sample.data));
    Ok(out.freeze())
}

/// A whole video file: initialization segment and one fragment.
///
/// # Errors
/// As [`init_video`] and [`fragment`].
pub fn video_segment(config: &VideoConfig, sequence: u32, samples: &[Sample]) -> Result<Bytes, Mp4Error> {
    Ok(join(&init_video(config)?, &fragment(VIDEO_TRACK, sequence, samples)?))
}

/// A whole audio file: initialization segment and one fragment.
///
/// # Errors
/// As [`init_audio`] and [`fragment`].
pub fn audio_segment(config: &AudioConfig, sequence: u32, samples: &[Sample]) -> Result<Bytes, Mp4Error> {
    Ok(join(&init_audio(config)?, &fragment(AUDIO_TRACK, sequence, samples)?))
}

fn join(init: &Bytes, media: &Bytes) -> Bytes {
    let mut out = BytesMut::with_capacity(init.len() + media.len());
    out.put_slice(init);
    out.put_slice(media);
    out.freeze()
}

fn moof(track_id: u32, sequence_number: u32, samples: &[Sample]) -> Result<Moof, Mp4Error> {
    let first = samples.first().ok_or(Mp4Error::Empty)?;
    if samples.len() > MAX_SAMPLES {
        return Err(Mp4Error::TooMany { what: "samples in a fragment", max: MAX_SAMPLES });
    }
    let base_media_decode_time =
        u64::try_from(first.dts).map_err(|_| field(b"tfdt", "decode time", first.dts))?;
    let next = samples.iter().skip(1).map(|sample| Some(sample.dts)).chain([None]);
    let entries =
        samples.iter().zip(next).map(|(sample, next)| entry(sample, next)).collect::<Result<Vec<_>, _>>()?;
    let traf = Traf {
        tfhd: Tfhd { track_id, default_base_is_moof: true, ..Default::default() },
        tfdt: Some(Tfdt { base_media_decode_time }),
        trun: vec![Trun { data_offset: Some(0), samples: entries.into() }],
        ..Default::default()
    };
    Ok(Moof { mfhd: Mfhd { sequence_number }, traf: vec![traf] })
}

fn entry(sample: &Sample, next_dts: Option<i64>) -> Result<TrunEntry, Mp4Error> {
    let duration = next_dts.map_or(i64::from(sample.duration), |next| next.saturating_sub(sample.dts));
    let cts = sample.pts.saturating_sub(sample.dts);
    Ok(TrunEntry {
        duration: match u32::try_from(duration) {
            Ok(duration) if duration > 0 || next_dts.is_none() => Some(duration),
            _ => return Err(field(b"trun", "sample duration", duration)),
        },
        size: Some(sample.data.len() as u32),
        flags: Some(if sample.key { SYNC } else { NON_SYNC }),
        cts: Some(i32::try_from(cts).map_err(|_| field(b"trun", "composition offset", cts))?.into()),
    })
}

fn init(track_id: u32, track: Trak) -> Result<Bytes, Mp4Error> {
    let brand = |name: &[u8; 4]| FourCC::new(name);
    let ftyp = Ftyp {
        major_brand: brand(b"iso6"),
        minor_version: 0,
        compatible_brands: [b"iso6", b"cmfc", b"mp41"].map(brand).to_vec(),
    };
    let trex = Trex { track_id, default_sample_description_index: 1, ..Default::default() };
    let moov = Moov {
        mvhd: Mvhd {
            timescale: 1000,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: track_id + 1,
            ..Default::default()
        },
        mvex: Some(Mvex { mehd: None, trex: vec![trex] }),
        trak: vec![track],
        ..Default::default()
    };
    let mut out = BytesMut::with_capacity(1024);
    ftyp.encode(&mut out).map_err(write_error)?;
    moov.encode(&mut out).map_err(write_error)?;
    Ok(out.freeze())
}

fn header(track_id: u32, width: u16, height: u16) -> Tkhd {
    Tkhd {
        track_id,
        enabled: true,
        in_movie: true,
        width: width.into(),
        height: height.into(),
        ..Default::default()
    }
}

fn media(timescale: u32, handler: &[u8; 4], minf: Minf) -> Mdia {
    Mdia {
        mdhd: Mdhd { timescale, language: "und".into(), ..Default::default() },
        hdlr: Hdlr { handler: FourCC::new(handler), name: String::new() },
        minf,
    }
}

fn sample_table(entry: mp4_atom::Codec) -> Minf {
    Minf {
        dinf: Dinf { dref: Dref { entries: vec![Url::default().into()] } },
        stbl: Stbl {
            stsd: Stsd { codecs: vec![entry] },
            stco: Some(mp4_atom::Stco::default()),
            ..Default::default()
        },
        ..Default::default()
    }
}

fn write_error(error: mp4_atom::Error) -> Mp4Error {
    Mp4Error::Write(error.to_string())
}

fn field(place: &[u8; 4], field: &'static str, value: i64) -> Mp4Error {
    Mp4Error::Field { place: Box4(*place), field, value }
}
