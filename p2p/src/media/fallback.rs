//! The same exchange over libp2p streams, for peers to whom no direct media path exists.
//!
//! Streams of libp2p get lost without a word when the other side is busy: its inbound queue has no room, and what does not
//! fit is dropped. So every stream here must answer its offer soon, or the offer is made again on another one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use libp2p::{Stream, StreamProtocol};
use libp2p_stream::{Control, IncomingStreams};
use protocol::{Offer, PeerKey};
use tokio::io::split;
use tokio::sync::mpsc;
use tokio_util::compat::FuturesAsyncReadCompatExt;
use tokio_util::task::AbortOnDropHandle;

use super::ask::{Answers, Ended, Patience, Steps, ask};
use super::endpoint::MediaConfig;
use super::fault::{Code, MediaError};
use super::gate::Gate;
use super::half::{Sink, Source, no_longer_than};
use super::serve::{Door, IncomingOffer};
use crate::identity::{peer_id_of, peer_key_of};

/// The name and major version of one exchange on a libp2p stream.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/livemesh/segment/1");

/// Times that an offer is made before the peer counts as unreachable: at the worst loss seen, a quarter, one in a thousand
/// is given up.
const TRIES: u32 = 5;
/// Longest wait for the first answer, which the other side gives as soon as the stream has arrived.
const FIRST_ANSWER: Duration = Duration::from_secs(2);
/// Longest wait for a stream: libp2p may have to dial.
const OPEN: Duration = Duration::from_secs(5);
/// Pause before an offer is made again, times the number of tries.
const PAUSE: Duration = Duration::from_millis(50);

/// The media plane over libp2p. Cheap to clone; the last clone stops taking offers.
#[derive(Clone)]
pub struct Fallback {
    control: Control,
    patience: Patience,
    shared: Arc<Shared>,
}

struct Shared {
    offers: tokio::sync::Mutex<mpsc::Receiver<IncomingOffer>>,
    _listener: AbortOnDropHandle<()>,
}

impl Fallback {
    /// Takes streams of [`PROTOCOL`] from `control`, within the bounds of `config`. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`MediaError::Protocol`] when somebody else takes these streams already.
    pub fn new(mut control: Control, config: &MediaConfig) -> Result<Self, MediaError> {
        let inbound = control
            .accept(PROTOCOL)
            .map_err(|_| MediaError::Protocol(format!("{PROTOCOL} is taken already in this node")))?;
        let (offers_in, offers) = mpsc::channel(config.bounds.waiting);
        let door = Door { gate: Gate::new(config.bounds), floor: config.floor, offers: offers_in };
        let listener = AbortOnDropHandle::new(tokio::spawn(listen(inbound, door)));
        let shared = Shared { offers: tokio::sync::Mutex::new(offers), _listener: listener };
        let patience = Patience { first: config.silence, silence: config.silence, floor: config.floor };
        Ok(Self { control, patience, shared: Arc::new(shared) })
    }

    /// Sends `segment` to `peer` and yields the steps of its answer, ending after the receipt or an error.
    #[must_use]
    pub fn request(&self, peer: PeerKey, offer: Offer, segment: Bytes) -> Answers {
        let this = self.clone();
        Answers::run(|steps| async move { this.exchange(peer, &offer, &segment, &steps).await })
    }

    /// The next offer of anybody; `None` once the node is closed.
    pub async fn accept(&self) -> Option<IncomingOffer> {
        self.shared.offers.lock().await.recv().await
    }

    async fn exchange(
        mut self,
        peer: PeerKey,
        offer: &Offer,
        segment: &Bytes,
        steps: &Steps,
    ) -> Result<(), MediaError> {
        let mut tries = 1;
        loop {
            let error = match self.once(peer, offer, segment, steps).await {
                Ok(()) => return Ok(()),
                Err(Ended { error: MediaError::Unreachable(why), answered: false }) => why,
                Err(ended) => return Err(ended.error),
            };
            if tries == TRIES {
                return Err(MediaError::unreachable(peer, format!("{error} ({tries} tries over libp2p)")));
            }
            tracing::debug!(?peer, %error, tries, "a libp2p stream was lost, opening another one");
            tokio::time::sleep(PAUSE * tries).await;
            tries += 1;
        }
    }

    async fn once(
        &mut self,
        peer: PeerKey,
        offer: &Offer,
        segment: &Bytes,
        steps: &Steps,
    ) -> Result<(), Ended> {
        let unheard = |error| Ended { error, answered: false };
        let opening = self.control.open_stream(peer_id_of(peer), PROTOCOL);
        let opened = no_longer_than(OPEN, "opening a libp2p stream", async {
            opening.await.map_err(|e| MediaError::Unreachable(e.to_string()))
        });
        let (sink, source) = halves(opened.await.map_err(unheard)?, Code::Cancelled);
        let patience = Patience { first: FIRST_ANSWER.min(self.patience.silence), ..self.patience };
        ask(sink, source, offer, segment.clone(), steps, patience).await
    }
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").field("protocol", &PROTOCOL).finish_non_exhaustive()
    }
}

/// Takes streams as fast as they come, so that few find the queue full. Those beyond the bounds are refused in words.
async fn listen(mut inbound: IncomingStreams, door: Door) {
    while let Some((peer, stream)) = inbound.next().await {
        let Some(peer) = peer_key_of(&peer) else {
            tracing::debug!(%peer, "a stream of a peer without an ed25519 key is dropped");
            continue;
        };
        let (sink, source) = halves(stream, Code::Dropped);
        let door = door.clone();
        tokio::spawn(async move { door.receive(peer, sink, source).await });
    }
}

fn halves(stream: Stream, on_drop: Code) -> (Sink, Source) {
    let (read, write) = split(stream.compat());
    (Sink::any(write, on_drop), Source::any(read))
}
