use std::process::Command;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::avc::{Avcc, is_idr};

/// Encodes a test picture and a tone with the ffmpeg program; `output` are its options for the file, which is MP4.
fn made_by_ffmpeg(output: &[&str]) -> Bytes {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.mp4");
    let input = [
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=320x180:r=30:d=2",
        "-f",
        "lavfi",
        "-i",
        "sine=r=48000:d=2",
    ];
    let codecs = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-bf",
        "2",
        "-g",
        "30",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
    ];
    let status = Command::new("ffmpeg").args(input).args(codecs).args(output).arg(&path).status().unwrap();
    assert!(status.success());
    std::fs::read(&path).unwrap().into()
}

fn fragmented() -> Bytes {
    made_by_ffmpeg(&["-movflags", "frag_keyframe+empty_moov+default_base_moof"])
}

/// A video file of our own with absolute times, made of ffmpeg's pictures.
fn ours() -> (VideoConfig, Vec<Sample>, Bytes) {
    let movie = parse(&fragmented()).unwrap();
    let (config, track) = movie.video().unwrap();
    let samples: Vec<Sample> = track
        .samples
        .iter()
        .map(|sample| Sample {
            dts: track.ticks(sample.dts).0 + 900_000,
            pts: track.ticks(sample.pts).0 + 900_000,
            duration: 3000,
            ..sample.clone()
        })
        .collect();
    let file = video_segment(config, 7, &samples).unwrap();
    (config.clone(), samples, file)
}

