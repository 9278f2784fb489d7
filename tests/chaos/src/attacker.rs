//! Peers that mean harm: real libp2p connections to a node, and what is done over them.

use std::time::Duration;

use futures_util::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use kumiki_protocol::Hash;
use libp2p::identity::Keypair;
use libp2p::swarm::{NetworkBehaviour, StreamProtocol, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, identify, noise, tcp, yamux};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;

use crate::Net;

/// Written at a time.
const PIECE: usize = 64 * 1024;
/// Connections that one attacker without a handshake holds.
const RAW_CONNECTIONS: usize = 32;

/// A node to attack.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens.
    pub address: Multiaddr,
    /// Its host and port.
    pub socket: std::net::SocketAddr,
    /// Who it is.
    pub peer: PeerId,
    /// What the protocols of its chain begin with.
    pub prefix: String,
}

impl Target {
    /// A node of a local network whose genesis has this hash, by what it says of itself.
    ///
    /// # Errors
    /// When it is not ready, or says something else than an address and a peer id.
    pub fn of(net: &Net, node: usize, genesis: &Hash) -> Result<Self, String> {
        let said = net.peer_address(node)?;
        let odd = || format!("node {node} is at '{said}'");
        let (address, peer) = said.rsplit_once("/p2p/").ok_or_else(odd)?;
        let port = address.rsplit('/').next().ok_or_else(odd)?;
        let port: u16 = port.parse().map_err(|_not_a_port| odd())?;
        let start: String = genesis
            .0
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Self {
            socket: ([127, 0, 0, 1], port).into(),
            address: address.parse().map_err(|_not_an_address| odd())?,
            peer: peer.parse().map_err(|_not_a_peer| odd())?,
            prefix: format!("/kumiki/{start}"),
        })
    }
}

/// What is sent over a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Bytes without meaning, in frames that are well formed.
    Garbage,
    /// A frame that says it is larger than any may be, and zeros as long as they are taken.
    Endless,
    /// A frame that comes a byte at a time.
    Drip,
    /// Frames as fast as they are taken.
    Flood,
    /// Half a frame, and no more.
    Half,
    /// Streams that are opened and left.
    Streams,
}

/// All of them.
pub const HARMS: [Harm; 6] = [
    Harm::Garbage,
    Harm::Endless,
    Harm::Drip,
    Harm::Flood,
    Harm::Half,
    Harm::Streams,
];

/// Every protocol that a node speaks; see docs/spec/network.md.
#[must_use]
pub fn protocols(prefix: &str) -> Vec<String> {
    let channels = [
        "votes",
        "certificates",
        "views",
        "proposals",
        "blocks",
        "news",
        "state",
    ];
    let mut all: Vec<String> = channels
        .iter()
        .map(|channel| format!("{prefix}/channel/{channel}/1"))
        .collect();
    all.extend(["1.0.0", "1.1.0"].map(|one| format!("{prefix}/gossip/{one}")));
    all.push(format!("{prefix}/kad/1"));
    let general = [
        "/ipfs/id/1.0.0",
        "/ipfs/id/push/1.0.0",
        "/ipfs/ping/1.0.0",
        "/libp2p/autonat/2/dial-request",
        "/libp2p/autonat/2/dial-back",
        "/libp2p/circuit/relay/0.2.0/hop",
        "/libp2p/circuit/relay/0.2.0/stop",
        "/libp2p/dcutr",
    ];
    all.extend(general.map(str::to_owned));
    all
}

/// What came of an attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Streams that the node took.
    pub taken: usize,
    /// Whether the node ended the connection.
    pub cut_off: bool,
}

#[derive(NetworkBehaviour)]
struct Raw {
    identify: identify::Behaviour,
    streams: libp2p_stream::Behaviour,
}

/// Does harm over one protocol for `time`, as a peer of its own.
///
/// # Errors
/// When no swarm can be made.
pub async fn attack(
    target: &Target,
    protocol: &str,
    harm: Harm,
    time: Duration,
) -> Result<Outcome, String> {
    attack_as(Keypair::generate_ed25519(), target, protocol, harm, time).await
}

