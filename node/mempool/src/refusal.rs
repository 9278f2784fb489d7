//! Name every reason for which a submitted transaction is not taken in.

use kumiki_protocol::{Amount, FormError, Gas, Hash, Height, Nonce};

/// Why a transaction was not taken in. Closed: each has one RPC code, and a client can act on each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It breaks a rule of form.
    #[error("{0}")]
    Malformed(#[from] FormError),
    /// It was signed for another chain.
    #[error("signed for the chain with genesis {found}, this chain's genesis is {expected}")]
    WrongChain {
        /// This chain's genesis hash.
        expected: Hash,
        /// The transaction's.
        found: Hash,
    },
    /// The signature does not verify.
    #[error("the signature does not match the sender and the transaction")]
    BadSignature,
    /// The sender has used this nonce.
    #[error("nonce {found} is used, the next is {expected}")]
    NonceTooLow {
        /// The account's next nonce.
        expected: Nonce,
        /// The transaction's.
        found: Nonce,
    },
    /// The nonce is further ahead than transactions are kept for.
    #[error(
        "nonce {found} is too far ahead: the account is at {expected} and at most {window} are kept"
    )]
    NonceTooFar {
        /// The account's next nonce.
        expected: Nonce,
        /// The transaction's.
        found: Nonce,
        /// How many nonces from `expected` on are accepted.
        window: u64,
    },
    /// The balance is below the fee cap and the values sent along, other waiting transactions counted.
    #[error(
        "balance {balance} is below the {needed} this may cost and the {pending} of waiting transactions"
    )]
    InsufficientFunds {
        /// What the sender has, in base units.
        balance: Amount,
        /// What this transaction may cost, in base units.
        needed: Amount,
        /// What the sender's other waiting transactions may cost, in base units.
        pending: Amount,
    },
    /// The gas price is below the chain's minimum.
    #[error("gas price {found} is below the minimum of {minimum}")]
    GasPriceTooLow {
        /// The transaction's, in base units per unit of gas.
        found: u64,
        /// The chain's, in base units per unit of gas.
        minimum: u64,
    },
    /// The gas limit is below what every such transaction uses, or above what a block has room for.
    #[error("gas limit {found} must be between {minimum} and {maximum}")]
    GasLimitOutOfRange {
        /// The transaction's.
        found: Gas,
        /// The price of the transaction itself.
        minimum: Gas,
        /// The most a block has room for; less where the transaction brings code.
        maximum: Gas,
    },
    /// `valid_until` is past.
    #[error("valid until height {valid_until}, the next block has height {next_height}")]
    Expired {
        /// The transaction's.
        valid_until: Height,
        /// The earliest height it could be executed at.
        next_height: Height,
    },
    /// `valid_until` is further ahead than allowed.
    #[error("valid until height {valid_until}, at most {maximum} is allowed now")]
    ValidUntilTooFar {
        /// The transaction's.
        valid_until: Height,
        /// The highest that is accepted now.
        maximum: Height,
    },
    /// A waiting transaction has this nonce and pays too much to be replaced.
    #[error(
        "a transaction with this nonce waits; replacing it takes a gas price of at least {minimum}, found {found}"
    )]
    ReplacementUnderpriced {
        /// The transaction's gas price.
        found: u64,
        /// The least that replaces.
        minimum: u64,
    },
    /// The sender has as many transactions waiting as it may.
    #[error(
        "the sender has {count} transactions of {bytes} bytes waiting, at most {count_max} of {bytes_max} bytes are kept"
    )]
    SenderFull {
        /// Transactions of this sender.
        count: usize,
        /// Their bytes.
        bytes: usize,
        /// The most transactions.
        count_max: usize,
        /// The most bytes.
        bytes_max: usize,
    },
    /// The pool is full of transactions that pay more.
    #[error("the pool is full; a gas price of at least {price_min} is taken in now")]
    PoolFull {
        /// The gas price that would displace another transaction now, if this one can be executed at once.
        price_min: u64,
    },
    /// It fits no block of this chain.
    #[error("{found} bytes, a block of this chain holds at most {maximum}")]
    TooLarge {
        /// Its bytes.
        found: usize,
        /// A block's bytes.
        maximum: usize,
    },
    /// More submissions wait for verification than this node takes on. Try again.
    #[error("too many submissions wait for verification, try again")]
    Busy,
    /// The node is stopping, or its store cannot be read.
    #[error("the node takes nothing in: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

impl Refusal {
    /// Whether no honest node could have passed the transaction on: it is void on this chain whatever its state.
    #[must_use]
    pub const fn is_void(&self) -> bool {
        matches!(
            self,
            Self::Malformed(_)
                | Self::WrongChain { .. }
                | Self::BadSignature
                | Self::GasPriceTooLow { .. }
                | Self::GasLimitOutOfRange { .. }
                | Self::TooLarge { .. }
        )
    }

    /// The fixed RPC error code.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::Malformed(_) => 2001,
            Self::WrongChain { .. } => 2002,
            Self::BadSignature => 2003,
            Self::NonceTooLow { .. } => 2004,
            Self::NonceTooFar { .. } => 2005,
            Self::InsufficientFunds { .. } => 2006,
            Self::GasPriceTooLow { .. } => 2007,
            Self::GasLimitOutOfRange { .. } => 2008,
            Self::Expired { .. } => 2009,
            Self::ValidUntilTooFar { .. } => 2010,
            Self::ReplacementUnderpriced { .. } => 2011,
            Self::SenderFull { .. } => 2012,
            Self::PoolFull { .. } => 2013,
            Self::TooLarge { .. } => 2014,
            Self::Busy => 2015,
            Self::Unavailable { .. } => 2016,
        }
    }

    /// The fixed name, as users and metrics see it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::WrongChain { .. } => "wrongChain",
            Self::BadSignature => "badSignature",
            Self::NonceTooLow { .. } => "nonceTooLow",
            Self::NonceTooFar { .. } => "nonceTooFar",
            Self::InsufficientFunds { .. } => "insufficientFunds",
            Self::GasPriceTooLow { .. } => "gasPriceTooLow",
            Self::GasLimitOutOfRange { .. } => "gasLimitOutOfRange",
            Self::Expired { .. } => "expired",
            Self::ValidUntilTooFar { .. } => "validUntilTooFar",
            Self::ReplacementUnderpriced { .. } => "replacementUnderpriced",
            Self::SenderFull { .. } => "senderFull",
            Self::PoolFull { .. } => "poolFull",
            Self::TooLarge { .. } => "tooLarge",
            Self::Busy => "busy",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    /// Whether the same transaction may be taken in later.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::NonceTooFar { .. }
                | Self::InsufficientFunds { .. }
                | Self::ValidUntilTooFar { .. }
                | Self::SenderFull { .. }
                | Self::PoolFull { .. }
                | Self::Busy
                | Self::Unavailable { .. }
        )
    }
}
