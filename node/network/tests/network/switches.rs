//! The parts that are off by default work when they are on.

use kumiki_network::{Multiaddr, NetworkConfig};
use libp2p::multiaddr::Protocol;

use crate::node::{Node, config, passive, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_meet_over_quic() {
    let quic = |seed| {
        let listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
        NetworkConfig {
            listen,
            quic: true,
            ..passive(seed)
        }
    };
    let (mut a, mut b) = (Node::start(quic(1)), Node::start(quic(2)));
    a.meet(&b).await;
    let key = b.key();
    assert!(a.send(&key, "over quic"));
    assert_eq!(b.receive(0).await, (a.key(), b"over quic".to_vec()));
    assert!(a.metric("sent_bytes_total") > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_nobody_can_reach_is_reached_through_a_relay() {
    let relay = Node::start(NetworkConfig {
        relay_server: true,
        ..passive(1)
    });
    let mut hidden = Node::start(NetworkConfig {
        listen: Vec::new(),
        relay_client: true,
        ..passive(2)
    });
    let mut other = Node::start(NetworkConfig {
        relay_client: true,
        ..passive(3)
    });
    hidden.network.dial(relay.address().await).unwrap();
    hidden.met(&relay).await;
    let through: Multiaddr = hidden.address().await;
    assert!(through.iter().any(|part| part == Protocol::P2pCircuit));
    other.network.dial(through).unwrap();
    other.met(&hidden).await;
    let key = hidden.key();
    until("a message can be sent", async || {
        other.send(&key, "through the relay")
    })
    .await;
    let expected = (other.key(), b"through the relay".to_vec());
    assert_eq!(hidden.receive(0).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_at_once_starts_and_connects() {
    let all = |seed| NetworkConfig {
        mdns: true,
        quic: true,
        relay_server: true,
        relay_client: true,
        dcutr: true,
        autonat: true,
        ..config(seed)
    };
    let (a, b) = (Node::start(all(1)), Node::start(all(2)));
    a.meet(&b).await;
}
