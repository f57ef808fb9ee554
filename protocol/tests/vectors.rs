//! Single formulas and single contracts against values that the contracts themselves gave.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use alloy_primitives::{Address, B256, Bytes, U256, U512};
use k256::ecdsa::SigningKey;
use protocol::amount::{Lpt, Wei};
use protocol::chain::call::{Bonding, Broker, Redemption, Rounds, Token};
use protocol::chain::{Call, Chain, Genesis, Head, Receipt, Revert};
use protocol::inflation::{Inflation, create_reward};
use protocol::pool::{Hint, Pool};
use protocol::rounds::Round;
use protocol::tickets::params::{Costs, RandInputs, expected_value, face_value, recipient_rand, win_prob};
use protocol::tickets::{Ticket, draw, rand_hash};
use serde_json::Value;

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn word(value: &Value) -> U256 {
    value.as_u64().map_or_else(|| value.as_str().unwrap().parse().unwrap(), U256::from)
}

fn lpt(value: &Value) -> Lpt {
    Lpt(word(value))
}

fn wei(value: &Value) -> Wei {
    Wei(word(value))
}

fn bytes(value: &Value) -> Bytes {
    value.as_str().unwrap().parse().unwrap()
}

fn address(value: &Value) -> Address {
    value.as_str().unwrap().parse().unwrap()
}

/// The reason as the recording node told it.
fn told(revert: &Revert) -> String {
    match revert.panic_code() {
        Some(0x11) => "Panic due to OVERFLOW(17)".into(),
        Some(0x12) => "Panic due to DIVIDE_BY_ZERO(18)".into(),
        _ => revert.to_string(),
    }
}

#[test]
fn inflation_follows_participation_as_the_minter_says() {
    let vectors = read(include_str!("vectors/inflation.json"));
    let steps = list(&vectors["setCurrentRewardTokens"]);
    for step in steps {
        let inflation = Inflation {
            rate: word(&step["inflation"]),
            change: word(&step["inflationChange"]),
            target: word(&step["targetBondingRate"]),
        };
        let supply = lpt(&step["globalTotalSupply"]);
        let next = inflation.next(lpt(&step["totalBonded"]), supply).unwrap();
        assert_eq!(next.rate, word(&step["newInflation"]), "{step}");
        assert_eq!(next.mintable(supply).unwrap(), lpt(&step["currentMintableTokens"]), "{step}");
    }
    let rewards = list(&vectors["createReward"]);
    for reward in rewards {
        let got = create_reward(
            lpt(&reward["currentMintableTokens"]),
            lpt(&reward["currentMintedTokens"]),
            lpt(&reward["fracNum"]),
            lpt(&reward["fracDenom"]),
        );
        match got {
            Ok(amount) => assert_eq!(amount, lpt(&reward["mintAmount"]), "{reward}"),
            Err(refused) => assert_eq!(told(&refused.into()), reward["revert"].as_str().unwrap()),
        }
    }
    println!("inflation: {} steps, {} rewards", steps.len(), rewards.len());
    assert_eq!((steps.len(), rewards.len()), (17, 10));
}

#[test]
fn sixty_rounds_of_inflation_end_with_the_supply_that_they_ended_with() {
    let vectors = read(include_str!("vectors/inflation.json"));
    let schedule = list(&vectors["schedule"]);
    let mut inflation =
        Inflation { rate: U256::from(220_500), change: U256::from(500), target: U256::from(500_000_000) };
    let mut supply: U256 = "27654321123456789012345678".parse().unwrap();
    for round in schedule {
        let bonded = word(&round["totalBonded"]);
        inflation = inflation.next(Lpt(bonded), Lpt(supply)).unwrap();
        let mintable = inflation.mintable(Lpt(supply)).unwrap();
        assert_eq!((inflation.rate, mintable), (word(&round["inflation"]), lpt(&round["mintable"])));
        let mut minted = U256::ZERO;
        for (n, d) in [(3, 10), (1, 3), (1, 7)] {
            let stake = Lpt(bonded * U256::from(n) / U256::from(d));
            minted += create_reward(mintable, Lpt(minted), stake, Lpt(bonded)).unwrap().0;
        }
        supply += minted;
        assert_eq!((minted, supply), (word(&round["minted"]), word(&round["supplyAfter"])), "{round}");
    }
    println!("inflation: a schedule of {} rounds", schedule.len());
    assert_eq!(schedule.len(), 60);
}

