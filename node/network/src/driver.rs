//! Run the swarm: one task that owns all of it, and reacts to peers, to the application and to time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use commonware_p2p::Message;
use futures_util::StreamExt as _;
use futures_util::future::OptionFuture;
use libp2p::gossipsub::IdentTopic;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::address_book::AddressBook;
use crate::bandwidth::Bandwidth;
use crate::behaviour::{Behaviour, protocol_version};
use crate::channel::roster::Roster;
use crate::config::TopicSpec;
use crate::gossip::{GossipMessage, Judged, Publish};
use crate::identity::{PeerKey, peer_id_of};
use crate::memory::resident_bytes;
use crate::metrics::{Metrics, TopicMeters};
use crate::peer_sets::PeerSets;
use crate::score::Scores;
use crate::{NetworkConfig, PeerInfo};

mod bans;
mod discovery;
mod events;
mod gossiping;
mod peer;
mod streaming;

use discovery::{Bootstrap, Searches};
use peer::Peer;
use streaming::StreamReport;

/// Time between two looks at everything that has no event of its own.
const TICK: Duration = Duration::from_millis(200);
/// Time between two writings of the known peers.
const STORE_INTERVAL: Duration = Duration::from_secs(60);

/// What the application asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Dial(Multiaddr),
    Ban(PeerId, Duration),
    Block(PeerKey),
    Unban(PeerId),
    /// The tracked sets have changed.
    Tracked,
    Peers(oneshot::Sender<Vec<PeerInfo>>),
    Shutdown(oneshot::Sender<()>),
}

/// What a driver is made of.
pub(crate) struct Parts {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) config: NetworkConfig,
    pub(crate) roster: Arc<Roster>,
    pub(crate) metrics: Metrics,
    pub(crate) bandwidth: Arc<Bandwidth>,
    pub(crate) sets: Arc<Mutex<PeerSets>>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) publishes: mpsc::Receiver<Publish>,
    pub(crate) channels: Vec<mpsc::Sender<Message<PeerKey>>>,
    pub(crate) topics: Vec<(IdentTopic, TopicSpec, mpsc::Sender<GossipMessage>)>,
    pub(crate) listening: watch::Sender<Vec<Multiaddr>>,
    pub(crate) known: Vec<(PeerId, Vec<Multiaddr>)>,
}

/// A topic as the driver sees it.
struct TopicEnd {
    topic: IdentTopic,
    spec: TopicSpec,
    messages: mpsc::Sender<GossipMessage>,
    meters: TopicMeters,
}

