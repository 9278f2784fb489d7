//! Number every way a request can fail, in one table: code, name, meaning, retry and next step.
//!
//! The codes of JSON-RPC itself (-32700 to -32600) and of the server library (-32005 to -32011) keep their
//! meaning; ours are positive and never change theirs. `docs/spec/rpc.md` holds the same tables, by test.

mod protocol;

pub use protocol::{ProtocolError, invalid_params};

use jsonrpsee::types::ErrorObjectOwned;
use kumiki_protocol::{Rejection, ResultCode, TransactionHash};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::HashText;
use crate::{Bytes, Cursor, DiagnosticView};

/// Whether the same request can succeed another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Retry {
    /// No: the answer is final.
    Never,
    /// Yes, unchanged, after a while.
    Later,
    /// Yes, after the caller changed what `detail` names.
    AfterFix,
}

macro_rules! error_table {
    ($($number:literal $variant:ident $name:literal $retry:ident $meaning:literal, $hint:literal;)*) => {
        /// Why a request failed. The numbers are part of the interface.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant = $number,)*
        }

        impl ErrorCode {
            /// Every code, by number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name programs and people tell it by.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What happened, in general.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// What to do next.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint,)* }
            }

            /// Whether the same request can succeed another time.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)* }
            }
        }
    };
}

