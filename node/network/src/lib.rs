//! Connect a node to its peers: one libp2p swarm, channels between peers, gossip, limits.
//!
//! [`Network::start`] runs the swarm in a task of its own and hands out what the rest of the node works with:
//! channels (direct streams to each peer, with the senders and receivers of `commonware-p2p`, so that consensus
//! runs over them as it is), gossip topics, and an [`Oracle`] that tells who is connected and takes the validator
//! set. A peer's id is its ed25519 key, so the sender of each message is the key that the connection's Noise
//! handshake proved. Everything a peer can make us keep is bounded, and the first malformed byte costs it the
//! connection. `docs/spec/network.md` is the prose.

mod address;
mod address_book;
mod bandwidth;
mod behaviour;
mod channel;
mod config;
mod driver;
mod error;
mod gate;
mod gossip;
mod identity;
mod known_peers;
mod metrics;
mod network;
mod oracle;
mod pace;
mod peer_sets;
mod score;
mod transport;

pub use channel::{Channel, ChannelChecked, ChannelReceiver, ChannelSender, RecvError};
pub use config::{
    Audience, ChannelQuota, ChannelSpec, NetworkConfig, NetworkLimits, TopicSpec, WhenFull,
};
pub use error::NetworkError;
pub use gossip::{GossipMessage, GossipReceiver, PublishError, Publisher, Topic, Verdict};
pub use identity::{PeerKey, peer_id_of, peer_key_of};
pub use libp2p::{Multiaddr, PeerId};
pub use network::{Direction, Network, PeerInfo, Started};
pub use oracle::Oracle;
