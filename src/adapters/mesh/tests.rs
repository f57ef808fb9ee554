//! Who becomes a candidate, with real neighbours over loopback.

use std::net::SocketAddr;
use std::time::Duration;

use actors::admission::{Refusal, Stake, Standing, Standings};
use alloy_primitives::{Address, U256};
use p2p::media::MediaConfig;
use p2p::{ControlConfig, Identity, RecordDraft};
use protocol::Lpt;
use protocol::record::{Roles, Work};

use super::*;

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A node that offers to work.
async fn orchestrator(seed: u8, know: &Control) -> Control {
    let work = Work {
        price: PricePerPixel::FREE,
        capacity: 3,
        load: 1,
        backend: "cpu".into(),
        encoder: "x264-165".into(),
    };
    let roles = Roles { orchestrator: true, ..Roles::default() };
    let draft = RecordDraft { roles, work: Some(work), ..RecordDraft::default() };
    let config = ControlConfig { listen: vec![anywhere()], draft, ..ControlConfig::new("t") };
    let config = config.with_bootstrap(know.local_addrs());
    Control::start(config, Identity::from_seed([seed; 32])).await.unwrap().0
}

/// This node's mesh, and what it is told of everybody's stake.
async fn mesh(allow_unstaked: bool) -> (MeshAdapter, watch::Sender<Arc<Standings>>) {
    let identity = Identity::from_seed([9; 32]);
    let config = ControlConfig { listen: vec![anywhere()], ..ControlConfig::new("t") };
    let (control, _) = Control::start(config, identity.clone()).await.unwrap();
    let media = MediaEndpoint::bind(&identity, anywhere(), MediaConfig::default()).unwrap();
    let fallback = Fallback::new(control.streams(), &MediaConfig::default()).unwrap();
    let (standings, seen) = watch::channel(Arc::default());
    let door = Door { standings: Some(seen), allow_unstaked };
    (MeshAdapter::new(control, media, fallback, door).unwrap(), standings)
}

fn standings(nodes: [(PeerKey, Standing); 2]) -> Arc<Standings> {
    Arc::new(Standings { nodes: nodes.into(), ..Standings::default() })
}

async fn knows(mesh: &MeshAdapter, nodes: [PeerKey; 2]) {
    let mut roster = mesh.control.watch();
    let both = roster.wait_for(|roster| nodes.iter().all(|node| roster.get(*node).is_some()));
    tokio::time::timeout(Duration::from_secs(30), both).await.expect("both are known").unwrap();
}

#[tokio::test]
async fn only_who_has_stake_is_a_candidate_and_no_longer_than_it_has() {
    let (mesh, told) = mesh(false).await;
    let (one, two) = (orchestrator(1, &mesh.control).await, orchestrator(2, &mesh.control).await);
    knows(&mesh, [one.me(), two.me()]).await;
    assert_eq!(mesh.candidates().len(), 0, "nothing is proven yet");

    let stake = Stake { staker: Address::repeat_byte(7), amount: Lpt(U256::from(5)), shared_by: 1 };
    told.send_replace(standings([(one.me(), Ok(stake)), (two.me(), Err(Refusal::NoCertificate))]));
    let candidates = mesh.candidates();
    assert_eq!(candidates.len(), 1);
    assert_eq!((candidates[0].peer, candidates[0].stake), (one.me(), Some(stake)));
    assert_eq!((candidates[0].capacity, candidates[0].load), (3, 1));

    let gone = Refusal::NotActive { staker: stake.staker, round: 3001 };
    told.send_replace(standings([(one.me(), Err(gone)), (two.me(), Err(Refusal::NoCertificate))]));
    assert_eq!(mesh.candidates().len(), 0);
}

#[tokio::test]
async fn who_asks_for_no_stake_still_sees_whose_stake_it_is() {
    let (mesh, told) = mesh(true).await;
    let (one, two) = (orchestrator(1, &mesh.control).await, orchestrator(2, &mesh.control).await);
    knows(&mesh, [one.me(), two.me()]).await;
    let stake = Stake { staker: Address::repeat_byte(7), amount: Lpt(U256::from(5)), shared_by: 1 };
    told.send_replace(standings([(one.me(), Ok(stake)), (two.me(), Err(Refusal::NoCertificate))]));
    let candidates = mesh.candidates();
    let of = |peer| candidates.iter().find(|candidate| candidate.peer == peer).unwrap().stake;
    assert_eq!((candidates.len(), of(one.me()), of(two.me())), (2, Some(stake), None));
}
