//! Turn errors of the libraries into failures that say what to do next.

use kumiki_client::ClientError;
use kumiki_client::abi::ValueError;
use kumiki_protocol::{Address, Amount};
use kumiki_rpc_api::{ApiError, DiagnosticKind, DiagnosticView, ErrorCode};
use kumiki_wallet::{DevKeyRefused, KeystoreError, NodeKeyError, PrivateFileError, SealError};

use crate::failure::{Exit, Failure};
use crate::next_step::{command_without, shell_word};

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unreachable { url, reason } => {
                Self::new(Exit::Node, "nodeUnreachable", "no node answers")
                    .at(url)
                    .expected("a running node")
                    .found(reason)
                    .next("kumiki dev")
            }
            ClientError::Api(error) => Self::from(error),
            ClientError::Protocol { url, reason } => {
                Self::new(Exit::Node, "notKumiki", "what answers is no Kumiki node")
                    .at(url)
                    .expected("JSON-RPC as docs/spec/rpc.md says")
                    .found(reason)
                    .next("kumiki dev")
            }
            ClientError::IncompatibleApi {
                url,
                found,
                expected,
            } => Self::new(
                Exit::Node,
                "apiIncompatible",
                "node and command line are of different versions",
            )
            .at(url)
            .expected(format!("RPC version {expected}"))
            .found(found)
            .next("kumiki doctor"),
            ClientError::WrongChain {
                url,
                expected,
                found,
            } => Self::new(
                Exit::Refused,
                "wrongChain",
                "the node serves another chain; nothing was sent",
            )
            .at(url.clone())
            .expected(format!("chain {expected}"))
            .found(format!("chain {found}"))
            .next(format!("kumiki chain info --rpc {url}")),
            ClientError::CannotPay {
                address,
                balance,
                value,
            } => cannot_pay(&address, balance, value),
            ClientError::PublishedKey(refused) => Self::from(refused),
            ClientError::Expired { hash } => Self::new(
                Exit::Refused,
                "expired",
                format!(
                    "transaction {hash} was not executed in time and never will be; nothing is paid"
                ),
            )
            .next(format!("kumiki tx {hash}")),
            ClientError::Unreached {
                start,
                epoch,
                reason,
            } => unreached(start, epoch, reason),
            ClientError::Unproven { reason } => Self::new(
                Exit::Proof,
                "unproven",
                "the node's answer is not proven; do not trust it",
            )
            .expected("a certificate of the validators, and a path to the root it commits to")
            .found(reason)
            .next("kumiki chain info"),
        }
    }
}

fn unreached(start: u64, epoch: u64, reason: String) -> Failure {
    Failure::new(
        Exit::Proof,
        "unreached",
        "the answer cannot be checked: nothing leads from what is trusted to its validators",
    )
    .expected(format!(
        "the end of each epoch from {start}, where trust begins, to {epoch}; --trust HEIGHT:HASH names a block that \
         you trust, shortly before, and --rpc another node"
    ))
    .found(reason)
    .next("kumiki proof --help")
}

fn cannot_pay(address: &Address, balance: Amount, value: Amount) -> Failure {
    Failure::new(
        Exit::Refused,
        "insufficientFunds",
        "the account has too little; nothing was sent, nothing is paid",
    )
    .expected(format!("more than the {value} sent along, for the fee"))
    .found(format!("a balance of {balance}"))
    .next(format!("kumiki account show {address}"))
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let number = error.code.number();
        let exit = match (number, error.code) {
            (_, ErrorCode::NotReady | ErrorCode::NodeFault | ErrorCode::Busy) => Exit::Node,
            (1000..2000, _) => Exit::NotFound,
            (2000..3000, _) => Exit::Refused,
            (3000..4000, _) => Exit::Execution,
            _ => Exit::Node,
        };
        let failure = Self::new(exit, error.code.name(), error.code.meaning())
            .found(error.data.detail.clone())
            .next(next_for(error.code).unwrap_or_else(|| error.data.hint.clone()));
        // Without a project at hand: the words alone.
        let spoken = |one: &&DiagnosticView| {
            matches!(one.kind, DiagnosticKind::Panic | DiagnosticKind::Trap)
        };
        let diagnostics = error.data.diagnostics.iter().filter(spoken);
        diagnostics.fold(failure, |failure, one| failure.detail(one.message.clone()))
    }
}

/// A command instead of the hint, which is for callers of the RPC: this one without the option that was refused.
fn next_for(code: ErrorCode) -> Option<String> {
    let option = match code {
        ErrorCode::NonceTooLow | ErrorCode::NonceTooFar | ErrorCode::NonceGap => "--nonce",
        ErrorCode::GasPriceTooLow => "--gas-price",
        ErrorCode::GasLimitOutOfRange | ErrorCode::OutOfGas => "--gas",
        ErrorCode::HeightUnknown | ErrorCode::HeightPruned => "--at",
        _ => return None,
    };
    let words: Vec<String> = std::env::args().skip(1).collect();
    command_without(&words, option)
}

