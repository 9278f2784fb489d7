//! Start a network and hold on to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use libp2p::swarm;
use libp2p::{Multiaddr, PeerId, Swarm};
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot, watch};

use crate::address::{reach, split_peer};
use crate::bandwidth::Bandwidth;
use crate::behaviour::Behaviour;
use crate::channel::roster::Roster;
use crate::channel::{Channel, ChannelReceiver, ChannelSender};
use crate::config::{ChannelSpec, TopicSpec};
use crate::driver::{Command, Driver, Parts};
use crate::gossip::{self, GossipReceiver, PUBLISH_QUEUE, Publisher, Topic};
use crate::identity::{self, PeerKey, peer_id_of, peer_key_of};
use crate::metrics::Metrics;
use crate::oracle::Oracle;
use crate::peer_sets::PeerSets;
use crate::{NetworkConfig, NetworkError, known_peers, transport};

/// Streams of one connection whose protocol is being agreed on.
const NEGOTIATING_STREAMS_MAX: usize = 64;

/// A running network. Clones are handles to the same one, which runs until [`Network::shutdown`], or until the last
/// handle and [`Oracle`] are gone.
#[derive(Debug, Clone)]
pub struct Network {
    peer_id: PeerId,
    key: PeerKey,
    commands: mpsc::UnboundedSender<Command>,
    listening: watch::Receiver<Vec<Multiaddr>>,
    sets: Arc<Mutex<PeerSets>>,
    roster: Arc<Roster>,
}

/// What [`Network::start`] hands out.
#[derive(Debug)]
pub struct Started {
    /// The handle.
    pub network: Network,
    /// One for each channel, in the order asked for.
    pub channels: Vec<Channel>,
    /// One for each topic, in the order asked for.
    pub topics: Vec<Topic>,
}

/// Which side opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The peer.
    In,
    /// This node.
    Out,
}

/// What is known of a connected peer.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// Its key.
    pub key: PeerKey,
    /// The same as libp2p shows it.
    pub peer_id: PeerId,
    /// The other ends of its connections.
    pub addresses: Vec<Multiaddr>,
    /// Which side opened the oldest of them.
    pub direction: Direction,
    /// From 0, fine, down to -100, where it is banned.
    pub score: f64,
    /// What it calls itself, cleaned of what does not print.
    pub agent: String,
    /// Time to it and back, once measured.
    pub rtt: Option<Duration>,
    /// Bytes it sent.
    pub bytes_received: u64,
    /// Bytes sent to it.
    pub bytes_sent: u64,
    /// Whether it is a tracked validator.
    pub tracked: bool,
}

impl Network {
    /// Starts a network with `channels` and `topics`; its metrics go to `registry`.
    ///
    /// Must be called within a tokio runtime, which runs the network.
    ///
    /// # Errors
    /// When the configuration cannot be followed or an address cannot be listened on.
    pub fn start(
        config: NetworkConfig,
        channels: Vec<ChannelSpec>,
        topics: Vec<TopicSpec>,
        registry: &mut Registry,
    ) -> Result<Started, NetworkError> {
        check(&channels, &topics)?;
        let keypair = identity::keypair(&config.key)?;
        let peer_id = keypair.public().to_peer_id();
        let key = peer_key_of(&peer_id)
            .ok_or_else(|| NetworkError::Key("it is not on the curve".to_owned()))?;
        let limits = &config.limits;
        let bandwidth = Arc::new(Bandwidth::new(
            limits.upload_bytes_per_second,
            limits.download_bytes_per_second,
        ));
        let metrics = Metrics::register(registry, &bandwidth);
        let (transport, relay_client) = transport::build(&config, &keypair, &bandwidth)?;
        let behaviour = Behaviour::new(&config, &keypair, &channels, &topics, relay_client)?;
        let swarm_config = swarm::Config::with_tokio_executor()
            .with_max_negotiating_inbound_streams(NEGOTIATING_STREAMS_MAX)
            .with_idle_connection_timeout(limits.idle_timeout);
        let mut swarm = Swarm::new(transport, behaviour, peer_id, swarm_config);
        listen(&mut swarm, &config)?;

        let meters = channels.iter().map(|spec| metrics.channel(&spec.name));
        let roster = Arc::new(Roster::new(channels.clone(), meters.collect()));
        let (channels, channel_ends) = open_channels(&channels, &roster);
        let (publish_sender, publishes) = mpsc::channel(PUBLISH_QUEUE * topics.len().max(1));
        let mut topic_ends = Vec::new();
        let mut topic_handles = Vec::new();
        for (number, spec) in topics.iter().enumerate() {
            let (sender, receiver) = mpsc::channel(spec.inbound_queue);
            topic_ends.push((gossip::topic(&config, spec), spec.clone(), sender));
            topic_handles.push(Topic {
                name: spec.name.clone(),
                publisher: Publisher::new(number, spec, publish_sender.clone()),
                messages: GossipReceiver::new(receiver),
            });
        }
        let known = config.known_peers_file.as_deref();
        let known = known.map_or_else(|| Ok(Vec::new()), known_peers::load)?;
        let sets = Arc::new(Mutex::new(PeerSets::default()));
        let (command_sender, commands) = mpsc::unbounded_channel();
        let (listening_sender, listening) = watch::channel(Vec::new());
        let driver = Driver::new(Parts {
            swarm,
            config,
            roster: Arc::clone(&roster),
            metrics,
            bandwidth,
            sets: Arc::clone(&sets),
            commands,
            publishes,
            channels: channel_ends,
            topics: topic_ends,
            listening: listening_sender,
            known,
        });
        tokio::spawn(driver.run());
        Ok(Started {
            network: Self {
                peer_id,
                key,
                commands: command_sender,
                listening,
                sets,
                roster,
            },
            channels,
            topics: topic_handles,
        })
    }

