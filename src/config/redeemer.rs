//! The `[redeemer]` section and the flags of `livemesh redeemer`: for whom it redeems, with which key, and who may hand it winners.
//! And how a node is told of one.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use alloy_primitives::Address;
use clap::Args;
use p2p::identity::{peer_id_of, peer_key_of};
use p2p::{Multiaddr, PeerId, pinned};
use protocol::PeerKey;
use serde::{Deserialize, Serialize, Serializer};

use super::chain::{Caller, Chain, ChainArgs};
use super::{ConfigError, File, or_file};

/// UDP port on which nodes hand winners over.
const PORT: u16 = 4937;

/// What a redeemer needs to know to start.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Redeemer {
    /// Its identity, its ledger and its transactions.
    pub(crate) data_dir: PathBuf,
    /// Where it redeems.
    pub(crate) chain: Chain,
    /// The orchestrator whose tickets it redeems: its staking address.
    pub(crate) recipient: Address,
    /// UDP address on which it listens.
    pub(crate) listen: SocketAddr,
    /// The keys of the nodes that may hand over winners.
    #[serde(serialize_with = "peer_ids")]
    pub(crate) nodes: Vec<PeerKey>,
    /// The key that pays gas and holds nothing else.
    pub(crate) key: Caller,
}

/// Flags of `livemesh redeemer`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RedeemerArgs {
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    /// The orchestrator whose tickets are redeemed: its staking address [default: orchestrator of the file's [chain]]
    #[arg(long, env = "LIVEMESH_REDEEMER_RECIPIENT", value_name = "ADDRESS")]
    pub(crate) recipient: Option<Address>,
    /// UDP address on which winners are taken [default: 0.0.0.0:4937]
    #[arg(long, env = "LIVEMESH_REDEEMER_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Peer id of a node that may hand over winners, such as 12D3Koo..; may be repeated
    #[arg(long = "node", env = "LIVEMESH_REDEEMER_NODES", value_name = "PEER ID", value_delimiter = ',')]
    pub(crate) nodes: Vec<String>,
    /// Address of the key that pays gas; it needs to hold nothing else
    #[arg(long, env = "LIVEMESH_REDEEMER_KEY", value_name = "ADDRESS")]
    pub(crate) key: Option<Address>,
    /// Directory in which that key lies encrypted [default: keystore/ in the data directory]
    #[arg(long, env = "LIVEMESH_REDEEMER_KEYSTORE", value_name = "DIR")]
    pub(crate) keystore: Option<PathBuf>,
    /// File with its password, which only its owner may read
    #[arg(long, env = "LIVEMESH_REDEEMER_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// `[redeemer]` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedeemerFile {
    recipient: Option<Address>,
    listen: Option<SocketAddr>,
    nodes: Option<Vec<String>>,
    key: Option<Address>,
    keystore: Option<PathBuf>,
    password_file: Option<PathBuf>,
}

/// A redeemer as a node is told of it: `/ip4/192.0.2.7/udp/4937/quic-v1/p2p/12D3Koo..`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RedeemerAt {
    /// Its key.
    pub(crate) peer: PeerKey,
    /// Its UDP address.
    pub(crate) addr: SocketAddr,
}

impl FromStr for RedeemerAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let addr = text.parse::<Multiaddr>().ok();
        let (peer, addr) = addr.and_then(|addr| pinned::parse_address(&addr)).ok_or_else(|| {
            format!("{text:?} is no redeemer such as /ip4/192.0.2.7/udp/{PORT}/quic-v1/p2p/12D3Koo..: take the line that livemesh redeemer prints")
        })?;
        Ok(Self { peer, addr })
    }
}

impl fmt::Display for RedeemerAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&pinned::address(self.peer, &self.addr), f)
    }
}

