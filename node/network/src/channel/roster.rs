//! Know which peers are connected, with the queue of each for every channel.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use commonware_p2p::Recipients;

use super::queue::Queue;
use crate::config::{Audience, ChannelSpec};
use crate::identity::PeerKey;
use crate::metrics::ChannelMeters;
use crate::pace::Pace;

#[derive(Debug)]
struct LinkChannel {
    queue: Queue,
    pace: Mutex<Pace>,
}

/// What waits for one connected peer.
#[derive(Debug)]
pub(crate) struct Link(Vec<LinkChannel>);

impl Link {
    fn new(specs: &[ChannelSpec], now: Instant) -> Self {
        let channel = |spec: &ChannelSpec| LinkChannel {
            queue: Queue::new(spec.outbound_queue, spec.when_full),
            pace: Mutex::new(message_pace(spec, now)),
        };
        Self(specs.iter().map(channel).collect())
    }

    /// The queue of channel number `channel`.
    pub(crate) fn queue(&self, channel: usize) -> &Queue {
        &self.0[channel].queue
    }

    /// Takes one message off the quota of `channel`; when that is used up, says how long to wait and takes nothing.
    pub(crate) fn spend(&self, channel: usize, now: Instant) -> Duration {
        let pace = &self.0[channel].pace;
        let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = pace.wait(now);
        if wait.is_zero() {
            pace.spend(1, now);
        }
        wait
    }
}

/// The quota of messages of `spec`, for sending and receiving alike.
pub(crate) fn message_pace(spec: &ChannelSpec, now: Instant) -> Pace {
    let per_second = u64::from(spec.quota.messages_per_second.get());
    Pace::new(per_second, per_second, now)
}

#[derive(Debug, Default)]
struct Members {
    links: BTreeMap<PeerKey, Arc<Link>>,
    primary: BTreeSet<PeerKey>,
}

/// The connected peers.
#[derive(Debug)]
pub(crate) struct Roster {
    specs: Vec<ChannelSpec>,
    meters: Vec<ChannelMeters>,
    members: RwLock<Members>,
    closed: AtomicBool,
}

impl Roster {
    pub(crate) fn new(specs: Vec<ChannelSpec>, meters: Vec<ChannelMeters>) -> Self {
        Self {
            specs,
            meters,
            members: RwLock::default(),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn spec(&self, channel: usize) -> &ChannelSpec {
        &self.specs[channel]
    }

    pub(crate) fn meters(&self, channel: usize) -> &ChannelMeters {
        &self.meters[channel]
    }

    /// Takes `peer` in, with empty queues.
    pub(crate) fn add(&self, peer: PeerKey, now: Instant) -> Arc<Link> {
        let link = Arc::new(Link::new(&self.specs, now));
        self.write().links.insert(peer, Arc::clone(&link));
        link
    }

    /// Drops `peer` and what waits for it.
    pub(crate) fn remove(&self, peer: &PeerKey) {
        let link = self.write().links.remove(peer);
        if let Some(link) = link {
            link.0.iter().for_each(|channel| channel.queue.close());
        }
    }

    /// Sets who the validators are.
    pub(crate) fn set_primary(&self, primary: BTreeSet<PeerKey>) {
        self.write().primary = primary;
    }

    /// Whether `peer` may use `channel`.
    pub(crate) fn may_use(&self, peer: &PeerKey, channel: usize) -> bool {
        match self.spec(channel).audience {
            Audience::Everyone => true,
            Audience::Primary => self.read().primary.contains(peer),
        }
    }

    /// Those of `recipients` that are connected and may use `channel`.
    pub(crate) fn links(
        &self,
        channel: usize,
        recipients: Recipients<PeerKey>,
    ) -> Vec<(PeerKey, Arc<Link>)> {
        let members = self.read();
        let everyone = self.spec(channel).audience == Audience::Everyone;
        let admits = |peer: &PeerKey| everyone || members.primary.contains(peer);
        let find = |peer: PeerKey| {
            let link = members.links.get(&peer)?;
            admits(&peer).then(|| (peer, Arc::clone(link)))
        };
        match recipients {
            Recipients::One(peer) => find(peer).into_iter().collect(),
            Recipients::Some(peers) => peers.into_iter().filter_map(find).collect(),
            Recipients::All => members
                .links
                .iter()
                .filter(|(peer, _)| admits(peer))
                .map(|(peer, link)| (peer.clone(), Arc::clone(link)))
                .collect(),
        }
    }

    /// Ends all sending.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let links = std::mem::take(&mut self.write().links);
        for link in links.values() {
            link.0.iter().for_each(|channel| channel.queue.close());
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn read(&self) -> RwLockReadGuard<'_, Members> {
        self.members.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Members> {
        self.members.write().unwrap_or_else(PoisonError::into_inner)
    }
}
