//! Find peers and connect to them: validators always, others until there are enough.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;
use libp2p::swarm::DialError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, kad};
use tokio::task::JoinHandle;

use super::Driver;
use crate::address::{Reach, ip_of, is_relayed, reach, split_peer, usable};
use crate::address_book::ADDRESSES_MAX;
use crate::{Direction, known_peers};

/// Longest time between two searches for peers while too few are connected.
const HUNGRY_WALK_MAX: Duration = Duration::from_secs(15);
/// Searches for validators that are going on or were lately.
const LOOKUPS_MAX: usize = 64;
/// At least this part of the wanted peers is chosen by this node.
const OUTBOUND_PART: usize = 4;
/// New connections begun per tick, so that a long list of peers does not start a flood.
const DIALS_PER_TICK: usize = 8;

/// An address to begin with.
#[derive(Debug)]
pub(super) struct Bootstrap {
    address: Multiaddr,
    /// Who is there, from the address or since it answered.
    peer: Option<PeerId>,
    next: Instant,
    failures: u32,
}

impl Bootstrap {
    /// Those of `addresses` that are not `own`.
    pub(super) fn all(addresses: &[Multiaddr], own: PeerId, now: Instant) -> Vec<Self> {
        let split = addresses.iter().cloned().map(split_peer);
        split
            .filter(|(_, peer)| *peer != Some(own))
            .map(|(address, peer)| Self {
                address,
                peer,
                next: now,
                failures: 0,
            })
            .collect()
    }
}

/// When to search next.
#[derive(Debug)]
pub(super) struct Searches {
    walk: Instant,
    walks: u64,
    lookups: HashMap<PeerId, Instant>,
}

impl Searches {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            walk: now,
            walks: 0,
            lookups: HashMap::new(),
        }
    }
}

impl Driver {
    /// Dials `address` because the application says so.
    pub(super) fn dial_address(&mut self, address: Multiaddr) {
        let (bare, peer) = split_peer(address);
        if let Some(peer) = peer {
            self.book.learn(peer, vec![bare.clone()], Instant::now());
        }
        let options = match peer {
            Some(peer) => DialOpts::peer_id(peer).addresses(vec![bare]).build(),
            None => DialOpts::unknown_peer_id().address(bare).build(),
        };
        self.begin_dial(options);
    }

    /// Dials validators that are not connected, and searches for those of whom no working address is known.
    pub(super) fn dial_tracked(&mut self, now: Instant) {
        let missing = self.tracked.iter().filter(|peer| self.is_free(peer));
        let missing: Vec<PeerId> = missing.copied().collect();
        for peer in missing {
            if self.book.addresses(&peer).is_empty() || self.book.failures(&peer) > 0 {
                self.look_up(peer, now);
            }
            if self.book.is_due(&peer, now) {
                self.dial_peer(peer);
            }
        }
    }

    /// Tells the gate where validators are known to be.
    pub(super) fn exempt_validators(&mut self) {
        let known = self.tracked.iter().flat_map(|one| self.book.addresses(one));
        let ips = known.filter_map(|address| ip_of(&address)).collect();
        self.swarm.behaviour_mut().gate.exempt_ips(ips);
    }

    /// Dials known peers and bootstrap addresses while too few are connected.
    pub(super) fn dial_more(&mut self, now: Instant) {
        let going = self.swarm.behaviour().gate.dialling();
        let wanted = self.config.limits.target_peers;
        let outbound = self.peers.values().filter(|peer| peer.link.is_some());
        let outbound = outbound.filter(|peer| peer.direction() == Direction::Out);
        // Whoever fills the node with connections of its own must not be all that it sees.
        let chosen = (wanted / OUTBOUND_PART).saturating_sub(outbound.count() + going);
        let missing = wanted.saturating_sub(self.admitted() + going).max(chosen);
        let room = self.config.limits.pending_out_max.saturating_sub(going);
        let most = missing.min(room).min(DIALS_PER_TICK);
        if most == 0 {
            return;
        }
        self.dial_bootstrap(now);
        for peer in self.book.due(most, now, |peer| !self.is_free(peer)) {
            self.dial_peer(peer);
        }
    }