/// The task's state.
pub(crate) struct Driver {
    own: PeerId,
    swarm: Swarm<Behaviour>,
    config: NetworkConfig,
    protocol_version: String,
    roster: Arc<Roster>,
    metrics: Metrics,
    bandwidth: Arc<Bandwidth>,
    sets: Arc<Mutex<PeerSets>>,
    commands: mpsc::UnboundedReceiver<Command>,
    publishes: mpsc::Receiver<Publish>,
    channels: Vec<mpsc::Sender<Message<PeerKey>>>,
    topics: Vec<TopicEnd>,
    verdicts: (
        mpsc::UnboundedSender<Judged>,
        mpsc::UnboundedReceiver<Judged>,
    ),
    listening: watch::Sender<Vec<Multiaddr>>,
    peers: HashMap<PeerId, Peer>,
    /// Connected peers have changed since the peer sets were told.
    peers_changed: bool,
    /// Validators to stay connected with.
    tracked: HashSet<PeerId>,
    book: AddressBook,
    bootstrap: Vec<Bootstrap>,
    dialling: HashMap<ConnectionId, Option<PeerId>>,
    searches: Searches,
    scores: Scores,
    /// Others have reached this node from outside.
    reachable: bool,
    streams: JoinSet<StreamReport>,
    next_store: Instant,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        let now = Instant::now();
        let own = *parts.swarm.local_peer_id();
        let limits = &parts.config.limits;
        let mut book = AddressBook::new(own, limits.redial_delay_min, limits.redial_delay_max);
        for (peer, addresses) in parts.known {
            book.learn(peer, addresses, now);
        }
        let topics = parts.topics.into_iter().map(|(topic, spec, messages)| {
            let meters = parts.metrics.topic(&spec.name);
            TopicEnd {
                topic,
                spec,
                messages,
                meters,
            }
        });
        Self {
            own,
            protocol_version: protocol_version(&parts.config),
            bootstrap: Bootstrap::all(&parts.config.bootstrap, own, now),
            reachable: !parts.config.external.is_empty(),
            topics: topics.collect(),
            swarm: parts.swarm,
            config: parts.config,
            roster: parts.roster,
            metrics: parts.metrics,
            bandwidth: parts.bandwidth,
            sets: parts.sets,
            commands: parts.commands,
            publishes: parts.publishes,
            channels: parts.channels,
            verdicts: mpsc::unbounded_channel(),
            listening: parts.listening,
            peers: HashMap::new(),
            peers_changed: false,
            tracked: HashSet::new(),
            book,
            dialling: HashMap::new(),
            searches: Searches::new(now),
            scores: Scores::default(),
            streams: JoinSet::new(),
            next_store: now + STORE_INTERVAL,
        }
    }

    /// Runs until a shutdown is asked for.
    pub(crate) async fn run(mut self) {
        self.set_mode();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let done = loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                Some(report) = self.streams.join_next_with_id() => self.on_stream_end(report),
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown(done)) => break Some(done),
                    Some(command) => self.on_command(command),
                    // Nobody is left who could use the network.
                    None => break None,
                },
                Some(publish) = self.publishes.recv() => self.publish(publish),
                Some(judged) = self.verdicts.1.recv() => self.on_verdict(judged),
                _ = ticks.tick() => self.on_tick(Instant::now()),
            }
        };
        self.end().await;
        if done.is_some_and(|done| done.send(()).is_err()) {
            tracing::debug!("nobody waited for the network to end");
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Dial(address) => self.dial_address(address),
            Command::Ban(peer, duration) => self.ban(peer, duration),
            Command::Block(key) => {
                if let Some(peer) = peer_id_of(&key) {
                    self.ban(peer, self.config.limits.ban);
                }
            }
            Command::Unban(peer) => self.unban(peer),
            Command::Tracked => self.retrack(),
            Command::Peers(answer) => {
                // Whoever asked may have stopped waiting.
                drop(answer.send(self.snapshot(Instant::now())));
            }
            // Handled where commands are taken, since it ends the task.
            Command::Shutdown(_) => {}
        }
    }

    fn on_tick(&mut self, now: Instant) {
        self.expire_bans(now);
        self.refuse_silent(now);
        self.leave_unheard();
        self.open_streams(now);
        self.exempt_validators();
        self.dial_tracked(now);
        self.dial_more(now);
        self.search(now);
        if self.peers_changed {
            self.publish_peers();
        }
        if now >= self.next_store {
            self.next_store = now + STORE_INTERVAL;
            drop(self.store_known());
        }
        if let Some(most) = self.config.limits.memory_bytes_max {
            let full = resident_bytes().is_some_and(|bytes| bytes > most.get());
            self.swarm.behaviour_mut().gate.set_full(full);
        }
        let (inbound, outbound) = self.swarm.behaviour().gate.connections();
        self.metrics.set_connections(inbound, outbound);
        self.metrics.peers.set(count(self.admitted()));
        let routing = self.routing_peers();
        self.metrics.routing_peers.set(count(routing));
    }

    /// Tells the peer sets who is connected.
    fn publish_peers(&mut self) {
        self.peers_changed = false;
        let connected: BTreeSet<PeerKey> = self
            .peers
            .values()
            .filter(|peer| peer.link.is_some())
            .map(|peer| peer.key.clone())
            .collect();
        self.sets().set_connected(connected);
    }

    /// Keeps up connections to who is tracked.
    fn retrack(&mut self) {
        let primary = self.sets().primary();
        self.tracked = primary
            .iter()
            .filter_map(peer_id_of)
            .filter(|peer| *peer != self.own)
            .collect();
        let tracked = self.tracked.clone();
        self.swarm.behaviour_mut().gate.exempt(tracked);
    }

    fn snapshot(&self, now: Instant) -> Vec<PeerInfo> {
        let admitted = self.peers.iter().filter(|(_, peer)| peer.link.is_some());
        admitted
            .map(|(id, peer)| PeerInfo {
                key: peer.key.clone(),
                peer_id: *id,
                addresses: peer.addresses(),
                direction: peer.direction(),
                score: self.scores.get(id, now),
                agent: peer.agent.clone(),
                rtt: peer.rtt,
                bytes_received: peer.bytes.received(),
                bytes_sent: peer.bytes.sent(),
                tracked: self.tracked.contains(id),
            })
            .collect()
    }

    /// Peers that are connected and of this chain.
    fn admitted(&self) -> usize {
        let admitted = self.peers.values().filter(|peer| peer.link.is_some());
        admitted.count()
    }

    fn sets(&self) -> MutexGuard<'_, PeerSets> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn end(mut self) {
        self.sets().close();
        self.roster.close();
        self.streams.shutdown().await;
        let stored = self.store_known();
        // The swarm goes, and with it every connection.
        drop(self.swarm);
        if let Some(Err(error)) = OptionFuture::from(stored).await {
            tracing::error!(%error, "writing the known peers failed");
        }
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
