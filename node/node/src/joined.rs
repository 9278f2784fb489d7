//! Join the network of a chain: channels for the ordering engine, gossip for transactions, a view for callers.

use std::sync::Arc;

use kumiki_consensus::Sealing;
use kumiki_consensus::simplex::Pace;
use kumiki_mempool::SharedMempool;
use kumiki_network::{Channel, Network, NetworkError, Topic};
use kumiki_protocol::{Genesis, SecretKey, Transaction};
use kumiki_rpc::NetworkView;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};

use crate::ordering::channel_specs;
use crate::{OrderingConfig, gossip, peers};

/// With whom this node orders blocks.
pub(crate) enum Company {
    /// Nobody.
    Solo {
        key: Box<SecretKey>,
        sealing: Sealing,
    },
    /// The peers of a network.
    Network(Box<Joined>),
}

/// A network that this node takes part in.
pub(crate) struct Joined {
    pub(crate) key: SecretKey,
    pub(crate) pace: Pace,
    pub(crate) network: Network,
    pub(crate) channels: Vec<Channel>,
}

impl Company {
    /// Joins the network, where the configuration says so; then also gives back the topic of its transactions.
    pub(crate) fn join(
        config: &OrderingConfig,
        genesis: &Genesis,
        registry: &mut Registry,
    ) -> Result<(Self, Option<Topic>), NetworkError> {
        let (pace, network) = match config {
            OrderingConfig::Solo { key, sealing } => {
                let solo = Self::Solo {
                    key: key.clone(),
                    sealing: *sealing,
                };
                return Ok((solo, None));
            }
            OrderingConfig::Network { pace, network } => (*pace, network.as_ref().clone()),
        };
        let key = network.key.clone();
        let topics = vec![gossip::topic()];
        let started = Network::start(network, channel_specs(genesis), topics, registry)?;
        let joined = Joined {
            key,
            pace,
            network: started.network,
            channels: started.channels,
        };
        Ok((
            Self::Network(Box::new(joined)),
            started.topics.into_iter().next(),
        ))
    }

    /// The network, if there is one.
    pub(crate) fn network(&self) -> Option<&Network> {
        match self {
            Self::Solo { .. } => None,
            Self::Network(joined) => Some(&joined.network),
        }
    }
}

/// What callers are shown of the network.
pub(crate) fn show(network: &Network) -> watch::Receiver<NetworkView> {
    let (view, seen) = watch::channel(NetworkView::default());
    tokio::spawn(peers::show(network.clone(), view));
    seen
}

/// Passes transactions on and takes those of peers, until the network ends.
pub(crate) fn start_gossip(
    topic: Topic,
    mempool: &Arc<SharedMempool>,
    admitted: mpsc::Receiver<Arc<Transaction>>,
    first_number: u64,
) {
    let Topic {
        publisher,
        messages,
        ..
    } = topic;
    let own = Arc::clone(mempool);
    tokio::spawn(gossip::send(own, publisher, admitted, first_number));
    tokio::spawn(gossip::receive(Arc::clone(mempool), messages));
}
