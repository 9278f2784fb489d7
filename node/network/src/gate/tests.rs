//! Knock at the gate.

use std::io;

use kumiki_protocol::SecretKey;
use libp2p::TransportError;
use libp2p::swarm::behaviour::ConnectionEstablished;
use libp2p::swarm::{ConnectionClosed, ListenFailure};

use super::*;
use crate::identity;

fn peer(seed: u8) -> PeerId {
    let key = SecretKey::from_seed([seed; 32]);
    identity::keypair(&key).unwrap().public().to_peer_id()
}

fn limits() -> NetworkLimits {
    NetworkLimits {
        connections_in_max: 4,
        connections_out_max: 1,
        connections_per_peer_max: 1,
        connections_per_ip_max: 2,
        connections_per_prefix_max: 3,
        pending_in_max: 3,
        pending_per_ip_max: 2,
        pending_out_max: 1,
        handshake_failures_per_minute_max: 3,
        bans_max: 2,
        ..NetworkLimits::default()
    }
}

/// A gate and the connections it was asked for.
struct Door {
    gate: Gate,
    asked: usize,
}

impl Door {
    fn new() -> Self {
        let gate = Gate::new(limits());
        Self { gate, asked: 0 }
    }

    fn id(&mut self) -> ConnectionId {
        self.asked += 1;
        ConnectionId::new_unchecked(self.asked)
    }

    fn knock(&mut self, ip: &str) -> Result<ConnectionId, Refusal> {
        let id = self.id();
        let remote = remote(ip);
        self.gate
            .handle_pending_inbound_connection(id, &Multiaddr::empty(), &remote)
            .map(|()| id)
            .map_err(|denied| denied.downcast().unwrap())
    }

    fn enter(&mut self, seed: u8, ip: &str) -> Result<ConnectionId, Refusal> {
        let id = self.knock(ip)?;
        let remote = remote(ip);
        let (local, peer) = (Multiaddr::empty(), peer(seed));
        self.gate
            .handle_established_inbound_connection(id, peer, &local, &remote)
            .map_err(|denied| denied.downcast::<Refusal>().unwrap())?;
        let endpoint = ConnectedPoint::Listener {
            local_addr: local,
            send_back_addr: remote,
        };
        self.established(id, peer, &endpoint);
        Ok(id)
    }

    fn dial(&mut self, seed: u8, ip: &str) -> Result<ConnectionId, Refusal> {
        let id = self.id();
        let (address, peer) = (remote(ip), peer(seed));
        let (role, port_use) = (Endpoint::Dialer, PortUse::Reuse);
        let refusal = |denied: ConnectionDenied| denied.downcast::<Refusal>().unwrap();
        let addresses = std::slice::from_ref(&address);
        self.gate
            .handle_pending_outbound_connection(id, Some(peer), addresses, role)
            .map_err(refusal)?;
        self.gate
            .handle_established_outbound_connection(id, peer, &address, role, port_use)
            .map_err(refusal)?;
        let endpoint = ConnectedPoint::Dialer {
            address,
            role_override: role,
            port_use,
        };
        self.established(id, peer, &endpoint);
        Ok(id)
    }

    fn established(
        &mut self,
        connection_id: ConnectionId,
        peer_id: PeerId,
        endpoint: &ConnectedPoint,
    ) {
        self.gate
            .on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                failed_addresses: &[],
                other_established: 0,
            }));
    }

    fn leave(&mut self, id: ConnectionId, seed: u8) {
        let endpoint = ConnectedPoint::Listener {
            local_addr: Multiaddr::empty(),
            send_back_addr: Multiaddr::empty(),
        };
        self.gate
            .on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id: peer(seed),
                connection_id: id,
                endpoint: &endpoint,
                cause: None,
                remaining_established: 0,
            }));
    }

    fn fail(&mut self, id: ConnectionId, ip: &str) {
        let error = ListenError::Transport(TransportError::Other(io::Error::other("no handshake")));
        self.gate
            .on_swarm_event(FromSwarm::ListenFailure(ListenFailure {
                local_addr: &Multiaddr::empty(),
                send_back_addr: &remote(ip),
                error: &error,
                connection_id: id,
                peer_id: None,
            }));
    }
}

fn remote(ip: &str) -> Multiaddr {
    format!("/ip4/{ip}/tcp/1").parse().unwrap()
}

