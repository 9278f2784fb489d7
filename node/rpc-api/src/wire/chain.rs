//! Show chain, blocks, headers, certificates and accounts.

use kumiki_protocol::{
    Address, Certificate, CertificateSignature, ChainKind, ExecutedState, Gas, Genesis, Hash,
    Header, Height, Nonce, Proposal, PublicKey, Signature,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TransactionView;
use crate::schema::{AddressText, HashText, PublicKeyText};
use crate::{Bytes, Decimal};

/// What chain this is and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChainInfo {
    /// Name of the chain, for people.
    pub chain_id: String,
    /// What every transaction and header names the chain by.
    #[schemars(with = "HashText")]
    pub genesis_hash: Hash,
    /// `dev` or `live`.
    #[schemars(with = "String")]
    pub kind: ChainKind,
    /// Version of the protocol's byte formats.
    pub protocol_version: u32,
    /// Scheme of certificates.
    pub certificate_scheme: String,
    /// The validators that sign the block after the head, in the order certificates count them by.
    #[schemars(with = "Vec<PublicKeyText>")]
    pub validators: Vec<PublicKey>,
    /// What the chain's genesis sets.
    pub parameters: ChainParameters,
    /// The last block that is decided, executed and on disk.
    pub head: HeadView,
    /// The lowest height whose block this node keeps.
    pub earliest_height: Height,
    /// The lowest height whose state this node keeps.
    pub earliest_state_height: Height,
}

/// What the protocol leaves to each chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChainParameters {
    /// Blocks between a block and the header that holds its result.
    pub execution_lag: u8,
    /// Blocks of one epoch, within which the validators stay the same.
    pub epoch_blocks: u32,
    /// What a validator puts down for its seat.
    pub validator_stake: Decimal,
    /// The least that a transaction may pay for a unit of gas.
    pub gas_price_min: Decimal,
    /// The most gas the transactions of one block may ask for together.
    pub block_gas_max: Gas,
    /// The most bytes the transactions of one block may have together.
    pub block_bytes_max: u32,
}

impl From<&Genesis> for ChainParameters {
    fn from(genesis: &Genesis) -> Self {
        let parameters = &genesis.parameters;
        Self {
            execution_lag: parameters.execution_lag,
            epoch_blocks: parameters.epoch_blocks,
            validator_stake: Decimal(parameters.validator_stake),
            gas_price_min: Decimal(parameters.gas_price_min.into()),
            block_gas_max: parameters.block_gas_max,
            block_bytes_max: parameters.block_bytes_max,
        }
    }
}

/// The last block that is decided, executed and on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeadView {
    /// Its height.
    pub height: Height,
    /// Its hash.
    #[schemars(with = "HashText")]
    pub hash: Hash,
    /// Its agreed time, in milliseconds since 1970.
    pub time_ms: u64,
    /// Root of the state after it.
    #[schemars(with = "HashText")]
    pub state_root: Hash,
    /// Entries in the state after it.
    pub state_entries: u64,
}

/// What a header says of an executed block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutedView {
    /// The block after which these hold.
    pub height: Height,
    /// Root of the state tree.
    #[schemars(with = "HashText")]
    pub state_root: Hash,
    /// Entries in the state tree.
    pub state_entries: u64,
    /// Root over the receipts of that block.
    #[schemars(with = "HashText")]
    pub receipts_root: Hash,
    /// Hash of the validator set that signs the block after the header that holds this.
    #[schemars(with = "HashText")]
    pub next_validators_hash: Hash,
}

/// A header and its hash. The fields are all that the hash covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderView {
    /// The block's hash.
    #[schemars(with = "HashText")]
    pub hash: Hash,
    /// Format of the header.
    pub version: u32,
    /// Hash of the chain's genesis.
    #[schemars(with = "HashText")]
    pub genesis_hash: Hash,
    /// Distance from genesis.
    pub height: Height,
    /// Hash of the header before.
    #[schemars(with = "HashText")]
    pub parent: Hash,
    /// Agreed time in milliseconds since 1970.
    pub time_ms: u64,
    /// The validator that proposed the block.
    #[schemars(with = "PublicKeyText")]
    pub proposer: PublicKey,
    /// Root over the encoded transactions.
    #[schemars(with = "HashText")]
    pub transactions_root: Hash,
    /// How many transactions the block has.
    pub transactions_count: u32,
    /// What execution came to.
    pub executed: ExecutedView,
}

