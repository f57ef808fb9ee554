//! Any bytes as FLV tags of one publisher, each behind two bytes of length, one of kind and four of time: whatever packet
//! comes out can be cut.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/ingest/rtmp/flv.rs"]
mod flv;

use bytes::Bytes;
use flv::{Converter, Tag};
use libfuzzer_sys::fuzz_target;
use media::avc::nals;
use media::cut::{Cutter, TARGET};
use media::packet::Packet;

fuzz_target!(|data: &[u8]| {
    let (mut converter, mut cutter, mut out) = (Converter::default(), Cutter::new(TARGET), vec![]);
    let mut rest = data;
    while let Some((&[a, b, kind, t0, t1, t2, t3], behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([a, b])).min(behind.len());
        let (body, next) = behind.split_at(length);
        rest = next;
        let (time, body) = (u32::from_be_bytes([t0, t1, t2, t3]), Bytes::copy_from_slice(body));
        let tag = if kind & 1 == 0 { converter.video(time, &body) } else { converter.audio(time, &body) };
        let Tag::Packet(packet) = tag else { continue };
        if let Packet::Video(unit) = &packet {
            assert!(nals(&unit.data).all(|nal| nal.is_ok()), "a picture is whole NAL units");
        }
        cutter.push(packet, &mut out);
    }
    cutter.flush(&mut out);
});
