//! Decide which connections may be made: limits in total, per peer, per address, and the ban list.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, ListenError, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use crate::address::{Prefix, ip_of};
use crate::config::NetworkLimits;
use crate::identity::peer_key_of;

#[cfg(test)]
mod tests;

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the peer is banned")]
    Banned,
    #[error("the peer's key is not ed25519")]
    Key,
    #[error("too many connections from others")]
    In,
    #[error("too many connections to others")]
    Out,
    #[error("too many connections with this peer")]
    PerPeer,
    #[error("too many connections from this IP address")]
    PerIp,
    #[error("too many connections from this network")]
    PerPrefix,
    #[error("too many handshakes at once")]
    Pending,
    #[error("too little memory")]
    Memory,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    peer: PeerId,
    inbound: bool,
    ip: Option<IpAddr>,
}

/// Handshakes of an IP address that failed lately.
#[derive(Debug)]
struct Failures {
    since: Instant,
    count: u32,
    banned_until: Option<Instant>,
}

/// The limits and what counts against them.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: NetworkLimits,
    exempt: HashSet<PeerId>,
    /// Where these were seen: their handshakes are not refused for those of others.
    exempt_ips: HashSet<IpAddr>,
    /// Memory is short.
    full: bool,
    bans: HashMap<PeerId, Instant>,
    failures: HashMap<IpAddr, Failures>,
    pending_in: HashMap<ConnectionId, Option<IpAddr>>,
    pending_out: HashSet<ConnectionId>,
    open: HashMap<ConnectionId, Open>,
}

impl Gate {
    pub(crate) fn new(limits: NetworkLimits) -> Self {
        Self {
            limits,
            exempt: HashSet::new(),
            exempt_ips: HashSet::new(),
            full: false,
            bans: HashMap::new(),
            failures: HashMap::new(),
            pending_in: HashMap::new(),
            pending_out: HashSet::new(),
            open: HashMap::new(),
        }
    }

    /// Sets who is not counted.
    pub(crate) fn exempt(&mut self, peers: HashSet<PeerId>) {
        self.exempt = peers;
    }

    /// Sets the addresses at which they are known.
    pub(crate) fn exempt_ips(&mut self, ips: HashSet<IpAddr>) {
        self.exempt_ips = ips;
    }

    /// Refuses everyone who is counted while memory is short.
    pub(crate) fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Refuses `peer` until `until`, and says whether it was not refused before. A full list forgets the ban that ends
    /// first.
    pub(crate) fn ban(&mut self, peer: PeerId, until: Instant) -> bool {
        if self.bans.len() >= self.limits.bans_max && !self.bans.contains_key(&peer) {
            let first = self.bans.iter().min_by_key(|(_, until)| **until);
            if let Some(first) = first.map(|(peer, _)| *peer) {
                self.bans.remove(&first);
            }
        }
        self.bans.insert(peer, until).is_none()
    }

    /// Lets `peer` in again.
    pub(crate) fn unban(&mut self, peer: &PeerId) -> bool {
        self.bans.remove(peer).is_some()
    }