    fn dial_bootstrap(&mut self, now: Instant) {
        let limits = &self.config.limits;
        let (delay_min, delay_max) = (limits.redial_delay_min, limits.redial_delay_max);
        let mut due = Vec::new();
        let mut bootstrap = std::mem::take(&mut self.bootstrap);
        for entry in &mut bootstrap {
            if entry.peer.is_some_and(|peer| !self.is_free(&peer)) {
                entry.failures = 0;
                continue;
            }
            if entry.next > now {
                continue;
            }
            // Success shows in that the peer is not free any more.
            let wait = delay_min.saturating_mul(1 << entry.failures.min(16));
            entry.failures = entry.failures.saturating_add(1);
            entry.next = now + wait.min(delay_max);
            due.push((entry.address.clone(), entry.peer));
        }
        self.bootstrap = bootstrap;
        for (address, peer) in due {
            let address = match peer {
                Some(peer) => address.with(Protocol::P2p(peer)),
                None => address,
            };
            self.dial_address(address);
        }
    }

    fn dial_peer(&mut self, peer: PeerId) {
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(self.book.addresses(&peer))
            .extend_addresses_through_behaviour()
            .build();
        self.begin_dial(options);
    }

    fn begin_dial(&mut self, options: DialOpts) {
        let (id, peer) = (options.connection_id(), options.get_peer_id());
        self.metrics.dials.inc();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dialling.insert(id, peer);
            }
            // Kademlia dials too, and was first.
            Err(DialError::DialPeerConditionFalse(_)) => {}
            Err(error) => self.dial_failed(peer, &error),
        }
    }

    /// Notes that a dial has failed.
    pub(super) fn dial_failed(&mut self, peer: Option<PeerId>, error: &DialError) {
        tracing::debug!(?peer, %error, "a dial failed");
        self.metrics.dials_failed.inc();
        let now = Instant::now();
        if let DialError::LocalPeerId { address } = error {
            let own = split_peer(address.clone()).0;
            self.bootstrap.retain(|entry| entry.address != own);
        }
        let Some(peer) = peer else { return };
        let bad: Vec<Multiaddr> = match error {
            DialError::Transport(failed) => failed
                .iter()
                .map(|(address, _)| split_peer(address.clone()).0)
                .collect(),
            DialError::WrongPeerId { address, .. } | DialError::LocalPeerId { address } => {
                vec![split_peer(address.clone()).0]
            }
            DialError::NoAddresses
            | DialError::Aborted
            | DialError::Denied { .. }
            | DialError::DialPeerConditionFalse(_) => Vec::new(),
        };
        let keep = self.tracked.contains(&peer);
        self.book.failed(peer, &bad, keep, now);
        if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
            for address in &bad {
                kad.remove_address(&peer, address);
            }
        }
    }

    /// Notes who answered at a bootstrap address.
    pub(super) fn met_at(&mut self, peer: PeerId, address: &Multiaddr) {
        for entry in &mut self.bootstrap {
            if entry.address == *address {
                entry.peer = Some(peer);
            }
        }
    }

    /// Neither connected, nor being dialled, nor banned.
    fn is_free(&self, peer: &PeerId) -> bool {
        !self.peers.contains_key(peer)
            && !self.dialling.values().any(|one| *one == Some(*peer))
            && !self.swarm.behaviour().gate.is_banned(peer)
    }

    fn look_up(&mut self, peer: PeerId, now: Instant) {
        let again = self.walk_wait(true);
        let lookups = &mut self.searches.lookups;
        lookups.retain(|_, next| *next > now);
        if lookups.contains_key(&peer) || lookups.len() >= LOOKUPS_MAX {
            return;
        }
        if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
            lookups.insert(peer, now + again);
            kad.get_closest_peers(peer);
        }
    }

    /// Walks through the network when it is time: towards this node, to meet its neighbours, and anywhere.
    pub(super) fn search(&mut self, now: Instant) {
        if now < self.searches.walk {
            return;
        }
        let hungry = self.admitted() < self.config.limits.target_peers;
        self.searches.walk = now + self.walk_wait(hungry);
        let target = if self.searches.walks.is_multiple_of(2) {
            self.own
        } else {
            PeerId::random()
        };
        if self.routing_peers() == 0 {
            // Soon again: there is nobody yet to ask.
            self.searches.walk = now;
            return;
        }
        self.searches.walks += 1;
        if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
            kad.get_closest_peers(target);
        }
    }

    fn walk_wait(&self, hungry: bool) -> Duration {
        let limits = &self.config.limits;
        if hungry {
            limits.walk_interval.min(HUNGRY_WALK_MAX)
        } else {
            limits.walk_interval
        }
    }

    pub(super) fn on_kad_event(&mut self, event: kad::Event) {
        let kad::Event::OutboundQueryProgressed { result, .. } = event else {
            // Inbound records are among them: nobody here stores any.
            return;
        };
        let kad::QueryResult::GetClosestPeers(found) = result else {
            return;
        };
        let found = match found {
            Ok(found) => found.peers,
            Err(kad::GetClosestPeersError::Timeout { peers, .. }) => peers,
        };
        let nearest = self.nearest();
        for info in found {
            self.learn(info.peer_id, info.addrs, nearest);
        }
        // Whom this node knows may be gone at the next tick.
        self.dial_more(Instant::now());
    }

    /// Remembers those addresses of `peer` that make sense.
    pub(super) fn learn(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, nearest: Reach) {
        if self.swarm.behaviour().gate.is_banned(&peer) {
            return;
        }
        let addresses = usable(peer, addresses, nearest, ADDRESSES_MAX);
        self.book.learn(peer, addresses, Instant::now());
    }

    /// The nearest network that this node is part of, by its connections.
    pub(super) fn nearest(&self) -> Reach {
        let connections = self.peers.values().flat_map(|peer| &peer.connections);
        connections
            .filter_map(|connection| reach(&connection.address))
            .min()
            .unwrap_or(Reach::Public)
    }

    /// Sets where others are told to find `peer`. A peer says so as often as it likes: what it said before is gone.
    pub(super) fn route(&mut self, peer: PeerId, addresses: &[Multiaddr]) {
        let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() else {
            return;
        };
        let bare = |address: &Multiaddr| split_peer(address.clone()).0;
        let known: Vec<Multiaddr> = kad
            .kbucket(peer)
            .into_iter()
            .flat_map(|bucket| {
                let entries = bucket.iter().filter(|one| *one.node.key.preimage() == peer);
                let addresses = entries.flat_map(|one| one.node.value.iter().map(bare));
                addresses.collect::<Vec<_>>()
            })
            .collect();
        let same =
            known.len() == addresses.len() && known.iter().all(|one| addresses.contains(one));
        if same {
            return;
        }
        kad.remove_peer(&peer);
        for address in addresses {
            kad.add_address(&peer, address.clone());
        }
        // A node that had nobody to ask asks at once.
        self.search(Instant::now());
    }

    /// Peers in the routing table.
    pub(super) fn routing_peers(&mut self) -> usize {
        let kad = self.swarm.behaviour_mut().kad.as_mut();
        kad.map_or(0, |kad| {
            kad.kbuckets().map(|bucket| bucket.num_entries()).sum()
        })
    }

    /// Serves the search of others only when they can reach this node.
    pub(super) fn set_mode(&mut self) {
        let mut listening = self.listening.borrow().clone();
        listening.retain(|one| !is_relayed(one));
        // On a test network of one machine, loopback is the world.
        let loopback = |one: &Multiaddr| reach(one) == Some(Reach::Loopback);
        let only_loopback = listening.iter().all(loopback);
        let outside: Vec<Multiaddr> = listening
            .into_iter()
            .filter(|one| only_loopback || reach(one) == Some(Reach::Public))
            .collect();
        let server = self.reachable || !outside.is_empty();
        if !self.config.autonat {
            // Nobody will confirm them.
            for address in outside {
                self.swarm.add_external_address(address);
            }
        }
        let mode = if server {
            kad::Mode::Server
        } else {
            kad::Mode::Client
        };
        if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
            kad.set_mode(Some(mode));
        }
    }

    /// Writes the known peers, on a thread that may wait for the disk.
    pub(super) fn store_known(&self) -> Option<JoinHandle<()>> {
        let path = self.config.known_peers_file.clone()?;
        let peers = self.book.to_store();
        Some(tokio::task::spawn_blocking(move || store(&path, peers)))
    }
}

fn store(path: &Path, peers: Vec<(PeerId, Vec<Multiaddr>)>) {
    if let Err(error) = known_peers::store(path, peers) {
        tracing::warn!(path = %path.display(), %error, "the known peers could not be written");
    }
}