#[test]
fn the_pool_stands_in_the_contracts_order_whatever_the_hints() {
    let vectors = read(include_str!("vectors/sorted_list.json"));
    let cases = list(&vectors["cases"]);
    let id = |n: &Value| match n.as_u64().unwrap() {
        0 => Address::ZERO,
        n => Address::from_word(B256::from(U256::from(0x1000 + n))),
    };
    let mut pool = Pool::default();
    for case in cases {
        let op = list(&case["op"]);
        let hint = || Hint { prev: id(&op[3]), next: id(&op[4]) };
        let got = match op[0].as_str().unwrap() {
            "setMaxSize" => pool.set_max_size(word(&op[1])),
            "insert" => pool.insert(id(&op[1]), word(&op[2]), hint()),
            "remove" => pool.remove(id(&op[1])),
            "updateKey" => pool.update_key(id(&op[1]), word(&op[2]), hint()),
            other => panic!("{other}"),
        };
        assert_eq!(got.err().map(|e| e.to_string()).as_deref(), case["revert"].as_str(), "{case}");
        let stands: Vec<_> = pool.iter().collect();
        let want: Vec<_> = list(&case["list"]).iter().map(|n| (id(&n[0]), word(&n[1]))).collect();
        assert_eq!(stands, want, "{case}");
        assert_eq!(*pool.size, word(&case["size"]));
    }
    println!("sorted_list: {} operations", cases.len());
    assert_eq!(cases.len(), 29);
}

fn ticket(value: &Value) -> Ticket {
    Ticket {
        recipient: address(&value["recipient"]),
        sender: address(&value["sender"]),
        face_value: word(&value["faceValue"]),
        win_prob: word(&value["winProb"]),
        sender_nonce: word(&value["senderNonce"]),
        recipient_rand_hash: value["recipientRandHash"].as_str().unwrap().parse().unwrap(),
        aux_data: bytes(&value["auxData"]),
    }
}

fn redemption(case: &Value) -> Redemption {
    Redemption {
        ticket: ticket(&case["ticket"]),
        signature: bytes(&case["sig"]),
        recipient_rand: word(&case["recipientRand"]),
    }
}

fn redeem(chain: &mut Chain, redemption: Redemption) -> Result<Receipt, Revert> {
    chain.apply(Address::repeat_byte(0xcc), U256::ZERO, Call::Broker(Broker::Redeem(Box::new(redemption))))
}

/// Contracts in round 7 with orchestrators that are active since round 2 and a gateway that has deposited.
fn ticket_world(vectors: &Value) -> Chain {
    let names = vectors["addresses"].as_object().unwrap();
    let gateway = address(&names["G1"]);
    let ether = U256::from(1_000_000) * U256::from(10).pow(U256::from(18));
    let eth = names.values().map(|who| (address(who), ether)).collect();
    let mut world = World::new(&["O1", "O2", "O3", "O4"].map(|name| address(&names[name])), 100, eth);
    world.chain.apply(gateway, ether, Call::Broker(Broker::FundDeposit)).unwrap();
    world.initialize(7, vectors["blockHashForRound"].as_str().unwrap().parse().unwrap());
    world.chain
}

#[test]
fn tickets_hash_recover_and_win_as_the_broker_says() {
    let vectors = read(include_str!("vectors/tickets.json"));
    let mut probes = 0;
    let tickets = list(&vectors["tickets"]);
    for case in tickets {
        let Redemption { ticket, signature, recipient_rand } = redemption(case);
        assert_eq!(ticket.hash().to_string(), case["hash"].as_str().unwrap());
        assert_eq!(ticket.digest().to_string(), case["ethSignedHash"].as_str().unwrap());
        assert_eq!(ticket.is_signed_by_sender(&signature), Ok(true));
        assert_eq!(rand_hash(recipient_rand), ticket.recipient_rand_hash);
        assert_eq!(draw(&signature, recipient_rand), word(&case["winValue"]));
        assert_eq!(ticket.wins(&signature, recipient_rand), case["wins"].as_bool().unwrap());
        for probe in list(&case["isWinningTicketProbes"]) {
            let probed = Ticket { win_prob: word(&probe[0]), ..ticket.clone() };
            assert_eq!(probed.wins(&signature, recipient_rand), probe[1].as_bool().unwrap());
            probes += 1;
        }
    }
    println!("tickets: {} tickets, {probes} probes", tickets.len());
    assert_eq!(tickets.len(), 24);
}

