//! Finds out that a peer's process has died, and that it is back, as soon as its machine can say so, well before silence would.
//!
//! In flow an address and how much has come from there; out flow the moments at which its port is closed and open again. A
//! killed process says nothing, but its machine answers what still comes with ICMP "port unreachable" (RFC 792), which the
//! system hands only to a connected socket. So one beside QUIC's rings with a byte that QUIC ignores. A firewall that
//! swallows it hides the answer; one that refuses every stranger is found out and not believed.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout};

/// How often it rings while somebody waits for an answer, and when a refusal is to be confirmed.
pub(super) const WAITING: Duration = Duration::from_millis(50);
/// How often it rings at a peer that has nothing to do: as often as QUIC probes it.
pub(super) const IDLE: Duration = Duration::from_millis(500);
/// Pause between two looks whether a closed port is open again, and how long a refusal may be on its way.
const CLOSED: Duration = Duration::from_millis(150);
/// What it says: no QUIC packet begins with a zero (RFC 9000 17.2, the fixed bit), and nobody answers to so short a one.
const NOTHING: [u8; 1] = [0];
/// A refusal is believed when nothing has come for so long: whoever works beats as often, or answers what QUIC sends.
const QUIET: Duration = Duration::from_millis(100);
/// Refusals in that time that are believed; one may have been meant for an earlier process.
const REFUSALS: u32 = 2;
/// Refusals by a peer that is alive, after which none is believed any more.
const FALSE_REFUSALS: u32 = 3;

/// What the bell found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nobody listens there any more.
    Nobody,
    /// A refusal there means nothing: whoever is behind it lives.
    NothingToLearn,
}

/// Resolves when nobody listens at `to` any more, rung at this often; `heard` counts what has come from there. Never resolves
/// where that cannot be known.
pub(super) async fn nobody_at(to: SocketAddr, every: Duration, heard: impl Fn() -> u64) {
    match ring(to, every, heard).await {
        Ok(Found::Nobody) => {}
        Ok(Found::NothingToLearn) => std::future::pending().await,
        Err(error) => {
            tracing::debug!(%to, %error, "no bell: a death there is found out by silence");
            std::future::pending().await
        }
    }
}

/// Resolves when `to`, where nobody listened, refuses no more: somebody may be there again.
pub(super) async fn somebody_at(to: SocketAddr) {
    let opened = async {
        let socket = connected(to).await?;
        while is_refused(&socket, CLOSED).await? {
            sleep(CLOSED).await;
        }
        Ok::<_, io::Error>(())
    };
    if let Err(error) = opened.await {
        tracing::debug!(%to, %error, "no bell: that somebody is back there is found out by dialling");
    }
}

async fn ring(to: SocketAddr, every: Duration, heard: impl Fn() -> u64) -> io::Result<Found> {
    let socket = connected(to).await?;
    let (mut count, mut last) = (heard(), Instant::now());
    let (mut refusals, mut false_refusals, mut let_in) = (0, 0, false);
    loop {
        let refused = is_refused(&socket, if refusals > 0 { WAITING } else { every }).await?;
        let now = heard();
        if now == count {
            refusals += u32::from(refused);
            if let_in && refusals >= REFUSALS && last.elapsed() >= QUIET {
                return Ok(Found::Nobody);
            }
            continue;
        }
        (count, last) = (now, Instant::now());
        // What came may have been under way when its sender died, but not again and again.
        false_refusals += u32::from(refused || refusals > 0);
        refusals = 0;
        let_in |= !refused;
        if false_refusals >= FALSE_REFUSALS {
            return Ok(Found::NothingToLearn);
        }
    }
}

/// A socket that is told of refusals at `to`.
async fn connected(to: SocketAddr) -> io::Result<UdpSocket> {
    let any = match to {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    Ok(socket)
}

/// Rings once and listens for `within`, or until it is refused, but for no shorter than between two quick rings.
async fn is_refused(socket: &UdpSocket, within: Duration) -> io::Result<bool> {
    let rung = Instant::now();
    let (mut until, mut refused) = (rung + within, false);
    // A refusal of the ring before may be reported here.
    let mut step = socket.send(&NOTHING).await.map(|_| ());
    loop {
        match step {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                (refused, until) = (true, until.min(rung + WAITING));
            }
            Err(error) => return Err(error),
        }
        let mut answer = [0; 1];
        let left = until.saturating_duration_since(Instant::now());
        match timeout(left, socket.recv(&mut answer)).await {
            Ok(came) => step = came.map(|_| ()),
            Err(_) => return Ok(refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Enough for any machine, far more than it takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_closed_port_is_noticed_once_its_owner_is_silent() {
        let owner = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = owner.local_addr().unwrap();
        let heard = std::sync::Arc::new(AtomicU64::new(0));
        let count = heard.clone();
        let peer = tokio::spawn(async move {
            let mut bell = [9; 4];
            for _ in 0..4 {
                assert_eq!(owner.recv(&mut bell).await.unwrap(), 1);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let found = timeout(PATIENCE, ring(to, WAITING, || heard.load(Ordering::Relaxed))).await;
        assert_eq!(found.unwrap().unwrap(), Found::Nobody);
        peer.await.unwrap();
    }

    #[tokio::test]
    async fn a_refusal_means_nothing_where_strangers_are_always_refused() {
        let to = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let heard = AtomicU64::new(0);
        let alive = || heard.fetch_add(1, Ordering::Relaxed);
        assert_eq!(
            timeout(PATIENCE, ring(to, WAITING, alive)).await.unwrap().unwrap(),
            Found::NothingToLearn
        );
    }

    #[tokio::test]
    async fn one_that_never_showed_life_is_not_given_up_here() {
        let to = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(timeout(QUIET * 3, ring(to, WAITING, || 0)).await.is_err());
    }

    #[tokio::test]
    async fn a_port_that_opens_again_is_noticed() {
        let owner = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = owner.local_addr().unwrap();
        drop(owner);
        assert!(timeout(CLOSED * 3, somebody_at(to)).await.is_err(), "nobody is there");
        let _back = UdpSocket::bind(to).await.unwrap();
        timeout(PATIENCE, somebody_at(to)).await.expect("somebody is there");
    }
}
