//! Write calls of the validators' contract, as its metadata says.

use parity_scale_codec::Encode;

use crate::{
    Action, Address, Amount, Evidence, Hash, PublicKey, SecretKey, Signature, VALIDATORS_CONTRACT,
    join_sign_bytes, sha3_256,
};

/// A call of the validators' contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidatorsCall {
    /// Puts the stake down and waits for a seat.
    Join {
        /// The key that will sign.
        validator: PublicKey,
        /// Its signature over [`join_sign_bytes`].
        proof: Signature,
    },
    /// Gives a seat, or a place in the queue, back.
    Leave(PublicKey),
    /// Pays a free stake out.
    Withdraw(PublicKey),
    /// Shows that a validator broke the rules of voting.
    Report(Evidence),
}

impl ValidatorsCall {
    /// Signature of `join`.
    pub const JOIN: &'static str = "join([u8; 32],[u8; 64])";
    /// Signature of `leave`.
    pub const LEAVE: &'static str = "leave([u8; 32])";
    /// Signature of `withdraw`.
    pub const WITHDRAW: &'static str = "withdraw([u8; 32])";
    /// Signature of `report`.
    pub const REPORT: &'static str = "report(Evidence)";

    /// A join of `validator`'s key on the chain of `genesis_hash`, to be sent by `owner`.
    #[must_use]
    pub fn join(genesis_hash: &Hash, owner: &Address, validator: &SecretKey) -> Self {
        Self::Join {
            validator: validator.public_key(),
            proof: validator.sign(&join_sign_bytes(genesis_hash, owner)),
        }
    }

    /// Selector and arguments.
    #[must_use]
    pub fn input(&self) -> Vec<u8> {
        let (signature, arguments) = match self {
            Self::Join { validator, proof } => (Self::JOIN, (validator, proof).encode()),
            Self::Leave(validator) => (Self::LEAVE, validator.encode()),
            Self::Withdraw(validator) => (Self::WITHDRAW, validator.encode()),
            Self::Report(evidence) => (Self::REPORT, evidence.encode()),
        };
        let selector = sha3_256(&[signature.as_bytes()]).0;
        [selector.get(..4).unwrap_or_default(), &arguments].concat()
    }

    /// The action that makes the call. `validator_stake` is the chain's; only a join sends it.
    #[must_use]
    pub fn action(&self, validator_stake: Amount) -> Action {
        Action::Call {
            contract: VALIDATORS_CONTRACT,
            input: self.input(),
            value: match self {
                Self::Join { .. } => validator_stake,
                Self::Leave(_) | Self::Withdraw(_) | Self::Report(_) => 0,
            },
        }
    }
}