error_table! {
    1001 HeightUnknown "heightUnknown" Later
        "The height is above the head of the chain.",
        "Ask chain_getInfo for the head.";
    1002 HeightPruned "heightPruned" Never
        "The state or block at this height is no longer kept by this node.",
        "Ask chain_getInfo for the earliest height kept, or ask a node that keeps more.";
    1003 BlockUnknown "blockUnknown" Later
        "No block has this hash.",
        "Check the hash, or ask by height.";
    1004 TransactionUnknown "transactionUnknown" Later
        "This node knows no transaction with this hash.",
        "Send it with tx_submit; sending again is harmless.";
    1005 TransactionPending "transactionPending" Later
        "The transaction waits for a block.",
        "Wait for it with tx_submitAndWait or chain_subscribeHeads.";
    1006 ContractUnknown "contractUnknown" AfterFix
        "There is no contract at this address.",
        "Check the address and the chain; at an older height the contract may not exist yet.";
    1007 AbiMissing "abiMissing" AfterFix
        "The contract's code carries no readable kumiki.abi section.",
        "Build it with 'kumiki build', or use the .abi.json file of its author.";
    1008 CodeUnknown "codeUnknown" AfterFix
        "No code with this hash is on the chain.",
        "Ask contract_get for the contract's code hash.";
    1009 ProofNotReady "proofNotReady" Later
        "The header that commits to this height is not decided yet.",
        "Ask again when the head has passed the height by the chain's execution lag.";
    1010 NotReady "notReady" Later
        "The node is starting, stopping or stopped by a fault.",
        "Ask node_getHealth.";
    1011 NodeFault "nodeFault" Later
        "The node could not answer for a reason of its own, which it has logged.",
        "Ask another node, or look into this node's log.";
    1012 ChainRewound "chainRewound" AfterFix
        "A developer took the chain back to an earlier block.",
        "Begin again from the head of chain_getInfo.";

    2001 Malformed "malformed" AfterFix
        "The bytes are not a transaction, or break a rule of form.",
        "Encode it as docs/spec/transaction.md says.";
    2002 WrongChain "wrongChain" AfterFix
        "The transaction is for another chain.",
        "Use genesisHash of chain_getInfo.";
    2003 BadSignature "badSignature" AfterFix
        "The signature is not the sender's over this body.",
        "Sign the body with the key of its sender, after the last change to it.";
    2004 NonceTooLow "nonceTooLow" AfterFix
        "The sender has used this nonce.",
        "Use account_nextNonce; if this was a retry, tx_get tells how the first one ended.";
    2005 NonceTooFar "nonceTooFar" Later
        "The nonce is further ahead than this node keeps transactions for.",
        "Wait for the earlier ones, or use account_nextNonce.";
    2006 InsufficientFunds "insufficientFunds" AfterFix
        "The sender's balance is below the fee cap and the values sent along.",
        "Fund the account, or lower gas_limit, gas_price or the values.";
    2007 GasPriceTooLow "gasPriceTooLow" AfterFix
        "gas_price is below the chain's minimum.",
        "Use fee_getPrice.";
    2008 GasLimitOutOfRange "gasLimitOutOfRange" AfterFix
        "gas_limit is below the price of the transaction itself, or above what a block has room for.",
        "Use suggestedGasLimit of sim_tx.";
    2009 Expired "expired" AfterFix
        "valid_until lies behind the head: the transaction can never be executed.",
        "Sign again with a later valid_until.";
    2010 ValidUntilTooFar "validUntilTooFar" AfterFix
        "valid_until is further ahead than the protocol allows.",
        "Use a height nearer to the head of chain_getInfo.";
    2011 ReplacementUnderpriced "replacementUnderpriced" AfterFix
        "A transaction with this nonce waits, and this one does not pay enough more to replace it.",
        "Raise gas_price, or use account_nextNonce.";
    2012 SenderFull "senderFull" Later
        "Too many transactions of this sender wait.",
        "Wait for the earlier ones.";
    2013 PoolFull "poolFull" Later
        "Too many transactions wait, and this one pays no more than they do.",
        "Wait, or pay a higher gas_price.";
    2014 TooLarge "tooLarge" AfterFix
        "The transaction has more bytes than the protocol or a block of this chain allows.",
        "Send fewer actions, or less code and input.";
    2015 Busy "busy" Later
        "More submissions wait for verification than this node takes on.",
        "Send it again in a moment: sending again is harmless.";
    2016 Unavailable "unavailable" Later
        "The node takes nothing in: it is stopping, or its store cannot be read.",
        "Ask node_getHealth.";
    2017 NonceGap "nonceGap" AfterFix
        "The sender had not reached this nonce when the transaction was executed.",
        "Use account_nextNonce and send in order.";
    2018 Replaced "replaced" Never
        "Another transaction of the sender with the same nonce took its place while it waited.",
        "Ask for the other one; to do both, sign this one again with account_nextNonce.";

    3001 Reverted "reverted" AfterFix
        "The contract refused; revertData holds its error.",
        "Decode revertData with the contract's ABI.";
    3002 OutOfGas "outOfGas" AfterFix
        "The gas ran out.",
        "Raise the gas limit.";
    3003 StackOverflow "stackOverflow" AfterFix
        "The contract nested its own function calls too deeply.",
        "Look at the diagnostics.";
    3004 Trap "trap" AfterFix
        "The contract broke a rule of Wasm or of its host.",
        "Look at the diagnostics.";
    3005 CallDepth "callDepth" AfterFix
        "Too many contract calls on top of each other.",
        "Call fewer contracts in a row.";
    3006 Limit "limit" AfterFix
        "A size or count limit of the protocol was reached.",
        "Look at the diagnostics and the limits in docs/spec/vm.md.";
    3007 Reentrancy "reentrancy" AfterFix
        "A contract on the call stack was called again without allowing it.",
        "Look at the diagnostics.";
    3008 CalleeUnknown "calleeUnknown" AfterFix
        "There is no contract at a called address.",
        "Check the addresses in the input.";
    3009 InsufficientBalance "insufficientBalance" AfterFix
        "A payer in the execution has too little.",
        "Fund the payer, or move less.";
    3010 InvalidCode "invalidCode" AfterFix
        "The code breaks a rule of deployment, or has no such entry point.",
        "Check it with 'kumiki build'.";
    3011 AddressTaken "addressTaken" AfterFix
        "A contract with this deployer, salt and code exists.",
        "Use another salt.";
    3012 NotAllowed "notAllowed" AfterFix
        "Only the contract's admin may do this.",
        "Send from the admin's account.";
    3013 ReadOnly "readOnly" AfterFix
        "A view tried to change something.",
        "Send it as a transaction.";
    3014 CalleeCodeUnknown "calleeCodeUnknown" AfterFix
        "There is no code with a named hash.",
        "Deploy the code first.";

    4001 PageOutOfRange "pageOutOfRange" AfterFix
        "limit is zero or above the largest page.",
        "Use a limit within rpc_limits, and the cursor for the rest.";
    4002 GasOutOfRange "gasOutOfRange" AfterFix
        "gas is above what this node spends on one simulation.",
        "Use a gas within rpc_limits.";
    4003 SimulationsTooMany "simulationsTooMany" Later
        "As many simulations run as this node allows at once.",
        "Ask again in a moment.";
    4004 WaitTimedOut "waitTimedOut" Later
        "The transaction was accepted and was not final when the time was over.",
        "Ask tx_getReceipt, or send it again: sending again is harmless.";
    4005 ReaderTooSlow "readerTooSlow" Later
        "The subscription was closed because its reader did not keep up.",
        "Subscribe again with after = lastCursor: nothing is lost.";
    4006 NeedsWebSocket "needsWebSocket" AfterFix
        "Subscriptions need a WebSocket connection.",
        "Connect to the same address with ws:// instead of http://.";
    4007 ParametersTooDeep "parametersTooDeep" AfterFix
        "The parameters are nested more deeply than any method takes.",
        "See rpc.discover for what the method takes.";
    4008 WaitersTooMany "waitersTooMany" Later
        "As many requests wait for receipts as this node allows at once.",
        "Use tx_submit and chain_subscribeHeads.";
    4009 CallsTooMany "callsTooMany" Later
        "As many calls of this connection wait for their answers as this node allows at once.",
        "Wait for answers before sending more, or use HTTP.";
    4010 SubscriptionInBatch "subscriptionInBatch" AfterFix
        "A subscription cannot be part of a batch.",
        "Subscribe in a message of its own.";
    4011 TimeOutOfRange "timeOutOfRange" AfterFix
        "The chain's time would go back, or beyond the year 9999.",
        "Give a moment after the chain's time; a head of chain_getInfo shows it.";
    4012 MemoryFull "memoryFull" Later
        "Large messages and answers of this address, or of all, take as much memory as this node gives them.",
        "Read the answers to earlier calls, ask for less, or ask again in a moment.";
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The code with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        let index = Self::ALL.binary_search_by_key(&number, |code| code.number());
        index.ok().map(|index| Self::ALL[index])
    }

    /// The code for an execution that ended with `code`; `None` for [`ResultCode::Ok`].
    #[must_use]
    pub fn of_result(code: ResultCode) -> Option<Self> {
        (code != ResultCode::Ok)
            .then(|| Self::from_number(3000 + code.as_i32()))
            .flatten()
    }
}

