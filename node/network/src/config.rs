//! Hold what a network is started with, every limit with its unit.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use kumiki_protocol::{Hash, SecretKey};
use libp2p::{Multiaddr, StreamProtocol};

use crate::NetworkError;

/// A channel or topic name is at most this long.
const NAME_BYTES_MAX: usize = 64;

/// What a network is started with.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The node's key; its public half is the peer id.
    pub key: SecretKey,
    /// The chain. Peers of another chain are refused.
    pub genesis_hash: Hash,
    /// Where to listen; port 0 takes a free one.
    pub listen: Vec<Multiaddr>,
    /// Addresses under which others reach this node, when it cannot see them itself.
    pub external: Vec<Multiaddr>,
    /// Peers to begin with, with or without `/p2p/<peer id>` at the end.
    pub bootstrap: Vec<Multiaddr>,
    /// Where peers of earlier runs are kept; none keeps them in memory only.
    pub known_peers_file: Option<PathBuf>,
    /// What this node calls itself to peers.
    pub agent: String,
    /// Find peers through other peers (Kademlia). Without it only bootstrap, stored and dialled peers are connected.
    pub discovery: bool,
    /// Find peers on the local network.
    pub mdns: bool,
    /// Dial QUIC addresses, and listen on those in `listen`.
    pub quic: bool,
    /// Let peers that nobody can reach be reached through this node.
    pub relay_server: bool,
    /// Be reachable through relays.
    pub relay_client: bool,
    /// Turn relayed connections into direct ones. Needs `relay_client`.
    pub dcutr: bool,
    /// Ask peers whether this node can be reached, and answer their questions.
    pub autonat: bool,
    /// The bounds.
    pub limits: NetworkLimits,
}

impl NetworkConfig {
    /// A node of the chain `genesis_hash` that listens on `listen`, with everything else as most nodes need it.
    #[must_use]
    pub fn new(key: SecretKey, genesis_hash: Hash, listen: Vec<Multiaddr>) -> Self {
        Self {
            key,
            genesis_hash,
            listen,
            external: Vec::new(),
            bootstrap: Vec::new(),
            known_peers_file: None,
            agent: concat!("kumiki/", env!("CARGO_PKG_VERSION")).to_owned(),
            discovery: true,
            mdns: false,
            quic: false,
            relay_server: false,
            relay_client: false,
            dcutr: false,
            autonat: false,
            limits: NetworkLimits::default(),
        }
    }

    /// What every protocol of this chain starts with, as in `/kumiki/0011223344556677`.
    pub(crate) fn protocol_prefix(&self) -> String {
        let (chain, _) = self.genesis_hash.0.split_at(8);
        format!("/kumiki/{}", hex::encode(chain))
    }

    /// The protocol `name` of this chain.
    pub(crate) fn protocol(&self, name: &str) -> Result<StreamProtocol, NetworkError> {
        let full = format!("{}/{name}", self.protocol_prefix());
        StreamProtocol::try_from_owned(full).map_err(|error| NetworkError::Setup {
            part: "protocol name",
            problem: error.to_string(),
        })
    }
}

/// The bounds of a network. Connections to tracked validators do not count against those on connections.
#[derive(Debug, Clone)]
pub struct NetworkLimits {
    /// Connect to more peers while fewer than this are connected.
    pub target_peers: usize,
    /// Connections that others opened.
    pub connections_in_max: usize,
    /// Connections that this node opened.
    pub connections_out_max: usize,
    /// Connections with one peer.
    pub connections_per_peer_max: usize,
    /// Connections from one IP address.
    pub connections_per_ip_max: usize,
    /// Connections from one /24 (IPv4) or /64 (IPv6).
    pub connections_per_prefix_max: usize,
    /// Connections that others are opening, before their handshake is done.
    pub pending_in_max: usize,
    /// Of these, from one IP address.
    pub pending_per_ip_max: usize,
    /// Connections that this node is opening.
    pub pending_out_max: usize,
    /// Failed handshakes from one IP address within a minute; after that it is refused for `ban`.
    pub handshake_failures_per_minute_max: u32,
    /// Longest handshake.
    pub handshake_timeout: Duration,
    /// A peer must have said who it is after this.
    pub identify_timeout: Duration,
    /// A connection without any open stream is closed after this.
    pub idle_timeout: Duration,
    /// A stream on which a started frame makes no progress for this long is closed.
    pub stall_timeout: Duration,
    /// How long a ban lasts.
    pub ban: Duration,
    /// Peers and IP addresses on the ban list.
    pub bans_max: usize,
    /// First wait before a failed peer is dialled again; it doubles each time.
    pub redial_delay_min: Duration,
    /// Longest such wait.
    pub redial_delay_max: Duration,
    /// Time between two searches for unknown peers while enough are connected.
    pub walk_interval: Duration,
    /// Bytes sent per second, all peers together; none is unlimited.
    pub upload_bytes_per_second: Option<NonZeroU64>,
    /// Bytes received per second, all peers together; none is unlimited.
    pub download_bytes_per_second: Option<NonZeroU64>,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            target_peers: 32,
            connections_in_max: 128,
            connections_out_max: 64,
            connections_per_peer_max: 3,
            connections_per_ip_max: 8,
            connections_per_prefix_max: 32,
            pending_in_max: 64,
            pending_per_ip_max: 8,
            pending_out_max: 32,
            handshake_failures_per_minute_max: 20,
            handshake_timeout: Duration::from_secs(10),
            identify_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(60),
            ban: Duration::from_secs(600),
            bans_max: 10_000,
            redial_delay_min: Duration::from_secs(1),
            redial_delay_max: Duration::from_secs(60),
            walk_interval: Duration::from_secs(300),
            upload_bytes_per_second: None,
            download_bytes_per_second: None,
        }
    }
}

