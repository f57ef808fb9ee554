//! Makes signed transactions: EIP-1559, or legacy where the chain knows no base fee.

use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, TxKind, U256};

use crate::fees::Price;
use crate::pending::Call;
use crate::pending::entry::Signed;
use crate::signer::{SignError, Signer};

/// What a transaction is but for its signature.
#[derive(Clone, Debug)]
pub(super) struct Draft<'a> {
    pub(super) chain_id: u64,
    pub(super) nonce: u64,
    pub(super) gas: u64,
    pub(super) price: Price,
    pub(super) call: &'a Call,
}

/// A call that does nothing but use a nonce up.
pub(super) const fn nothing(own: Address) -> Call {
    Call { to: own, value: U256::ZERO, data: Bytes::new(), gas_limit: None }
}

impl Draft<'_> {
    pub(super) fn sign(&self, signer: &Signer, cancels: bool) -> Result<Signed, SignError> {
        let (to, value, input) = (TxKind::Call(self.call.to), self.call.value, self.call.data.clone());
        let (nonce, gas_limit, price) = (self.nonce, self.gas, self.price);
        if price.legacy {
            let chain_id = Some(self.chain_id);
            let draft =
                TxLegacy { chain_id, nonce, gas_price: price.max_fee.into(), gas_limit, to, value, input };
            let signature = signer.sign(draft.signature_hash())?;
            let signed = draft.into_signed(signature);
            return Ok(Signed { hash: *signed.hash(), raw: signed.encoded_2718().into(), price, cancels });
        }
        let draft = TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: price.max_fee.into(),
            max_priority_fee_per_gas: price.tip.into(),
            to,
            value,
            access_list: alloy_eips::eip2930::AccessList::default(),
            input,
        };
        let signature = signer.sign(draft.signature_hash())?;
        let signed = draft.into_signed(signature);
        Ok(Signed { hash: *signed.hash(), raw: signed.encoded_2718().into(), price, cancels })
    }
}
