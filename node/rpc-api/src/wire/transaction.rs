//! Show transactions, their fate and their receipts.

use kumiki_protocol::{
    Action, Address, Encode, Gas, Hash, Height, Nonce, PublicKey, Receipt, Rejection, Status,
    Transaction, TransactionHash, sha3_256,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventView, FinalityView, SignedHeader};
use crate::schema::{AddressText, HashText, PublicKeyText};
use crate::{Bytes, Cursor, Decimal, ErrorCode};

/// Where a submitted transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SubmitStatus {
    /// It waits for a block.
    Pending,
    /// It was in a block already: it is executed and on disk.
    Final,
}

/// What became of a submission. Sending again is harmless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Submitted {
    /// The transaction's id.
    #[schemars(with = "HashText")]
    pub hash: TransactionHash,
    /// Where it is.
    pub status: SubmitStatus,
}

/// One step of a transaction. Code is shown by hash and size; `contract_getCode` has its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum ActionView {
    /// Moves native tokens.
    Transfer {
        /// Who receives them.
        #[schemars(with = "AddressText")]
        to: Address,
        /// How many.
        amount: Decimal,
    },
    /// Calls a contract.
    Call {
        /// The contract.
        #[schemars(with = "AddressText")]
        contract: Address,
        /// Selector and SCALE arguments.
        input: Bytes,
        /// Native tokens sent along.
        value: Decimal,
    },
    /// Makes a contract.
    Deploy {
        /// SHA3-256 of the Wasm.
        #[schemars(with = "HashText")]
        code_hash: Hash,
        /// Bytes of the Wasm.
        code_size: u64,
        /// Makes addresses differ.
        salt: Bytes,
        /// SCALE arguments of `init`.
        input: Bytes,
        /// Native tokens sent along.
        value: Decimal,
        /// Who may upgrade it.
        #[schemars(with = "Option<AddressText>")]
        admin: Option<Address>,
    },
    /// Gives a contract new code.
    Upgrade {
        /// The contract.
        #[schemars(with = "AddressText")]
        contract: Address,
        /// SHA3-256 of the new Wasm.
        #[schemars(with = "HashText")]
        code_hash: Hash,
        /// Bytes of the new Wasm.
        code_size: u64,
        /// SCALE arguments of `migrate`.
        input: Bytes,
    },
    /// Gives a contract new code and runs nothing.
    ReplaceCode {
        /// The contract.
        #[schemars(with = "AddressText")]
        contract: Address,
        /// SHA3-256 of the new Wasm.
        #[schemars(with = "HashText")]
        code_hash: Hash,
        /// Bytes of the new Wasm.
        code_size: u64,
    },
    /// Sets what an account holds, on a chain for development.
    SetBalance {
        /// The account.
        #[schemars(with = "AddressText")]
        account: Address,
        /// What it holds from then on.
        balance: Decimal,
    },
    /// Has the steps after it taken by another account, on a chain for development.
    Impersonate {
        /// The account.
        #[schemars(with = "AddressText")]
        account: Address,
    },
}

impl From<&Action> for ActionView {
    fn from(action: &Action) -> Self {
        match action {
            Action::Transfer { to, amount } => Self::Transfer {
                to: *to,
                amount: Decimal(*amount),
            },
            Action::Call {
                contract,
                input,
                value,
            } => Self::Call {
                contract: *contract,
                input: Bytes(input.clone()),
                value: Decimal(*value),
            },
            Action::Deploy {
                code,
                salt,
                input,
                value,
                admin,
            } => Self::Deploy {
                code_hash: sha3_256(&[code]),
                code_size: code.len() as u64,
                salt: Bytes(salt.to_vec()),
                input: Bytes(input.clone()),
                value: Decimal(*value),
                admin: *admin,
            },
            Action::Upgrade {
                contract,
                code,
                input,
            } => Self::Upgrade {
                contract: *contract,
                code_hash: sha3_256(&[code]),
                code_size: code.len() as u64,
                input: Bytes(input.clone()),
            },
            Action::ReplaceCode { contract, code } => Self::ReplaceCode {
                contract: *contract,
                code_hash: sha3_256(&[code]),
                code_size: code.len() as u64,
            },
            Action::SetBalance { account, balance } => Self::SetBalance {
                account: *account,
                balance: Decimal(*balance),
            },
            Action::Impersonate { account } => Self::Impersonate { account: *account },
        }
    }
}

/// A step that an account takes which did not sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum ImpersonatedAction {
    /// Moves native tokens.
    Transfer {
        /// Who receives them.
        #[schemars(with = "AddressText")]
        to: Address,
        /// How many.
        amount: Decimal,
    },
    /// Calls a contract.
    Call {
        /// The contract.
        #[schemars(with = "AddressText")]
        contract: Address,
        /// Selector and SCALE arguments.
        input: Bytes,
        /// Native tokens sent along.
        value: Decimal,
    },
}

impl From<ImpersonatedAction> for Action {
    fn from(action: ImpersonatedAction) -> Self {
        match action {
            ImpersonatedAction::Transfer { to, amount } => Self::Transfer {
                to,
                amount: amount.0,
            },
            ImpersonatedAction::Call {
                contract,
                input,
                value,
            } => Self::Call {
                contract,
                input: input.0,
                value: value.0,
            },
        }
    }
}

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionView {
    /// Its id.
    #[schemars(with = "HashText")]
    pub hash: TransactionHash,
    /// The account that sends and pays.
    #[schemars(with = "AddressText")]
    pub sender: Address,
    /// The key that signed.
    #[schemars(with = "PublicKeyText")]
    pub sender_key: PublicKey,
    /// The sender's transactions before it.
    pub nonce: Nonce,
    /// The most gas it may use.
    pub gas_limit: Gas,
    /// Base units paid for a unit of gas.
    pub gas_price: Decimal,
    /// The last height at which it may be executed.
    pub valid_until: Height,
    /// The steps.
    pub actions: Vec<ActionView>,
    /// Bytes of it on the chain.
    pub size: u64,
    /// All of it, SCALE-encoded, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded: Option<Bytes>,
}

