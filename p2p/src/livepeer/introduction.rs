//! How a gateway introduces itself when it asks for parameters (`OrchestratorRequest`): its address and its own signature over that.

use alloy_primitives::Address;
use prost::Message;
use protocol::tickets::recover;
use protocol::tickets::sign::TicketKey;

use super::{Malformed, address, bad, message, net, signature, signing};

/// The message of a gateway. It is the same for everybody and for ever, so it says who asks and not that it is asking now.
#[must_use]
pub fn introduce(key: &TicketKey) -> Vec<u8> {
    let sig = key.sign_digest(signing::identity_digest(key.address()));
    net::OrchestratorRequest { address: key.address().to_vec().into(), sig: sig.to_vec().into() }
        .encode_to_vec()
}

/// Who introduces himself.
///
/// # Errors
/// [`Malformed`], also when somebody else signed.
pub fn introduced(bytes: &[u8]) -> Result<Address, Malformed> {
    let from: net::OrchestratorRequest = message(bytes)?;
    let who = address(&from.address, "address")?;
    let signature = signature(&from.sig, "sig")?;
    match recover(signing::identity_digest(who), signature.as_slice()) {
        Ok(signer) if signer == who => Ok(who),
        _ => Err(bad("sig", "orchestrator req sig check failed")),
    }
}
