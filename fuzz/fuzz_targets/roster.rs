//! Any bytes as a roster request and as a page of the table: an error, or what is within the bounds.
#![no_main]

use std::sync::LazyLock;

use futures::io::Cursor;
use libfuzzer_sys::fuzz_target;
use libp2p::request_response::Codec;
use p2p::Signed;
use p2p::behaviour::TableCodec;
use p2p::behaviour::names::ROSTER;
use p2p::limits::ROSTER_PAGE_RECORDS;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime of one thread"));

fuzz_target!(|data: &[u8]| {
    RUNTIME.block_on(async {
        if let Ok(page) = TableCodec.read_response(&ROSTER, &mut Cursor::new(data)).await {
            assert!(page.envelopes.len() <= ROSTER_PAGE_RECORDS);
            for envelope in &page.envelopes {
                let _ = Signed(envelope.clone()).peek();
            }
            let mut out = Cursor::new(Vec::new());
            TableCodec.write_response(&ROSTER, &mut out, page.clone()).await.expect("memory takes all");
            let again = TableCodec.read_response(&ROSTER, &mut Cursor::new(out.into_inner())).await;
            assert_eq!(again.expect("ours"), page);
        }
        let asked =
            TableCodec.read_request(&ROSTER, &mut Cursor::new(data)).await.expect("memory does not break");
        if let Ok(request) = asked {
            let mut out = Cursor::new(Vec::new());
            TableCodec.write_request(&ROSTER, &mut out, Ok(request.clone())).await.expect("memory takes all");
            let again = TableCodec.read_request(&ROSTER, &mut Cursor::new(out.into_inner())).await;
            assert_eq!(again.expect("memory does not break"), Ok(request));
        }
    });
});
