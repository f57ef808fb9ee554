//! One lie at a time. In flows a snapshot of honest answers and a change to one of them; out flows what a client, or the check
//! that a client makes, does with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{B256, keccak256};
use lightclient::exec::ExecHeader;
use lightclient::proven::Proven;
use lightclient::source::{Answer, Ask, Block, Layer, Source};
use lightclient::state::{ProvenState, StateView};
use lightclient::sync::{Clock, L1Block, LightClient, Status};

use crate::liar::{Form, Liar, Lie};
use crate::mutation::Mutation;
use crate::wire::Reply;
use crate::world::World;

/// How often a client is looked at.
const LOOK: Duration = Duration::from_millis(3);
/// How long a client may need for what takes an honest one a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a client has come to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reached {
    pub(crate) block: Proven<L1Block>,
    pub(crate) state: Proven<ProvenState>,
}

/// What became of a lie.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// It was refused, by this check.
    Refused(String),
    /// The client came to the very same values as with the truth.
    Harmless,
}

/// Honest answers of one moment behind two lying proxies, and what a client makes of them.
pub(crate) struct Snapshot<'a> {
    world: &'a World,
    checkpoint: B256,
    now_ms: u64,
    beacon: Liar,
    l1: Liar,
    pub(crate) truth: Reached,
}

impl<'a> Snapshot<'a> {
    /// Lets an honest client sync through proxies that remember, and asks for what it needs only after Gloas.
    pub(crate) async fn take(world: &'a World, checkpoint: B256, form: Form) -> Self {
        let beacon = Liar::remembering(&world.beacon, form).await;
        let l1 = Liar::remembering(&world.l1, form).await;
        let client = start(world, checkpoint, Clock::System, &beacon, &l1);
        let truth = tokio::time::timeout(PATIENCE, reach(&client, world))
            .await
            .expect("an honest client syncs")
            .unwrap();
        // Until it has also asked for what it asks for once a slot.
        while !beacon.seen().contains_key("optimistic_update") {
            tokio::time::sleep(LOOK).await;
        }
        // A slot later than any signature plus one can be.
        let now_ms = client.now_ms() + 2 * world.spec.slot_ms;
        client.stop().await;
        world.assert_true(&truth.state.value, truth.state.anchor.l2_block).await;
        let snapshot = Self { world, checkpoint, now_ms, beacon, l1, truth };
        assert_eq!(snapshot.header().await, Verdict::Harmless);
        assert_eq!(snapshot.code().await, Verdict::Harmless);
        snapshot
    }

    /// The same answers behind proxies of their own.
    pub(crate) async fn fork(&self) -> Self {
        Self {
            beacon: self.beacon.fork().await,
            l1: self.l1.fork().await,
            truth: self.truth.clone(),
            ..*self
        }
    }

    /// Honest answers that were seen, by kind.
    pub(crate) fn seen(&self) -> BTreeMap<String, Reply> {
        let mut seen = self.beacon.seen();
        seen.extend(self.l1.seen());
        seen
    }

    /// What comes of every answer of `kind` having this change.
    pub(crate) async fn against(&self, kind: &str, lie: &Lie) -> Verdict {
        // A second way to a header, by its bytes, is shut.
        let raw = ("debug_getRawHeader".to_owned(), Lie::Field(Mutation::alter(&["result"])));
        let lies = [raw, (kind.to_owned(), lie.clone())];
        self.beacon.tell(lies.clone().into());
        self.l1.tell(lies.into());
        let verdict = match kind {
            "eth_getBlockByHash" | "debug_getRawHeader" => self.header().await,
            "eth_getCode" => self.code().await,
            _ => self.sync(kind, lie).await,
        };
        assert!(self.told() > 0, "{kind}{lie} was never sent");
        verdict
    }

    /// Syncs a fresh client.
    async fn sync(&self, kind: &str, lie: &Lie) -> Verdict {
        let client = start(self.world, self.checkpoint, Clock::set_to(self.now_ms), &self.beacon, &self.l1);
        let verdict = tokio::select! {
            refused = refusal(&client) => Verdict::Refused(refused),
            reached = reach(&client, self.world) => match reached {
                Ok(reached) => self.judge(&client, reached, kind, lie).await,
                Err(why) => Verdict::Refused(why),
            },
            () = self.passed_over(kind) => Verdict::Refused("taken for an absence: asked again".to_owned()),
            () = tokio::time::sleep(PATIENCE) => panic!("{kind}{lie}: neither refused nor synced: {:?}", client.status()),
        };
        assert_only_truth(&client.status(), self.world).await;
        client.stop().await;
        verdict
    }

