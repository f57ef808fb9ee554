//! RTMP chunks (Adobe RTMP 1.0, section 5.3): bytes in, whole messages out.
//!
//! Ours and not the crate's because a stranger writes these bytes: memory is bounded whatever a header claims, arithmetic
//! wraps where the protocol's clock does, and a type 3 chunk that starts a message moves the time on, without which the
//! clock of an encoder that sends equal frames (silence) stands still.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes, BytesMut};

/// Largest message, bytes: a key frame of 40 Mbit/s video is a fifth of it.
pub(crate) const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// Most unfinished messages' bytes of one connection.
const MAX_PARTIAL: usize = 2 * MAX_MESSAGE;
/// Most chunk streams of one connection; encoders use three to six.
const MAX_CHUNK_STREAMS: usize = 32;
/// Chunk size until the sender says another one, bytes (5.4.1).
const INITIAL_CHUNK_SIZE: usize = 128;
/// A 24-bit time of this value means that the real one follows in 4 bytes.
const EXTENDED: u32 = 0xFF_FFFF;

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Message type (5.4, 7.1).
    pub kind: u8,
    /// Message stream, 0 for the connection itself.
    pub stream: u32,
    /// Time, milliseconds, wrapping at 32 bits.
    pub time: u32,
    /// Contents.
    pub payload: Bytes,
}

/// Bytes that are not RTMP chunks, or ask for more than we give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadChunk {
    /// The first chunk of a chunk stream has to have a full header.
    #[error("chunk stream {0} begins without a header: this is not RTMP, or bytes were lost")]
    NoHeader(u32),
    /// A message is too large.
    #[error("a message of {0} bytes exceeds the limit of {MAX_MESSAGE}: lower the bit rate of key frames")]
    TooLarge(usize),
    /// Too many messages are unfinished.
    #[error("more than {MAX_PARTIAL} bytes of unfinished messages")]
    TooMuchUnfinished,
    /// Too many chunk streams.
    #[error("more than {MAX_CHUNK_STREAMS} chunk streams")]
    TooManyStreams,
    /// A chunk size of zero or above 31 bits.
    #[error("a chunk size of {0} is not allowed: use 1 to 2147483647")]
    ChunkSize(u32),
}

/// Reassembles messages.
#[derive(Debug)]
pub(crate) struct ChunkReader {
    chunk_size: usize,
    streams: BTreeMap<u32, ChunkStream>,
    partial: usize,
}

#[derive(Debug, Default)]
struct ChunkStream {
    seen: bool,
    field: u32,
    time: u32,
    length: usize,
    kind: u8,
    stream: u32,
    partial: BytesMut,
}

/// What a chunk's header says, before the chunk is known to be complete.
struct Header {
    id: u32,
    format: u8,
    size: usize,
    field: u32,
    length: usize,
    kind: u8,
    stream: u32,
}

impl Default for ChunkReader {
    fn default() -> Self {
        Self { chunk_size: INITIAL_CHUNK_SIZE, streams: BTreeMap::new(), partial: 0 }
    }
}

impl ChunkReader {
    /// Takes whole chunks off `input` until a message is complete; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`BadChunk`]: the connection cannot be read any further.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Message>, BadChunk> {
        while let Some(header) = self.header(input)? {
            let had = self.streams.get(&header.id).map_or(0, |s| s.partial.len());
            let had = if header.format == 3 { had } else { 0 };
            let take = (header.length - had).min(self.chunk_size);
            if input.len() < header.size + take {
                return Ok(None);
            }
            input.advance(header.size);
            if let Some(message) = self.accept(&header, input.split_to(take))? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// The sender's Set Chunk Size message.
    ///
    /// # Errors
    /// [`BadChunk::ChunkSize`] when it is not allowed.
    pub(crate) fn set_chunk_size(&mut self, size: u32) -> Result<(), BadChunk> {
        if size == 0 || size > i32::MAX as u32 {
            return Err(BadChunk::ChunkSize(size));
        }
        self.chunk_size = (size as usize).min(MAX_MESSAGE);
        Ok(())
    }

    /// The sender's Abort message: what came of a message on this chunk stream is void.
    pub(crate) fn abort(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            self.partial -= stream.partial.len();
            stream.partial.clear();
        }
    }

