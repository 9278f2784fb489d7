//! Lay out the state: which key holds what, and the records the protocol itself keeps there.
//!
//! A key is one space byte, then a fixed-length id, then (for contract storage) the contract's own key, so no
//! contract can reach or deepen another's part of the tree. Numbers in records are SCALE.

use parity_scale_codec::{Decode, Encode, MaxEncodedLen};

use crate::{Address, Amount, Hash, Nonce, PublicKey};

const ACCOUNT_SPACE: u8 = 0x01;
const SYSTEM_SPACE: u8 = 0x02;
const CONTRACT_SPACE: u8 = 0x03;
const CODE_SPACE: u8 = 0x04;
const VALIDATOR_SPACE: u8 = 0x05;
const VALIDATOR_CHANGE_SPACE: u8 = 0x06;
const STORAGE_SPACE: u8 = 0x10;

/// An account: what it may spend and how many transactions it has had executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub struct AccountRecord {
    /// Executed transactions.
    pub nonce: Nonce,
    /// Native tokens in base units.
    pub balance: Amount,
}

/// A contract: its code and who may replace it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub struct ContractRecord {
    /// SHA3-256 of the Wasm as deployed.
    pub code_hash: Hash,
    /// Who may upgrade it by transaction; nobody if `None`.
    pub admin: Option<Address>,
}

/// Code that the chain stores, by hash; its bytes lie outside the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub struct CodeRecord {
    /// Bytes of Wasm.
    pub size: u32,
}

/// Key of an [`AccountRecord`].
#[must_use]
pub fn account(address: &Address) -> Vec<u8> {
    with_id(ACCOUNT_SPACE, &address.0)
}

/// Key of a system value, `name` of which must be a constant of the protocol.
#[must_use]
pub fn system(name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + name.len());
    key.push(SYSTEM_SPACE);
    key.extend_from_slice(name);
    key
}

/// Key of the SCALE-encoded [`crate::ValidatorSet`] that signs the block `execution_lag` + 1 after the one that the
/// state is of: the block after the header that commits to this state.
#[must_use]
pub fn validators() -> Vec<u8> {
    system(b"validators")
}

/// Key of the set of the epoch before that of [`validators`]. In the last blocks of an epoch, which the next set is
/// fixed before, this is the one that still signs.
#[must_use]
pub fn previous_validators() -> Vec<u8> {
    system(b"validators/previous")
}

/// Key of the [`crate::ValidatorQueue`].
#[must_use]
pub fn validator_queue() -> Vec<u8> {
    system(b"validators/queue")
}

/// Key of a [`crate::ValidatorRecord`].
#[must_use]
pub fn validator(key: &PublicKey) -> Vec<u8> {
    with_id(VALIDATOR_SPACE, &key.0)
}

/// What the key of every [`crate::ValidatorChange`] begins with.
#[must_use]
pub fn validator_changes() -> Vec<u8> {
    vec![VALIDATOR_CHANGE_SPACE]
}

/// Key of a [`crate::ValidatorChange`]. In key order, removals come before all others, and each kind by its ticket.
#[must_use]
pub fn validator_change(is_removal: bool, ticket: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(10);
    key.push(VALIDATOR_CHANGE_SPACE);
    key.push(u8::from(!is_removal));
    key.extend_from_slice(&ticket.to_be_bytes());
    key
}

/// Key of a [`ContractRecord`].
#[must_use]
pub fn contract(address: &Address) -> Vec<u8> {
    with_id(CONTRACT_SPACE, &address.0)
}

/// Key of a [`CodeRecord`].
#[must_use]
pub fn code(hash: &Hash) -> Vec<u8> {
    with_id(CODE_SPACE, &hash.0)
}

/// What every storage key of a contract begins with.
#[must_use]
pub fn storage_prefix(contract: &Address) -> Vec<u8> {
    with_id(STORAGE_SPACE, &contract.0)
}

/// Key of an entry in a contract's storage.
#[must_use]
pub fn storage(contract: &Address, user_key: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(33 + user_key.len());
    key.push(STORAGE_SPACE);
    key.extend_from_slice(&contract.0);
    key.extend_from_slice(user_key);
    key
}

fn with_id(space: u8, id: &[u8; 32]) -> Vec<u8> {
    let mut key = Vec::with_capacity(33);
    key.push(space);
    key.extend_from_slice(id);
    key
}
