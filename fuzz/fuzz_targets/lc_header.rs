//! Any bytes as an execution header: an error, or a header under the hash of these very bytes.
#![no_main]

#[path = "../bounded.rs"]
mod bounded;

use alloy_primitives::{B256, keccak256};
use libfuzzer_sys::fuzz_target;
use lightclient::exec::ExecHeader;

fuzz_target!(|data: &[u8]| {
    assert!(ExecHeader::verify(data, B256::ZERO).is_err());
    let Ok(header) = ExecHeader::decode(data) else { return };
    assert_eq!(header.hash, keccak256(data));
    assert!(header.fields >= 15);
    if let Ok(nitro) = header.nitro() {
        assert_eq!(nitro.send_root.as_slice(), &header.extra_data[..]);
    }
    assert_eq!(ExecHeader::verify(data, header.hash), Ok(header));
});
