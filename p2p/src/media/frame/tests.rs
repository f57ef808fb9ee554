use proptest::prelude::*;
use tokio::io::duplex;

use super::*;
use crate::media::wire::proto;

const SOON: Duration = Duration::from_secs(5);

async fn framed(bytes: &[u8]) -> Result<Option<proto::Answer>, FrameError> {
    let mut from = bytes;
    read_frame(&mut from, SOON).await
}

#[tokio::test]
async fn a_frame_comes_out_as_it_went_in() {
    let (mut a, mut b) = duplex(64);
    let sent = proto::Answer { step: Some(proto::answer::Step::Fault("x".repeat(300))) };
    let write = async {
        write_frame(&mut a, &sent).await.unwrap();
        drop(a);
    };
    let (got, ()) = tokio::join!(read_frame::<_, proto::Answer>(&mut b, SOON), write);
    assert_eq!(got.unwrap(), Some(sent));
    assert!(read_frame::<_, proto::Answer>(&mut b, SOON).await.unwrap().is_none());
}

#[tokio::test]
async fn a_length_beyond_the_bound_is_refused_before_anything_is_read() {
    assert!(matches!(framed(&u32::MAX.to_be_bytes()).await, Err(FrameError::TooLong(u32::MAX))));
    assert!(matches!(framed(&16_385_u32.to_be_bytes()).await, Err(FrameError::TooLong(16_385))));
}

#[tokio::test]
async fn an_end_in_the_middle_says_how_much_is_missing() {
    assert!(matches!(framed(&[0, 0]).await, Err(FrameError::Ended { got: 2, wanted: 4 })));
    assert!(matches!(framed(&[0, 0, 0, 9, 1]).await, Err(FrameError::Ended { got: 1, wanted: 9 })));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up() {
    let (mut a, mut b) = duplex(64);
    let trickle = async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if a.write_all(&[0]).await.is_err() {
                return;
            }
        }
    };
    let floor = Floor { stall: Duration::from_secs(5), bytes_per_second: 1000 };
    let reading = async {
        let ended = read_body(&mut b, 1_000_000, floor).await;
        drop(b);
        ended
    };
    let (ended, ()) = tokio::join!(reading, trickle);
    assert!(matches!(ended, Err(FrameError::TooSlow { got: 1..=10, .. })));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_given_up_however_fast_it_began() {
    let (mut a, mut b) = duplex(1 << 20);
    a.write_all(&[0; 100_000]).await.unwrap();
    let started = Instant::now();
    let ended = read_body(&mut b, 1_000_000, Floor::default()).await;
    assert!(matches!(ended, Err(FrameError::TooSlow { got: 100_000, .. })));
    assert!(started.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn a_body_is_hashed_on_the_way_and_must_end_where_it_was_said_to() {
    let mut from = &b"segment!"[..];
    let (body, hash) = read_body(&mut from, 7, Floor::default()).await.unwrap();
    assert_eq!((&body[..], hash), (&b"segment"[..], Hash::of(b"segment")));
    assert!(matches!(read_end(&mut from, 7, Floor::default()).await, Err(FrameError::Excess(7))));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        drop(runtime.block_on(framed(&bytes)));
        let mut with_length = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        with_length.extend(&bytes);
        drop(runtime.block_on(framed(&with_length)));
    }
}
