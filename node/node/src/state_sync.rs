//! Fetch a recent state from several peers at once instead of executing all blocks: what a new node asks for, what the
//! others answer, and how each piece is verified. `docs/spec/state-sync.md` is the prose.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the SCALE derive takes variant numbers from usize"
)]

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use bytes::Bytes;
use commonware_p2p::{Recipients, Sender as _};
use kumiki_network::{Audience, ChannelQuota, ChannelSender, ChannelSpec, PeerKey, WhenFull};
use kumiki_protocol::{
    Certificate, Decode, Encode, EpochEnd, Hash, Header, Height, ValidatorSet, limits,
};
use kumiki_state::RangeProof;

mod asking;
mod fetch;
mod offer;
mod pages;
mod serve;
#[cfg(test)]
mod tests;

pub(crate) use fetch::fetch;
pub use offer::StateSyncError;
pub(crate) use serve::serve;

/// Bytes of entries in one answer, where one entry alone is not larger.
const RANGE_BYTES: usize = 256 * 1024;
/// Bytes of an answer at most: a page and one entry more, a code, or ends of epochs.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Ends of epochs in one answer.
const EPOCHS_PER_ANSWER: usize = 8;
/// Parts that a state is divided into at most, of which each is fetched from one peer.
const PARTS_MAX: usize = 512;
/// Entries of a part, at least.
const PART_ENTRIES_MIN: u64 = 1_000;

/// How long a peer is shut out that does not speak the protocol, or sent what does not verify.
const BAN: Duration = Duration::from_hours(1);

/// How a node that has only genesis comes to the chain's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateSync {
    /// A block that is trusted; `None`: genesis. Validators that left long ago could sign another chain from there on.
    pub trusted: Option<(Height, Hash)>,
}

/// The keys of a part of the state: from the first, to before the second.
type KeyRange = (Vec<u8>, Option<Vec<u8>>);

/// What a node asks a peer for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Request {
    #[codec(index = 0)]
    Offer,
    #[codec(index = 1)]
    Trusted(Height),
    #[codec(index = 2)]
    Epochs(u64),
    #[codec(index = 3)]
    Range(Height, Vec<u8>, Option<Vec<u8>>),
    #[codec(index = 4)]
    Code(Hash),
}

/// What the peer answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Answer {
    /// It does not have that.
    #[codec(index = 0)]
    Nothing,
    #[codec(index = 1)]
    Offer(Box<Offer>),
    #[codec(index = 2)]
    Trusted(Box<(Header, ValidatorSet)>),
    #[codec(index = 3)]
    Epochs(Vec<EpochEnd>),
    #[codec(index = 4)]
    Range(Vec<(Vec<u8>, Vec<u8>)>, bool, RangeProof),
    #[codec(index = 5)]
    Code(Vec<u8>),
}

/// A state that a peer can give, and why it is the right one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Offer {
    /// The state is that after this height.
    height: Height,
    /// Why the block at `height` is final.
    certificate: Certificate,
    /// Headers from `execution_lag` before `height` on, up to the one that `last_certificate` is for; they hold the
    /// results of the blocks up to `height`.
    headers: Vec<Header>,
    /// Why the last header is final.
    last_certificate: Certificate,
    /// Keys at which to divide the state into parts of about the same size. A hint: nothing depends on it.
    splits: Vec<Vec<u8>>,
}

/// What travels: the number that an answer repeats, and a question or an answer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Message {
    #[codec(index = 0)]
    Ask(u64, Request),
    #[codec(index = 1)]
    Tell(u64, Answer),
}

/// The channel that state sync speaks over.
pub(crate) fn channel_spec() -> ChannelSpec {
    ChannelSpec {
        name: "state".to_owned(),
        message_bytes_max: u32::try_from(MESSAGE_BYTES_MAX).unwrap_or(u32::MAX),
        outbound_queue: 16,
        inbound_queue: 256,
        quota: ChannelQuota {
            messages_per_second: NonZeroU32::new(512).unwrap_or(NonZeroU32::MIN),
            bytes_per_second: NonZeroU64::new(64 << 20).unwrap_or(NonZeroU64::MIN),
        },
        when_full: WhenFull::DropNewest,
        audience: Audience::Everyone,
    }
}

/// Sends to `peer`, if it is connected. Who waits for an answer does not wait for ever.
fn send(sender: &mut ChannelSender, peer: PeerKey, message: &Message) {
    let message = Bytes::from(message.encode());
    let _feedback = sender.send(Recipients::One(peer), message, false);
}

/// Headers that an offer has at most: those below the height, and a proof of finality above it.
const fn offered_headers_max(lag: usize) -> usize {
    2 * lag + limits::FINALITY_HEADERS_MAX
}
