//! Any bytes as a payment and as an order of Livepeer's own wire, in their headers and by themselves: an error, or what reads the
//! same when it is written again, and whose signatures have a signer or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2p::livepeer::introduction::introduced;
use p2p::livepeer::{Order, Payment};

fuzz_target!(|data: &[u8]| {
    if let Ok(header) = std::str::from_utf8(data) {
        let _ = (Payment::from_header(header), Order::from_header(header));
    }
    let _ = introduced(data);
    if let Ok(payment) = Payment::from_bytes(data) {
        let again = Payment::from_header(&payment.to_header());
        // One that is larger than a header came by another way.
        assert!(data.len() > 32 << 10 || again.as_ref() == Ok(&payment), "{again:?}");
        for (_, ticket, signature) in payment.tickets.iter().flat_map(|batch| batch.iter().take(2)) {
            let _ = ticket.is_signed_by_sender(signature.as_slice());
        }
    }
    if let Ok(order) = Order::from_bytes(data) {
        let again = Order::from_header(&order.to_header());
        assert!(data.len() > 32 << 10 || again.as_ref() == Ok(&order), "{again:?}");
        let _ = (order.signer(), order.auth_token.map(|token| token.check(&[7; 32], 0)));
    }
});
