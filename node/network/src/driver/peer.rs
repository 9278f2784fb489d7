//! Hold what the driver knows of one connected peer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionId, Stream};
use tokio::task::AbortHandle;

use crate::Direction;
use crate::bandwidth::ByteCount;
use crate::channel::roster::Link;
use crate::identity::PeerKey;
use crate::pace::Pace;

/// Longest name of a peer that is kept, in characters.
const AGENT_CHARS_MAX: usize = 64;

/// One of its connections.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) address: Multiaddr,
    pub(super) direction: Direction,
    /// Pings in a row that had no answer, while nothing else came either.
    pub(super) lost_pings: u32,
    /// Bytes the peer had sent when that was last looked at.
    pub(super) heard_bytes: u64,
}

/// The stream on which we write to it, of one channel.
#[derive(Debug)]
pub(super) enum Writer {
    /// To be opened then.
    Idle(Instant),
    /// Being opened.
    Asked,
    /// Open since then.
    Open(AbortHandle, Instant),
}

/// One channel with it.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) writer: Writer,
    /// Openings in a row that failed or did not last.
    pub(super) failures: u32,
    pub(super) reader: Option<AbortHandle>,
    /// A stream that came before the peer was admitted.
    pub(super) waiting: Option<Stream>,
}

/// A connected peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) key: PeerKey,
    pub(super) connections: Vec<Connection>,
    pub(super) since: Instant,
    pub(super) agent: String,
    pub(super) rtt: Option<Duration>,
    pub(super) bytes: Arc<ByteCount>,
    /// Bytes it had sent at the last tick.
    heard_bytes: u64,
    /// Ticks since then without any more.
    silent_ticks: u32,
    /// There once the peer has shown to be of this chain.
    pub(super) link: Option<Arc<Link>>,
    pub(super) lanes: Vec<Lane>,
    /// What it may pass on, by topic.
    pub(super) gossip: Vec<Pace>,
    /// How often it may open streams.
    pub(super) openings: Pace,
}

impl Peer {
    pub(super) fn new(
        key: PeerKey,
        bytes: Arc<ByteCount>,
        channels: usize,
        gossip: Vec<Pace>,
        now: Instant,
    ) -> Self {
        let lanes = (0..channels).map(|_| Lane {
            writer: Writer::Idle(now),
            failures: 0,
            reader: None,
            waiting: None,
        });
        let openings = channels.max(1) as u64;
        Self {
            key,
            connections: Vec::new(),
            since: now,
            agent: String::new(),
            rtt: None,
            bytes,
            heard_bytes: 0,
            silent_ticks: 0,
            link: None,
            lanes: lanes.collect(),
            gossip,
            openings: Pace::new(openings, openings * 8, now),
        }
    }

    pub(super) fn connect(&mut self, id: ConnectionId, endpoint: &ConnectedPoint) {
        let direction = if endpoint.is_dialer() {
            Direction::Out
        } else {
            Direction::In
        };
        self.connections.push(Connection {
            id,
            address: endpoint.get_remote_address().clone(),
            direction,
            lost_pings: 0,
            heard_bytes: 0,
        });
    }

    pub(super) fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|one| one.id == id)
    }

    pub(super) fn addresses(&self) -> Vec<Multiaddr> {
        let connections = self.connections.iter();
        connections.map(|one| one.address.clone()).collect()
    }

    /// Counts one more tick, and says how many went by without a byte of the peer.
    pub(super) fn listen(&mut self) -> u32 {
        let heard = self.bytes.received();
        self.silent_ticks = if heard == self.heard_bytes {
            self.silent_ticks.saturating_add(1)
        } else {
            0
        };
        self.heard_bytes = heard;
        self.silent_ticks
    }

    /// Which side opened the oldest connection.
    pub(super) fn direction(&self) -> Direction {
        self.connections
            .first()
            .map_or(Direction::In, |one| one.direction)
    }

    /// Stops its streams.
    pub(super) fn stop(&mut self) {
        for lane in &mut self.lanes {
            if let Some(reader) = lane.reader.take() {
                reader.abort();
            }
            if let Writer::Open(writer, _) = &lane.writer {
                writer.abort();
            }
            lane.waiting = None;
        }
    }
}

/// `agent` as it may be shown and logged: it comes from a stranger.
pub(super) fn clean_agent(agent: &str) -> String {
    let printable = |char: &char| char.is_ascii_graphic() || *char == ' ';
    agent
        .chars()
        .filter(printable)
        .take(AGENT_CHARS_MAX)
        .collect()
}
