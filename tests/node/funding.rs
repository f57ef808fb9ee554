//! Money for tickets by the commands that people type: in, locked, out again, to the wei; and what cannot be is refused before
//! anything is sent.

use alloy_primitives::{Address, U256};
use protocol::Round;
use protocol::chain::Call;
use protocol::chain::call::Broker;
use protocol::funding::{REDEEM_GAS, REDEMPTIONS_PER_WIN, Use};
use protocol::{PricePerPixel, Wei};
use serde_json::{Value, json};

use crate::staking::Staking;
use crate::world::PATIENCE;

fn ether(thousandths: u64) -> U256 {
    U256::from(thousandths) * U256::from(1_000_000_000_000_000_u64)
}

/// All JSON values that a command prints, one after the other.
fn values(said: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(said).into_iter::<Value>().map(Result::unwrap).collect()
}

impl Staking {
    fn base_fee(&self) -> U256 {
        U256::from(self.devnet.with(|world| world.l2.base_fee))
    }

    fn ether_of(&self, who: Address) -> U256 {
        self.devnet.with(|world| world.livepeer.chain.eth.at(&who))
    }

    /// Types a command about the ticket broker; returns wei that its transaction's gas cost.
    async fn pays(&mut self, from: Address, args: &[&str], call: Broker) -> U256 {
        let before = self.ether_of(self.oracle.addresses.minter);
        let said = self.type_in(from, &[&["tickets"], args].concat(), vec![Call::Broker(call.clone())]).await;
        let after = self.ether_of(self.oracle.addresses.minter);
        let moved = Call::Broker(call).named_value();
        assert!(moved.is_zero() || after == before + moved, "the ether is where deposits are kept");
        let gas = values(&said)
            .iter()
            .find_map(|step| step["gas_used"].as_u64().filter(|_| step["progress"] == "sequenced"));
        U256::from(gas.unwrap_or_else(|| panic!("{said}"))) * self.base_fee()
    }

    async fn status(&self, who: Address) -> Value {
        let said = self.livemesh(&["tickets", "--json", "status", &who.to_string()]).await;
        serde_json::from_str(&said).unwrap()
    }