    /// This node's peer id.
    #[must_use]
    pub fn local_peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// This node's key, which is the same.
    #[must_use]
    pub fn local_key(&self) -> &PeerKey {
        &self.key
    }

    /// The peer sets, for consensus.
    #[must_use]
    pub fn oracle(&self) -> Oracle {
        Oracle::new(
            Arc::clone(&self.sets),
            Arc::clone(&self.roster),
            self.commands.clone(),
        )
    }

    /// Where the network listens, with the ports it got. Empty until the system has answered.
    #[must_use]
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.listening.borrow().clone()
    }

    /// Waits until the network listens somewhere, and returns where.
    ///
    /// # Errors
    /// When it was shut down.
    pub async fn listening(&self) -> Result<Vec<Multiaddr>, NetworkError> {
        let mut listening = self.listening.clone();
        let addresses = listening
            .wait_for(|addresses| !addresses.is_empty())
            .await
            .map_err(|_gone| NetworkError::Closed)?;
        Ok(addresses.clone())
    }

    /// The connected peers of this chain.
    ///
    /// # Errors
    /// When the network was shut down.
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, NetworkError> {
        let (sender, answer) = oneshot::channel();
        self.tell(Command::Peers(sender))?;
        answer.await.map_err(|_gone| NetworkError::Closed)
    }

    /// Connects to `address`, once; it does not wait for the outcome.
    ///
    /// # Errors
    /// When nobody can be there, or the network was shut down.
    pub fn dial(&self, address: Multiaddr) -> Result<(), NetworkError> {
        if reach(&address).is_none() {
            return Err(NetworkError::Dial {
                address,
                problem: "expected an IP address or DNS name with a TCP or QUIC port",
            });
        }
        if split_peer(address.clone()).1 == Some(self.peer_id) {
            return Err(NetworkError::Dial {
                address,
                problem: "this node itself",
            });
        }
        self.tell(Command::Dial(address))
    }

    /// Disconnects `peer` and refuses it for `duration`.
    ///
    /// # Errors
    /// When the network was shut down.
    pub fn ban(&self, peer: &PeerKey, duration: Duration) -> Result<(), NetworkError> {
        let Some(peer) = peer_id_of(peer) else {
            return Ok(());
        };
        self.tell(Command::Ban(peer, duration))
    }

    /// Lets `peer` in again and forgets its score.
    ///
    /// # Errors
    /// When the network was shut down.
    pub fn unban(&self, peer: &PeerKey) -> Result<(), NetworkError> {
        let Some(peer) = peer_id_of(peer) else {
            return Ok(());
        };
        self.tell(Command::Unban(peer))
    }

    /// Closes all connections, writes the known peers and ends the network. Returns when that is done.
    pub async fn shutdown(&self) {
        let (sender, done) = oneshot::channel();
        if self.tell(Command::Shutdown(sender)).is_ok() {
            // An error means that it had ended before.
            drop(done.await);
        }
    }

    fn tell(&self, command: Command) -> Result<(), NetworkError> {
        self.commands
            .send(command)
            .map_err(|_gone| NetworkError::Closed)
    }
}

fn check(channels: &[ChannelSpec], topics: &[TopicSpec]) -> Result<(), NetworkError> {
    channels.iter().try_for_each(ChannelSpec::check)?;
    topics.iter().try_for_each(TopicSpec::check)?;
    let twice = |what, names: Vec<&str>| {
        let repeated =
            |(place, name): (usize, &&str)| names.iter().take(place).any(|one| one == name);
        let place = names.iter().enumerate().position(repeated);
        place
            .and_then(|place| names.get(place))
            .map_or(Ok(()), |name| {
                Err(NetworkError::Spec {
                    what,
                    name: (*name).to_owned(),
                    problem: "the name is used twice",
                })
            })
    };
    twice(
        "channel",
        channels.iter().map(|one| one.name.as_str()).collect(),
    )?;
    twice(
        "topic",
        topics.iter().map(|one| one.name.as_str()).collect(),
    )
}

fn listen(swarm: &mut Swarm<Behaviour>, config: &NetworkConfig) -> Result<(), NetworkError> {
    for address in &config.listen {
        swarm
            .listen_on(address.clone())
            .map_err(|error| NetworkError::Listen {
                address: address.clone(),
                problem: causes(&error),
            })?;
    }
    for address in &config.external {
        swarm.add_external_address(address.clone());
    }
    Ok(())
}

/// What an error and those below it say. libp2p's say nothing themselves, or the same again.
fn causes(error: &dyn std::error::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(one) = next {
        let text = one.to_string();
        let said = texts.last().is_some_and(|last| last.contains(&text));
        if !text.is_empty() && !said {
            texts.push(text);
        }
        next = one.source();
    }
    texts.join(": ")
}

type ChannelEnd = mpsc::Sender<commonware_p2p::Message<PeerKey>>;

fn open_channels(specs: &[ChannelSpec], roster: &Arc<Roster>) -> (Vec<Channel>, Vec<ChannelEnd>) {
    let open = |(number, spec): (usize, &ChannelSpec)| {
        let (sender, receiver) = mpsc::channel(spec.inbound_queue);
        let channel = Channel {
            name: spec.name.clone(),
            sender: ChannelSender::new(number, Arc::clone(roster)),
            receiver: ChannelReceiver::new(receiver),
        };
        (channel, sender)
    };
    specs.iter().enumerate().map(open).unzip()
}
