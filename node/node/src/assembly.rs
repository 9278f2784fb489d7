//! Putting a node together: its threads and tasks, and what runs between them.

use std::sync::Arc;

use kumiki_consensus::{ChainTime, Solo, Tip as OrderingTip};
use kumiki_mempool::{ChainHead, ChainRules, Origin, SharedMempool};
use kumiki_protocol::{Genesis, Transaction};
use kumiki_rpc::{NetworkView, RpcContext};
use kumiki_rpc_api::HealthStatus;
use kumiki_storage::{Snapshot, Tip};
use kumiki_vm::{NewCode, gas};
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};

use crate::chain_executor::{ChainExecutor, ExecutorParts};
use crate::evidence::Reports;
use crate::joined::{Company, Exchange, Joined};
use crate::metrics::MempoolCollector;
use crate::node::{Parts, supervise};
use crate::opened::Opened;
use crate::ordering::{self, Ordering, SimplexParts};
use crate::rpc_server::RpcServer;
use crate::threads::{Alarm, Threads, spawn_admission, spawn_executor};
use crate::{Chain, NodeError, NodeHandle, NodeMetrics, gossip};

impl Opened {
    pub(crate) async fn run(self) -> Result<NodeHandle, NodeError> {
        let mut registry = Registry::default();
        let metrics = NodeMetrics::register(&mut registry);
        let ordering = &self.config.ordering;
        let (company, mut exchange) = Company::join(ordering, &self.genesis, &mut registry)?;
        let mut this = self;
        if let (Some(exchange), Some(sync), 0) =
            (&mut exchange, this.config.state_sync, this.tip.height)
        {
            this = this.with_fetched_state(exchange, sync).await?;
        }
        this.assemble(company, exchange, registry, metrics).await
    }

    /// Starts the threads and tasks.
    async fn assemble(
        self,
        mut company: Company,
        exchange: Option<Exchange>,
        mut registry: Registry,
        metrics: NodeMetrics,
    ) -> Result<NodeHandle, NodeError> {
        let network = exchange.as_ref().map(|exchange| exchange.network.clone());
        let (admitted, to_gossip) = mpsc::channel(gossip::QUEUE);
        let mempool = Arc::new(self.mempool(exchange.is_some().then_some(admitted)));
        registry.register_collector(Box::new(MempoolCollector(Arc::clone(&mempool))));
        let (heads, heads_seen) = watch::channel(self.tip);
        let (alarm, alarmed) = watch::channel(false);
        let (status, status_seen) = watch::channel(match &network {
            Some(_) => HealthStatus::Starting,
            None => HealthStatus::Ready,
        });
        let view = exchange.as_ref().map(Exchange::show);
        let mut context = self.rpc_context(&mempool, &heads_seen, view, status_seen, registry);
        context.developer = company.take_orders(&self.genesis);
        // The port first: when it is taken, no thread has been started.
        let rpc = RpcServer::start(context, self.config.rpc.clone()).await?;
        let rpc_address = rpc.address();
        let chain_executor = ChainExecutor::open(ExecutorParts {
            storage: Arc::clone(&self.storage),
            executor: Arc::clone(&self.executor),
            mempool: Arc::clone(&mempool),
            genesis: Arc::clone(&self.genesis),
            heads,
            metrics,
        })?;
        let (chain, task_queue, evidence) = chain_executor.chain();
        let threads = Threads {
            executor: spawn_executor(chain_executor, task_queue, Alarm::of(&alarm))?,
            admission: (0..self.config.admission_threads.max(1))
                .map(|_| spawn_admission(&mempool, Alarm::of(&alarm)))
                .collect::<Result<_, _>>()?,
        };
        let (stop_ordering, ordering_stopped) = watch::channel(false);
        if let Some(exchange) = exchange {
            let storage = Arc::clone(&self.storage);
            exchange.start(&mempool, storage, to_gossip, (self.config.clock)());
        }
        if network.is_some() {
            let key = self.config.ordering.key().clone();
            let report = Reports::new(key, Arc::clone(&self.genesis), Arc::clone(&mempool));
            tokio::spawn(report.run(evidence));
        }
        let alarm = Alarm::of(&alarm);
        let ordering = self.start_ordering(chain, company, ordering_stopped, alarm, &status)?;
        let (stop, stopped) = watch::channel(false);
        let parts = Parts {
            mempool: Arc::clone(&mempool),
            threads,
            rpc,
            status,
            network: network.clone(),
            stop_ordering,
        };
        let supervised = supervise(ordering, parts, alarmed, stopped);
        Ok(NodeHandle {
            genesis: self.genesis,
            storage: self.storage,
            executor: self.executor,
            mempool,
            heads: heads_seen,
            rpc_address,
            network,
            stop,
            ended: Some(tokio::spawn(supervised)),
        })
    }