    /// Reads a header without consuming it, with what it leaves out filled in from the chunk before.
    fn header(&self, input: &[u8]) -> Result<Option<Header>, BadChunk> {
        let Some(&first) = input.first() else { return Ok(None) };
        let (format, low) = (first >> 6, u32::from(first & 63));
        let (id, at) = match (low, input) {
            (0, [_, a, ..]) => (64 + u32::from(*a), 2),
            (1, [_, a, b, ..]) => (64 + u32::from(*a) + 256 * u32::from(*b), 3),
            (0 | 1, _) => return Ok(None),
            (id, _) => (id, 1),
        };
        let before = self.streams.get(&id).filter(|s| s.seen);
        if before.is_none() && self.streams.len() >= MAX_CHUNK_STREAMS {
            return Err(BadChunk::TooManyStreams);
        }
        let need = [11, 7, 3, 0][usize::from(format)];
        let Some(fields) = input.get(at..at + need) else { return Ok(None) };
        let mut header = Header { id, format, size: at + need, field: 0, length: 0, kind: 0, stream: 0 };
        match (before, format) {
            (Some(s), _) => {
                (header.field, header.length, header.kind, header.stream) =
                    (s.field, s.length, s.kind, s.stream);
            }
            (None, 0) => {}
            (None, _) => return Err(BadChunk::NoHeader(id)),
        }
        if let [a, b, c, rest @ ..] = fields {
            header.field = u32::from_be_bytes([0, *a, *b, *c]);
            if let [a, b, c, kind, rest @ ..] = rest {
                header.length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                header.kind = *kind;
                if let [a, b, c, d] = rest {
                    header.stream = u32::from_le_bytes([*a, *b, *c, *d]);
                }
            }
        }
        if header.length > MAX_MESSAGE {
            return Err(BadChunk::TooLarge(header.length));
        }
        Ok(header.extend(input).then_some(header))
    }

    fn accept(&mut self, header: &Header, payload: BytesMut) -> Result<Option<Message>, BadChunk> {
        let stream = self.streams.entry(header.id).or_default();
        let starts = header.format != 3 || stream.partial.is_empty();
        if starts {
            self.partial -= stream.partial.len();
            stream.partial.clear();
            stream.time =
                if header.format == 0 { header.field } else { stream.time.wrapping_add(header.field) };
            (stream.seen, stream.field, stream.length) = (true, header.field, header.length);
            (stream.kind, stream.stream) = (header.kind, header.stream);
        }
        if stream.partial.len() + payload.len() < stream.length {
            self.partial += payload.len();
            stream.partial.extend_from_slice(&payload);
            return if self.partial > MAX_PARTIAL { Err(BadChunk::TooMuchUnfinished) } else { Ok(None) };
        }
        let payload = if stream.partial.is_empty() {
            payload.freeze()
        } else {
            self.partial -= stream.partial.len();
            stream.partial.extend_from_slice(&payload);
            std::mem::take(&mut stream.partial).freeze()
        };
        Ok(Some(Message { kind: stream.kind, stream: stream.stream, time: stream.time, payload }))
    }
}