#[test]
fn each_limit_refuses_what_exceeds_it_and_makes_room_again() {
    let mut door = Door::new();
    let first = door.enter(1, "1.1.1.1").unwrap();
    assert_eq!(door.enter(1, "1.1.1.1"), Err(Refusal::PerPeer));
    door.enter(2, "1.1.1.1").unwrap();
    assert_eq!(door.enter(3, "1.1.1.1"), Err(Refusal::PerIp));
    door.enter(3, "1.1.1.2").unwrap();
    assert_eq!(door.enter(4, "1.1.1.3"), Err(Refusal::PerPrefix));
    door.enter(4, "1.1.2.1").unwrap();
    assert_eq!(door.enter(5, "2.1.1.1"), Err(Refusal::In));
    door.leave(first, 1);
    door.enter(5, "2.1.1.1").unwrap();
    door.dial(6, "2.1.1.1").unwrap();
    assert_eq!(door.dial(7, "3.1.1.1"), Err(Refusal::Out));
    assert_eq!(door.gate.connections(), (4, 1));
}

#[test]
fn validators_enter_a_full_node_and_take_no_place() {
    let mut door = Door::new();
    door.gate.exempt([peer(9), peer(10)].into());
    door.enter(9, "1.1.1.1").unwrap();
    for seed in 1..=2 {
        door.enter(seed, "1.1.1.1").unwrap();
    }
    assert_eq!(door.enter(3, "1.1.1.1"), Err(Refusal::PerIp));
    door.enter(10, "1.1.1.1").unwrap();
    door.dial(4, "1.1.1.1").unwrap();
}

#[test]
fn only_validators_enter_when_memory_is_short() {
    let mut door = Door::new();
    door.gate.exempt([peer(9)].into());
    door.gate.set_full(true);
    assert_eq!(door.enter(1, "1.1.1.1"), Err(Refusal::Memory));
    assert_eq!(door.dial(1, "1.1.1.1"), Err(Refusal::Memory));
    door.enter(9, "1.1.1.1").unwrap();
    door.gate.set_full(false);
    door.enter(1, "1.1.1.1").unwrap();
}

#[test]
fn unfinished_handshakes_are_limited_in_all_and_by_address() {
    let mut door = Door::new();
    let first = door.knock("1.1.1.1").unwrap();
    door.knock("1.1.1.1").unwrap();
    assert_eq!(door.knock("1.1.1.1"), Err(Refusal::Pending));
    door.knock("1.1.1.2").unwrap();
    assert_eq!(door.knock("1.1.1.3"), Err(Refusal::Pending));
    door.fail(first, "1.1.1.1");
    door.knock("1.1.1.3").unwrap();
}

#[test]
fn slow_handshakes_do_not_keep_validators_out() {
    let mut door = Door::new();
    for ip in ["1.1.1.1", "1.1.1.2", "1.1.1.3"] {
        door.knock(ip).unwrap();
    }
    assert_eq!(door.knock("2.1.1.1"), Err(Refusal::Pending));
    door.gate.exempt_ips([IpAddr::from([2, 1, 1, 1])].into());
    door.knock("2.1.1.1").unwrap();
    door.knock("2.1.1.1").unwrap();
    assert_eq!(door.knock("2.1.1.1"), Err(Refusal::Pending));
}

#[test]
fn an_address_with_many_failed_handshakes_is_refused() {
    let mut door = Door::new();
    for _ in 0..4 {
        let id = door.knock("1.1.1.1").unwrap();
        door.fail(id, "1.1.1.1");
    }
    assert_eq!(door.knock("1.1.1.1"), Err(Refusal::Banned));
    door.knock("1.1.1.2").unwrap();
    door.gate.expire(Instant::now() + limits().ban + MINUTE);
    door.knock("1.1.1.1").unwrap();
}

#[test]
fn bans_hold_in_both_directions_and_end() {
    let mut door = Door::new();
    let now = Instant::now();
    door.gate.ban(peer(1), now + MINUTE);
    assert_eq!(door.enter(1, "1.1.1.1"), Err(Refusal::Banned));
    assert_eq!(door.dial(1, "1.1.1.1"), Err(Refusal::Banned));
    assert!(!door.gate.expire(now));
    assert!(door.gate.expire(now + MINUTE));
    door.enter(1, "1.1.1.1").unwrap();
    for seed in 2..5 {
        door.gate.ban(peer(seed), now + MINUTE * u32::from(seed));
    }
    assert!(!door.gate.is_banned(&peer(2)), "the list is bounded");
    assert!(door.gate.is_banned(&peer(4)));
}

#[test]
fn peers_with_other_kinds_of_keys_are_refused() {
    let mut door = Door::new();
    let id = door.knock("1.1.1.1").unwrap();
    let (local, remote) = (Multiaddr::empty(), remote("1.1.1.1"));
    let denied = door
        .gate
        .handle_established_inbound_connection(id, PeerId::random(), &local, &remote)
        .err()
        .unwrap();
    assert_eq!(denied.downcast::<Refusal>().unwrap(), Refusal::Key);
}
