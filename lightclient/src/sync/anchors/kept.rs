//! Assertion logs and pins as they lie on disk. The file around them is checksummed; what is read is checked
//! again all the same: logs by their hashes, pins against L1 state.

use alloy_primitives::{Address, B256, Bytes};

use crate::guard::{Guard, Place};
use crate::source::Log;

/// Address, block, number of topics, topics, data.
pub(super) fn write_log(log: &Log) -> Vec<u8> {
    let mut out = Vec::with_capacity(29 + 32 * log.topics.len() + log.data.len());
    out.extend_from_slice(log.address.as_slice());
    out.extend_from_slice(&log.block_number.to_be_bytes());
    out.push(log.topics.len().min(4) as u8);
    log.topics.iter().take(4).for_each(|topic| out.extend_from_slice(topic.as_slice()));
    out.extend_from_slice(&log.data);
    out
}

pub(super) fn read_log(bytes: &[u8]) -> Option<Log> {
    let (address, rest) = bytes.split_at_checked(20)?;
    let (block, rest) = rest.split_at_checked(8)?;
    let (count, rest) = rest.split_first()?;
    let (topics, data) = rest.split_at_checked(32 * usize::from(*count).min(4))?;
    Some(Log {
        address: Address::from_slice(address),
        topics: topics.chunks_exact(32).map(B256::from_slice).collect(),
        data: Bytes::copy_from_slice(data),
        block_number: u64::from_be_bytes(block.try_into().ok()?),
    })
}

/// Contract, whether a slot or its code, the slot, what was there.
pub(super) fn write_pin(pin: &Guard) -> Vec<u8> {
    let (kind, slot) = match pin.place {
        Place::Slot(slot) => (0, slot),
        Place::Code => (1, B256::ZERO),
    };
    [pin.contract.as_slice(), &[kind], slot.as_slice(), pin.expected.as_slice()].concat()
}

pub(super) fn read_pin(bytes: &[u8]) -> Option<Guard> {
    let bytes: &[u8; 85] = bytes.try_into().ok()?;
    let place = match bytes[20] {
        0 => Place::Slot(B256::from_slice(&bytes[21..53])),
        1 => Place::Code,
        _ => return None,
    };
    Some(Guard {
        contract: Address::from_slice(&bytes[..20]),
        place,
        expected: B256::from_slice(&bytes[53..]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back() {
        let log = Log {
            address: Address::repeat_byte(1),
            topics: vec![B256::repeat_byte(2); 3],
            data: Bytes::from(vec![5; 800]),
            block_number: 77,
        };
        assert_eq!(read_log(&write_log(&log)), Some(log));
        for place in [Place::Code, Place::Slot(B256::repeat_byte(9))] {
            let pin = Guard { contract: Address::repeat_byte(3), place, expected: B256::repeat_byte(4) };
            assert_eq!(read_pin(&write_pin(&pin)), Some(pin));
        }
    }

    #[test]
    fn no_bytes_make_the_readers_panic() {
        for length in 0..200 {
            for byte in [0, 1, 4, 0xff] {
                let bytes = vec![byte; length];
                let _ = (read_log(&bytes), read_pin(&bytes));
            }
        }
    }
}
