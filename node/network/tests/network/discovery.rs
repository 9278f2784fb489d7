//! Nodes find each other, and each other again.

use commonware_p2p::{Manager as _, Recipients, Sender as _};
use commonware_utils::ordered::Set;
use kumiki_network::NetworkConfig;
use kumiki_protocol::Hash;

use crate::node::{Node, config, passive, until};

/// A node that begins with `other`.
async fn after(seed: u8, other: &Node) -> NetworkConfig {
    let mut config = config(seed);
    config.bootstrap = vec![other.address().await];
    config
}

async fn all_met(nodes: &[&Node]) {
    for (place, one) in nodes.iter().enumerate() {
        for other in nodes.iter().skip(place + 1) {
            one.met(other).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_find_all_from_one_address() {
    let a = Node::start(config(1));
    let b = Node::start(after(2, &a).await);
    let mut without_peer_id = after(3, &a).await;
    for address in &mut without_peer_id.bootstrap {
        address.pop();
    }
    let c = Node::start(without_peer_id);
    let d = Node::start(after(4, &a).await);
    all_met(&[&a, &b, &c, &d]).await;
    let info = a.peer(&b).await.unwrap();
    assert!(info.score >= 0.0);
    assert!(info.agent.starts_with("kumiki/"));
    assert!(info.bytes_received > 0 && info.bytes_sent > 0);
    until("the metrics agree", async || a.metric("peers") > 2.5).await;
    assert!(a.metric("routing_peers") > 0.5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_takes_in_new_nodes_without_its_first_one() {
    let a = Node::start(config(1));
    let b = Node::start(after(2, &a).await);
    let c = Node::start(after(3, &a).await);
    all_met(&[&a, &b, &c]).await;
    let gone = a.address().await;
    a.network.shutdown().await;
    let mut late = after(4, &c).await;
    late.bootstrap.insert(0, gone);
    let d = Node::start(late);
    all_met(&[&b, &c, &d]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_comes_back_through_the_peers_it_has_stored() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("peers.json");
    let a = Node::start(config(1));
    let mut first = after(2, &a).await;
    first.known_peers_file = Some(file.clone());
    let b = Node::start(first);
    b.met(&a).await;
    b.network.shutdown().await;
    let mut second = config(2);
    second.known_peers_file = Some(file);
    let b = Node::start(second);
    b.met(&a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_moved_is_found_through_a_third() {
    let c = Node::start(config(3));
    let mut a = Node::start(after(1, &c).await);
    let b = Node::start(after(2, &c).await);
    all_met(&[&a, &b, &c]).await;
    let validators = Set::from_iter_dedup([a.key(), b.key()]);
    a.network.oracle().track(0, validators);
    let old = b.address().await;
    b.network.shutdown().await;
    until("the connection is down", async || {
        a.peer(&b).await.is_none()
    })
    .await;
    let mut b = Node::start(after(2, &c).await);
    assert_ne!(old, b.address().await);
    b.met(&a).await;
    let moved = b.key();
    until("a message can be sent", async || {
        a.send(&moved, "welcome back")
    })
    .await;
    assert_eq!(b.receive(0).await, (a.key(), b"welcome back".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_look_for_each_other_even_with_enough_peers() {
    let c = Node::start(config(3));
    let start = async |seed| {
        let mut config = after(seed, &c).await;
        config.limits.target_peers = 1;
        Node::start(config)
    };
    let (a, b) = (start(1).await, start(2).await);
    all_met(&[&a, &c]).await;
    all_met(&[&b, &c]).await;
    let validators = Set::from_iter_dedup([a.key(), b.key()]);
    a.network.oracle().track(0, validators);
    a.met(&b).await;
    assert!(a.peer(&b).await.unwrap().tracked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_chain_is_refused() {
    let mut a = Node::start(config(1));
    let mut other = after(2, &a).await;
    other.genesis_hash = Hash([0xcd; 32]);
    let b = Node::start(other);
    // Whoever hears first whom it has to do with closes the connection.
    until("one has refused", async || {
        a.metric("bans_total") + b.metric("bans_total") > 0.5
    })
    .await;
    for node in [&a, &b] {
        assert!(node.network.peers().await.unwrap().is_empty());
    }
    let sender = &mut a.channels.first_mut().unwrap().sender;
    assert!(
        sender
            .send(Recipients::All, b"hello".to_vec(), false)
            .is_empty()
    );
    // Its own kind is still welcome.
    let c = Node::start(after(3, &a).await);
    c.met(&a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_shutdown_everything_says_so() {
    let mut a = Node::start(passive(1));
    let b = Node::start(passive(2));
    a.meet(&b).await;
    a.network.shutdown().await;
    a.network.shutdown().await;
    assert!(a.network.peers().await.is_err());
    let channel = a.channels.first_mut().unwrap();
    assert!(
        commonware_p2p::Receiver::recv(&mut channel.receiver)
            .await
            .is_err()
    );
    let topic = a.topics.first_mut().unwrap();
    assert!(topic.messages.recv().await.is_none());
    until("the other has noticed", async || b.peer(&a).await.is_none()).await;
}
