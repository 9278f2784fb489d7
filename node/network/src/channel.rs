//! Send and receive messages of one kind with every connected peer, as `commonware-p2p` wants it.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use commonware_actor::{Feedback, Unreliable};
use commonware_p2p::{CheckedSender, LimitedSender, Message, Receiver, Recipients};
use commonware_runtime::IoBufs;
use tokio::sync::mpsc;

use crate::identity::PeerKey;

pub(crate) mod frame;
pub(crate) mod queue;
pub(crate) mod roster;
pub(crate) mod streams;

use queue::Pushed;
use roster::{Link, Roster};

/// A channel's two ends.
#[derive(Debug)]
pub struct Channel {
    /// The name it was made with.
    pub name: String,
    /// Where messages to peers go in.
    pub sender: ChannelSender,
    /// Where messages of peers come out.
    pub receiver: ChannelReceiver,
}

/// Sends to connected peers. A message for a peer that is not connected, and one for this node, goes nowhere.
#[derive(Clone)]
pub struct ChannelSender {
    channel: usize,
    roster: Arc<Roster>,
}

impl ChannelSender {
    pub(crate) fn new(channel: usize, roster: Arc<Roster>) -> Self {
        Self { channel, roster }
    }
}

impl fmt::Debug for ChannelSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.roster.spec(self.channel).name;
        f.debug_tuple("ChannelSender").field(name).finish()
    }
}

/// A message's recipients: connected, and within their quota.
#[derive(Debug)]
pub struct ChannelChecked<'a> {
    sender: &'a mut ChannelSender,
    links: Vec<(PeerKey, Arc<Link>)>,
}

impl LimitedSender for ChannelSender {
    type PublicKey = PeerKey;
    type Checked<'a> = ChannelChecked<'a>;

    fn check(&mut self, recipients: Recipients<PeerKey>) -> Result<Self::Checked<'_>, SystemTime> {
        let now = Instant::now();
        let mut links = self.roster.links(self.channel, recipients);
        let mut wait = Duration::ZERO;
        links.retain(|(_, link)| {
            let needed = link.spend(self.channel, now);
            wait = wait.max(needed);
            needed.is_zero()
        });
        if links.is_empty() && !wait.is_zero() {
            return Err(system_time_in(wait));
        }
        Ok(ChannelChecked {
            sender: self,
            links,
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the trait's answer is a wall clock time, for the caller to wait until"
)]
fn system_time_in(wait: Duration) -> SystemTime {
    SystemTime::now() + wait
}

impl CheckedSender for ChannelChecked<'_> {
    type PublicKey = PeerKey;

    fn recipients(&self) -> Vec<PeerKey> {
        self.links.iter().map(|(peer, _)| peer.clone()).collect()
    }

    /// Queues `message` for each recipient. It never waits, and a full queue of one peer does not matter to others.
    ///
    /// Rejected when no peer's queue took it. A message beyond the channel's limit is rejected too, with an error in
    /// the log: where the trait would panic, a node keeps running.
    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let message = Bytes::from(message.into().coalesce());
        let channel = self.sender.channel;
        let roster = &self.sender.roster;
        if roster.is_closed() {
            return Unreliable::Outcome(Feedback::Closed);
        }
        let spec = roster.spec(channel);
        if message.len() > spec.message_bytes_max as usize {
            tracing::error!(
                channel = spec.name,
                bytes = message.len(),
                limit = spec.message_bytes_max,
                "a message beyond the channel's limit was not sent"
            );
            return Unreliable::Rejected;
        }
        let mut taken = 0;
        let mut pushed_out = 0;
        for (_, link) in &self.links {
            match link.queue(channel).push(message.clone(), priority) {
                Pushed::Taken => taken += 1,
                Pushed::TookPlace => {
                    taken += 1;
                    pushed_out += 1;
                }
                Pushed::Refused => {}
            }
        }
        let lost = self.links.len() - taken + pushed_out;
        roster.meters(channel).dropped.inc_by(lost as u64);
        if taken == 0 {
            Unreliable::Rejected
        } else if pushed_out > 0 {
            Unreliable::Outcome(Feedback::Backoff)
        } else {
            Unreliable::Outcome(Feedback::Ok)
        }
    }
}

/// The network was shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the network has been shut down")]
pub struct RecvError;

/// Receives from every peer of the channel's audience, in the order in which each peer sent.
#[derive(Debug)]
pub struct ChannelReceiver {
    messages: mpsc::Receiver<Message<PeerKey>>,
    capacity: NonZeroUsize,
}

impl ChannelReceiver {
    pub(crate) fn new(messages: mpsc::Receiver<Message<PeerKey>>) -> Self {
        let capacity = NonZeroUsize::new(messages.max_capacity()).unwrap_or(NonZeroUsize::MIN);
        Self { messages, capacity }
    }
}

impl Receiver for ChannelReceiver {
    type Error = RecvError;
    type PublicKey = PeerKey;

    async fn recv(&mut self) -> Result<Message<PeerKey>, RecvError> {
        self.messages.recv().await.ok_or(RecvError)
    }

    fn capacity(&self) -> NonZeroUsize {
        self.capacity
    }
}
