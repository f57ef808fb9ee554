//! `sync`: a store is started, fed and looked at.

use alloy_primitives::B256;
use lightclient::consensus::{Bootstrap, Header, Store, Update};
use lightclient::forks::{ChainSpec, Fork};
use serde_norway::Value;

use super::case::{Case, root};

struct Run<'a> {
    case: &'a Case,
    chain: ChainSpec,
    store: Store,
}

/// As the specification has it, force updates included.
pub(crate) fn with_force_updates(case: &Case) {
    let mut run = Run::start(case);
    for step in case.yaml("steps.yaml").as_sequence().unwrap() {
        let (kind, body) = only(step);
        match kind {
            "process_update" => run.process(body).unwrap_or_else(|why| panic!("{}: {why}", case.label())),
            "force_update" => {
                run.store.force_update(&run.chain, body["current_slot"].as_u64().unwrap());
            }
            "upgrade_store" => {}
            other => panic!("unknown step {other}"),
        }
        run.check(&body["checks"]);
        run.survives_a_restart();
    }
}

/// As we ship: a step that would force changes nothing, what follows is believed or refused, and the finalized header is
/// always one that two thirds of a committee called finalized.
pub(crate) fn as_we_ship(case: &Case) {
    let mut run = Run::start(case);
    let trusted = run.store.finalized_root();
    let mut forced = false;
    for step in case.yaml("steps.yaml").as_sequence().unwrap() {
        let (kind, body) = only(step);
        let before = run.store.finalized().slot();
        match kind {
            "process_update" => match run.process(body) {
                Ok(()) => {}
                Err(why) => assert!(forced, "{}: {why}", case.label()),
            },
            "force_update" => forced = true,
            _ => {}
        }
        assert!(run.store.finalized().slot() >= before);
        let proven = run.store.proof().is_some_and(|proof| {
            let named = proof.finality.as_ref().map(|finality| finality.header.root());
            proof.aggregate.is_supermajority() && named == Some(run.store.finalized_root())
        });
        assert!(proven || run.store.finalized_root() == trusted, "{}", case.label());
        if !forced {
            run.check(&body["checks"]);
        }
    }
}

impl<'a> Run<'a> {
    fn start(case: &'a Case) -> Self {
        let meta = case.yaml("meta.yaml");
        let chain = case.chain(root(&meta["genesis_validators_root"]));
        let bytes = case.ssz("bootstrap");
        let fork = fork_of(&chain, &meta["bootstrap_fork_digest"]);
        let bootstrap = Bootstrap::decode_ssz(&chain, fork, &bytes).unwrap();
        assert_eq!(bootstrap.encode_ssz(), bytes);
        assert_eq!(Bootstrap::from_json(&chain, &bootstrap.to_json()).unwrap(), bootstrap);
        let store = Store::bootstrap(&chain, root(&meta["trusted_block_root"]), &bootstrap)
            .unwrap_or_else(|why| panic!("{}: {why}", case.label()));
        Self { case, chain, store }
    }

    fn process(&mut self, body: &Value) -> Result<(), lightclient::consensus::Reject> {
        let bytes = self.case.ssz(body["update"].as_str().unwrap());
        let fork = fork_of(&self.chain, &body["update_fork_digest"]);
        let update = Update::decode_ssz(&self.chain, fork, &bytes).unwrap();
        assert_eq!(update.encode_ssz(), bytes, "{}", self.case.label());
        assert_eq!(Update::from_json(&self.chain, &update.to_json()).unwrap(), update);
        let slot = body["current_slot"].as_u64().unwrap();
        let verified = self.store.verify_update(&self.chain, &update, slot)?;
        assert!(!self.store.apply(verified).stale);
        Ok(())
    }

    fn check(&self, checks: &Value) {
        for (name, header) in
            [("finalized_header", self.store.finalized()), ("optimistic_header", self.store.optimistic())]
        {
            let wanted = &checks[name];
            let label = format!("{} {name}", self.case.label());
            assert_eq!(header.slot(), wanted["slot"].as_u64().unwrap(), "{label}");
            assert_eq!(header.root(), root(&wanted["beacon_root"]), "{label}");
            if let Some(wanted) = wanted.get("execution_root") {
                assert_eq!(self.execution_root(header), root(wanted), "{label}");
            }
        }
    }

    /// A step of the vectors looks at headers through the store's fork: before Capella there is nothing to see.
    fn execution_root(&self, header: &Header) -> B256 {
        header.execution_root(&self.chain).unwrap_or_default()
    }

    fn survives_a_restart(&mut self) {
        let bytes = self.store.encode();
        let again = Store::decode(&self.chain, &bytes);
        if self
            .store
            .proof()
            .is_none_or(|proof| proof.finality.as_ref().is_some_and(|f| !f.branch.is_empty()))
        {
            assert_eq!(again.unwrap().encode(), bytes, "{}", self.case.label());
        }
    }
}

fn fork_of(chain: &ChainSpec, digest: &Value) -> Fork {
    chain.fork_of_digest(digest.as_str().unwrap().parse().unwrap()).unwrap()
}

fn only(step: &Value) -> (&str, &Value) {
    let (kind, body) = step.as_mapping().unwrap().iter().next().unwrap();
    (kind.as_str().unwrap(), body)
}
