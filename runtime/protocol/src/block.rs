//! Describe blocks and the headers that certificates sign.

use parity_scale_codec::{Decode, Encode, MaxEncodedLen};

use crate::{DecodeError, Hash, Height, PublicKey, Transaction, decode_bounded, merkle, sha3_256};

const HEADER_DOMAIN: &[u8] = b"kumiki/header/v1";

/// What execution came to after the block at `height`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub struct ExecutedState {
    /// The block after which these hold.
    pub height: Height,
    /// Root of the state tree.
    pub state_root: Hash,
    /// Entries in the state tree.
    pub state_entries: u64,
    /// Root over the receipts of the block at `height`.
    pub receipts_root: Hash,
    /// Hash of the validator set that signs the block `execution_lag` + 1 after `height`: the block after the header
    /// that holds this.
    pub next_validators_hash: Hash,
}

/// What a certificate signs, by its hash.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub struct Header {
    /// Format of this structure, [`crate::PROTOCOL_VERSION`].
    pub version: u32,
    /// Hash of the genesis of this chain.
    pub genesis_hash: Hash,
    /// Distance from genesis.
    pub height: Height,
    /// Hash of the header before; zero at height 0.
    pub parent: Hash,
    /// Agreed time in milliseconds since 1970, never before the parent's.
    pub time_ms: u64,
    /// The validator that proposed this block; its account earns the fees.
    pub proposer: PublicKey,
    /// Root over the encoded transactions.
    pub transactions_root: Hash,
    /// How many transactions the block has.
    pub transactions_count: u32,
    /// Result of executing the block `execution_lag` before this one (this one itself when the lag is 0).
    pub executed: ExecutedState,
}

/// A header and the transactions it commits to, in order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The transactions.
    pub transactions: Vec<Transaction>,
}

impl Header {
    /// The block's hash: SHA3-256 over the domain and the header's encoding.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha3_256(&[HEADER_DOMAIN, &self.encode()])
    }
}

impl Block {
    /// Decodes a block from outside, at most `bytes_max` bytes of it, and checks that the header commits to
    /// the transactions and that each is well formed. Signatures are not checked here.
    ///
    /// # Errors
    /// `DecodeError` when one of these does not hold.
    pub fn decode_checked(bytes: &[u8], bytes_max: usize) -> Result<Self, DecodeError> {
        let block: Self = decode_bounded(bytes, bytes_max)?;
        for transaction in &block.transactions {
            transaction
                .body
                .check_form()
                .map_err(|error| DecodeError::Malformed {
                    reason: error.to_string(),
                })?;
        }
        let count = u32::try_from(block.transactions.len()).unwrap_or(u32::MAX);
        if block.header.transactions_count != count
            || block.header.transactions_root != transactions_root(&block.transactions)
        {
            return Err(DecodeError::Malformed {
                reason: "the header does not commit to these transactions".to_owned(),
            });
        }
        Ok(block)
    }

    /// The block's hash, which is its header's.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.header.hash()
    }

    /// Root over the encoded transactions (RFC 6962 shape).
    #[must_use]
    pub fn transactions_root(transactions: &[Transaction]) -> Hash {
        transactions_root(transactions)
    }
}

fn transactions_root(transactions: &[Transaction]) -> Hash {
    let leaves: Vec<Vec<u8>> = transactions.iter().map(Encode::encode).collect();
    merkle::root(&leaves)
}
