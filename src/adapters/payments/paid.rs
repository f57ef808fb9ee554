//! The mesh as the dispatcher of one stream sees it where work is paid: who cannot be paid now is no candidate, each segment goes out
//! with its payment, and its receipt is in the books before the dispatcher hears of it.
//!
//! Accounts are opened and quoted before they are needed, and mended beside the way of segments.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::budget;
use actors::ports::{Answer, Candidate, Mesh, MeshFault, SharedMesh};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use protocol::payments::SessionId;
use protocol::payments::unpaid::{Cause, Unpaid};
use protocol::{Declined, Offer, PeerKey, StreamId};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::purse::{Account, Purse};
use super::session::{Mend, Table};

/// How often it is looked what has to be done for accounts.
const LOOK: Duration = Duration::from_millis(100);

type Steps = mpsc::Sender<Result<Answer, MeshFault>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct PaidMesh {
    stream: Arc<Stream>,
    _tend: AbortOnDropHandle<()>,
}

/// A stream and its accounts. When the last of its work is over, its accounts are closed.
#[derive(Debug)]
struct Stream {
    mesh: SharedMesh,
    purse: Arc<Purse>,
    id: StreamId,
    table: Mutex<Table>,
    /// Pixels of its last segment, at first a guess.
    pixels: AtomicU64,
    /// Let go after its accounts were handed on to be closed.
    _open: TaskTrackerToken,
}

impl PaidMesh {
    /// For one stream, whose segments come to about so many pixels.
    pub(crate) fn new(mesh: SharedMesh, purse: Arc<Purse>, id: StreamId, pixels: u64) -> Self {
        let (table, pixels, _open) = (Mutex::default(), AtomicU64::new(pixels), purse.stream());
        let stream = Arc::new(Stream { mesh, purse, id, table, pixels, _open });
        let tend = tokio::spawn(tend(Arc::clone(&stream)));
        Self { stream, _tend: AbortOnDropHandle::new(tend) }
    }
}

impl Mesh for PaidMesh {
    fn candidates(&self) -> Vec<Candidate> {
        let table = self.stream.table();
        let payable = |candidate: Candidate| match candidate.price.wei {
            0 => Some(candidate),
            _ => table.turn(&candidate).map(|turn| Candidate { turn: Some(turn), ..candidate }),
        };
        self.stream.mesh.candidates().into_iter().filter_map(payable).collect()
    }

    fn transcode(
        &self,
        peer: PeerKey,
        offer: Offer,
        segment: Bytes,
    ) -> BoxStream<'static, Result<Answer, MeshFault>> {
        if offer.price.wei == 0 {
            return self.stream.mesh.transcode(peer, offer, segment);
        }
        let pixels = offer.most_pixels();
        let Some(account) = self.stream.table().take(peer, offer.segment.seq, pixels) else {
            let unpaid = Unpaid::new(Cause::InWork, "its account is not ready for the next segment");
            return stream::iter([Err(Declined::from(unpaid).into())]).boxed();
        };
        self.stream.pixels.store(pixels, Ordering::Relaxed);
        let (steps, answers) = mpsc::channel(budget::ANSWERS);
        // A task of its own, because it outlives whoever gives up the segment: books must be made to agree then.
        tokio::spawn(Arc::clone(&self.stream).order(account, offer, segment, steps));
        ReceiverStream::new(answers).boxed()
    }
}

impl Stream {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Orders one segment, from its tickets to its receipt.
    async fn order(self: Arc<Self>, account: Account, offer: Offer, segment: Bytes, steps: Steps) {
        let seq = offer.segment.seq;
        let end = self.carry(&account, offer, segment, &steps).await;
        if matches!(end, End::Receipt) {
            return self.table().received(account.peer, seq);
        }
        match end {
            End::Kept => self.purse.withheld(account.session, seq).await,
            _ => self.purse.lost(account.session, seq).await,
        }
        let why = if let End::Unpaid(why) = end { Some(why) } else { None };
        self.table().lost(Instant::now(), account.peer, seq, why.as_ref());
        if why.is_some() {
            self.purse.note(&self.id, account.peer, why);
        }
    }