    fn rpc_context(
        &self,
        mempool: &Arc<SharedMempool>,
        heads: &watch::Receiver<Tip>,
        network: Option<watch::Receiver<NetworkView>>,
        status: watch::Receiver<HealthStatus>,
        metrics: Registry,
    ) -> RpcContext {
        RpcContext {
            storage: Arc::clone(&self.storage),
            executor: Arc::clone(&self.executor),
            mempool: Arc::clone(mempool),
            genesis: Arc::clone(&self.genesis),
            heads: heads.clone(),
            key: self.config.ordering.key().public_key(),
            network,
            status,
            developer: None,
            metrics,
        }
    }

    fn start_ordering(
        &self,
        chain: Chain,
        company: Company,
        stopped: watch::Receiver<bool>,
        alarm: Alarm,
        status: &watch::Sender<HealthStatus>,
    ) -> Result<Ordering, NodeError> {
        match company {
            Company::Solo {
                key,
                sealing,
                orders,
            } => {
                // Where a developer has moved the time, it goes on from there.
                let time = ChainTime::of(Arc::clone(&self.config.clock));
                let time = match &orders {
                    Some(_) => time.resuming(self.tip.time_ms),
                    None => time,
                };
                let solo = Solo {
                    application: Arc::new(chain),
                    key: *key,
                    genesis_hash: self.genesis.hash(),
                    sealing,
                    time,
                    orders,
                };
                let tip = OrderingTip {
                    height: self.tip.height,
                    block_hash: self.tip.block_hash,
                };
                Ok(ordering::start_solo(solo, tip, stopped, alarm))
            }
            Company::Network(joined) => {
                let Joined {
                    key,
                    pace,
                    network,
                    channels,
                } = *joined;
                let folder = self.config.data_dir.join("consensus");
                // Before the first vote is written there.
                kumiki_storage::create_folder(&folder)?;
                let (keeps_up, seen) = watch::channel(false);
                tokio::spawn(show_readiness(seen, status.clone()));
                let parts = SimplexParts {
                    key,
                    genesis: Arc::clone(&self.genesis),
                    beginning: ordering::beginning(&self.storage)?,
                    pace,
                    chain,
                    network,
                    channels,
                    keeps_up,
                    folder,
                };
                ordering::start_simplex(parts, stopped, alarm)
            }
        }
    }

    fn mempool(&self, to_gossip: Option<mpsc::Sender<Arc<Transaction>>>) -> SharedMempool {
        let rules = chain_rules(&self.genesis);
        let head = ChainHead {
            height: self.tip.height,
            state: Arc::<Snapshot>::clone(&self.state),
        };
        let vm = self.executor.vm().clone();
        SharedMempool::new(self.config.mempool, rules, head).on_admitted(Box::new(
            move |admitted, origin| {
                NewCode::of(admitted).for_each(|code| vm.prepare_ahead(code));
                if let (Some(to_gossip), Origin::Caller) = (&to_gossip, origin) {
                    // Where the queue is full, this node proposes it itself when it leads.
                    drop(to_gossip.try_send(Arc::clone(admitted)));
                }
            },
        ))
    }
}

/// What a mempool holds transactions of the chain of `genesis` against.
#[must_use]
pub fn chain_rules(genesis: &Genesis) -> ChainRules {
    let parameters = &genesis.parameters;
    ChainRules {
        genesis_hash: genesis.hash(),
        kind: genesis.kind,
        gas_price_min: parameters.gas_price_min,
        block_gas_max: parameters.block_gas_max,
        block_bytes_max: usize::try_from(parameters.block_bytes_max).unwrap_or(usize::MAX),
        transaction_gas: gas::TRANSACTION_BASE.saturating_add(gas::SIGNATURE),
        transaction_gas_per_byte: gas::TRANSACTION_PER_BYTE,
    }
}

/// Says that a node is ready as long as it keeps up with its peers, until it stops.
async fn show_readiness(mut keeps_up: watch::Receiver<bool>, status: watch::Sender<HealthStatus>) {
    while keeps_up.changed().await.is_ok() {
        let now = match *keeps_up.borrow_and_update() {
            true => HealthStatus::Ready,
            false => HealthStatus::Starting,
        };
        status.send_if_modified(|status| {
            let serves = matches!(status, HealthStatus::Starting | HealthStatus::Ready);
            let changes = serves && *status != now;
            if changes {
                *status = now;
            }
            changes
        });
    }
}
