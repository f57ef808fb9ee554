//! Many lies, one after another in a few clients at a time. In flow a snapshot and the lies about it, out flows which were
//! refused by which check, and which changed nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::liar::Lie;
use crate::mutation::Mutation;
use crate::trial::{Snapshot, Verdict};

/// Clients at the same time; most of a trial is waiting for the other side of a socket.
const WORKERS: usize = 4;
/// Of so many bytes of SSZ one is changed: every hash, key and signature is hit.
const CHUNK: usize = 32;

/// A lie and the kind of answer that it is told in.
pub(crate) type Told = (String, Lie);

/// Every change to every JSON answer that an honest client got.
pub(crate) fn all_fields(snapshot: &Snapshot<'_>) -> Vec<Told> {
    let mut lies = Vec::new();
    for (kind, reply) in snapshot.seen() {
        let Some(document) = reply.json() else { continue };
        let mutations = Mutation::all(&document);
        println!("{kind}: {} changes", mutations.len());
        lies.extend(mutations.into_iter().map(|mutation| (kind.clone(), Lie::Field(mutation))));
    }
    lies
}

/// A byte of every 32 of every SSZ answer that an honest client got.
pub(crate) fn all_chunks(snapshot: &Snapshot<'_>) -> Vec<Told> {
    let mut lies = Vec::new();
    for (kind, reply) in snapshot.seen() {
        if reply.json().is_some() {
            continue;
        }
        let bytes = (0..reply.body.len().div_ceil(CHUNK)).map(|chunk| chunk * CHUNK + chunk * 7 % CHUNK);
        let bytes: Vec<_> = bytes.filter(|at| *at < reply.body.len()).collect();
        println!("{kind}: {} bytes, {} changes", reply.body.len(), bytes.len());
        lies.extend(bytes.into_iter().map(|at| (kind.clone(), Lie::Byte(at))));
    }
    lies
}

/// Tells every lie; prints what came of them and returns those that changed nothing.
pub(crate) async fn tell_all(snapshot: &Snapshot<'_>, lies: Vec<Told>) -> Vec<Told> {
    let (started, next) = (Instant::now(), AtomicUsize::new(0));
    println!("truth: finalized slot {}, {} lies about it", snapshot.truth.block.value.slot, lies.len());
    let work = (0..WORKERS).map(|_| async {
        let snapshot = snapshot.fork().await;
        let mut verdicts = Vec::new();
        while let Some((kind, lie)) = lies.get(next.fetch_add(1, Ordering::Relaxed)) {
            verdicts.push((kind, lie, snapshot.against(kind, lie).await));
        }
        verdicts
    });
    let verdicts: Vec<_> = futures::future::join_all(work).await.into_iter().flatten().collect();
    let (mut checks, mut harmless) = (BTreeMap::new(), Vec::new());
    for (kind, lie, verdict) in verdicts {
        match verdict {
            Verdict::Refused(why) => *checks.entry(check_of(&why)).or_insert(0_u32) += 1,
            Verdict::Harmless => harmless.push((kind.clone(), lie.clone())),
        }
    }
    println!("refused by check {checks:#?}");
    println!(
        "{} lies: {} refused, {} without effect, {:.0} s",
        lies.len(),
        lies.len() - harmless.len(),
        harmless.len(),
        started.elapsed().as_secs_f64()
    );
    harmless
}

/// The check that an error names, without the values in it.
fn check_of(why: &str) -> String {
    let check = why.rsplit("check: ").next().unwrap_or(why);
    let words = check
        .split_whitespace()
        .map(|word| if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word });
    words.take(14).collect::<Vec<_>>().join(" ")
}