/// The same, as the peer whose key this is.
///
/// # Errors
/// When no swarm can be made.
pub async fn attack_as(
    keypair: Keypair,
    target: &Target,
    protocol: &str,
    harm: Harm,
    time: Duration,
) -> Result<Outcome, String> {
    let mut swarm = swarm(keypair, &target.prefix)?;
    let control = swarm.behaviour().streams.new_control();
    swarm
        .dial(target.address.clone())
        .map_err(|error| error.to_string())?;
    let (connected, mut up) = watch::channel(false);
    let (closing, closed) = watch::channel(false);
    let driver = tokio::spawn(async move {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => drop(connected.send_replace(true)),
                SwarmEvent::ConnectionClosed { .. } => drop(closing.send_replace(true)),
                _ => {}
            }
        }
    });
    let (taken, seen) = watch::channel(0);
    let work = async {
        if up.wait_for(|up| *up).await.is_ok() {
            do_harm(control, target.peer, protocol, harm, &taken).await;
        }
        // What the node does about it may come later.
        std::future::pending::<()>().await;
    };
    // It ends when the time is over; a node that cuts it off has ended it before.
    drop(tokio::time::timeout(time, work).await);
    driver.abort();
    let (taken, cut_off) = (*seen.borrow(), *closed.borrow());
    Ok(Outcome { taken, cut_off })
}

async fn do_harm(
    mut control: libp2p_stream::Control,
    peer: PeerId,
    protocol: &str,
    harm: Harm,
    taken: &watch::Sender<usize>,
) {
    let Ok(protocol) = StreamProtocol::try_from_owned(protocol.to_owned()) else {
        return;
    };
    let mut left_open = Vec::new();
    // A node that does not take the stream has nothing to fear from it.
    while let Ok(mut stream) = control.open_stream(peer, protocol.clone()).await {
        taken.send_modify(|taken| *taken += 1);
        if matches!(harm, Harm::Half | Harm::Streams) {
            if write(&mut stream, &protocol, harm, 0).await.is_ok() {
                left_open.push(stream);
            }
            continue;
        }
        let mut answer = vec![0; PIECE];
        let mut pieces = 0;
        while write(&mut stream, &protocol, harm, pieces).await.is_ok() {
            pieces += 1;
            // What it answers is read, so that it does not stop for that.
            let read = stream.read(&mut answer);
            drop(tokio::time::timeout(Duration::from_millis(1), read).await);
        }
    }
}

/// Sends piece number `number`.
async fn write(
    stream: &mut libp2p::Stream,
    protocol: &StreamProtocol,
    harm: Harm,
    number: usize,
) -> std::io::Result<()> {
    let frame = |length, bytes: Vec<u8>| [length_bytes(protocol, length), bytes].concat();
    let piece = match harm {
        Harm::Garbage => frame(64, vec![0xa5; 64]),
        Harm::Endless => frame(u32::MAX, vec![0; PIECE]),
        Harm::Drip if number == 0 => frame(500, vec![1]),
        Harm::Drip => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            vec![1]
        }
        Harm::Flood => frame(900, vec![0x0a; 900]).repeat(32),
        Harm::Half => frame(900, vec![0x0a; 450]),
        Harm::Streams => Vec::new(),
    };
    stream.write_all(&piece).await?;
    stream.flush().await
}

/// How a protocol says the length of what follows: our channels in four bytes, libp2p's own as a varint.
fn length_bytes(protocol: &StreamProtocol, mut length: u32) -> Vec<u8> {
    if protocol.as_ref().contains("/channel/") {
        return length.to_le_bytes().to_vec();
    }
    let mut bytes = Vec::new();
    loop {
        let [low, ..] = length.to_le_bytes();
        length >>= 7;
        if length == 0 {
            bytes.push(low & 0x7f);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Connects without a handshake, many times: some say nothing, some say nonsense for as long as they are heard.
pub async fn attack_before_the_handshake(target: &Target, time: Duration) {
    let socket = target.socket;
    let connections = (0..RAW_CONNECTIONS).map(|number| {
        tokio::spawn(async move {
            let talk = async {
                loop {
                    let Ok(mut stream) = tokio::net::TcpStream::connect(socket).await else {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    };
                    if number % 4 == 0 {
                        tokio::time::sleep(Duration::from_millis(500)).await;
                        continue;
                    }
                    while stream.write_all(&[0x7f; 1_024]).await.is_ok() {}
                }
            };
            drop(tokio::time::timeout(time, talk).await);
        })
    });
    for connection in connections.collect::<Vec<_>>() {
        drop(connection.await);
    }
}

fn swarm(keypair: Keypair, prefix: &str) -> Result<Swarm<Raw>, String> {
    let identify = identify::Config::new(format!("{prefix}/1"), keypair.public());
    let built = libp2p::SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            noise::Config::new,
            yamux::Config::default,
        )
        .map_err(|error| error.to_string())?
        .with_behaviour(|_| Raw {
            identify: identify::Behaviour::new(identify),
            streams: libp2p_stream::Behaviour::new(),
        })
        .map_err(|error| error.to_string())?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
        .build();
    Ok(built)
}
