//! Claims about errors of endpoints.

use protocol::chain::Revert;
use serde_json::json;

use super::*;

fn said(message: &str) -> Result<Value, RpcError> {
    Err(RpcError::Said { code: -32000, message: message.to_owned(), data: None })
}

#[test]
fn what_servers_say_is_told_apart() {
    assert_eq!(of_sending(&said("already known")), Meaning::Taken);
    assert_eq!(of_sending(&said("nonce too low: next nonce 5, tx nonce 4")), Meaning::NonceUsed);
    assert_eq!(of_sending(&said("replacement transaction underpriced")), Meaning::TooCheap);
    assert!(matches!(of_sending(&said("insufficient funds for gas * price + value")), Meaning::Final(_)));
    assert!(matches!(of_sending(&said("invalid chain id for signer")), Meaning::Final(_)));
    assert!(matches!(of_sending(&said("Too Many Requests")), Meaning::Passing(_)));
}

#[test]
fn a_revert_is_told_in_the_contracts_own_words() {
    for revert_of in [Revert::TicketUsed, Revert::InvalidVoteType(9), Revert::VoteAlreadyCast] {
        let data = json!(hex::encode_prefixed(revert_of.data()));
        let error = RpcError::Said { code: 3, message: "execution reverted".to_owned(), data: Some(data) };
        assert_eq!(revert(&error), Some(revert_of.to_string()));
    }
}

#[test]
fn hostile_revert_data_is_bounded() {
    let mut data = Revert::TicketUsed.data();
    data[36..68].fill(0xff);
    assert_eq!(reason(&data), None);
    data.truncate(40);
    assert_eq!(reason(&data), None);
    assert_eq!(reason(&[1, 2]), None);
}