    /// Waits for a round, which nobody has to begin for money to leave.
    async fn reach(&self, round: Round) {
        let now = || self.devnet.with(|world| world.livepeer.chain.current_round().unwrap());
        let reached = async {
            while now() < round {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_for_tickets_goes_in_and_comes_out_to_the_wei() {
    let mut staking = Staking::start().await;
    let who = staking.account(0).await;
    let began = staking.ether_of(who);
    let mut gas = U256::ZERO;
    assert_eq!(staking.status(who).await["sender"]["deposit"], json!("0"));

    // What a use needs, by the formula that the command explains.
    let use_ = Use {
        streams: 3,
        pixels_per_second: 1_664_160 * 30,
        seconds: 36_000,
        price: PricePerPixel { wei: 70, pixels: 1 },
        face: Wei(U256::from(REDEEM_GAS * REDEMPTIONS_PER_WIN) * staking.base_fee()),
        // Nobody is in the pool, but that many may be.
        pool: 100,
    };
    let plan = use_.plan();
    let (deposit, reserve) = (plan.deposit.0, plan.reserve.0);
    let planned = ["fund", "--streams", "3", "--hours", "10", "--price", "70wei"];
    gas += staking.pays(who, &planned, Broker::FundDepositAndReserve(deposit, reserve)).await;
    let status = staking.status(who).await;
    assert_eq!(status["sender"]["deposit"], json!(deposit.to_string()), "{status}");
    assert_eq!(status["sender"]["reserve"], json!(reserve.to_string()), "{status}");
    assert_eq!(
        status["short"],
        json!({ "deposit": null, "reserve": null }),
        "what is planned is no alarm: {status}"
    );
    assert!(status["proof"]["tier"] == "sequenced" && status["proof"]["age_s"].is_u64(), "{status}");
    let from = who.to_string();
    let again = [&["tickets", "--json", "--from", &from, "--yes"], &planned[..]].concat();
    let nothing: Value = serde_json::from_str(&staking.livemesh(&again).await).unwrap();
    assert_eq!((&nothing["does"], &nothing["plan"]["adds"]["deposit"]), (&Value::Null, &json!("0")));

    let exactly = ["fund", "--deposit", "0.25ETH", "--reserve", "1wei"];
    gas += staking.pays(who, &exactly, Broker::FundDepositAndReserve(ether(250), U256::ONE)).await;

    // Out, not out after all, and out.
    gas += staking.pays(who, &["unlock"], Broker::Unlock).await;
    let status = staking.status(who).await;
    assert_eq!(status["sender"]["lock"]["state"], "unlocking", "{status}");
    let said = staking.refused(&["tickets", "--from", &from, "--yes", "withdraw"]).await;
    assert!(said.contains("locked until round"), "{said}");
    gas += staking.pays(who, &["unlock", "--cancel"], Broker::CancelUnlock).await;
    assert_eq!(staking.status(who).await["sender"]["lock"]["state"], "locked");
    gas += staking.pays(who, &["unlock"], Broker::Unlock).await;
    let all = deposit + reserve + ether(250) + U256::ONE;
    assert_eq!(staking.ether_of(who), began - all - gas);
    staking.reach(staking.oracle.broker.senders.at(&who).withdraw_round).await;
    gas += staking.pays(who, &["withdraw"], Broker::Withdraw).await;
    assert_eq!(staking.ether_of(who), began - gas, "all that went in came out, but for gas");
    println!("{all} wei went in by two transactions and came out by one; six cost {gas} wei of gas");
    staking.devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_before_anything_is_sent() {
    let staking = Staking::start().await;
    let who = staking.account(0).await.to_string();
    let chain = staking.devnet.with(|world| world.livepeer.chain.clone());
    let nines = format!("{}ETH", "9".repeat(78));
    let long = "9".repeat(70_000);
    let dead = ["--rpc", "http://127.0.0.1:9"];
    let cases: [(&[&str], &str); 16] = [
        (&["fund", "--deposit", "0ETH"], "nothing to add"),
        (&["fund", "--deposit", "0.5"], "has no unit"),
        (&["fund", "--deposit", "-1ETH"], "unexpected argument"),
        (&["fund", "--deposit", "1LPT"], "write the amount in ETH"),
        (&["fund", "--deposit", &nines], "more than there can be"),
        (&["fund", "--reserve", &long], "no unit"),
        (&["fund", "--deposit", "1000000000ETH"], "insufficient funds for transfer"),
        (&["fund"], "what does a pixel cost?"),
        (&["fund", "--price", "0.002USD/min"], "what an ether costs"),
        (&["fund", "--price", "1200wei", "--hours", "0"], "no time"),
        (&["fund", "--price", "1200wei", "--streams", "0"], "not in 1..=1000000"),
        (&["fund", "--price", "1200wei", "--height", "100"], "no rung of the ladder"),
        (
            &["fund", "--price", "18446744073709551615wei", "--streams", "1000000"],
            "insufficient funds for transfer",
        ),
        (&["unlock"], "sender deposit and reserve are zero"),
        (&["withdraw"], "sender deposit and reserve are zero"),
        (&["fund", "--deposit", "1ETH", dead[0], dead[1]], "must answer"),
    ];
    for (args, why) in cases {
        let typed = [&["tickets", "--from", &who, "--yes"], args].concat();
        let said = staking.refused(&typed).await;
        assert!(said.contains(why), "{args:?}: {said}");
    }
    let said = staking.refused(&["tickets", "--from", &who, "fund", "--deposit", "1ETH"]).await;
    assert!(said.contains("no terminal to ask"), "{said}");
    let after = staking.devnet.with(|world| world.livepeer.chain.clone());
    assert_eq!((&after.broker, &after.eth), (&chain.broker, &chain.eth), "nothing was sent");
    let dry = ["tickets", "--from", &who, "--dry-run", "fund", "--deposit", "1ETH"];
    let said = staking.livemesh(&dry).await;
    assert!(said.contains("deposit: 0 ETH -> 1 ETH") && said.contains("there is no reserve"), "{said}");
    staking.devnet.stop().await;
}