#[test]
fn every_bad_ticket_is_refused_for_the_contracts_reason() {
    let vectors = read(include_str!("vectors/tickets.json"));
    let (mut accepted, mut refused) = (0, 0);
    let cases = list(&vectors["tickets"]).iter().chain(list(&vectors["invalidTickets"]));
    for case in cases {
        let mut chain = ticket_world(&vectors);
        match redeem(&mut chain, redemption(case)) {
            Ok(_) => {
                assert_eq!(case["redeemRevert"], Value::Null, "{case}");
                accepted += 1;
            }
            Err(revert) => {
                assert_eq!(Some(told(&revert).as_str()), case["redeemRevert"].as_str(), "{case}");
                refused += 1;
            }
        }
    }
    println!("tickets: {accepted} accepted, {refused} refused");
    assert_eq!(accepted + refused, 24 + list(&vectors["invalidTickets"]).len());
}

#[test]
fn every_bad_signature_is_refused_for_the_contracts_reason() {
    let vectors = read(include_str!("vectors/tickets.json"));
    let valid = list(&vectors["invalidTickets"]).iter().find(|case| case["name"] == "ok").unwrap();
    let cases = list(&vectors["signatureCases"]);
    for case in cases {
        let mut chain = ticket_world(&vectors);
        let signed = Redemption { signature: bytes(&case["sig"]), ..redemption(valid) };
        let got = redeem(&mut chain, signed).err().map(|revert| told(&revert));
        assert_eq!(got.as_deref(), case["redeemRevert"].as_str(), "{}", case["name"]);
    }
    println!("tickets: {} signatures", cases.len());
    assert_eq!(cases.len(), 10);
}

#[test]
fn a_ticket_pays_once_and_a_batch_swallows_what_does_not() {
    let vectors = read(include_str!("vectors/tickets.json"));
    let valid = list(&vectors["invalidTickets"]).iter().find(|case| case["name"] == "ok").unwrap();
    let mut chain = ticket_world(&vectors);
    redeem(&mut chain, redemption(valid)).unwrap();
    let second = redeem(&mut chain, redemption(valid)).unwrap_err();
    assert_eq!(Some(second.to_string().as_str()), vectors["replay"]["second"].as_str());

    let mut chain = ticket_world(&vectors);
    let mut wrong = redemption(valid);
    wrong.recipient_rand += U256::ONE;
    let batch = vec![wrong, redemption(valid), redemption(valid)];
    let receipt = chain.apply(Address::ZERO, U256::ZERO, Call::Broker(Broker::RedeemBatch(batch))).unwrap();
    let names: Vec<_> = receipt.events.iter().map(|log| log.event.name()).collect();
    assert_eq!(names, ["WinningTicketTransfer", "WinningTicketRedeemed"]);
}

#[test]
fn ticket_parameters_are_those_of_livepeers_nodes() {
    let vectors = read(include_str!("vectors/ticket_params_spec.json"));
    let wide = |value: &Value| value.as_str().unwrap().parse::<U512>().unwrap();
    for case in list(&vectors["winProb"]) {
        let (face, expected) = (wei(&case["faceValue"]), wei(&case["targetEV"]));
        let prob = win_prob(face, expected).unwrap();
        assert_eq!(prob, word(&case["winProb"]), "{case}");
        assert_eq!(expected_value(face, prob), (wide(&case["ev"][0]), wide(&case["ev"][1])), "{case}");
    }
    for case in list(&vectors["faceValue"]) {
        let costs = Costs {
            redeem: wei(&case["txCost"]),
            redeem_on_average: wei(&case["avgTxCost"]),
            multiplier: word(&case["mult"]).to(),
            expected: wei(&case["ev"]),
            max_float: wei(&case["maxFloat"]),
            max_face: wei(&case["maxFace"]),
        };
        let got = face_value(costs).map_or_else(|refused| refused.to_string(), |face| face.0.to_string());
        assert_eq!(got, case["result"].as_str().unwrap(), "{case}");
    }
    for case in list(&vectors["recipientRand"]) {
        let inputs = RandInputs {
            seed: word(&case["seed"]),
            sender: address(&case["sender"]),
            face_value: word(&case["faceValue"]),
            win_prob: word(&case["winProb"]),
            expiration_block: word(&case["expirationBlock"]),
            price_num: word(&case["priceNum"]),
            price_den: word(&case["priceDen"]),
            aux_data: bytes(&case["auxData"]),
        };
        let rand = recipient_rand(&bytes(&case["secret"]), &inputs);
        assert_eq!(rand, word(&case["rand"]), "{case}");
        assert_eq!(rand_hash(rand).to_string(), case["recipientRandHash"].as_str().unwrap());
    }
    let counts = ["winProb", "faceValue", "recipientRand"].map(|kind| list(&vectors[kind]).len());
    println!("ticket_params_spec: {counts:?} probabilities, face values, numbers");
    assert_eq!(counts, [15, 9, 6]);
}

