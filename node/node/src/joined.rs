//! Join the network of a chain: channels for the ordering engine, gossip for transactions, a view for callers.

use std::sync::Arc;

use kumiki_mempool::SharedMempool;
use kumiki_network::{Channel, Network, NetworkError, Topic};
use kumiki_protocol::{Genesis, Transaction};
use kumiki_rpc::NetworkView;
use kumiki_storage::Storage;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};

use crate::ordering::channel_specs;
use crate::{OrderingConfig, gossip, peers, state_sync};

/// A network that this node takes part in.
pub(crate) struct Joined {
    pub(crate) network: Network,
    pub(crate) channels: Vec<Channel>,
    /// Where states are fetched and given.
    pub(crate) state: Channel,
    transactions: Topic,
}

impl Joined {
    /// Joins, where the configuration says so.
    pub(crate) fn join(
        config: &OrderingConfig,
        genesis: &Genesis,
        registry: &mut Registry,
    ) -> Result<Option<Self>, NetworkError> {
        let OrderingConfig::Network { network, .. } = config else {
            return Ok(None);
        };
        let topics = vec![gossip::topic()];
        let mut channels = channel_specs(genesis);
        channels.push(state_sync::channel_spec());
        let started = Network::start(network.as_ref().clone(), channels, topics, registry)?;
        let mut channels = started.channels;
        let state = channels
            .pop()
            .expect("the network opens one channel per specification");
        let transactions = started
            .topics
            .into_iter()
            .next()
            .expect("the network opens one topic per specification");
        Ok(Some(Self {
            network: started.network,
            channels,
            state,
            transactions,
        }))
    }

    /// What callers are shown of it.
    pub(crate) fn show(&self) -> watch::Receiver<NetworkView> {
        let (view, seen) = watch::channel(NetworkView::default());
        tokio::spawn(peers::show(self.network.clone(), view));
        seen
    }

    /// Passes transactions on, takes those of peers and gives them states, until the network ends. Gives back what
    /// consensus needs.
    pub(crate) fn take_part(
        self,
        mempool: &Arc<SharedMempool>,
        storage: Arc<Storage>,
        admitted: mpsc::Receiver<Arc<Transaction>>,
        first_number: u64,
    ) -> (Network, Vec<Channel>) {
        let Topic {
            publisher,
            messages,
            ..
        } = self.transactions;
        let own = Arc::clone(mempool);
        tokio::spawn(gossip::send(own, publisher, admitted, first_number));
        tokio::spawn(gossip::receive(Arc::clone(mempool), messages));
        tokio::spawn(state_sync::serve(storage, self.network.clone(), self.state));
        (self.network, self.channels)
    }
}
