//! Tell apart what the caller can do about a failed request.

use jsonrpsee::core::ClientError as RpcError;
use jsonrpsee::core::http_helpers::HttpError;
use jsonrpsee::http_client::transport::Error as TransportError;
use kumiki_protocol::{Address, Amount, Hash, TransactionHash};
use kumiki_rpc_api::ApiError;
use kumiki_wallet::DevKeyRefused;

/// Why a request gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No node answers at this address. Trying again can help.
    #[error("no node answers at {url}: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// What the connection said.
        reason: String,
    },
    /// The node answered with one of its numbered errors.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// What answers does not speak this interface.
    #[error("{url} does not answer as a Kumiki node: {reason}")]
    Protocol {
        /// The address.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The node's interface is of another major version.
    #[error("{url} speaks RPC version {found}, this program speaks {expected}")]
    IncompatibleApi {
        /// The address.
        url: String,
        /// The node's version.
        found: String,
        /// Ours.
        expected: &'static str,
    },
    /// The node serves another chain than the one expected.
    #[error("{url} serves chain {found}, expected chain {expected}")]
    WrongChain {
        /// The address.
        url: String,
        /// Genesis hash of the chain that was expected.
        expected: Hash,
        /// Genesis hash of the node's chain.
        found: Hash,
    },
    /// A published key was about to sign for a chain that is no dev chain.
    #[error(transparent)]
    PublishedKey(#[from] DevKeyRefused),
    /// The sender's balance pays for no gas at all beside the values sent along.
    #[error("{address} holds {balance}, which pays for no gas beside the {value} sent along")]
    CannotPay {
        /// The sender.
        address: Address,
        /// What it holds, in base units.
        balance: Amount,
        /// What the actions send along, in base units.
        value: Amount,
    },
    /// The transaction was not executed and never can be.
    #[error("transaction {hash} expired: it was not executed and never can be")]
    Expired {
        /// The transaction.
        hash: TransactionHash,
    },
    /// Nothing leads from what is trusted to the validators that an answer needs. Another node may show it, or another
    /// block be trusted.
    #[error(
        "the validators of epoch {epoch} cannot be reached from those trusted in epoch {start}: {reason}; \
         trust a block of that epoch or shortly before it, or ask a node that keeps more"
    )]
    Unreached {
        /// The epoch in which trust begins.
        start: u64,
        /// The epoch whose validators are needed.
        epoch: u64,
        /// What is in the way.
        reason: String,
    },
    /// An answer does not prove what it claims: do not trust this node.
    #[error("the node's answer is not proven: {reason}")]
    Unproven {
        /// What does not hold.
        reason: String,
    },
}

impl ClientError {
    /// What `error` means, from the node at `url`.
    pub(crate) fn from_rpc(url: &str, error: RpcError) -> Self {
        let url = url.to_owned();
        match error {
            RpcError::Call(object) => match ApiError::from_object(&object) {
                Some(error) => Self::Api(error),
                None => Self::Protocol {
                    url,
                    reason: format!("error {}: {}", object.code(), object.message()),
                },
            },
            RpcError::ParseError(error) => Self::Protocol {
                url,
                reason: error.to_string(),
            },
            RpcError::RequestTimeout => Self::Unreachable {
                url,
                reason: "it did not answer in time".to_owned(),
            },
            RpcError::Transport(error) => {
                let reason = innermost(error.as_ref());
                if is_refused_for_good(error.as_ref()) {
                    Self::Protocol { url, reason }
                } else {
                    Self::Unreachable { url, reason }
                }
            }
            other => Self::Unreachable {
                url,
                reason: other.to_string(),
            },
        }
    }

    /// Whether the same request can succeed another time.
    #[must_use]
    pub fn can_retry(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Api(error) => error.data.retry == kumiki_rpc_api::Retry::Later,
            _ => false,
        }
    }
}

/// Whether `error` says that the request reached no node: no connection, or the server refused it unread.
pub(crate) fn is_unsent(error: &RpcError) -> bool {
    let RpcError::Transport(error) = error else {
        return false;
    };
    match error.downcast_ref::<TransportError>() {
        Some(TransportError::Http(HttpError::Stream(error))) => error
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect),
        Some(TransportError::Rejected { status_code }) => (400..500).contains(status_code),
        Some(TransportError::Url(_) | TransportError::RequestTooLarge) => true,
        _ => false,
    }
}

/// Whether the same request will be refused the next time as well. A server with too many connections or with a
/// body that came too slowly says 429 or 408, and one in trouble 5xx: those pass.
fn is_refused_for_good(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    match error.downcast_ref::<TransportError>() {
        Some(TransportError::Rejected { status_code }) => {
            (400..500).contains(status_code) && ![408, 429].contains(status_code)
        }
        Some(TransportError::RequestTooLarge) => true,
        _ => false,
    }
}

/// The last of an error's sources, which names the cause ("Connection refused").
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