impl Serialize for RedeemerAt {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RedeemerAt {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl RedeemerArgs {
    pub(super) fn merge(&self, data_dir: PathBuf, file: File) -> Result<Redeemer, ConfigError> {
        let chain = self.chain.merge(&data_dir, file.chain.unwrap_or_default())?;
        let file = file.redeemer.unwrap_or_default();
        let needs = |what: &str| ConfigError::Value(format!("a redeemer needs {what}"));
        let recipient = self.recipient.or(file.recipient).or(chain.orchestrator).ok_or_else(|| {
            needs("to know for whom: give --recipient, the staking address of the orchestrator whose tickets it redeems")
        })?;
        let address = self.key.or(file.key).ok_or_else(|| {
            needs("a key that pays gas: make one with livemesh stake keys new, give it some ether, and name it with --key")
        })?;
        if address == recipient {
            let why = "redeemer.key is the orchestrator's own: a redeemer's key holds gas and nothing else, make another one";
            return Err(ConfigError::Value(why.into()));
        }
        let password_file = self
            .password_file
            .clone()
            .or(file.password_file)
            .ok_or_else(|| needs("--password-file: a file of mode 0600 with its key's password"))?;
        let keystore = self.keystore.clone().or(file.keystore).unwrap_or_else(|| data_dir.join("keystore"));
        let nodes: Result<Vec<PeerKey>, ConfigError> =
            or_file(&self.nodes, file.nodes).iter().map(|text| read_peer(text)).collect();
        Ok(Redeemer {
            chain,
            recipient,
            listen: self.listen.or(file.listen).unwrap_or((Ipv4Addr::UNSPECIFIED, PORT).into()),
            nodes: nodes?,
            key: Caller { address, keystore, password_file },
            data_dir,
        })
    }

    pub(super) fn config(&self) -> (Option<PathBuf>, Option<PathBuf>) {
        (self.chain.config.clone(), self.chain.data_dir.clone())
    }
}

fn read_peer(text: &str) -> Result<PeerKey, ConfigError> {
    let peer = text.parse::<PeerId>().ok().and_then(|peer| peer_key_of(&peer));
    peer.ok_or_else(|| {
        ConfigError::Value(format!(
            "{text:?} is no node's peer id, such as 12D3Koo..: take the one that livemesh node prints"
        ))
    })
}

fn peer_ids<S: Serializer>(nodes: &[PeerKey], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(nodes.iter().map(|node| peer_id_of(*node).to_string()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FILE: &str = "
        [chain]
        network = 'devnet'
        orchestrator = '0x0000000000000000000000000000000000000001'
        [redeemer]
        nodes = ['12D3KooWKm4DezJPsokKWSRTP1Zo2JaFhGfPSFr8uyiPGDRtJmMR']
        key = '0x0000000000000000000000000000000000000002'
        password_file = '/p'";

    fn merged(args: &RedeemerArgs, text: &str) -> Result<Redeemer, ConfigError> {
        args.merge(Path::new("/nowhere").into(), toml::from_str(text).unwrap())
    }

    #[test]
    fn the_file_says_enough_and_a_flag_beats_it() {
        let redeemer = merged(&RedeemerArgs::default(), FILE).unwrap();
        assert_eq!(redeemer.recipient, Address::with_last_byte(1));
        assert_eq!((redeemer.listen.port(), redeemer.nodes.len()), (PORT, 1));
        assert_eq!(redeemer.key.keystore, Path::new("/nowhere/keystore"));
        let recipient = Some(Address::with_last_byte(7));
        let args = RedeemerArgs { recipient, ..RedeemerArgs::default() };
        assert_eq!(merged(&args, FILE).unwrap().recipient, Address::with_last_byte(7));
    }

    #[test]
    fn what_is_missing_or_would_mix_keys_is_said() {
        let said = |text: &str| merged(&RedeemerArgs::default(), text).unwrap_err().to_string();
        assert!(
            said("[redeemer]\nkey = '0x0000000000000000000000000000000000000002'").contains("--recipient")
        );
        assert!(said(&FILE.replace("key =", "# key =")).contains("--key"));
        assert!(said(&FILE.replace("password_file", "# password_file")).contains("--password-file"));
        assert!(said(&FILE.replace("0002", "0001")).contains("the orchestrator's own"));
        assert!(said(&FILE.replace("12D3Koo", "")).contains("peer id"));
    }

    #[test]
    fn a_redeemer_is_named_by_where_it_is_and_who() {
        let text = "/ip4/192.0.2.7/udp/4937/quic-v1/p2p/12D3KooWKm4DezJPsokKWSRTP1Zo2JaFhGfPSFr8uyiPGDRtJmMR";
        let at: RedeemerAt = text.parse().unwrap();
        assert_eq!((at.addr.to_string().as_str(), at.to_string().as_str()), ("192.0.2.7:4937", text));
        assert!("/ip4/192.0.2.7/udp/4937/quic-v1".parse::<RedeemerAt>().is_err());
        assert!("192.0.2.7:4937".parse::<RedeemerAt>().is_err());
    }
}
