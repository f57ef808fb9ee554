//! A way into the worker's frames for `fuzz/`, from both sides of the pipe. In: any bytes. Out: nothing, or a panic that is a bug.
//! Exists only with the feature `fuzzing`; no node has it.

use super::frame;
use super::messages::{Head, Request, Response};

/// Bytes as what a node reads from a worker that was taken over, and as what a worker reads: a message that is read can be sent
/// and says the same again.
pub fn frames(bytes: &[u8]) {
    let mut from = bytes;
    while let Ok(Some((response, body))) = frame::read::<Response>(&mut from) {
        // Compared as text: times and counts may be what no float is equal to.
        let (mut pipe, said) = (Vec::new(), format!("{response:?}"));
        frame::write(&mut pipe, &response, &body).expect("what was read is within bounds");
        let (again, _) = frame::read::<Response>(&mut pipe.as_slice()).expect("ours").expect("one frame");
        assert_eq!(format!("{again:?}"), said);
        if let Response::Packet(head) = response {
            assert_eq!(Head::part(head.join(body.clone())), Some((head, body)));
        }
    }
    let mut from = bytes;
    while let Ok(Some((_, body))) = frame::read::<Request>(&mut from) {
        assert!(body.len() <= bytes.len());
    }
}
