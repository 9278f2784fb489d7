//! React to what the swarm reports.

use std::time::{Duration, Instant};

use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{ConnectionId, ListenError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify, mdns, ping, relay};

use super::Driver;
use super::peer::{Peer, clean_agent};
use crate::address::{Reach, is_relayed, reach, split_peer, usable};
use crate::address_book::ADDRESSES_MAX;
use crate::behaviour::BehaviourEvent;
use crate::identity::peer_key_of;

/// A connection is closed after so many pings without answer.
const LOST_PINGS_MAX: u32 = 2;
/// A shorter connection counts as one that failed.
const LASTED: Duration = Duration::from_secs(10);
/// Relays through which an unreachable node listens.
const RELAYS_MAX: usize = 2;

impl Driver {
    pub(super) fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => self.on_connected(peer_id, connection_id, &endpoint),
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                cause,
                ..
            } => {
                tracing::debug!(peer = %peer_id, ?cause, "a connection closed");
                self.on_closed(peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                peer_id,
                error,
            } => {
                let dialled = self.dialling.remove(&connection_id);
                self.dial_failed(dialled.flatten().or(peer_id), &error);
            }
            SwarmEvent::IncomingConnectionError {
                error: ListenError::Denied { cause },
                ..
            } => {
                self.metrics.refused.inc();
                tracing::debug!(%cause, "a connection was refused");
            }
            SwarmEvent::NewListenAddr { .. }
            | SwarmEvent::ExpiredListenAddr { .. }
            | SwarmEvent::ListenerClosed { .. } => self.on_listening(),
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "a listener reports an error");
            }
            SwarmEvent::ExternalAddrConfirmed { .. } => {
                self.reachable = true;
                self.set_mode();
            }
            _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.on_identified(peer_id, info);
            }
            BehaviourEvent::Ping(event) => self.on_ping(event),
            BehaviourEvent::Streams((peer, event)) => self.on_stream_event(peer, event),
            BehaviourEvent::Gossip(event) => self.on_gossip_event(event),
            BehaviourEvent::Kad(event) => self.on_kad_event(event),
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => {
                for (peer, address) in found {
                    self.learn(peer, vec![address], Reach::Private);
                }
            }
            _ => {}
        }
    }

    fn on_listening(&mut self) {
        // Without the own peer id, which those through relays end with; those that need no relay come first.
        let bare = |address: &Multiaddr| split_peer(address.clone()).0;
        let mut listening: Vec<Multiaddr> = self.swarm.listeners().map(bare).collect();
        listening.sort_by_cached_key(|address| (is_relayed(address), address.to_string()));
        self.listening.send_replace(listening);
        self.set_mode();
    }

    fn on_connected(&mut self, id: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        self.dialling.remove(&connection);
        let now = Instant::now();
        let Some(key) = peer_key_of(&id) else {
            // The gate lets no such peer in.
            return;
        };
        let bytes = self.bandwidth.peer(id);
        let channels = self.channels.len();
        let gossip = self.gossip_paces(now);
        let peer = self
            .peers
            .entry(id)
            .or_insert_with(|| Peer::new(key, bytes, channels, gossip, now));
        peer.connect(connection, endpoint);
        match endpoint {
            ConnectedPoint::Dialer { address, .. } => {
                let (address, _) = split_peer(address.clone());
                self.met_at(id, &address);
                self.book.learn(id, vec![address], now);
            }
            ConnectedPoint::Listener { send_back_addr, .. } => {
                let direct = !is_relayed(send_back_addr);
                let outside = reach(send_back_addr) != Some(Reach::Loopback);
                if direct && outside && !self.reachable {
                    self.reachable = true;
                    self.set_mode();
                }
            }
        }
    }

    fn on_closed(&mut self, id: PeerId, connection: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        peer.connections.retain(|one| one.id != connection);
        if !peer.connections.is_empty() {
            return;
        }
        let now = Instant::now();
        let lived = now.saturating_duration_since(peer.since);
        let lasted = peer.link.is_some() && lived >= LASTED;
        self.drop_link(id);
        self.peers.remove(&id);
        if lasted {
            self.book.met(id, now);
        } else {
            // It took the connection and closed it: dialling it again at once would end the same way.
            let keep = self.tracked.contains(&id);
            self.book.failed(id, &[], keep, now);
        }
    }

    fn on_identified(&mut self, id: PeerId, info: identify::Info) {
        if info.protocol_version != self.protocol_version {
            tracing::debug!(peer = %id, "a peer of another chain");
            // Not an offence, but no use in trying again soon.
            self.ban(id, self.config.limits.ban);
            return;
        }
        if self.swarm.behaviour().gate.is_banned(&id) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        peer.agent = clean_agent(&info.agent_version);
        let connections = peer.connections.iter();
        let nearest = connections.filter_map(|one| reach(&one.address)).min();
        let nearest = nearest.unwrap_or(Reach::Public);
        if peer.link.is_none() {
            let now = Instant::now();
            peer.link = Some(self.roster.add(peer.key.clone(), now));
            self.peers_changed = true;
            self.read_waiting(id);
            self.open_streams(now);
        }
        let addresses = usable(id, info.listen_addrs, nearest, ADDRESSES_MAX);
        let serves = |protocol: &libp2p::StreamProtocol| info.protocols.contains(protocol);
        let kad = self.swarm.behaviour().kad.as_ref();
        let searched = kad.is_some_and(|kad| kad.protocol_names().iter().any(serves));
        if searched {
            self.route(id, &addresses);
        }
        if serves(&relay::HOP_PROTOCOL_NAME) {
            self.listen_through(id, addresses.first().cloned());
        }
        let now = Instant::now();
        if self.config.discovery {
            self.book.learn(id, addresses, now);
        }
        self.book.met(id, now);
    }

    /// Asks the relay `peer` to pass on connections, when nobody reaches this node directly.
    fn listen_through(&mut self, peer: PeerId, address: Option<Multiaddr>) {
        let relays = self.swarm.listeners().filter(|one| is_relayed(one)).count();
        let wanted = self.config.relay_client && !self.reachable && relays < RELAYS_MAX;
        let Some(address) = address.filter(|_| wanted) else {
            return;
        };
        let through = address.with(Protocol::P2p(peer)).with(Protocol::P2pCircuit);
        if let Err(error) = self.swarm.listen_on(through) {
            tracing::debug!(relay = %peer, %error, "a relay cannot be used");
        }
    }

    fn on_ping(&mut self, event: ping::Event) {
        let Some(peer) = self.peers.get_mut(&event.peer) else {
            return;
        };
        let heard = peer.bytes.received();
        let Some(connection) = peer.connection(event.connection) else {
            return;
        };
        match event.result {
            Ok(rtt) => {
                connection.lost_pings = 0;
                peer.rtt = Some(rtt);
            }
            Err(ping::Failure::Unsupported) => {}
            Err(_) if connection.heard_bytes != heard => {
                // A busy connection under a bandwidth cap is slow, not dead.
                connection.heard_bytes = heard;
                connection.lost_pings = 0;
            }
            Err(_) => {
                connection.lost_pings += 1;
                if connection.lost_pings >= LOST_PINGS_MAX {
                    self.swarm.close_connection(event.connection);
                }
            }
        }
    }
}