impl From<&Transaction> for TransactionView {
    fn from(transaction: &Transaction) -> Self {
        let body = &transaction.body;
        Self {
            hash: transaction.hash(),
            sender: body.sender_address(),
            sender_key: body.sender,
            nonce: body.nonce,
            gas_limit: body.gas_limit,
            gas_price: Decimal(body.gas_price.into()),
            valid_until: body.valid_until,
            actions: body.actions.iter().map(ActionView::from).collect(),
            size: transaction.encoded_size() as u64,
            encoded: None,
        }
    }
}

/// The fate of a transaction, as far as this node can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TransactionState {
    /// This node has not seen it, or has forgotten it.
    Unknown,
    /// It waits for a block.
    Pending,
    /// It is in a block, executed and on disk.
    Final,
    /// It is in no block and never will be: the head is past its `validUntil`.
    Expired,
}

/// A transaction and its fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionStatus {
    /// The transaction asked for.
    #[schemars(with = "HashText")]
    pub hash: TransactionHash,
    /// Its fate.
    pub status: TransactionState,
    /// The block it is in, when final.
    pub height: Option<Height>,
    /// Its position in that block, when final.
    pub index: Option<u32>,
    /// The transaction, where this node has it.
    pub transaction: Option<TransactionView>,
    /// The head as of which this holds.
    pub head: Height,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReceiptStatus {
    /// Every action happened.
    Ok,
    /// An action failed: no action happened, the fee is paid.
    Failed,
    /// Passed over: nothing happened, nothing is paid.
    Rejected,
}

/// Why a transaction did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureView {
    /// Code of the error table: 2000s for a rejection, 3000s for an execution.
    pub code: i32,
    /// Its name.
    pub name: String,
    /// Position of the action that failed; absent for a rejection.
    pub action: Option<u16>,
    /// What the contract reverted with; empty for other codes.
    pub data: Bytes,
}

impl FailureView {
    fn new(code: ErrorCode) -> Self {
        Self {
            code: code.number(),
            name: code.name().to_owned(),
            action: None,
            data: Bytes::default(),
        }
    }

    fn rejected(rejection: Rejection) -> Self {
        Self::new(rejection.into())
    }
}

/// What a transaction came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptView {
    /// The transaction.
    #[schemars(with = "HashText")]
    pub transaction: TransactionHash,
    /// How it ended.
    pub status: ReceiptStatus,
    /// Why it failed or was rejected.
    pub failure: Option<FailureView>,
    /// Gas used.
    pub gas_used: Gas,
    /// Fee paid.
    pub fee: Decimal,
    /// One per action when all happened: a call's returned data, a deploy's address, else empty.
    pub outputs: Vec<Bytes>,
    /// What contracts said, in order.
    pub events: Vec<EventView>,
}

impl ReceiptView {
    /// The receipt at `place` (height and position in the block); `None` for a simulation.
    #[must_use]
    pub fn new(receipt: &Receipt, place: Option<(Height, u32)>) -> Self {
        let (status, failure) = match &receipt.status {
            Status::Ok => (ReceiptStatus::Ok, None),
            Status::Failed { action, code, data } => {
                let failure = ErrorCode::of_result(*code).map(|code| FailureView {
                    action: Some(*action),
                    data: Bytes(data.clone()),
                    ..FailureView::new(code)
                });
                (ReceiptStatus::Failed, failure)
            }
            Status::Rejected(rejection) => (
                ReceiptStatus::Rejected,
                Some(FailureView::rejected(*rejection)),
            ),
        };
        let events = (0..)
            .zip(&receipt.events)
            .map(|(index, event)| match place {
                None => EventView::unplaced(event),
                Some((height, transaction)) => {
                    let cursor = Cursor {
                        height,
                        transaction,
                        index,
                    };
                    EventView::placed(event, cursor, receipt.transaction)
                }
            });
        Self {
            transaction: receipt.transaction,
            status,
            failure,
            gas_used: receipt.gas_used,
            fee: Decimal(receipt.fee),
            outputs: receipt.outputs.iter().cloned().map(Bytes).collect(),
            events: events.collect(),
        }
    }
}

/// A receipt, its place, and a proof of it when asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionReceipt {
    /// The receipt.
    pub receipt: ReceiptView,
    /// Height of the block.
    pub height: Height,
    /// Position in the block.
    pub index: u32,
    /// Hash of the block.
    #[schemars(with = "HashText")]
    pub block_hash: Hash,
    /// The proof, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ReceiptProof>,
}

/// All that is needed to check a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptProof {
    /// The receipt, SCALE-encoded: the leaf of the proof.
    pub receipt: Bytes,
    /// `merkle::ListProof` against `executed.receiptsRoot`, SCALE-encoded.
    pub proof: Bytes,
    /// The header whose `executed` names the receipts' root, and its own certificate if it has one.
    pub signed_header: SignedHeader,
    /// The headers after it up to the first that has a certificate, and that certificate; absent where
    /// `signedHeader` has its own, and of genesis as long as nothing decides a block after it.
    #[serde(default)]
    pub descendants: Option<FinalityView>,
}
