//! Keep the validators in the state: their records, the changes that wait for an epoch to end, and the address of
//! the contract that makes them. `docs/spec/validators.md` is the prose.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the SCALE derive takes variant numbers from usize"
)]

use parity_scale_codec::{Decode, Encode, MaxEncodedLen};

use crate::{Address, Amount, Hash, PublicKey, Signature};

const JOIN_DOMAIN: &[u8] = b"kumiki/validator/join/v1";

/// Address of the system contract that seats are taken and left by, and that holds the stakes: SHA3-256 of
/// `kumiki/address/system/v1` and `validators`.
pub const VALIDATORS_CONTRACT: Address = Address([
    0x72, 0x8a, 0x84, 0xbd, 0xd8, 0x7b, 0x66, 0x66, 0x82, 0x76, 0xfe, 0x3a, 0x56, 0x48, 0x52, 0xf8,
    0xef, 0x53, 0x21, 0xff, 0x13, 0x53, 0x71, 0x43, 0xcf, 0xab, 0x0d, 0x4c, 0x47, 0xde, 0x48, 0x4b,
]);

/// Epochs between the end of a seat and the return of its stake, within which its votes can still be punished.
pub const UNBONDING_EPOCHS: u64 = 2;

/// A validator, past, present or to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub struct ValidatorRecord {
    /// Who may end it and gets the stake back.
    pub owner: Address,
    /// Native tokens that it stands to lose; 0 once it is removed.
    pub stake: Amount,
    /// How far it is.
    pub status: ValidatorStatus,
}

/// How far a validator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub enum ValidatorStatus {
    /// It waits for a seat.
    #[codec(index = 0)]
    Queued {
        /// Its place in the queue.
        ticket: u64,
    },
    /// It has a seat.
    #[codec(index = 1)]
    Seated {
        /// The first epoch that it signs.
        from: u64,
    },
    /// It has a seat and waits for its end.
    #[codec(index = 2)]
    Leaving {
        /// The first epoch that it signs.
        from: u64,
        /// Its place in the queue.
        ticket: u64,
    },
    /// It had a seat. Its stake can be withdrawn from epoch `to` + [`UNBONDING_EPOCHS`] on.
    #[codec(index = 3)]
    Left {
        /// The first epoch that it signed.
        from: u64,
        /// The first epoch that it did not sign.
        to: u64,
    },
    /// It broke the rules of voting: its stake is burned and its key never comes back.
    #[codec(index = 4)]
    Removed {
        /// The epoch in which it was reported.
        epoch: u64,
    },
}

/// A change of the set that waits for an epoch to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub enum ValidatorChange {
    /// A seat ends because its validator was punished.
    #[codec(index = 0)]
    Remove(PublicKey),
    /// A seat ends because its owner wants it.
    #[codec(index = 1)]
    Leave(PublicKey),
    /// A seat begins.
    #[codec(index = 2)]
    Join(PublicKey),
}

/// The queue of changes, apart from the changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub struct ValidatorQueue {
    /// The ticket of the next change.
    pub next_ticket: u64,
    /// How many wait for a seat.
    pub joins: u32,
}

impl ValidatorRecord {
    /// Whether the key had a seat in `epoch`, as far as is known now.
    #[must_use]
    pub const fn has_seat_in(&self, epoch: u64) -> bool {
        match self.status {
            ValidatorStatus::Queued { .. } | ValidatorStatus::Removed { .. } => false,
            ValidatorStatus::Seated { from } | ValidatorStatus::Leaving { from, .. } => {
                from <= epoch
            }
            ValidatorStatus::Left { from, to } => from <= epoch && epoch < to,
        }
    }
}

/// What a validator's key signs to join, so that nobody takes a seat in the name of a key that is not theirs: the
/// domain, the chain, and the owner to be.
#[must_use]
pub fn join_sign_bytes(genesis_hash: &Hash, owner: &Address) -> Vec<u8> {
    [JOIN_DOMAIN, &genesis_hash.0, &owner.0].concat()
}

impl PublicKey {
    /// Whether this can be a validator's key: the one encoding of a curve point that one secret key belongs to. Under
    /// a point of small order anybody can sign, and other encodings are judged differently by other libraries.
    #[must_use]
    pub fn is_validator_key(&self) -> bool {
        // Verifies for any message exactly when eight times the key is zero: R is the zero point and s is 0.
        let mut anybody = Signature([0; 64]);
        anybody.0[0] = 1;
        self.is_canonical() && self.is_point() && self.verify(b"", &anybody).is_err()
    }

    /// Whether the y coordinate is below 2^255 - 19.
    fn is_canonical(&self) -> bool {
        let [low, middle @ .., high] = &self.0;
        *low < 0xed || high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SecretKey, sha3_256};

    #[test]
    fn the_contract_has_the_address_that_its_name_gives() {
        let named = sha3_256(&[b"kumiki/address/system/v1", b"validators"]);
        assert_eq!(VALIDATORS_CONTRACT.0, named.0);
    }

    #[test]
    fn a_key_from_a_seed_may_be_a_validators() {
        for seed in 0..50 {
            let key = SecretKey::from_seed([seed; 32]).public_key();
            assert!(key.is_validator_key());
        }
    }

    #[test]
    fn keys_that_are_no_point_or_are_spelled_otherwise_may_not() {
        let mut no_point = [0; 32];
        no_point[0] = 2;
        assert!(!PublicKey(no_point).is_validator_key());
        // y = 2^255 - 19 + 3 is another spelling of y = 3.
        let mut low = [0; 32];
        low[0] = 3;
        let mut high = [0xff; 32];
        (high[0], high[31]) = (0xf0, 0x7f);
        assert!(PublicKey(low).is_validator_key());
        assert!(PublicKey(high).is_point());
        assert!(!PublicKey(high).is_validator_key());
    }
}
