//! Run real networks on loopback: channels, discovery, gossip, limits, and peers that mean harm.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod caps;
mod channels;
mod discovery;
mod gossip;
mod hostile;
mod node;
mod peer_sets;
mod resolver;
mod silence;
mod switches;
