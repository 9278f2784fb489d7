//! Describe what a transaction came to, in closed codes only: no text of any engine gets in.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the SCALE derive takes variant numbers from usize"
)]

use parity_scale_codec::{Decode, Encode, Error, Input};

use crate::codec::decode_list;
use crate::{Address, Amount, Gas, Hash, ResultCode, TransactionHash, limits, merkle};

/// Something a contract said, for applications to find.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub struct Event {
    /// The contract that said it.
    pub contract: Address,
    /// Up to four search keys: first the event's id, then its indexed fields.
    pub topics: Vec<Hash>,
    /// All fields, SCALE-encoded.
    pub data: Vec<u8>,
}

/// Why a transaction in a block was passed over: no fee, no nonce step, no other effect.
///
/// Only a chain that orders before it executes can have these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Rejection {
    /// Signed for another chain.
    #[codec(index = 1)]
    WrongChain,
    /// The signature does not verify.
    #[codec(index = 2)]
    BadSignature,
    /// Breaks a rule of form.
    #[codec(index = 3)]
    Malformed,
    /// The sender has used this nonce.
    #[codec(index = 4)]
    NonceTooLow,
    /// The sender has not reached this nonce.
    #[codec(index = 5)]
    NonceGap,
    /// `valid_until` is past.
    #[codec(index = 6)]
    Expired,
    /// `valid_until` is further ahead than allowed.
    #[codec(index = 7)]
    ValidUntilTooFar,
    /// The sender's balance is below the fee cap and the values sent along.
    #[codec(index = 8)]
    InsufficientFunds,
    /// `gas_price` is below the chain's minimum.
    #[codec(index = 9)]
    GasPriceTooLow,
    /// `gas_limit` is below the price of the transaction itself, or above what a block has room for.
    #[codec(index = 10)]
    GasLimitOutOfRange,
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Status {
    /// Every action happened.
    #[codec(index = 0)]
    Ok,
    /// An action failed: no action happened, the fee is paid.
    #[codec(index = 1)]
    Failed {
        /// Position of the action that failed.
        action: u16,
        /// How it failed.
        code: ResultCode,
        /// What the contract reverted with; empty for other codes.
        data: Vec<u8>,
    },
    /// Passed over: nothing happened, nothing is paid.
    #[codec(index = 2)]
    Rejected(Rejection),
}

/// What a transaction came to.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub struct Receipt {
    /// The transaction.
    pub transaction: TransactionHash,
    /// How it ended.
    pub status: Status,
    /// Gas used.
    pub gas_used: Gas,
    /// Fee paid, in base units.
    pub fee: Amount,
    /// One per action when all happened: a call's returned data, a deploy's address, else empty.
    pub outputs: Vec<Vec<u8>>,
    /// What contracts said, in order; empty unless all actions happened.
    pub events: Vec<Event>,
}

impl Decode for Event {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        Ok(Self {
            contract: Decode::decode(input)?,
            topics: decode_list(input, limits::EVENT_TOPICS_MAX)?,
            data: Decode::decode(input)?,
        })
    }
}

impl Decode for Receipt {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        Ok(Self {
            transaction: Decode::decode(input)?,
            status: Decode::decode(input)?,
            gas_used: Decode::decode(input)?,
            fee: Decode::decode(input)?,
            outputs: decode_list(input, limits::ACTIONS_MAX)?,
            events: decode_list(input, limits::EVENTS_MAX)?,
        })
    }
}

impl Receipt {
    /// Root over encoded receipts (RFC 6962 shape), in block order.
    #[must_use]
    pub fn root(receipts: &[Self]) -> Hash {
        let leaves: Vec<Vec<u8>> = receipts.iter().map(Encode::encode).collect();
        merkle::root(&leaves)
    }
}