fn probe(file: &Bytes, arguments: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.mp4");
    std::fs::write(&path, file).unwrap();
    let out = Command::new("ffprobe").args(["-v", "error"]).args(arguments).arg(&path).output().unwrap();
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn a_fragmented_file_is_read_whole() {
    let movie = parse(&fragmented()).unwrap();
    let (config, video) = movie.video().unwrap();
    assert_eq!(config.info().map(|sps| (sps.width, sps.height)), Ok((320, 180)));
    assert_eq!(video.samples.len(), 60);
    assert!(video.samples.iter().all(|sample| sample.key == is_idr(&sample.data)));
    let (config, audio) = movie.audio().unwrap();
    assert_eq!(config.info().unwrap().rate, audio.timescale);
    assert!((94..=96).contains(&audio.samples.len()));
}

#[test]
fn a_recorded_file_reads_like_its_fragmented_twin() {
    let plain = parse(&made_by_ffmpeg(&[])).unwrap();
    let fragmented = parse(&fragmented()).unwrap();
    let (_, plain) = plain.video().unwrap();
    let (_, fragmented) = fragmented.video().unwrap();
    let shape = |track: &Track| {
        let first = track.samples[0].pts;
        track.samples.iter().map(|s| (track.ticks(s.pts - first), s.key, s.data.clone())).collect::<Vec<_>>()
    };
    assert_eq!(plain.samples[0].pts, 0);
    assert!(shape(plain) == shape(fragmented));
}

#[test]
fn what_is_written_reads_back_the_same() {
    let (config, samples, file) = ours();
    let movie = parse(&file).unwrap();
    let (read_config, track) = movie.video().unwrap();
    assert_eq!((track.id, track.timescale), (VIDEO_TRACK, VIDEO_TIMESCALE));
    assert_eq!(*read_config, config);
    assert!(track.samples == samples);
}

#[test]
fn samples_are_slices_of_the_file() {
    let (_, _, file) = ours();
    let movie = parse(&file).unwrap();
    let range = file.as_ptr_range();
    assert!(movie.tracks[0].samples.iter().all(|s| range.contains(&s.data.as_ptr())));
}

#[test]
fn ffprobe_sees_our_absolute_times() {
    let (_, samples, file) = ours();
    let out = probe(&file, &["-show_entries", "packet=pts,dts", "-of", "csv=p=0"]);
    let seen: Vec<(i64, i64)> = out
        .lines()
        .map(|line| {
            let mut fields = line.trim_end_matches(',').split(',').map(|f| f.parse().unwrap());
            (fields.next().unwrap(), fields.next().unwrap())
        })
        .collect();
    assert_eq!(seen, samples.iter().map(|s| (s.pts, s.dts)).collect::<Vec<_>>());
}

#[test]
fn an_independent_reader_accepts_our_boxes() {
    use mp4_atom::{Decode, Ftyp, Mdat, Moof, Moov};
    let (_, samples, file) = ours();
    let mut rest = file.as_ref();
    Ftyp::decode(&mut rest).unwrap();
    assert_eq!(Moov::decode(&mut rest).unwrap().trak.len(), 1);
    assert_eq!(Moof::decode(&mut rest).unwrap().traf[0].trun[0].samples.len(), samples.len());
    assert_eq!(
        Mdat::decode(&mut rest).unwrap().data.len(),
        samples.iter().map(|s| s.data.len()).sum::<usize>()
    );
    assert!(rest.is_empty());
}

#[test]
fn an_audio_file_keeps_its_frames_and_its_clock() {
    let movie = parse(&fragmented()).unwrap();
    let (config, track) = movie.audio().unwrap();
    let frames: Vec<Sample> = (0..)
        .zip(&track.samples)
        .map(|(n, frame)| Sample {
            dts: 480_000 + n * 1024,
            pts: 480_000 + n * 1024,
            duration: 1024,
            ..frame.clone()
        })
        .collect();
    let file = audio_segment(config, 1, &frames).unwrap();
    let back = parse(&file).unwrap();
    assert!(back.audio().unwrap().1.samples == frames);
    let seen = probe(
        &file,
        &["-show_entries", "stream=codec_name,sample_rate,channels:packet=pts", "-of", "csv=p=0"],
    );
    assert!(seen.starts_with("480000"), "{seen}");
    assert!(seen.contains("aac,48000,1"), "{seen}");
}

#[test]
fn splitting_copies_nothing_and_loses_nothing() {
    let (_, _, file) = ours();
    let (init, media) = split(&file).unwrap();
    assert_eq!(init.as_ptr(), file.as_ptr());
    assert_eq!(&media[4..8], b"moof");
    assert_eq!([init, media].concat(), file);
}

#[test]
fn several_fragments_are_one_track() {
    let (config, samples, _) = ours();
    let (first, second) = samples.split_at(30);
    let file: Bytes = [
        init_video(&config).unwrap(),
        fragment(VIDEO_TRACK, 1, first).unwrap(),
        fragment(VIDEO_TRACK, 2, second).unwrap(),
    ]
    .concat()
    .into();
    assert!(parse(&file).unwrap().tracks[0].samples == samples);
}

#[test]
fn decoding_times_that_do_not_rise_are_not_written() {
    let (config, mut samples, _) = ours();
    samples[5].dts = samples[4].dts;
    assert!(matches!(
        video_segment(&config, 1, &samples),
        Err(Mp4Error::Field { field: "sample duration", .. })
    ));
    assert_eq!(fragment(VIDEO_TRACK, 1, &[]), Err(Mp4Error::Empty));
}

#[test]
fn every_truncation_is_an_error_or_a_shorter_movie() {
    let (_, samples, file) = ours();
    for end in (0..file.len()).step_by(7) {
        if let Ok(movie) = parse(&file.slice(..end)) {
            assert!(movie.tracks.iter().all(|track| track.samples.len() < samples.len()), "{end}");
        }
    }
}

#[test]
fn a_run_that_claims_the_same_bytes_again_and_again_is_refused() {
    let (config, samples, _) = ours();
    let init = init_video(&config).unwrap();
    let whole = fragment(VIDEO_TRACK, 1, &samples).unwrap();
    let moof = u32::from_be_bytes(whole[..4].try_into().unwrap()) as usize;
    let lying = [&init[..], &whole[..moof], &whole[..moof], &whole[moof..]].concat();
    assert!(parse(&lying.into()).is_err());
}

#[test]
fn a_million_samples_of_no_size_are_refused() {
    let (config, _, _) = ours();
    let init = init_video(&config).unwrap();
    let full = |kind: &[u8; 4], flags: u32, fields: &[u32]| {
        let mut out = ((12 + fields.len() * 4) as u32).to_be_bytes().to_vec();
        out.extend_from_slice(kind);
        out.extend(std::iter::once(&flags).chain(fields).flat_map(|f| f.to_be_bytes()));
        out
    };
    let wrap =
        |kind: &[u8; 4], body: &[u8]| [&((8 + body.len()) as u32).to_be_bytes()[..], kind, body].concat();
    let traf = [full(b"tfhd", 0x2_0000, &[VIDEO_TRACK]), full(b"trun", 0, &[u32::MAX])].concat();
    let file = [init.to_vec(), wrap(b"moof", &wrap(b"traf", &traf))].concat();
    assert_eq!(parse(&file.into()), Err(Mp4Error::TooMany { what: "samples", max: MAX_SAMPLES }));
}

#[test]
fn other_nal_length_sizes_are_normalised() {
    let (config, _, _) = ours();
    let mut avcc = config.avcc.to_vec();
    avcc[4] = 0xFD;
    assert_eq!(Avcc::parse(&avcc.clone().into()).unwrap().length_size, 2);
    assert!(matches!(init_video(&VideoConfig { avcc: avcc.into() }), Err(Mp4Error::Field { .. })));
}

proptest! {
    #[test]
    fn random_bytes_are_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse(&bytes.into());
    }

    #[test]
    fn damaged_files_are_never_a_panic(damage in proptest::collection::vec((0..2400_usize, any::<u8>()), 1..6)) {
        static FILES: std::sync::LazyLock<[Bytes; 3]> =
            std::sync::LazyLock::new(|| [ours().2, fragmented(), made_by_ffmpeg(&["-movflags", "faststart"])]);
        for file in FILES.iter() {
            let mut bytes = file.to_vec();
            for (at, value) in &damage {
                bytes[*at] = *value;
            }
            let bytes = Bytes::from(bytes);
            if let Ok(movie) = parse(&bytes) {
                let total: usize = movie.tracks.iter().flat_map(|t| &t.samples).map(|s| s.data.len()).sum();
                prop_assert!(total <= bytes.len() * 4);
            }
            let _ = split(&bytes);
        }
    }
}