/// A chain with orchestrators that have been active since round 2.
struct World {
    chain: Chain,
    tickets: u64,
}

const LENGTH: u64 = 100;

impl World {
    fn new(orchestrators: &[Address], pool: u64, mut eth: Vec<(Address, U256)>) -> Self {
        let unit = U256::from(10).pow(U256::from(18));
        let lpt = eth.iter().map(|(who, _)| (*who, U256::from(10_000) * unit)).collect();
        eth.retain(|(who, _)| !who.is_zero());
        let genesis = Genesis {
            round_length: LENGTH,
            num_active_transcoders: U256::from(pool),
            eth,
            lpt,
            ..Genesis::default()
        };
        let mut world = Self { chain: Chain::new(&genesis, Head::default()).unwrap(), tickets: 0 };
        world.initialize(1, B256::repeat_byte(1));
        for (i, who) in orchestrators.iter().enumerate() {
            world.register(*who, 1_000 - i as u64);
        }
        world.initialize(2, B256::repeat_byte(2));
        world
    }

    fn initialize(&mut self, round: u64, parent_hash: B256) {
        self.chain.advance(Head { number: round * LENGTH, parent_hash, timestamp: round * LENGTH * 12 });
        self.apply(Address::ZERO, U256::ZERO, Call::Rounds(Rounds::InitializeRound)).unwrap();
    }

    fn register(&mut self, who: Address, stake: u64) {
        let spender = self.chain.addresses.bonding_manager;
        self.apply(who, U256::ZERO, Call::Token(Token::Approve(spender, U256::MAX))).unwrap();
        let stake = U256::from(stake) * U256::from(10).pow(U256::from(18));
        let hint = Hint::default();
        self.apply(who, U256::ZERO, Call::Bonding(Bonding::Bond(stake, who, hint, hint))).unwrap();
    }

    fn apply(&mut self, from: Address, value: U256, call: Call) -> Result<Receipt, Revert> {
        self.chain.apply(from, value, call)
    }

    /// A ticket that surely wins, made in the running round.
    fn winner(&mut self, key: &SigningKey, recipient: Address, face_value: U256) -> Redemption {
        self.tickets += 1;
        let recipient_rand = U256::from(self.tickets);
        let round = self.chain.current_round().unwrap();
        let ticket = Ticket {
            recipient,
            sender: account(key),
            face_value,
            win_prob: U256::MAX,
            sender_nonce: U256::ONE,
            recipient_rand_hash: rand_hash(recipient_rand),
            aux_data: Ticket::aux(round, self.chain.rounds.block_hash_for_round.at(&round)),
        };
        let (signature, recovery) = key.sign_prehash_recoverable(ticket.digest().as_slice()).unwrap();
        let signature = [signature.to_bytes().as_slice(), &[27 + recovery.to_byte()]].concat().into();
        Redemption { ticket, signature, recipient_rand }
    }
}

fn account(key: &SigningKey) -> Address {
    Address::from_raw_public_key(&key.verifying_key().to_encoded_point(false).as_bytes()[1..])
}

/// What a step of the reserve's history does, read from its description: "O1 redeems 0.4 from G2 deposit".
fn amount(text: &str) -> U256 {
    let number = text.trim_end_matches(',').trim_end_matches(':');
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    format!("{whole}{fraction:0<18}").parse().unwrap()
}

