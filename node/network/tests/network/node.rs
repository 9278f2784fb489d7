//! Start nodes and wait for what they should come to.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use kumiki_network::{
    Audience, Channel, ChannelQuota, ChannelSpec, Multiaddr, Network, NetworkConfig, NetworkLimits,
    PeerInfo, PeerKey, Started, Topic, TopicSpec, WhenFull,
};
use kumiki_protocol::{Hash, SecretKey};
use prometheus_client::registry::Registry;
use tokio::time::{Instant, sleep, timeout};

/// Far longer than anything here takes: a slow machine is no failure.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);
/// How long one dial may take before there is another.
const DIAL: Duration = Duration::from_secs(15);
/// The channel every node has: number 0.
pub(crate) const VOTES: &str = "votes";
/// Longest vote.
pub(crate) const VOTE_BYTES_MAX: u32 = 64 * 1024;
/// The topic every node has: number 0.
pub(crate) const TRANSACTIONS: &str = "transactions";

/// A running node.
pub(crate) struct Node {
    pub(crate) network: Network,
    pub(crate) channels: Vec<Channel>,
    pub(crate) topics: Vec<Topic>,
    pub(crate) registry: Registry,
}

/// The chain of all nodes but those of another.
pub(crate) fn chain() -> Hash {
    Hash([0xab; 32])
}

/// A loopback node on a free port.
pub(crate) fn config(seed: u8) -> NetworkConfig {
    let listen = "/ip4/127.0.0.1/tcp/0".parse().unwrap();
    let key = SecretKey::from_seed([seed; 32]);
    NetworkConfig {
        limits: NetworkLimits::loopback(),
        ..NetworkConfig::new(key, chain(), vec![listen])
    }
}

/// Such a node that connects to nobody by itself.
pub(crate) fn passive(seed: u8) -> NetworkConfig {
    let mut config = config(seed);
    config.discovery = false;
    config.limits.target_peers = 0;
    config
}

/// A channel with room for everything.
pub(crate) fn channel(name: &str) -> ChannelSpec {
    ChannelSpec {
        name: name.to_owned(),
        message_bytes_max: VOTE_BYTES_MAX,
        outbound_queue: 2_000,
        inbound_queue: 64,
        quota: ChannelQuota {
            messages_per_second: NonZeroU32::new(1_000_000).unwrap(),
            bytes_per_second: NonZeroU64::new(1_000_000_000).unwrap(),
        },
        when_full: WhenFull::DropNewest,
        audience: Audience::Everyone,
    }
}

pub(crate) fn topic(name: &str) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        message_bytes_max: 1_024,
        messages_per_second: NonZeroU32::new(1_000).unwrap(),
        inbound_queue: 64,
    }
}

impl Node {
    pub(crate) fn start(config: NetworkConfig) -> Self {
        Self::with_channels(config, vec![channel(VOTES)])
    }

    pub(crate) fn with_channels(config: NetworkConfig, channels: Vec<ChannelSpec>) -> Self {
        Self::with(config, channels, vec![topic(TRANSACTIONS)])
    }

    pub(crate) fn with(
        config: NetworkConfig,
        channels: Vec<ChannelSpec>,
        topics: Vec<TopicSpec>,
    ) -> Self {
        let mut registry = Registry::default();
        let Started {
            network,
            channels,
            topics,
        } = Network::start(config, channels, topics, &mut registry).unwrap();
        Self {
            network,
            channels,
            topics,
            registry,
        }
    }

    pub(crate) fn key(&self) -> PeerKey {
        self.network.local_key().clone()
    }

    /// Its address, with its peer id.
    pub(crate) async fn address(&self) -> Multiaddr {
        let addresses = within(self.network.listening()).await.unwrap();
        let address = addresses.first().unwrap().clone();
        address.with_p2p(self.network.local_peer_id()).unwrap()
    }

    pub(crate) async fn peer(&self, other: &Self) -> Option<PeerInfo> {
        let peers = self.network.peers().await.unwrap();
        peers.into_iter().find(|peer| peer.key == other.key())
    }

    /// Waits until each sees the other.
    pub(crate) async fn met(&self, other: &Self) {
        until("two nodes are connected", async || {
            self.peer(other).await.is_some() && other.peer(self).await.is_some()
        })
        .await;
    }

    /// Dials `other` until it is met: a machine that stands still for a while lets one dial time out.
    pub(crate) async fn meet(&self, other: &Self) {
        let address = other.address().await;
        let start = Instant::now();
        loop {
            self.network.dial(address.clone()).unwrap();
            if timeout(DIAL, self.met(other)).await.is_ok() {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "not met in {DEADLINE:?}");
        }
    }

    /// Sends `text` to `other` on channel number 0.
    pub(crate) fn send(&mut self, other: &PeerKey, text: &str) -> bool {
        let to = Recipients::One(other.clone());
        let message = text.as_bytes().to_vec();
        let channel = self.channels.first_mut().unwrap();
        !channel.sender.send(to, message, false).is_empty()
    }

    /// The next message on channel number `number`.
    pub(crate) async fn receive(&mut self, number: usize) -> (PeerKey, Vec<u8>) {
        let channel = self.channels.get_mut(number).unwrap();
        let (peer, message) = within(channel.receiver.recv()).await.unwrap();
        (peer, Vec::from(message))
    }

    /// A number in the exposition of its metrics, as `channel_dropped_total{name="votes"}`.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let full = format!("kumiki_network_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&full));
        line.unwrap_or_else(|| panic!("no {full}in:\n{text}"))
            .parse()
            .unwrap()
    }
}

/// What `future` gives, unless it hangs.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("this took longer than {DEADLINE:?}"))
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < DEADLINE, "not in {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