    /// Ends bans that are over; true when there were some.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let before = self.bans.len();
        self.bans.retain(|_, until| *until > now);
        self.failures.retain(|_, failures| {
            failures.banned_until.is_some_and(|until| until > now)
                || now.saturating_duration_since(failures.since) < MINUTE
        });
        self.bans.len() != before
    }

    /// Everyone who is banned.
    pub(crate) fn banned(&self) -> impl Iterator<Item = &PeerId> {
        self.bans.keys()
    }

    pub(crate) fn is_banned(&self, peer: &PeerId) -> bool {
        self.bans.contains_key(peer)
    }

    /// Connections that others opened, and that we opened.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let inbound = self.open.values().filter(|open| open.inbound).count();
        (inbound, self.open.len() - inbound)
    }

    /// Connections being opened by us.
    pub(crate) fn dialling(&self) -> usize {
        self.pending_out.len()
    }

    fn note_failure(&mut self, ip: IpAddr, now: Instant) {
        if self.failures.len() >= self.limits.bans_max && !self.failures.contains_key(&ip) {
            self.failures.clear();
        }
        let failures = self.failures.entry(ip).or_insert(Failures {
            since: now,
            count: 0,
            banned_until: None,
        });
        if now.saturating_duration_since(failures.since) >= MINUTE {
            failures.since = now;
            failures.count = 0;
        }
        failures.count += 1;
        if failures.count > self.limits.handshake_failures_per_minute_max {
            failures.banned_until = Some(now + self.limits.ban);
        }
    }

    fn check_pending_in(&self, ip: Option<IpAddr>, now: Instant) -> Result<(), Refusal> {
        let refused = ip
            .and_then(|ip| self.failures.get(&ip))
            .and_then(|failures| failures.banned_until)
            .is_some_and(|until| until > now);
        if refused {
            return Err(Refusal::Banned);
        }
        let exempt = ip.is_some_and(|ip| self.exempt_ips.contains(&ip));
        if !exempt && self.pending_in.len() >= self.limits.pending_in_max {
            return Err(Refusal::Pending);
        }
        let same = self.pending_in.values().filter(|one| **one == ip).count();
        if ip.is_some() && same >= self.limits.pending_per_ip_max {
            return Err(Refusal::Pending);
        }
        Ok(())
    }

    fn check_open(&self, new: Open) -> Result<(), Refusal> {
        if peer_key_of(&new.peer).is_none() {
            return Err(Refusal::Key);
        }
        if self.is_banned(&new.peer) {
            return Err(Refusal::Banned);
        }
        let limits = &self.limits;
        let count = |counts: &dyn Fn(&Open) -> bool| {
            let others = self.open.values().filter(|open| counts(open));
            others.count()
        };
        if count(&|open| open.peer == new.peer) >= limits.connections_per_peer_max {
            return Err(Refusal::PerPeer);
        }
        if self.exempt.contains(&new.peer) {
            return Ok(());
        }
        if self.full {
            return Err(Refusal::Memory);
        }
        let counted = |open: &Open| !self.exempt.contains(&open.peer);
        if !new.inbound {
            let out = count(&|open| !open.inbound && counted(open));
            return if out < limits.connections_out_max {
                Ok(())
            } else {
                Err(Refusal::Out)
            };
        }
        if count(&|open| open.inbound && counted(open)) >= limits.connections_in_max {
            return Err(Refusal::In);
        }
        let Some(ip) = new.ip else { return Ok(()) };
        let from = |open: &Open| open.inbound && counted(open);
        if count(&|open| from(open) && open.ip == Some(ip)) >= limits.connections_per_ip_max {
            return Err(Refusal::PerIp);
        }
        let prefix = Prefix::of(ip);
        let near = count(&|open| from(open) && open.ip.map(Prefix::of) == Some(prefix));
        if near >= limits.connections_per_prefix_max {
            return Err(Refusal::PerPrefix);
        }
        Ok(())
    }
}

const MINUTE: Duration = Duration::from_secs(60);

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let ip = ip_of(remote);
        self.check_pending_in(ip, Instant::now())
            .map_err(ConnectionDenied::new)?;
        self.pending_in.insert(id, ip);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_in.remove(&id);
        let new = Open {
            peer,
            inbound: true,
            ip: ip_of(remote),
        };
        self.check_open(new).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        _addresses: &[Multiaddr],
        _role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if peer.is_some_and(|peer| self.is_banned(&peer)) {
            return Err(ConnectionDenied::new(Refusal::Banned));
        }
        let exempt = peer.is_some_and(|peer| self.exempt.contains(&peer));
        if !exempt && self.pending_out.len() >= self.limits.pending_out_max {
            return Err(ConnectionDenied::new(Refusal::Pending));
        }
        self.pending_out.insert(id);
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _role: Endpoint,
        _port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_out.remove(&id);
        let new = Open {
            peer,
            inbound: false,
            ip: ip_of(address),
        };
        self.check_open(new).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(made) => {
                let (inbound, address) = match made.endpoint {
                    ConnectedPoint::Dialer { address, .. } => (false, address),
                    ConnectedPoint::Listener { send_back_addr, .. } => (true, send_back_addr),
                };
                let open = Open {
                    peer: made.peer_id,
                    inbound,
                    ip: ip_of(address),
                };
                self.open.insert(made.connection_id, open);
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.open.remove(&closed.connection_id);
            }
            FromSwarm::DialFailure(failure) => {
                self.pending_out.remove(&failure.connection_id);
            }
            FromSwarm::ListenFailure(failure) => {
                self.pending_in.remove(&failure.connection_id);
                let ours = matches!(failure.error, ListenError::Denied { .. });
                if let (false, Some(ip)) = (ours, ip_of(failure.send_back_addr)) {
                    self.note_failure(ip, Instant::now());
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _peer: PeerId,
        _id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(
        &mut self,
        _cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