impl Header {
    /// Reads the extended time, where there is one; false when its bytes are not there yet. Type 3 chunks repeat it, but
    /// not from every encoder: only the same value is taken for a repetition.
    fn extend(&mut self, input: &[u8]) -> bool {
        let here = input.get(self.size..self.size + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
        if self.format == 3 {
            if self.field < EXTENDED {
                return true;
            }
            match here {
                Some(value) if value == self.field => self.size += 4,
                Some(_) => {}
                None => return false,
            }
            return true;
        }
        if self.field == EXTENDED {
            let Some(value) = here else { return false };
            self.field = value;
            self.size += 4;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reader: &mut ChunkReader, bytes: &[u8]) -> Vec<Message> {
        let mut input = BytesMut::from(bytes);
        std::iter::from_fn(|| reader.next(&mut input).unwrap()).collect()
    }

    fn full(id: u8, time: u32, length: u32, payload: &[u8]) -> Vec<u8> {
        let field = time.min(EXTENDED);
        let mut out = vec![id];
        out.extend(&field.to_be_bytes()[1..]);
        out.extend(&length.to_be_bytes()[1..]);
        out.extend([8, 1, 0, 0, 0]);
        if field == EXTENDED {
            out.extend(time.to_be_bytes());
        }
        out.extend(payload);
        out
    }

    #[test]
    fn equal_frames_without_headers_move_the_clock_on() {
        let mut bytes = full(4, 1000, 2, b"ab");
        bytes.extend([0x80 | 4, 0, 0, 21]);
        bytes.extend(b"cd");
        bytes.extend([0xC0 | 4]);
        bytes.extend(b"ef");
        let times: Vec<_> = read(&mut ChunkReader::default(), &bytes).iter().map(|m| m.time).collect();
        assert_eq!(times, [1000, 1021, 1042]);
    }

    #[test]
    fn the_clock_wraps_at_32_bits() {
        let mut bytes = full(4, u32::MAX - 10, 1, b"a");
        bytes.extend([0x80 | 4, 0, 0, 21]);
        bytes.extend(b"b");
        assert_eq!(read(&mut ChunkReader::default(), &bytes)[1].time, 10);
    }

    #[test]
    fn messages_of_two_chunk_streams_interleave_at_any_split_of_the_bytes() {
        let body = [7; 200];
        let mut bytes = full(6, EXTENDED + 5, 200, &body[..128]);
        bytes.extend(full(4, 3, 2, b"xy"));
        bytes.push(0xC0 | 6);
        bytes.extend((EXTENDED + 5).to_be_bytes());
        bytes.extend(&body[128..]);
        let whole = read(&mut ChunkReader::default(), &bytes);
        assert_eq!((whole[0].time, &whole[0].payload[..]), (3, &b"xy"[..]));
        assert_eq!((whole[1].time, &whole[1].payload[..]), (EXTENDED + 5, &body[..]));
        let (mut reader, mut input, mut dripped) = (ChunkReader::default(), BytesMut::new(), vec![]);
        for byte in bytes {
            input.extend_from_slice(&[byte]);
            dripped.extend(reader.next(&mut input).unwrap());
        }
        assert_eq!(dripped, whole);
    }

    #[test]
    fn an_extended_time_that_is_not_repeated_is_not_missed() {
        let body = [7; 200];
        let mut bytes = full(6, EXTENDED + 5, 200, &body[..128]);
        bytes.push(0xC0 | 6);
        bytes.extend(&body[128..]);
        assert_eq!(read(&mut ChunkReader::default(), &bytes)[0].payload, &body[..]);
    }

    #[test]
    fn a_claimed_size_costs_no_memory_and_too_much_is_refused() {
        let mut reader = ChunkReader::default();
        let next = |reader: &mut ChunkReader, bytes: &[u8]| reader.next(&mut BytesMut::from(bytes));
        assert_eq!(next(&mut reader, &full(4, 0, 0xFF_FFFF, b"")), Err(BadChunk::TooLarge(0xFF_FFFF)));
        assert_eq!(next(&mut reader, &[0xC0 | 9]), Err(BadChunk::NoHeader(9)));
        assert_eq!(reader.set_chunk_size(0), Err(BadChunk::ChunkSize(0)));
        for id in 2..34 {
            next(&mut reader, &full(id, 0, 1, b"a")).unwrap();
        }
        assert_eq!(next(&mut reader, &full(40, 0, 1, b"a")), Err(BadChunk::TooManyStreams));
    }

    #[test]
    fn unfinished_messages_on_many_chunk_streams_are_bounded() {
        let mut reader = ChunkReader::default();
        reader.set_chunk_size(3_000_000).unwrap();
        let part = vec![0; 3_000_000];
        let mut refused = None;
        for id in 2..8 {
            refused = reader.next(&mut BytesMut::from(&full(id, 0, 4_000_000, &part)[..])).err();
        }
        assert_eq!(refused, Some(BadChunk::TooMuchUnfinished));
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_hold_more_than_allowed() {
        let mut seed = 0x9E37_79B9_u32;
        for _ in 0..300 {
            let (mut reader, mut input) = (ChunkReader::default(), BytesMut::new());
            for _ in 0..2000 {
                seed ^= seed << 13;
                seed ^= seed >> 17;
                seed ^= seed << 5;
                input.extend_from_slice(&(seed & 0x8F0F_8F3F).to_be_bytes());
            }
            while let Ok(Some(_)) = reader.next(&mut input) {}
            assert!(reader.partial <= MAX_PARTIAL + MAX_MESSAGE);
        }
    }
}