impl From<DevKeyRefused> for Failure {
    fn from(refused: DevKeyRefused) -> Self {
        Self::new(
            Exit::Refused,
            "keyPublished",
            format!("'{}' is a published account: anyone can spend from it, so it signs on dev chains only; nothing was sent", refused.name),
        )
        .expected("an account of your own on a chain that is no dev chain")
        .found(refused.name)
        .next("kumiki account new mine")
    }
}

impl From<KeystoreError> for Failure {
    fn from(error: KeystoreError) -> Self {
        let text = error.to_string();
        match error {
            KeystoreError::Name { found } => Self::new(Exit::Usage, "accountName", text)
                .found(found)
                .next("kumiki account new mine"),
            KeystoreError::Published { name } => Self::new(Exit::Usage, "keyPublished", text)
                .expected("another name and key")
                .found(name)
                .next("kumiki account new mine"),
            KeystoreError::Exists { name } => Self::new(Exit::Usage, "accountExists", text)
                .found(&name)
                .next(format!("kumiki account show {name}")),
            KeystoreError::Unknown { name } => Self::new(Exit::NotFound, "accountUnknown", text)
                .expected("a name that 'kumiki account list' shows, or an address (kumi1…)")
                .found(&name)
                .next(format!("kumiki account new {name}")),
            KeystoreError::Malformed { path, .. } => {
                Self::new(Exit::System, "keyFileMalformed", text).at(path.display().to_string())
            }
            KeystoreError::Seal(SealError::WrongPassphrase) => {
                Self::new(Exit::Usage, "passphraseWrong", text).next("kumiki account list")
            }
            KeystoreError::Seal(_) => Self::new(Exit::System, "keyFileMalformed", text),
            KeystoreError::File(error) => Self::from(error),
        }
    }
}

impl From<NodeKeyError> for Failure {
    fn from(error: NodeKeyError) -> Self {
        let text = error.to_string();
        match error {
            NodeKeyError::File(PrivateFileError::Exists { path }) => Self::new(
                Exit::Usage,
                "nodeKeyExists",
                "there is a key already; it was not touched",
            )
            .at(path.display().to_string())
            .next("kumiki node keys"),
            NodeKeyError::File(error) => Self::from(error),
            NodeKeyError::Malformed { path } => {
                Self::new(Exit::Usage, "nodeKeyMalformed", "this is no node's key")
                    .at(path.display().to_string())
                    .expected("64 hex digits")
                    .next("kumiki node keys --help")
            }
            NodeKeyError::NoRandomness => Self::new(Exit::System, "noRandomness", text),
        }
    }
}

impl From<PrivateFileError> for Failure {
    fn from(error: PrivateFileError) -> Self {
        let text = error.to_string();
        match error {
            PrivateFileError::LooseMode {
                path,
                found,
                expected,
            } => Self::new(
                Exit::System,
                "keysNotPrivate",
                "others on this machine could read or change keys",
            )
            .at(path.display().to_string())
            .expected(format!("mode {expected:o}"))
            .found(format!("mode {found:o}"))
            .next(format!("chmod {expected:o} {}", shell_word(path))),
            PrivateFileError::NotPlain { path, .. } => {
                Self::new(Exit::System, "keysNotPlain", text).at(path.display().to_string())
            }
            other => Self::new(Exit::System, "io", other.to_string()),
        }
    }
}

/// A wrong method or argument, for `command` (`kumiki call token`).
pub(crate) fn value_failure(error: ValueError, command: &str) -> Failure {
    let text = error.to_string();
    match error {
        ValueError::UnknownMethod { found, known, .. } => {
            // Without a method, the command lists them with their arguments.
            let next = command.to_owned();
            Failure::new(Exit::Usage, "methodUnknown", text)
                .expected(format!("one of {}", known.join(", ")))
                .found(found)
                .next(next)
        }
        ValueError::Arguments {
            problem, signature, ..
        } => Failure::new(Exit::Usage, "arguments", text)
            .expected(signature)
            .found(problem)
            .next(command.to_owned()),
        ValueError::Mismatch {
            place,
            expected,
            found,
        } => Failure::new(
            Exit::Usage,
            "argumentType",
            format!("argument {place} is not of its type"),
        )
        .at(command.to_owned())
        .expected(expected)
        .found(found)
        .next(command.to_owned()),
        ValueError::UnknownType { .. } | ValueError::Malformed { .. } | ValueError::TooLarge => {
            Failure::new(Exit::Execution, "abiMismatch", text)
                .at(command.to_owned())
                .next("kumiki build")
        }
    }
}
