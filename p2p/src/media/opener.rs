//! Opens this node's NAT for one that is about to connect: a few packets from the media port to where it will come from.
//!
//! A NAT lets in what it takes for an answer, so something must have gone out first. What the packets say does not matter; QUIC
//! drops them. Whom to open for is decided elsewhere.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// When packets go out, milliseconds: at once, so that the hole is there before the other side hears of it, and then for
/// as long as its handshake may take, because any of them may be lost.
const AT_MS: [u64; 6] = [0, 40, 150, 400, 1000, 2500];
/// What they say: no QUIC packet begins with a zero (RFC 9000 17.2, the fixed bit), and nobody answers to so short a one.
const NOTHING: [u8; 1] = [0];

/// The media plane's socket, for sending only.
#[derive(Clone, Debug)]
pub(crate) struct Opener(Arc<UdpSocket>);

impl Opener {
    pub(crate) fn new(socket: UdpSocket) -> Self {
        Self(Arc::new(socket))
    }

    /// Sends the first packets, and the others from a task.
    pub(crate) fn open(&self, to: Vec<SocketAddr>) {
        self.send(&to);
        let (this, began) = (self.clone(), Instant::now());
        tokio::spawn(async move {
            for after in AT_MS.into_iter().skip(1).map(Duration::from_millis) {
                sleep_until(began + after).await;
                this.send(&to);
            }
        });
    }

    fn send(&self, to: &[SocketAddr]) {
        let v6 = self.0.local_addr().is_ok_and(|own| own.is_ipv6());
        for addr in to {
            let addr = match addr {
                SocketAddr::V4(v4) if v6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
                other => *other,
            };
            // A packet that does not go out is one that is lost.
            if let Err(error) = self.0.send_to(&NOTHING, addr) {
                tracing::debug!(%addr, %error, "a packet that opens the way was not sent");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_packet_is_out_before_anybody_is_told() {
        let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        to.set_nonblocking(true).unwrap();
        let own = from.local_addr().unwrap();
        Opener::new(from).open(vec![to.local_addr().unwrap()]);
        let mut buffer = [9; 8];
        assert_eq!(to.recv_from(&mut buffer).unwrap(), (1, own));
        assert_eq!(buffer[0], 0);
    }
}
