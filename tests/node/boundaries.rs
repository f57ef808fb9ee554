//! Where segments of different orchestrators meet: nothing may be lost, doubled, moved or heard.

use std::path::Path;
use std::process::{Command, Output};

use bytes::Bytes;
use media::fmp4;

use crate::world::{LIVEMESH, World, ffmpeg, succeeded};

/// Ticks of one picture at 30 a second.
const STEP: i64 = 3000;

#[tokio::test]
async fn segments_of_three_orchestrators_join_without_a_seam() {
    seams(30).await;
}

#[tokio::test]
#[ignore = "takes minutes: make test-long"]
async fn a_thousand_segments_of_three_orchestrators_join_without_a_seam() {
    assert!(seams(505).await >= 1000);
}

/// Streams `seconds` of half-second segments through three orchestrators and looks at every boundary. Returns how many.
async fn seams(seconds: u32) -> usize {
    let world = World::with(3).await;
    let clip = world.clip("clip.mp4", "426x240", seconds, 15);
    let (record, config) = (world.path("record"), world.path("config.toml"));
    std::fs::write(&config, "[ingest]\nsegment_seconds = 0.5\n").unwrap();
    let made = tokio::process::Command::new(LIVEMESH)
        .args(["broadcast", "--fast", "--json", "--no-rtmp", "--stream", "me", "--config"])
        .arg(&config)
        .args(world.common("broadcaster"))
        .arg("--record")
        .arg(&record)
        .arg(&clip)
        .output()
        .await
        .unwrap();
    assert!(
        made.status.success(),
        "{} {}",
        String::from_utf8_lossy(&made.stdout),
        String::from_utf8_lossy(&made.stderr)
    );

    let dir = record.join("me");
    let boundaries = pictures_are_in_step(&dir.join("240p"), i64::from(seconds) * 30);
    let (sent, kept) = (packet_hashes(&clip, "a:0"), packet_hashes(&dir.join("audio/index.m3u8"), "a:0"));
    // The first packet of the file is encoder priming, presented before the first picture.
    assert!(sent[1..] == kept, "audio is untouched: {} packets sent, {} kept", sent.len(), kept.len());
    let mut decode =
        ffmpeg(&["-xerror", "-i", dir.join("240p/index.m3u8").to_str().unwrap(), "-f", "null", "-"]);
    let said = decode.output().unwrap();
    succeeded("ffmpeg", &said);
    assert_eq!(String::from_utf8_lossy(&said.stderr), "", "the decoder has nothing to say");
    println!("{boundaries} boundaries, {} pictures", seconds * 30);
    boundaries
}

/// Constant steps, strictly increasing decoding times, an IDR picture first, none lost or doubled.
fn pictures_are_in_step(dir: &Path, pictures: i64) -> usize {
    let text = std::fs::read(dir.join("index.m3u8")).unwrap();
    let Ok(m3u8_rs::Playlist::MediaPlaylist(playlist)) = m3u8_rs::parse_playlist_res(&text) else {
        panic!("no media playlist in {}", dir.display());
    };
    let (mut init, mut times, mut last_dts) = (Vec::new(), Vec::new(), i64::MIN);
    for segment in &playlist.segments {
        if let Some(map) = &segment.map {
            init = read(dir, &map.uri);
        }
        let file = Bytes::from([init.clone(), read(dir, &segment.uri)].concat());
        let movie = fmp4::parse(&file).unwrap();
        let (_, track) = movie.video().expect("a video track");
        assert!(track.samples[0].key, "{} begins with an IDR picture", segment.uri);
        for sample in &track.samples {
            assert!(sample.dts > last_dts, "{}: decoding times increase", segment.uri);
            last_dts = sample.dts;
            times.push(sample.pts);
        }
    }
    times.sort_unstable();
    assert_eq!(times.len() as i64, pictures, "none lost, none doubled");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == STEP), "constant steps");
    playlist.segments.len() - 1
}

fn read(dir: &Path, uri: &str) -> Vec<u8> {
    std::fs::read(dir.join(uri.split('?').next().unwrap())).unwrap()
}

fn packet_hashes(file: &Path, stream: &str) -> Vec<String> {
    let output: Output = Command::new("ffprobe")
        .args(["-v", "error", "-allowed_extensions", "ALL", "-select_streams", stream])
        .args([
            "-show_packets",
            "-show_data_hash",
            "MD5",
            "-show_entries",
            "packet=data_hash",
            "-of",
            "csv=p=0",
        ])
        .arg(file)
        .output()
        .unwrap();
    succeeded("ffprobe", &output);
    let text = String::from_utf8(output.stdout).unwrap();
    let hash = |line: &str| line.split(',').find(|field| field.starts_with("MD5:")).map(str::to_owned);
    text.lines().filter_map(hash).collect()
}
