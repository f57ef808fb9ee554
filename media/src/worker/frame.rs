//! Frames on a pipe: length of the message and of the body, 4 bytes each, little-endian, then both. Neither side takes more
//! memory than a length that is within bounds announces.

use std::io::{self, Read, Write};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest message, bytes: a ladder of twelve renditions is below 4 KiB.
const MAX_MESSAGE: usize = 64 * 1024;
/// Longest body, bytes: the longest segment with its audio, twice over.
pub(super) const MAX_BODY: usize = 2 * protocol::Segment::MAX_BYTES;
const LENGTHS: usize = 8;

fn lengths(bytes: [u8; LENGTHS]) -> io::Result<(usize, usize)> {
    let [a, b, c, d, e, f, g, h] = bytes;
    let (message, body) =
        (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]) as usize);
    if message > MAX_MESSAGE || body > MAX_BODY {
        let what = format!("a frame of {message} + {body} bytes, the limits are {MAX_MESSAGE} + {MAX_BODY}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok((message, body))
}

/// The lengths and the message, without the bodies.
fn head<T: Serialize>(message: &T, body: usize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(message)?;
    let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "a frame's body is too long");
    let mut head = Vec::with_capacity(LENGTHS + json.len());
    head.extend_from_slice(&u32::try_from(json.len()).map_err(too_long)?.to_le_bytes());
    head.extend_from_slice(&u32::try_from(body).map_err(too_long)?.to_le_bytes());
    let announced = head.clone().try_into().map(lengths);
    announced.map_err(|_| io::Error::other("a frame's head has eight bytes"))??;
    head.extend_from_slice(&json);
    Ok(head)
}

/// Reads one frame; `None` at the end of the pipe between two frames.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<(T, Bytes)>> {
    let mut announced = [0; LENGTHS];
    if from.read(&mut announced[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut announced[1..])?;
    let (message, body) = lengths(announced)?;
    let mut json = vec![0; message];
    from.read_exact(&mut json)?;
    let mut bytes = vec![0; body];
    from.read_exact(&mut bytes)?;
    Ok(Some((serde_json::from_slice(&json)?, bytes.into())))
}

/// Writes one frame and hands it to the pipe.
pub(super) fn write<T: Serialize>(to: &mut impl Write, message: &T, body: &[u8]) -> io::Result<()> {
    put(to, message, body)?;
    to.flush()
}

/// Writes one frame that may wait for the next one.
pub(super) fn put<T: Serialize>(to: &mut impl Write, message: &T, body: &[u8]) -> io::Result<()> {
    to.write_all(&head(message, body.len())?)?;
    to.write_all(body)
}

/// Reads one frame; the end of the pipe is an error.
pub(super) async fn receive<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<(T, Bytes)> {
    let mut announced = [0; LENGTHS];
    from.read_exact(&mut announced).await?;
    let (message, body) = lengths(announced)?;
    let mut json = vec![0; message];
    from.read_exact(&mut json).await?;
    let mut bytes = vec![0; body];
    from.read_exact(&mut bytes).await?;
    Ok((serde_json::from_slice(&json)?, bytes.into()))
}

/// Writes one frame whose body comes in pieces.
pub(super) async fn send<T: Serialize + Sync>(
    to: &mut (impl AsyncWrite + Unpin),
    message: &T,
    body: &[Bytes],
) -> io::Result<()> {
    to.write_all(&head(message, body.iter().map(Bytes::len).sum())?).await?;
    for piece in body {
        to.write_all(piece).await?;
    }
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was_sent() {
        let mut pipe = Vec::new();
        write(&mut pipe, &"message", b"body").unwrap();
        write(&mut pipe, &7u32, b"").unwrap();
        let mut from = pipe.as_slice();
        assert_eq!(
            read::<String>(&mut from).unwrap().unwrap(),
            ("message".into(), Bytes::from_static(b"body"))
        );
        assert_eq!(read::<u32>(&mut from).unwrap().unwrap(), (7, Bytes::new()));
        assert!(read::<u32>(&mut from).unwrap().is_none());
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_memory_is_taken() {
        let mut huge = u32::MAX.to_le_bytes().repeat(2);
        huge.extend_from_slice(b"{}");
        assert_eq!(read::<String>(&mut huge.as_slice()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(head(&"x", MAX_BODY + 1).is_err());
    }

    #[test]
    fn a_frame_cut_short_is_an_error() {
        let mut pipe = Vec::new();
        write(&mut pipe, &"message", b"body").unwrap();
        for end in 1..pipe.len() {
            assert!(read::<String>(&mut &pipe[..end]).is_err(), "{end}");
        }
    }
}
