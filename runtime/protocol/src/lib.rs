//! Define what peers agree on byte for byte: identities, transactions, blocks, receipts, genesis.
//!
//! Everything here is SCALE-encoded, hashed with SHA3-256 (ids) or SHA-256 (Merkle trees, so that a
//! browser can check them), and signed with ed25519 under ZIP-215 rules. `docs/spec/codec.md` and
//! `docs/spec/transaction.md` are the prose of this crate; `tests/conformance` holds its golden bytes.
//! Nothing here does I/O.

mod address;
mod block;
mod certificate;
mod codec;
mod evidence;
mod finality;
mod genesis;
mod hash;
pub mod limits;
pub mod merkle;
mod published_key;
mod receipt;
mod signature;
pub mod state_key;
mod transaction;
mod validator;
mod validators_call;
mod vote;

pub use address::{Address, AddressError};
pub use block::{Block, ExecutedState, Header};
pub use certificate::{Certificate, CertificateError, CertificateSignature, ValidatorSet};
pub use codec::{DecodeError, decode_bounded};
pub use evidence::{Evidence, EvidenceError, Fault, FaultKind, SignedVote};
pub use finality::{EpochEnd, FinalityError, FinalityProof, TrustedValidators};
pub use genesis::{ChainKind, Genesis, GenesisAccount, GenesisError, Parameters};
pub use hash::{Hash, HashError, sha2_256, sha3_256};
pub use kumiki_abi::ResultCode;
pub use parity_scale_codec::{Decode, Encode};
pub use published_key::{DEV_ACCOUNT_NAMES, dev_account_key, dev_validator_key};
pub use receipt::{Event, Receipt, Rejection, Status};
pub use signature::{
    BatchVerifier, PublicKey, SecretKey, Signature, SignatureError, SignatureItem,
};
pub use state_key::{AccountRecord, CodeRecord, ContractRecord};
pub use transaction::{Action, FormError, Transaction, TransactionBody, TransactionHash};
pub use validator::{
    UNBONDING_EPOCHS, VALIDATORS_CONTRACT, ValidatorChange, ValidatorQueue, ValidatorRecord,
    ValidatorStatus, join_sign_bytes,
};
pub use validators_call::ValidatorsCall;
pub use vote::{Proposal, Vote};

/// Distance of a block from genesis, which is height 0.
pub type Height = u64;
/// Units of execution work.
pub type Gas = u64;
/// Count of transactions an account has had executed.
pub type Nonce = u64;
/// Native tokens, in base units (10^-9 of the display unit `KUMI`).
pub type Amount = u128;

/// The byte format of everything in this crate; a change here is a hard fork.
pub const PROTOCOL_VERSION: u32 = 1;