impl From<Rejection> for ErrorCode {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::WrongChain => Self::WrongChain,
            Rejection::BadSignature => Self::BadSignature,
            Rejection::Malformed => Self::Malformed,
            Rejection::NonceTooLow => Self::NonceTooLow,
            Rejection::NonceGap => Self::NonceGap,
            Rejection::Expired => Self::Expired,
            Rejection::ValidUntilTooFar => Self::ValidUntilTooFar,
            Rejection::InsufficientFunds => Self::InsufficientFunds,
            Rejection::GasPriceTooLow => Self::GasPriceTooLow,
            Rejection::GasLimitOutOfRange => Self::GasLimitOutOfRange,
        }
    }
}

/// The `data` of every error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorData {
    /// Name of the code.
    pub name: String,
    /// What failed here: what was found and what was expected.
    pub detail: String,
    /// What to do next.
    pub hint: String,
    /// Whether the same request can succeed another time.
    pub retry: Retry,
    /// The transaction this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<HashText>")]
    pub transaction: Option<TransactionHash>,
    /// What the contract reverted with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert_data: Option<Bytes>,
    /// Where a closed subscription can be resumed: give it as `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_cursor: Option<Cursor>,
    /// What contracts and engine said while running, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<DiagnosticView>,
}

/// A failed request: a code and what is particular to this case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} ({}): {}", .code.name(), .code.number(), .data.detail)]
pub struct ApiError {
    /// The code.
    pub code: ErrorCode,
    /// What is particular to this case.
    pub data: Box<ErrorData>,
}

impl ApiError {
    /// An error with `code`; `detail` says what was found and what was expected.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            data: Box::new(ErrorData {
                name: code.name().to_owned(),
                detail: detail.into(),
                hint: code.hint().to_owned(),
                retry: code.retry(),
                transaction: None,
                revert_data: None,
                last_cursor: None,
                diagnostics: Vec::new(),
            }),
        }
    }

    /// The same error, about `transaction`.
    #[must_use]
    pub fn about(mut self, transaction: TransactionHash) -> Self {
        self.data.transaction = Some(transaction);
        self
    }

    /// The error in what a server answered; `None` when its code is not one of ours.
    #[must_use]
    pub fn from_object(object: &ErrorObjectOwned) -> Option<Self> {
        let code = ErrorCode::from_number(object.code())?;
        let data = serde_json::from_str(object.data()?.get()).ok()?;
        Some(Self { code, data })
    }
}

impl From<ApiError> for ErrorObjectOwned {
    fn from(error: ApiError) -> Self {
        Self::owned(error.code.number(), error.code.meaning(), Some(error.data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_rise_and_names_are_unique() {
        assert!(
            ErrorCode::ALL
                .windows(2)
                .all(|pair| pair[0].number() < pair[1].number())
        );
        let mut names: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }

    #[test]
    fn every_failure_of_an_execution_has_a_code_of_its_own() {
        for code in ResultCode::ALL {
            let number = ErrorCode::of_result(code).map(ErrorCode::number);
            let expected = (code != ResultCode::Ok).then_some(3000 + code.as_i32());
            assert_eq!(number, expected, "{}", code.name());
        }
    }

    #[test]
    fn an_error_survives_the_way_to_the_client() {
        let error = ApiError::new(ErrorCode::NonceTooLow, "nonce 3, expected 7 \u{1b}[31m")
            .about(kumiki_protocol::Hash([7; 32]));
        let object = ErrorObjectOwned::from(error.clone());
        assert_eq!(object.code(), 2004);
        assert_eq!(ApiError::from_object(&object), Some(error));
    }

    /// The specification shows the table of this file, line by line.
    #[test]
    fn the_specification_holds_this_table() {
        let specification = include_str!("../../../docs/spec/rpc.md");
        let documented: Vec<&str> = specification
            .lines()
            .filter(|line| {
                line.starts_with("| 1")
                    || line.starts_with("| 2")
                    || line.starts_with("| 3")
                    || line.starts_with("| 4")
            })
            .collect();
        let expected: Vec<String> = ErrorCode::ALL
            .iter()
            .map(|code| {
                let retry = serde_json::to_string(&code.retry()).unwrap();
                format!(
                    "| {} | `{}` | {} | {} | {} |",
                    code.number(),
                    code.name(),
                    retry.trim_matches('"'),
                    code.meaning(),
                    code.hint()
                )
            })
            .collect();
        assert_eq!(documented, expected);
    }
}