impl From<&Header> for HeaderView {
    fn from(header: &Header) -> Self {
        Self {
            hash: header.hash(),
            version: header.version,
            genesis_hash: header.genesis_hash,
            height: header.height,
            parent: header.parent,
            time_ms: header.time_ms,
            proposer: header.proposer,
            transactions_root: header.transactions_root,
            transactions_count: header.transactions_count,
            executed: ExecutedView {
                height: header.executed.height,
                state_root: header.executed.state_root,
                state_entries: header.executed.state_entries,
                receipts_root: header.executed.receipts_root,
                next_validators_hash: header.executed.next_validators_hash,
            },
        }
    }
}

/// The header itself, for a verifier to hash; `hash` is the server's word and not looked at.
impl From<&HeaderView> for Header {
    fn from(view: &HeaderView) -> Self {
        Self {
            version: view.version,
            genesis_hash: view.genesis_hash,
            height: view.height,
            parent: view.parent,
            time_ms: view.time_ms,
            proposer: view.proposer,
            transactions_root: view.transactions_root,
            transactions_count: view.transactions_count,
            executed: ExecutedState {
                height: view.executed.height,
                state_root: view.executed.state_root,
                state_entries: view.executed.state_entries,
                receipts_root: view.executed.receipts_root,
                next_validators_hash: view.executed.next_validators_hash,
            },
        }
    }
}

/// One validator's signature in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSignatureView {
    /// Position in the validator set.
    pub validator: u16,
    /// 64 bytes of ed25519 signature.
    pub signature: Bytes,
}

/// The proof that a quorum of validators decided a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateView {
    /// The epoch whose validators decided it.
    pub epoch: u64,
    /// The round of the epoch in which it was decided.
    pub view: u64,
    /// The round of the block it builds on.
    pub parent_view: u64,
    /// Hash of the block.
    #[schemars(with = "HashText")]
    pub block: Hash,
    /// Signatures by rising validator position.
    pub signatures: Vec<CertificateSignatureView>,
}

impl From<&Certificate> for CertificateView {
    fn from(certificate: &Certificate) -> Self {
        Self {
            epoch: certificate.proposal.epoch,
            view: certificate.proposal.view,
            parent_view: certificate.proposal.parent_view,
            block: certificate.proposal.block,
            signatures: certificate
                .signatures
                .iter()
                .map(|one| CertificateSignatureView {
                    validator: one.validator,
                    signature: Bytes(one.signature.0.to_vec()),
                })
                .collect(),
        }
    }
}

impl CertificateView {
    /// The certificate itself, for a verifier; `None` when a signature does not have 64 bytes.
    #[must_use]
    pub fn to_certificate(&self) -> Option<Certificate> {
        let signatures = self.signatures.iter().map(|one| {
            let signature = Signature(one.signature.0.as_slice().try_into().ok()?);
            Some(CertificateSignature {
                validator: one.validator,
                signature,
            })
        });
        Some(Certificate {
            proposal: Proposal {
                epoch: self.epoch,
                view: self.view,
                parent_view: self.parent_view,
                block: self.block,
            },
            signatures: signatures.collect::<Option<_>>()?,
        })
    }
}

/// A header, and the certificate that it was decided by if it has one of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedHeader {
    /// The header.
    pub header: HeaderView,
    /// Its own certificate; absent for genesis, which nobody signs, and where a later block of the epoch decided this
    /// one: `chain_getFinality` shows which.
    pub certificate: Option<CertificateView>,
}

/// How much of a block's transactions to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TransactionsIn {
    /// Their hashes only.
    #[default]
    Hashes,
    /// Hashes and contents.
    Full,
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockView {
    /// The header.
    pub header: HeaderView,
    /// Its own certificate; absent for genesis, and where a later block of the epoch decided this one.
    pub certificate: Option<CertificateView>,
    /// Hashes of the transactions, in order.
    #[schemars(with = "Vec<HashText>")]
    pub transaction_hashes: Vec<Hash>,
    /// The transactions, in order, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transactions: Option<Vec<TransactionView>>,
}

/// An account. One that never held anything has balance and nonce 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountView {
    /// Whose.
    #[schemars(with = "AddressText")]
    pub address: Address,
    /// Native tokens.
    pub balance: Decimal,
    /// Executed transactions.
    pub nonce: Nonce,
    /// The height after which this holds.
    pub height: Height,
}

/// The nonce to sign the next transaction with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextNonce {
    /// It counts the sender's transactions that wait at this node.
    pub nonce: Nonce,
    /// Executed transactions only.
    pub executed: Nonce,
}
