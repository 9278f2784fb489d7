//! Peers that speak libp2p and mean harm cost themselves the connection.

use std::time::Duration;

use futures_util::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use kumiki_network::{Multiaddr, PeerKey, peer_key_of};
use libp2p::identity::Keypair;
use libp2p::swarm::{NetworkBehaviour, StreamProtocol, SwarmEvent};
use libp2p::{PeerId, Swarm, identify, noise, tcp, yamux};

use crate::node::{Node, VOTE_BYTES_MAX, passive, until, within};

/// Protocols of the tests' chain begin with this.
const PREFIX: &str = "/kumiki/abababababababab";

#[derive(NetworkBehaviour)]
struct Raw {
    identify: identify::Behaviour,
    streams: libp2p_stream::Behaviour,
}

/// A peer that does what it is told, driven in the background.
struct Attacker {
    key: PeerKey,
    target: PeerId,
    control: libp2p_stream::Control,
    swarm: tokio::task::JoinHandle<()>,
    closed: tokio::sync::watch::Receiver<bool>,
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.swarm.abort();
    }
}

impl Attacker {
    /// Connects to `node`, saying that it speaks `version`; none says nothing.
    async fn connect(node: &Node, version: &str) -> Self {
        let keypair = Keypair::generate_ed25519();
        let key = peer_key_of(&keypair.public().to_peer_id()).unwrap();
        let address: Multiaddr = node.address().await;
        let mut swarm = raw_swarm(keypair, version);
        swarm.dial(address).unwrap();
        let control = swarm.behaviour().streams.new_control();
        let (connected, mut up) = tokio::sync::watch::channel(false);
        let (closing, closed) = tokio::sync::watch::channel(false);
        let task = tokio::spawn(async move {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { .. } => drop(connected.send_replace(true)),
                    SwarmEvent::ConnectionClosed { .. } => {
                        closing.send_replace(true);
                    }
                    _ => {}
                }
            }
        });
        within(up.wait_for(|up| *up)).await.unwrap();
        Self {
            key,
            target: node.network.local_peer_id(),
            control,
            swarm: task,
            closed,
        }
    }

    /// Opens a stream of the channel `name`.
    async fn open(&mut self, name: &str) -> libp2p::Stream {
        let protocol =
            StreamProtocol::try_from_owned(format!("{PREFIX}/channel/{name}/1")).unwrap();
        within(self.control.open_stream(self.target, protocol))
            .await
            .unwrap()
    }

    async fn is_cut_off(&mut self) {
        within(self.closed.wait_for(|closed| *closed))
            .await
            .unwrap();
    }
}

fn raw_swarm(keypair: Keypair, version: &str) -> Swarm<Raw> {
    let identify = identify::Config::new(version.to_owned(), keypair.public());
    libp2p::SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            noise::Config::new,
            yamux::Config::default,
        )
        .unwrap()
        .with_behaviour(|_| Raw {
            identify: identify::Behaviour::new(identify),
            streams: libp2p_stream::Behaviour::new(),
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
        .build()
}

fn same_chain() -> String {
    format!("{PREFIX}/1")
}

/// Waits until `node` has banned `attacker`, by what consensus is told.
async fn banned(node: &Node, attacker: &PeerKey) {
    let mut blocked = commonware_p2p::Blocker::blocked(&mut node.network.oracle());
    loop {
        let set = within(blocked.recv()).await.unwrap();
        if set.position(attacker).is_some() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_frame_costs_the_connection_and_a_ban() {
    let mut node = Node::start(passive(1));
    let mut attacker = Attacker::connect(&node, &same_chain()).await;
    let mut stream = attacker.open("votes").await;
    let mut good = 4_u32.to_le_bytes().to_vec();
    good.extend(b"good");
    stream.write_all(&good).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(
        node.receive(0).await,
        (attacker.key.clone(), b"good".to_vec())
    );
    let length = VOTE_BYTES_MAX + 1;
    stream.write_all(&length.to_le_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    banned(&node, &attacker.key).await;
    attacker.is_cut_off().await;
    assert!(node.network.peers().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_frame_is_not_read() {
    let node = Node::start(passive(1));
    let mut attacker = Attacker::connect(&node, &same_chain()).await;
    let mut stream = attacker.open("votes").await;
    let before = node.metric("received_bytes_total");
    within(async {
        let mut piece = u32::MAX.to_le_bytes().to_vec();
        while stream.write_all(&piece).await.is_ok() {
            piece = vec![0; 64 * 1024];
        }
    })
    .await;
    banned(&node, &attacker.key).await;
    // What arrived is what the stream's window and the socket hold, not what the attacker would send.
    let received = node.metric("received_bytes_total") - before;
    assert!(received < 16_000_000.0, "{received}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_stops_half_way_is_given_up_without_a_ban() {
    let mut config = passive(1);
    config.limits.stall_timeout = Duration::from_millis(200);
    let node = Node::start(config);
    let mut attacker = Attacker::connect(&node, &same_chain()).await;
    let mut stream = attacker.open("votes").await;
    stream.write_all(&1_000_u32.to_le_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut byte = [0];
    let end = within(stream.read(&mut byte)).await;
    assert!(matches!(end, Ok(0) | Err(_)));
    assert!(node.metric("bans_total") < 0.5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_on_a_stream_that_is_ours_to_write_is_an_offence() {
    let node = Node::start(passive(1));
    let keypair = Keypair::generate_ed25519();
    let key = peer_key_of(&keypair.public().to_peer_id()).unwrap();
    let mut swarm = raw_swarm(keypair, &same_chain());
    let protocol = StreamProtocol::try_from_owned(format!("{PREFIX}/channel/votes/1")).unwrap();
    let mut control = swarm.behaviour().streams.new_control();
    let mut incoming = control.accept(protocol).unwrap();
    swarm.dial(node.address().await).unwrap();
    let drive = tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    let (_, mut stream) = within(incoming.next()).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.flush().await.unwrap();
    banned(&node, &key).await;
    drive.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_say_who_it_is_is_dropped() {
    let mut config = passive(1);
    config.limits.identify_timeout = Duration::from_millis(500);
    let node = Node::start(config);
    // It refuses to answer identify by never polling its swarm again.
    let keypair = Keypair::generate_ed25519();
    let mut swarm = raw_swarm(keypair, &same_chain());
    swarm.dial(node.address().await).unwrap();
    within(async {
        while !matches!(
            swarm.select_next_some().await,
            SwarmEvent::ConnectionEstablished { .. }
        ) {}
    })
    .await;
    until("the connection is dropped", async || {
        node.metric("connections{direction=\"in\"}") < 0.5
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_without_end_are_not_read_and_do_not_stop_others() {
    let mut node = Node::start(passive(1));
    let mut attacker = Attacker::connect(&node, &same_chain()).await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(attacker.open("votes").await);
    }
    let mut friend = Node::start(passive(2));
    friend.meet(&node).await;
    let key = node.key();
    until("a message can be sent", async || friend.send(&key, "hello")).await;
    assert_eq!(node.receive(0).await, (friend.key(), b"hello".to_vec()));
}