    /// Waits until the same lie was told three times: nothing was learned from it, nor can anything be held against who has nothing.
    async fn passed_over(&self, kind: &str) {
        while !matches!(kind, "bootstrap" | "updates") || self.told() < 3 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What a client made of a lie that it holds against nobody.
    async fn judge(&self, client: &LightClient, reached: Reached, kind: &str, lie: &Lie) -> Verdict {
        // Optimistic updates are asked for once a slot; the second question shows that the first answer was dealt with.
        while kind == "optimistic_update" && self.told() < 2 {
            tokio::time::sleep(LOOK).await;
        }
        if let Some(why) = refused_by_now(&client.status()) {
            return Verdict::Refused(why);
        }
        if reached == self.truth {
            return Verdict::Harmless;
        }
        assert!(
            reached.block.value.slot < self.truth.block.value.slot,
            "{kind}{lie} was believed: {reached:?}"
        );
        self.world.assert_true(&reached.state.value, reached.state.anchor.l2_block).await;
        Verdict::Refused("the client stays where it was, as if it had no answer".to_owned())
    }

    /// Asks for the proven block's header, as a client does where the beacon chain names only a hash.
    async fn header(&self) -> Verdict {
        let hash = self.truth.block.value.hash;
        match self.execution().ask(&Ask::Header { layer: Layer::L1, hash }).await {
            Ok(Answer::Header(raw)) => match ExecHeader::verify(&raw, hash) {
                Ok(header) => {
                    assert_eq!(header.state_root, self.truth.block.value.state_root);
                    Verdict::Harmless
                }
                Err(why) => Verdict::Refused(why.to_string()),
            },
            Ok(other) => panic!("not a header: {other:?}"),
            Err(error) => Verdict::Refused(error.to_string()),
        }
    }

    /// Asks for the code of the contract, whose hash is proven.
    async fn code(&self) -> Verdict {
        let address = self.world.contract;
        let hash = self.truth.state.value.account(address).unwrap().unwrap().code_hash;
        let block = Block { number: self.truth.block.value.number, hash: self.truth.block.value.hash };
        match self.execution().ask(&Ask::Code { layer: Layer::L1, block, address, hash }).await {
            Ok(Answer::Code(code)) if keccak256(&code) == hash => Verdict::Harmless,
            Ok(Answer::Code(_)) => Verdict::Refused("the code does not hash to what is proven".to_owned()),
            Ok(other) => panic!("not code: {other:?}"),
            Err(error) => Verdict::Refused(error.to_string()),
        }
    }

    fn execution(&self) -> Arc<dyn Source> {
        self.world.sources("only", &self.beacon.url, &self.l1.url)[1].clone()
    }

    fn told(&self) -> u64 {
        self.beacon.told() + self.l1.told()
    }
}

fn start(world: &World, checkpoint: B256, clock: Clock, beacon: &Liar, l1: &Liar) -> LightClient {
    let sources = world.sources("only", &beacon.url, &l1.url);
    LightClient::start(world.config(checkpoint, clock), sources.into()).unwrap()
}

/// Follows a client to the head, and proves what is wanted there.
async fn reach(client: &LightClient, world: &World) -> Result<Reached, String> {
    client.wait_synced().await.map_err(|why| why.to_string())?;
    let block = client.l1().await.map_err(|why| why.to_string())?;
    let state = client.prove_l1(world.keys()).await.map_err(|why| why.to_string())?;
    Ok(Reached { block, state })
}

/// Waits until the client holds something against a source.
async fn refusal(client: &LightClient) -> String {
    loop {
        if let Some(why) = refused_by_now(&client.status()) {
            return why;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn refused_by_now(status: &Status) -> Option<String> {
    status.sources.iter().find_map(|source| source.last_fault.clone())
}

/// Whatever a client shows must be the chain's own.
pub(crate) async fn assert_only_truth(status: &Status, world: &World) {
    for head in [status.finalized, status.optimistic].into_iter().flatten() {
        assert_eq!(head.root, world.root_at(head.slot).await, "a false head: {head:?}");
    }
}
