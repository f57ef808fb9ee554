//! Livepeer's contracts as npm's `@livepeer/sdk` carries them (February 2022), deployed, connected and set up.

use std::path::Path;

use alloy_primitives::{Address, U256, hex, keccak256};
use alloy_sol_types::{SolValue, sol};
use lightclient::livepeer::layout::controller;
use lightclient::livepeer::{Contracts, Part, Target};
use serde_json::{Value, json};

use crate::anvil::{ABIS, Anvil};

sol! {
    function setContractInfo(bytes32 id, address contractAddress, bytes20 gitCommitHash) external;
    function unpause() external;
    function setUnbondingPeriod(uint64 period) external;
    function setNumActiveTranscoders(uint256 number) external;
    function setRoundLength(uint256 length) external;
    function setRoundLockAmount(uint256 amount) external;
    function setUnlockPeriod(uint256 period) external;
    function setTicketValidityPeriod(uint256 period) external;
    function grantRole(bytes32 role, address account) external;
    function mint(address to, uint256 amount) external;
}

/// Livepeer's contracts on the chain.
pub struct Deployed {
    pub contracts: Contracts,
    pub token: Address,
}

struct Artifacts<'a>(&'a Path);

impl Artifacts<'_> {
    /// Creation code of a contract, linked to the library where it wants it, with its constructor's arguments.
    fn code(&self, path: &str, library: Address, arguments: &[u8]) -> Vec<u8> {
        let file = self.0.join(ABIS).join(format!("{path}.json"));
        let artifact: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let mut code = artifact["bytecode"].as_str().unwrap().trim_start_matches("0x").to_owned();
        for library_links in artifact["linkReferences"].as_object().unwrap().values() {
            for link in library_links["SortedDoublyLL"].as_array().unwrap() {
                let start = 2 * link["start"].as_u64().unwrap() as usize;
                code.replace_range(start..start + 40, &hex::encode(library));
            }
        }
        let mut code = hex::decode(code).unwrap();
        code.extend_from_slice(arguments);
        code
    }
}

/// Names a contract in the registry, as its owner.
pub fn register(anvil: &Anvil, registry: Address, name: &str, address: Address) {
    let info = setContractInfoCall {
        id: controller::id(name),
        contractAddress: address,
        gitCommitHash: [0; 20].into(),
    };
    anvil.call(anvil.accounts[0], registry, &info);
}

/// Deploys and connects everything; rounds of 50 blocks, a pool of at most four.
pub fn deploy(anvil: &Anvil, place: &Path) -> Deployed {
    let artifacts = Artifacts(place);
    let plain = |path: &str, arguments: &[u8]| anvil.deploy(&artifacts.code(path, Address::ZERO, arguments));
    let registry = plain("Controller.sol/Controller", &[]);
    let register = |name: &str, address: Address| register(anvil, registry, name, address);
    let token = plain("token/LivepeerToken.sol/LivepeerToken", &[]);
    let inflation = (registry, U256::from(500_000), U256::from(20_000), U256::from(500_000_000)).abi_encode();
    let minter = plain("token/Minter.sol/Minter", &inflation);
    let library = plain("libraries/SortedDoublyLL.sol/SortedDoublyLL", &[]);
    let cache = Address::repeat_byte(0xca);
    // The contracts of 2022 come without the cache of the supply on L1: one that answers zero takes its place.
    anvil.rpc("anvil_setCode", &json!([cache, "0x5f5f5260205ff3"])).unwrap();
    for (name, address) in [("LivepeerToken", token), ("Minter", minter), ("L2LPTDataCache", cache)] {
        register(name, address);
    }
    let mut targets = Vec::new();
    let mut proxied = |part: Part, path: &str| {
        let target = anvil.deploy(&artifacts.code(path, library, &registry.abi_encode()));
        let name = part.target().unwrap();
        register(name, target);
        let proxy = plain("ManagerProxy.sol/ManagerProxy", &(registry, controller::id(name)).abi_encode());
        register(part.name(), proxy);
        targets.push(Target { part, address: Some(target), code_hash: Some(keccak256(anvil.code(target))) });
        proxy
    };
    let ticket_broker = proxied(Part::TicketBroker, "pm/TicketBroker.sol/TicketBroker");
    let bonding_manager = proxied(Part::BondingManager, "bonding/BondingManager.sol/BondingManager");
    let rounds_manager = proxied(Part::RoundsManager, "rounds/RoundsManager.sol/RoundsManager");
    let service_registry = proxied(Part::ServiceRegistry, "ServiceRegistry.sol/ServiceRegistry");
    register("JobsManager", ticket_broker);
    let contracts = Contracts {
        chain_id: 31337,
        controller: registry,
        bonding_manager,
        rounds_manager,
        minter,
        ticket_broker,
        service_registry,
        bonding_votes: Address::repeat_byte(0xbb),
        governor: Address::ZERO,
        targets,
    };
    settings(anvil, &contracts, token);
    Deployed { contracts, token }
}

fn settings(anvil: &Anvil, c: &Contracts, token: Address) {
    let owner = anvil.accounts[0];
    anvil.call(owner, c.bonding_manager, &setUnbondingPeriodCall { period: 7 });
    anvil.call(owner, c.bonding_manager, &setNumActiveTranscodersCall { number: U256::from(4) });
    anvil.call(owner, c.rounds_manager, &setRoundLengthCall { length: U256::from(50) });
    anvil.call(owner, c.rounds_manager, &setRoundLockAmountCall { amount: U256::from(100_000) });
    anvil.call(owner, c.ticket_broker, &setUnlockPeriodCall { period: U256::from(2) });
    anvil.call(owner, c.ticket_broker, &setTicketValidityPeriodCall { period: U256::from(2) });
    let role = keccak256("MINTER_ROLE");
    for account in [owner, c.minter] {
        anvil.call(owner, token, &grantRoleCall { role, account });
    }
    anvil.call(owner, c.controller, &unpauseCall {});
    let lpt = U256::from(10u64).pow(U256::from(18));
    for &account in &anvil.accounts {
        anvil.call(owner, token, &mintCall { to: account, amount: U256::from(100_000) * lpt });
    }
}
