//! Count what the network does; `kumiki_network_…` in the exposition.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::bandwidth::Bandwidth;

/// Which channel or topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Name {
    name: String,
}

/// Which way a connection was opened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Opened {
    direction: &'static str,
}

/// The numbers of one channel.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChannelMeters {
    pub(crate) sent: Counter,
    pub(crate) received: Counter,
    pub(crate) dropped: Counter,
}

/// The numbers of one topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct TopicMeters {
    pub(crate) published: Counter,
    pub(crate) accepted: Counter,
    pub(crate) ignored: Counter,
    pub(crate) rejected: Counter,
}

/// The network's metrics.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    connections: Family<Opened, Gauge>,
    pub(crate) peers: Gauge,
    pub(crate) routing_peers: Gauge,
    pub(crate) dials: Counter,
    pub(crate) dials_failed: Counter,
    pub(crate) refused: Counter,
    pub(crate) bans: Counter,
    channels: [Family<Name, Counter>; 3],
    topics: [Family<Name, Counter>; 4],
}

impl Metrics {
    /// Registers the metrics in `registry`.
    pub(crate) fn register(registry: &mut Registry, bandwidth: &Arc<Bandwidth>) -> Self {
        let registry = registry.sub_registry_with_prefix("kumiki_network");
        let metrics = Self::default();
        let [sent, received, dropped] = metrics.channels.clone();
        let [published, accepted, ignored, rejected] = metrics.topics.clone();
        registry.register(
            "connections",
            "Open connections",
            metrics.connections.clone(),
        );
        registry.register("peers", "Connected peers", metrics.peers.clone());
        registry.register(
            "routing_peers",
            "Peers in the Kademlia table",
            metrics.routing_peers.clone(),
        );
        registry.register("dials", "Connections tried", metrics.dials.clone());
        registry.register(
            "dials_failed",
            "Of these, failed",
            metrics.dials_failed.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections of others beyond a limit, or of banned peers",
            metrics.refused.clone(),
        );
        registry.register("bans", "Peers banned", metrics.bans.clone());
        registry.register("channel_sent", "Messages sent", sent);
        registry.register("channel_received", "Messages received", received);
        registry.register("channel_dropped", "Messages dropped", dropped);
        registry.register("gossip_published", "Messages published", published);
        registry.register("gossip_accepted", "Messages passed on", accepted);
        registry.register("gossip_ignored", "Messages not passed on", ignored);
        registry.register("gossip_rejected", "Messages found invalid", rejected);
        registry.register_collector(Box::new(Bytes(Arc::clone(bandwidth))));
        metrics
    }

    /// The numbers of the channel `name`.
    pub(crate) fn channel(&self, name: &str) -> ChannelMeters {
        let [sent, received, dropped] = &self.channels;
        ChannelMeters {
            sent: counter(sent, name),
            received: counter(received, name),
            dropped: counter(dropped, name),
        }
    }

    /// The numbers of the topic `name`.
    pub(crate) fn topic(&self, name: &str) -> TopicMeters {
        let [published, accepted, ignored, rejected] = &self.topics;
        TopicMeters {
            published: counter(published, name),
            accepted: counter(accepted, name),
            ignored: counter(ignored, name),
            rejected: counter(rejected, name),
        }
    }

    /// Sets how many connections are open.
    pub(crate) fn set_connections(&self, inbound: usize, outbound: usize) {
        for (direction, count) in [("in", inbound), ("out", outbound)] {
            self.connections
                .get_or_create(&Opened { direction })
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

fn counter(family: &Family<Name, Counter>, name: &str) -> Counter {
    let name = name.to_owned();
    family.get_or_create(&Name { name }).clone()
}

#[derive(Debug)]
struct Bytes(Arc<Bandwidth>);

impl Collector for Bytes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let total = self.0.total();
        let numbers = [
            ("received", "Bytes received", total.received()),
            ("sent", "Bytes sent", total.sent()),
        ];
        for (name, help, bytes) in numbers {
            let counter = ConstCounter::new(bytes);
            let metric_type = counter.metric_type();
            let encoder = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), metric_type)?;
            counter.encode(encoder)?;
        }
        Ok(())
    }
}
