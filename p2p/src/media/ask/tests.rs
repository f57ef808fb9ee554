//! Both sides of an exchange on a pipe in memory, under a clock that stands still.

use std::time::Duration;

use futures::StreamExt;
use protocol::rendition::H264Profile;
use protocol::{Hash, Ladder, PeerKey, PricePerPixel, Receipt, SegmentId, SourceInfo, Ticks};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::time::{Instant, sleep};

use super::*;
use crate::media::fault::Code;
use crate::media::frame::read_frame;
use crate::media::gate::{Bounds, Gate};
use crate::media::serve::{Door, IncomingOffer};
use crate::media::wire::{Step, encode_offer, encode_step, proto};

/// What the dispatcher takes for a sign that an orchestrator has died.
const SUSPICIOUS: Duration = Duration::from_millis(450);
const LEN: usize = 200_000;

fn offer(segment: &Bytes) -> Offer {
    let rung = RenditionSpec {
        name: "240p".into(),
        width: 426,
        height: 240,
        bitrate: 800_000,
        fps: None,
        profile: H264Profile::High,
        b_frames: 3,
        gop: None,
    };
    Offer {
        segment: SegmentId { stream: "test".parse().unwrap(), seq: 0 },
        start: Ticks::ZERO,
        duration: Ticks::from_millis(2000),
        source: SourceInfo { width: 1280, height: 720, frames: 60 },
        bytes: segment.len() as u64,
        hash: Hash::of(segment),
        ladder: Ladder(vec![rung]),
        price: PricePerPixel::FREE,
        deadline: Duration::from_secs(60),
        payment: None,
    }
}

fn halves(end: DuplexStream, on_drop: Code) -> (Sink, Source) {
    let (read, write) = split(end);
    (Sink::any(write, on_drop), Source::any(read))
}

fn asking(end: DuplexStream, segment: &Bytes) -> Answers {
    let (sink, source) = halves(end, Code::Cancelled);
    let (offer, segment) = (offer(segment), segment.clone());
    let silence = Duration::from_secs(10);
    let patience = Patience { first: silence, silence, floor: Floor::default() };
    Answers::run(|steps| async move {
        ask(sink, source, &offer, segment, &steps, patience).await.map_err(|ended| ended.error)
    })
}

/// The steps, and the longest time without one.
async fn listened(mut answers: Answers) -> (Vec<Answer>, Duration) {
    let (mut steps, mut last, mut longest) = (Vec::new(), Instant::now(), Duration::ZERO);
    while let Some(step) = answers.next().await {
        steps.push(step.unwrap());
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    (steps, longest)
}

#[tokio::test(start_paused = true)]
async fn an_orchestrator_beats_while_a_slow_segment_comes_in() {
    let (far, mut here) = duplex(1 << 20);
    let (offers, mut taken) = mpsc::channel(1);
    let door = Door { gate: Gate::new(Bounds::default()), floor: Floor::default(), offers };
    let (sink, source) = halves(far, Code::Dropped);
    let segment = Bytes::from(vec![7; LEN]);
    write_frame(&mut here, &encode_offer(&offer(&segment))).await.unwrap();
    door.receive(PeerKey([1; 32]), sink, source).await;
    let incoming: IncomingOffer = taken.recv().await.unwrap();
    let job = tokio::spawn(async move { incoming.accept().await.map(|(segment, _)| segment.len()) });
    let (mut read, mut write) = split(here);
    tokio::spawn(async move {
        for piece in segment.chunks(LEN / 4) {
            sleep(Duration::from_secs(1)).await;
            write.write_all(piece).await.unwrap();
        }
        write.shutdown().await.unwrap();
    });
    let (mut last, mut longest, mut beats) = (Instant::now(), Duration::ZERO, 0);
    while let Ok(Some(step)) = read_frame::<_, proto::Answer>(&mut read, Duration::from_secs(10)).await {
        longest = longest.max(last.elapsed());
        last = Instant::now();
        beats += u32::from(matches!(decode_step(step).unwrap(), Step::Beat));
    }
    assert_eq!(job.await.unwrap().unwrap(), LEN);
    assert!(longest < SUSPICIOUS, "silent for {longest:?}");
    assert!((30..=50).contains(&beats), "{beats} beats in 4 s");
}

#[tokio::test(start_paused = true)]
async fn a_rendition_that_trickles_in_is_a_sign_of_life() {
    let (far, here) = duplex(64);
    let segment = Bytes::from_static(b"segment");
    let answers = asking(here, &segment);
    let (mut read, mut write) = split(far);
    tokio::spawn(async move { read.read_to_end(&mut Vec::new()).await });
    let offered = offer(&segment);
    let serving = tokio::spawn(async move {
        let body = vec![9; 40_000];
        let head = RenditionHead { index: 0, frames: 60, pixels: 1, bytes: body.len() as u64 };
        write_frame(&mut write, &encode_step(&Step::Accepted)).await.unwrap();
        write_frame(&mut write, &encode_step(&Step::Rendition(head))).await.unwrap();
        for piece in body.chunks(1000) {
            sleep(Duration::from_millis(50)).await;
            write.write_all(piece).await.unwrap();
        }
        let renditions = vec![(Hash::of(&body), 1)];
        let receipt = Receipt { segment: offered.segment, source: offered.hash, renditions };
        let key = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
        write_frame(&mut write, &encode_step(&Step::Receipt(receipt.sign(&key)))).await.unwrap();
    });
    let (steps, longest) = listened(answers).await;
    serving.await.unwrap();
    let beats = steps.iter().filter(|step| matches!(step, Answer::Beat)).count();
    assert!(matches!(steps.last(), Some(Answer::Receipt(_))), "{steps:?}");
    assert!(longest < SUSPICIOUS, "silent for {longest:?}");
    assert!((10..=21).contains(&beats), "{beats} beats in 2 s");
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_being_read_is_a_sign_of_life_and_one_that_is_not_is_none() {
    let segment = Bytes::from(vec![5; 1 << 20]);
    let (mut far, here) = duplex(1024);
    let mut answers = asking(here, &segment);
    let reading = async {
        let mut buffer = vec![0; 32 * 1024];
        for _ in 0..20 {
            sleep(Duration::from_millis(100)).await;
            far.read_exact(&mut buffer).await.unwrap();
        }
    };
    reading.await;
    let mut beats = 0;
    while let Ok(Some(step)) = tokio::time::timeout(Duration::from_secs(1), answers.next()).await {
        assert!(matches!(step.unwrap(), Answer::Beat));
        beats += 1;
    }
    assert!((3..=10).contains(&beats), "{beats} beats while 640 KiB were read in 2 s, then silence");
}
