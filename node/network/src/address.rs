//! Judge addresses that others tell us, and group them by network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// Longest address that is kept, in bytes of its binary form.
const ADDRESS_BYTES_MAX: usize = 256;

/// How far an address reaches, nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// This machine only.
    Loopback,
    /// A local network.
    Private,
    /// Everywhere.
    Public,
}

/// The network an IP address counts as part of: a /24 of IPv4, a /64 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Prefix(u64);

impl Prefix {
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self(u64::from(u32::from_be_bytes([0, a, b, c])))
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                // The top bits of an IPv6 address in use are never all zero, so no /24 is mistaken for it.
                Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
        }
    }
}

/// `address` without the `/p2p/<peer id>` at its end, and that peer.
pub(crate) fn split_peer(mut address: Multiaddr) -> (Multiaddr, Option<PeerId>) {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => {
            address.pop();
            (address, Some(peer))
        }
        _ => (address, None),
    }
}

/// Whether `address` is one at a relay.
pub(crate) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

/// The IP address at the start of `address`.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)),
        _ => None,
    }
}

/// How far `address` reaches; none when nobody can dial it.
pub(crate) fn reach(address: &Multiaddr) -> Option<Reach> {
    if address.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    let mut parts = address.iter();
    let reach = match parts.next()? {
        Protocol::Ip4(ip) => reach_v4(ip)?,
        Protocol::Ip6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => reach_v4(ip)?,
            None => reach_v6(ip)?,
        },
        Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) => Reach::Public,
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) if port != 0 => {}
        Protocol::Udp(port) if port != 0 && parts.next()? == Protocol::QuicV1 => {}
        _ => return None,
    }
    // What may follow is the way through a relay, and the peer.
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (None, ..) | (Some(Protocol::P2p(_)), None, ..) => Some(reach),
        (Some(Protocol::P2p(_)), Some(Protocol::P2pCircuit), None, _)
        | (Some(Protocol::P2p(_)), Some(Protocol::P2pCircuit), Some(Protocol::P2p(_)), None) => {
            Some(reach)
        }
        _ => None,
    }
}

fn reach_v4(ip: Ipv4Addr) -> Option<Reach> {
    if ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() {
        None
    } else if ip.is_loopback() {
        Some(Reach::Loopback)
    } else if ip.is_private() || ip.is_link_local() || is_shared(ip) {
        Some(Reach::Private)
    } else {
        Some(Reach::Public)
    }
}

/// 100.64.0.0/10, the addresses behind a provider's NAT.
fn is_shared(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && (64..128).contains(&b)
}

fn reach_v6(ip: Ipv6Addr) -> Option<Reach> {
    if ip.is_unspecified() || ip.is_multicast() {
        None
    } else if ip.is_loopback() {
        Some(Reach::Loopback)
    } else if ip.is_unique_local() || ip.is_unicast_link_local() {
        Some(Reach::Private)
    } else {
        Some(Reach::Public)
    }
}

/// Those of `addresses` that `peer` may have, without its id, at most `most`. An address that reaches less far than
/// `nearest` is somebody else's from where we are: it would make us dial into our own machine or network.
pub(crate) fn usable(
    peer: PeerId,
    addresses: impl IntoIterator<Item = Multiaddr>,
    nearest: Reach,
    most: usize,
) -> Vec<Multiaddr> {
    let mut found: Vec<Multiaddr> = Vec::new();
    for address in addresses {
        let (address, named) = split_peer(address);
        let fits = named.is_none_or(|named| named == peer)
            && reach(&address).is_some_and(|reach| reach >= nearest);
        if fits && !found.contains(&address) {
            found.push(address);
        }
        if found.len() >= most {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach_of(address: &str) -> Option<Reach> {
        reach(&address.parse().expect("an address"))
    }

    #[test]
    fn addresses_nobody_can_dial_are_refused() {
        assert_eq!(reach_of("/ip4/0.0.0.0/tcp/1"), None);
        assert_eq!(reach_of("/ip4/1.2.3.4/tcp/0"), None);
        assert_eq!(reach_of("/ip4/224.0.0.1/tcp/1"), None);
        assert_eq!(reach_of("/ip6/::/tcp/1"), None);
        assert_eq!(reach_of("/ip4/1.2.3.4/udp/1"), None);
        assert_eq!(reach_of("/memory/1"), None);
        assert_eq!(reach_of("/ip4/1.2.3.4/tcp/1/http"), None);
    }

    #[test]
    fn reach_is_that_of_the_first_hop() {
        assert_eq!(reach_of("/ip4/127.0.0.1/tcp/1"), Some(Reach::Loopback));
        assert_eq!(reach_of("/ip4/10.0.0.1/tcp/1"), Some(Reach::Private));
        assert_eq!(reach_of("/ip4/100.64.0.1/tcp/1"), Some(Reach::Private));
        assert_eq!(
            reach_of("/ip6/::ffff:127.0.0.1/tcp/1"),
            Some(Reach::Loopback)
        );
        assert_eq!(reach_of("/ip4/8.8.8.8/udp/1/quic-v1"), Some(Reach::Public));
        assert_eq!(reach_of("/dns4/a.example/tcp/1"), Some(Reach::Public));
        let relayed = format!("/ip4/8.8.8.8/tcp/1/p2p/{}/p2p-circuit", PeerId::random());
        assert_eq!(reach_of(&relayed), Some(Reach::Public));
    }

    #[test]
    fn a_peer_cannot_give_addresses_of_others_or_of_our_machine() {
        let peer = PeerId::random();
        let given = [
            format!("/ip4/8.8.8.8/tcp/1/p2p/{}", PeerId::random()),
            "/ip4/127.0.0.1/tcp/22".to_owned(),
            "/ip4/8.8.8.8/tcp/2".to_owned(),
            format!("/ip4/8.8.8.8/tcp/2/p2p/{peer}"),
        ];
        let given = given.map(|one| one.parse().expect("an address"));
        let usable = usable(peer, given, Reach::Private, 8);
        let expected: Multiaddr = "/ip4/8.8.8.8/tcp/2".parse().expect("an address");
        assert_eq!(usable, [expected]);
    }
}
