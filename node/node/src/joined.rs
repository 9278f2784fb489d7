//! Join the network of a chain: channels for the ordering engine, gossip for transactions, a view for callers.

use std::sync::Arc;

use kumiki_consensus::simplex::Pace;
use kumiki_consensus::{Order, Sealing};
use kumiki_mempool::SharedMempool;
use kumiki_network::{Channel, Network, NetworkError, Topic};
use kumiki_protocol::{ChainKind, Genesis, SecretKey, Transaction};
use kumiki_rpc::{Developer, NetworkView};
use kumiki_storage::Storage;
use prometheus_client::registry::Registry;
use tokio::sync::{Mutex, mpsc, watch};

use crate::ordering::channel_specs;
use crate::{OrderingConfig, gossip, peers, state_sync};

/// Orders of developers that wait to be carried out.
const ORDERS: usize = 16;

/// With whom this node orders blocks.
pub(crate) enum Company {
    /// Nobody.
    Solo {
        key: Box<SecretKey>,
        sealing: Sealing,
        /// What developers ask for, on a chain for development.
        orders: Option<mpsc::Receiver<Order>>,
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

/// What peers give each other beside blocks and votes.
pub(crate) struct Exchange {
    pub(crate) network: Network,
    /// Where states are fetched and given.
    pub(crate) state: Channel,
    transactions: Topic,
}

impl Company {
    /// Takes orders from now on, where the chain is one for development that has no other validator.
    pub(crate) fn take_orders(&mut self, genesis: &Genesis) -> Option<Developer> {
        let Self::Solo { key, orders, .. } = self else {
            return None;
        };
        if genesis.kind != ChainKind::Dev {
            return None;
        }
        let (sender, taken) = mpsc::channel(ORDERS);
        *orders = Some(taken);
        Some(Developer {
            orders: sender,
            key: key.clone(),
            sending: Mutex::new(()),
        })
    }

    /// Joins the network, where the configuration says so; then also gives back what is exchanged there.
    pub(crate) fn join(
        config: &OrderingConfig,
        genesis: &Genesis,
        registry: &mut Registry,
    ) -> Result<(Self, Option<Exchange>), NetworkError> {
        let (pace, network) = match config {
            OrderingConfig::Solo { key, sealing } => {
                let solo = Self::Solo {
                    key: key.clone(),
                    sealing: *sealing,
                    orders: None,
                };
                return Ok((solo, None));
            }
            OrderingConfig::Network { pace, network } => (*pace, network.as_ref().clone()),
        };
        let key = network.key.clone();
        let topics = vec![gossip::topic()];
        let mut channels = channel_specs(genesis);
        channels.push(state_sync::channel_spec());
        let started = Network::start(network, channels, topics, registry)?;
        let mut channels = started.channels;
        let state = channels
            .pop()
            .expect("the network opens one channel per specification");
        let transactions = started
            .topics
            .into_iter()
            .next()
            .expect("the network opens one topic per specification");
        let exchange = Exchange {
            network: started.network.clone(),
            state,
            transactions,
        };
        let joined = Joined {
            key,
            pace,
            network: started.network,
            channels,
        };
        Ok((Self::Network(Box::new(joined)), Some(exchange)))
    }
}

impl Exchange {
    /// What callers are shown of the network.
    pub(crate) fn show(&self) -> watch::Receiver<NetworkView> {
        let (view, seen) = watch::channel(NetworkView::default());
        tokio::spawn(peers::show(self.network.clone(), view));
        seen
    }

    /// Passes transactions on, takes those of peers and gives them states, until the network ends.
    pub(crate) fn start(
        self,
        mempool: &Arc<SharedMempool>,
        storage: Arc<Storage>,
        admitted: mpsc::Receiver<Arc<Transaction>>,
        first_number: u64,
    ) {
        let Topic {
            publisher,
            messages,
            ..
        } = self.transactions;
        let own = Arc::clone(mempool);
        tokio::spawn(gossip::send(own, publisher, admitted, first_number));
        tokio::spawn(gossip::receive(Arc::clone(mempool), messages));
        tokio::spawn(state_sync::serve(storage, self.network, self.state));
    }
}
