//! A crowd of sources that are honest, lie, are slow, silent, broken or rate-limited, under virtual time.

use std::collections::VecDeque;

use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;
use tokio::time::sleep;

use super::*;
use crate::source::Layer;

const ASK: Ask = Ask::Header { layer: Layer::L1, hash: B256::ZERO };
const TRUE: &[u8] = b"true";

/// What is said, and after how many milliseconds.
type Said = (u64, Result<&'static [u8], Fault>);

/// Says one thing after another, each after a while; the last again and again.
#[derive(Debug)]
struct Scripted {
    name: &'static str,
    says: Mutex<VecDeque<Said>>,
    asked: Mutex<u32>,
}

impl Scripted {
    fn new(name: &'static str, says: &[Said]) -> Arc<Self> {
        let says = Mutex::new(says.iter().cloned().collect());
        Arc::new(Self { name, says, asked: Mutex::new(0) })
    }

    fn honest(name: &'static str, after_ms: u64) -> Arc<Self> {
        Self::new(name, &[(after_ms, Ok(TRUE))])
    }

    fn asked(&self) -> u32 {
        *self.asked.lock().unwrap()
    }
}

#[async_trait]
impl Source for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    fn can(&self, _: &Ask) -> bool {
        true
    }

    async fn ask(&self, _: &Ask) -> Result<Answer, SourceError> {
        *self.asked.lock().unwrap() += 1;
        let (after_ms, says) = {
            let mut says = self.says.lock().unwrap();
            if says.len() > 1 { says.pop_front().unwrap() } else { says[0].clone() }
        };
        sleep(Duration::from_millis(after_ms)).await;
        says.map(|bytes| Answer::Header(Bytes::from_static(bytes)))
            .map_err(|fault| SourceError { by: self.name.into(), fault })
    }
}

fn crowd(sources: &[&Arc<Scripted>]) -> Crowd {
    Crowd::new(sources.iter().map(|s| Arc::clone(s) as Arc<dyn Source>), Patience::default())
}

fn check(answer: Answer) -> Result<(), Refusal> {
    match answer {
        Answer::Header(bytes) if *bytes == *TRUE => Ok(()),
        Answer::Header(bytes) if bytes.is_empty() => Err(Refusal::Useless("empty".into())),
        _ => Err(Refusal::Lie("the hash differs".into())),
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_that_verifies_wins_and_the_liar_is_asked_last_from_then_on() {
    let (liar, honest) = (Scripted::new("liar", &[(1, Ok(b"false"))]), Scripted::honest("honest", 50));
    let crowd = crowd(&[&liar, &honest]);
    assert_eq!(&*crowd.ask(&ASK, check).await.unwrap().by, "honest");
    for _ in 0..5 {
        crowd.ask(&ASK, check).await.unwrap();
    }
    assert_eq!((liar.asked(), honest.asked()), (1, 6));
    let status = crowd.status();
    assert_eq!((status[1].name.as_str(), status[1].health.lies), ("liar", 1));
    assert!(status[1].last_fault.as_ref().unwrap().contains("the hash differs"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_costs_a_hedge_and_no_timeout() {
    let silent = Scripted::new("silent", &[(1_000_000, Ok(TRUE))]);
    let honest = Scripted::honest("honest", 20);
    let crowd = crowd(&[&silent, &honest]);
    let start = Instant::now();
    assert_eq!(&*crowd.ask(&ASK, check).await.unwrap().by, "honest");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let start = Instant::now();
    crowd.ask(&ASK, check).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(50), "the slow one comes second now");
}

#[tokio::test(start_paused = true)]
async fn one_honest_source_among_many_bad_ones_is_enough() {
    let bad: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"]
        .into_iter()
        .enumerate()
        .map(|(at, name)| match at % 4 {
            0 => Scripted::new(name, &[(1, Ok(b"false"))]),
            1 => Scripted::new(name, &[(1_000_000, Ok(TRUE))]),
            2 => Scripted::new(name, &[(5, Err(Fault::Malformed("garbage".into())))]),
            _ => Scripted::new(name, &[(5, Err(Fault::Http { status: 500, said: String::new() }))]),
        })
        .collect();
    let honest = Scripted::honest("honest", 300);
    let crowd = crowd(&bad.iter().chain([&honest]).collect::<Vec<_>>());
    let start = Instant::now();
    assert_eq!(&*crowd.ask(&ASK, check).await.unwrap().by, "honest");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_source_is_waited_for_when_it_is_the_only_one() {
    let limited = Fault::RateLimited { retry_after: Duration::from_secs(7) };
    let source = Scripted::new("limited", &[(1, Err(limited)), (1, Ok(TRUE))]);
    let start = Instant::now();
    crowd(&[&source]).ask(&ASK, check).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(7) && start.elapsed() < Duration::from_secs(8));
}

#[tokio::test(start_paused = true)]
async fn the_error_says_what_each_source_said() {
    let liar = Scripted::new("liar", &[(1, Ok(b"false"))]);
    let old = Scripted::new("old", &[(1, Ok(b""))]);
    let gone = Scripted::new("gone", &[(1, Err(Fault::Unreachable("connection refused".into())))]);
    let error = crowd(&[&liar, &old, &gone]).ask(&ASK, check).await.unwrap_err();
    let text = error.to_string();
    for part in [
        "L1 header",
        "liar sent what fails a check: the hash differs",
        "old sent nothing of use",
        "gone cannot be reached",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(gone.asked(), 3, "what may pass is tried again");
    assert!(!error.nothing_new());
}

#[tokio::test(start_paused = true)]
async fn nothing_new_is_no_failure_and_sinks_nobody() {
    let old = Scripted::new("old", &[(1, Ok(b""))]);
    let absent = Scripted::new("absent", &[(1, Err(Fault::NotHere("pruned".into())))]);
    let crowd = crowd(&[&old, &absent]);
    assert!(crowd.ask(&ASK, check).await.unwrap_err().nothing_new());
    assert!(crowd.status().iter().all(|s| s.health.standing == score::Standing::Good));
}

#[tokio::test(start_paused = true)]
async fn without_a_source_the_error_says_so() {
    let error = crowd(&[]).ask(&ASK, check).await.unwrap_err();
    assert!(error.to_string().contains("add one"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn all_are_asked_at_once_where_several_must_agree() {
    let (a, b) = (Scripted::honest("a", 200), Scripted::honest("b", 200));
    let crowd = crowd(&[&a, &b]);
    let start = Instant::now();
    let answers = crowd.ask_each(&ASK).await;
    assert_eq!(answers.len(), 2);
    assert!(start.elapsed() < Duration::from_millis(300));
    crowd.note("a", &ASK, Outcome::Refused(Refusal::Lie("disagrees with its own header".into())));
    assert_eq!(crowd.status()[1].name, "a");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_added_again_keeps_its_record() {
    let liar = Scripted::new("liar", &[(1, Ok(b"false"))]);
    let crowd = crowd(&[&liar]);
    crowd.ask(&ASK, check).await.unwrap_err();
    crowd.add(liar);
    assert_eq!(crowd.status()[0].health.lies, 1);
    crowd.remove("liar");
    assert!(crowd.status().is_empty());
}
