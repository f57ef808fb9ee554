//! How entries lie in the file: a header with magic, version and salt, then frames of length, CRC and payload.
//!
//! The length's highest bit marks the first frame of a group, which exists only after all earlier groups were committed. The CRC
//! begins with the file's own salt, so a frame of another journal, or one inside a payload, is no frame here.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;

use super::MAX_ENTRY;

/// Version of the layout.
pub(super) const VERSION: u32 = 1;
/// Length of the header, bytes: magic 8, version 4, salt 8, CRC 4.
pub(super) const HEADER: u64 = 24;
/// Length of what precedes a payload, bytes.
pub(super) const HEAD: u64 = 8;

const MAGIC: [u8; 8] = *b"LMJOURN\n";
const FIRST_OF_GROUP: u32 = 1 << 31;

/// What is the same for the whole file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    salt: [u8; 8],
}

/// What lies at the beginning of a file.
#[derive(Debug)]
pub(super) enum Place {
    Ours(Header),
    /// Nothing was ever committed to it: it is empty, or its creation was interrupted.
    Unborn,
    Version(u32),
    Foreign(&'static str),
}

/// What precedes a payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Whether it begins a group.
    pub(super) first: bool,
    /// Length of the payload, 1 to [`MAX_ENTRY`].
    pub(super) length: usize,
    word: [u8; 4],
    crc: u32,
}

impl Header {
    pub(super) fn new() -> Self {
        // Unlikely to repeat is enough: the salt is no secret.
        Self { salt: RandomState::new().hash_one("salt").to_le_bytes() }
    }

    pub(super) fn bytes(self) -> [u8; HEADER as usize] {
        let mut out = [0; HEADER as usize];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..20].copy_from_slice(&self.salt);
        let crc = crc32fast::hash(&out[..20]);
        out[20..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(super) fn read(file: &File, length: u64) -> io::Result<Place> {
        let mut bytes = [0; HEADER as usize];
        let have = usize::try_from(length.min(HEADER)).unwrap_or(bytes.len());
        file.read_exact_at(&mut bytes[..have], 0)?;
        Ok(Self::parse(&bytes, have, length))
    }

    fn parse(bytes: &[u8; HEADER as usize], have: usize, length: u64) -> Place {
        let magic = &bytes[..have.min(8)];
        let zeros = bytes[..have].iter().all(|byte| *byte == 0);
        if length <= HEADER && zeros {
            return Place::Unborn;
        }
        if magic != &MAGIC[..magic.len()] {
            return Place::Foreign("it begins otherwise");
        }
        if length < HEADER {
            return Place::Unborn;
        }
        let crc = crc32fast::hash(&bytes[..20]);
        if bytes[20..] != crc.to_le_bytes() {
            return Place::Foreign("its header is damaged");
        }
        let version = word(&bytes[8..12]);
        if version != VERSION {
            return Place::Version(version);
        }
        let mut salt = [0; 8];
        salt.copy_from_slice(&bytes[12..20]);
        Place::Ours(Self { salt })
    }

    fn crc(self, word: [u8; 4], payload: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.salt);
        crc.update(&word);
        crc.update(payload);
        crc.finalize()
    }
}

impl Head {
    /// None when no frame begins so.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let word: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
        let crc = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
        let value = u32::from_le_bytes(word);
        let length = usize::try_from(value & !FIRST_OF_GROUP).ok()?;
        let fits = (1..=MAX_ENTRY).contains(&length);
        fits.then_some(Self { first: value & FIRST_OF_GROUP != 0, length, word, crc })
    }

    /// Whether this is the payload that was written under it.
    pub(super) fn covers(&self, header: Header, payload: &[u8]) -> bool {
        header.crc(self.word, payload) == self.crc
    }
}

/// Adds a frame. The payload fits.
pub(super) fn write(out: &mut Vec<u8>, header: Header, first: bool, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("an entry has at most a mebibyte");
    let word = (length | if first { FIRST_OF_GROUP } else { 0 }).to_le_bytes();
    out.extend_from_slice(&word);
    out.extend_from_slice(&header.crc(word, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