    async fn carry(&self, account: &Account, mut offer: Offer, segment: Bytes, steps: &Steps) -> End {
        match self.purse.pay(account.session, offer.segment.seq, offer.most_pixels()).await {
            Ok(payment) => offer.payment = Some(payment),
            Err(unpaid) => {
                // Nobody listens any more when this fails.
                let _ = steps.send(Err(Declined::from(unpaid.clone()).into())).await;
                return End::Unpaid(unpaid);
            }
        }
        // The dispatcher, which gives up at the deadline, began to wait a little earlier.
        let until = Instant::now() + offer.deadline * 9 / 10;
        let mut answers = self.mesh.transcode(account.peer, offer, segment);
        let mut end = End::Nothing;
        let mut taken = false;
        loop {
            let answer = tokio::select! {
                biased;
                answer = answers.next() => answer,
                () = steps.closed() => None,
            };
            match &answer {
                // Not where this side gave it up early: another was faster, or the stream ended.
                None if taken && matches!(end, End::Nothing) && Instant::now() >= until => return End::Kept,
                None => return end,
                Some(Ok(Answer::Accepted)) => taken = true,
                Some(Ok(Answer::Receipt(receipt))) => {
                    end = match self.purse.received(account, receipt.clone()).await {
                        Ok(()) => End::Receipt,
                        Err(unpaid) => End::Unpaid(unpaid),
                    };
                }
                Some(Err(MeshFault::Declined(Declined::Unpaid(unpaid)))) => end = End::Unpaid(unpaid.clone()),
                Some(_) => {}
            }
            if let Some(answer) = answer
                && steps.send(answer).await.is_err()
            {
                return end;
            }
        }
    }

    async fn mend(self: Arc<Self>, mend: Mend) {
        let done = self.make_ready(&mend).await;
        self.table().mended(Instant::now(), &mend, done.as_ref().copied());
        if let Err(why) = &done {
            tracing::debug!(stream = %self.id, peer = ?mend.account.peer, %why, "not paid");
        }
        self.purse.note(&self.id, mend.account.peer, done.err());
    }

    async fn make_ready(&self, mend: &Mend) -> Result<(), Unpaid> {
        let Mend { account, recipient, price, heal, anew } = mend;
        self.purse.open(account.session, &self.id, *recipient, *price).await?;
        if *heal {
            self.purse.heal(account).await?;
        }
        self.purse.renew(account, &self.id, self.pixels.load(Ordering::Relaxed), *anew).await
    }
}

/// How an order ended.
enum End {
    /// With a receipt that is in the books.
    Receipt,
    /// For the sake of money.
    Unpaid(Unpaid),
    /// It took the segment and let the deadline pass.
    Kept,
    /// Otherwise.
    Nothing,
}

/// Keeps accounts ready, for as long as the stream lasts.
async fn tend(stream: Arc<Stream>) {
    loop {
        let all = stream.mesh.candidates();
        let paid: Vec<Candidate> = all.into_iter().filter(|candidate| candidate.price.wei > 0).collect();
        for stranger in paid.iter().filter(|candidate| candidate.stake.is_none()) {
            let words = "no stake is proven for it, so nobody knows whom to pay";
            stream.purse.note(&stream.id, stranger.peer, Some(Unpaid::new(Cause::Session, words)));
        }
        let pixels = stream.pixels.load(Ordering::Relaxed);
        let due = stream.table().due(Instant::now(), &paid, pixels, || SessionId(rand::random()));
        for old in due.retire {
            stream.purse.retire(old);
        }
        for mend in due.mend {
            tokio::spawn(Arc::clone(&stream).mend(mend));
        }
        tokio::time::sleep(LOOK).await;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.purse.forget(&self.id);
        for account in self.table().drain() {
            self.purse.retire(account);
        }
    }
}