#[test]
fn reserves_are_shared_claimed_and_lost_as_the_broker_does_it() {
    let vectors = read(include_str!("vectors/reserve.json"));
    let orchestrators: Vec<Address> = (1..=6).map(Address::repeat_byte).collect();
    let keys = [2, 3].map(|n| SigningKey::from_slice(&[n; 32]).unwrap());
    let ether = U256::from(1_000) * U256::from(10).pow(U256::from(18));
    let funded =
        orchestrators.iter().copied().chain(keys.iter().map(account)).map(|who| (who, ether)).collect();
    let mut world = World::new(&orchestrators[..4], 5, funded);
    let mut round = 7;
    world.initialize(round, B256::repeat_byte(7));
    let mut values = 0;
    let orchestrator = |name: &str| orchestrators[name[1..].parse::<usize>().unwrap() - 1];
    let key = |name: &str| &keys[name[1..2].parse::<usize>().unwrap() - 2];
    for step in list(&vectors["steps"]) {
        let text = step["desc"].as_str().unwrap();
        let words: Vec<&str> = text.split(' ').collect();
        let who = words[0];
        let done = match text {
            "G2 funds deposit 1, reserve 4" => {
                let call = Broker::FundDepositAndReserve(amount("1"), amount("4"));
                world.apply(account(key(who)), amount("5"), Call::Broker(call))
            }
            "G2 deposits 0.2" => {
                world.apply(account(key(who)), amount("0.2"), Call::Broker(Broker::FundDeposit))
            }
            _ if text.starts_with("G3 funds reserve") || text.starts_with("G2 tops up") => {
                let value = if who == "G3" { amount("0.999999999999999999") } else { amount("1") };
                world.apply(account(key(who)), value, Call::Broker(Broker::FundReserve))
            }
            "next round" => {
                round += 1;
                world.initialize(round, B256::repeat_byte(8));
                Ok(Receipt::default())
            }
            _ if text.starts_with("O5 registers") || text.starts_with("O6 bonds") => {
                world.register(orchestrator(who), if who == "O5" { 10 } else { 20 });
                Ok(Receipt::default())
            }
            _ if text.starts_with("O4 unbonds") => {
                let stake = world.chain.bonding.delegators.at(&orchestrator(who)).bonded_amount;
                world.apply(
                    orchestrator(who),
                    U256::ZERO,
                    Call::Bonding(Bonding::Unbond(stake, Hint::default())),
                )
            }
            _ => {
                let verb = words.iter().position(|word| *word == "redeems").unwrap();
                let gateway = words.iter().find(|word| word.starts_with('G')).copied().unwrap_or("G2");
                let face = match words[verb + 1] {
                    "exactly" => amount("3"),
                    "1" if words[verb + 2] == "wei" => U256::ONE,
                    number => amount(number),
                };
                let winner = world.winner(key(gateway), orchestrator(who), face);
                world.apply(Address::ZERO, U256::ZERO, Call::Broker(Broker::Redeem(Box::new(winner))))
            }
        };
        assert_eq!(done.err().map(|e| told(&e)).as_deref(), step["revert"].as_str(), "{text}");
        let after = &step["after"];
        assert_eq!(world.chain.current_round().unwrap(), Round(word(&after["round"]).to()));
        assert_eq!(*world.chain.bonding.transcoder_pool.size, word(&after["poolSize"]), "{text}");
        for (name, want) in after["senders"].as_object().unwrap() {
            let (sender, broker) = (account(key(name)), &world.chain.broker);
            assert_eq!(broker.senders.at(&sender).deposit, word(&want["deposit"]), "{text}: {name}");
            assert_eq!(broker.reserve_funds.at(&sender), word(&want["reserve"]), "{text}: {name}");
            let claimed = broker.claimed_for_round.at(&(sender, Round(round)));
            assert_eq!(claimed, word(&want["claimedInCurrentRound"]), "{text}: {name}");
            for (claimant, pair) in want["claimableAndClaimed"].as_object().unwrap() {
                let claimant = orchestrator(claimant);
                let share = world.chain.claimable_reserve(sender, claimant);
                let share = share.map_or_else(|e| format!("revert: {}", told(&e)), |wei| wei.0.to_string());
                assert_eq!(share, pair[0].as_str().unwrap(), "{text}: {name} {claimant}");
                let taken = broker.claimed_by_address.at(&(sender, Round(round), claimant));
                assert_eq!(taken, word(&pair[1]), "{text}: {name} {claimant}");
                values += 2;
            }
            values += 3;
        }
    }
    println!("reserve: {} steps, {values} values", list(&vectors["steps"]).len());
    assert_eq!(list(&vectors["steps"]).len(), 27);
}