impl NetworkLimits {
    /// Limits for many nodes on one machine: all of them share an IP address.
    #[must_use]
    pub fn loopback() -> Self {
        let default = Self::default();
        Self {
            connections_per_ip_max: default.connections_in_max,
            connections_per_prefix_max: default.connections_in_max,
            pending_per_ip_max: default.pending_in_max,
            redial_delay_min: Duration::from_millis(200),
            redial_delay_max: Duration::from_secs(2),
            walk_interval: Duration::from_secs(10),
            ..default
        }
    }
}

/// What a full queue does with one more message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Refuse it: what waits is served first.
    DropNewest,
    /// Let it push out the one that waits longest: only recent messages matter.
    DropOldest,
}

/// Who may use a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Every connected peer.
    Everyone,
    /// Tracked validators only: others are neither sent to nor heard.
    Primary,
}

/// What one peer may send over one channel. What exceeds it waits; it is no offence.
#[derive(Debug, Clone, Copy)]
pub struct ChannelQuota {
    /// Messages per second; as many may come at once.
    pub messages_per_second: NonZeroU32,
    /// Bytes per second; as many, or one largest message, may come at once.
    pub bytes_per_second: NonZeroU64,
}

/// One kind of messages between two peers.
#[derive(Debug, Clone)]
pub struct ChannelSpec {
    /// Its name, part of the protocol name: letters, digits and `-`.
    pub name: String,
    /// Longest message; the first longer one ends the connection.
    pub message_bytes_max: u32,
    /// Messages that wait for one peer.
    pub outbound_queue: usize,
    /// Messages of all peers that wait for the receiver. When it is full, reading from the peers pauses.
    pub inbound_queue: usize,
    /// What one peer may send.
    pub quota: ChannelQuota,
    /// What a full outbound queue does.
    pub when_full: WhenFull,
    /// Who takes part.
    pub audience: Audience,
}

impl ChannelSpec {
    pub(crate) fn check(&self) -> Result<(), NetworkError> {
        let problem = if !is_name(&self.name) {
            "the name must be 1 to 64 lower-case letters, digits or hyphens"
        } else if self.outbound_queue == 0 || self.inbound_queue == 0 {
            "a queue must hold at least one message"
        } else {
            return Ok(());
        };
        Err(NetworkError::Spec {
            what: "channel",
            name: self.name.clone(),
            problem,
        })
    }
}

/// One kind of messages that every node passes on to others.
#[derive(Debug, Clone)]
pub struct TopicSpec {
    /// Its name: letters, digits and `-`.
    pub name: String,
    /// Longest message; longer ones are not published, and rejected when they come.
    pub message_bytes_max: u32,
    /// Messages that wait for the receiver. When it is full, new ones are not passed on.
    pub inbound_queue: usize,
}

impl TopicSpec {
    pub(crate) fn check(&self) -> Result<(), NetworkError> {
        let problem = if !is_name(&self.name) {
            "the name must be 1 to 64 lower-case letters, digits or hyphens"
        } else if self.inbound_queue == 0 {
            "a queue must hold at least one message"
        } else {
            return Ok(());
        };
        Err(NetworkError::Spec {
            what: "topic",
            name: self.name.clone(),
            problem,
        })
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
