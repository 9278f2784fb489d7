//! Opening a node's data folder: the store, the chain in it and the engine that runs contracts.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kumiki_executor::{Executor, genesis_changes};
use kumiki_protocol::{Genesis, ValidatorSet};
use kumiki_storage::{Snapshot, Storage, StorageError, Tip};
use kumiki_vm::{EngineKind, Vm, VmConfig};

use crate::genesis::genesis_block;
use crate::joined::Exchange;
use crate::state_sync::{self, StateSync};
use crate::{Fatal, GenesisSource, NodeConfig, NodeError, OrderingConfig};

/// Where in the data folder the store is.
const CHAIN_FOLDER: &str = "chain";

/// A node whose store and engine are there and whose threads are not.
pub(crate) struct Opened {
    pub(crate) config: NodeConfig,
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) executor: Arc<Executor>,
    pub(crate) tip: Tip,
    pub(crate) state: Arc<Snapshot>,
}

impl Opened {
    pub(crate) fn open(config: NodeConfig) -> Result<Self, NodeError> {
        let storage = Storage::open(&config.data_dir.join(CHAIN_FOLDER), config.storage)?;
        let genesis = open_chain(&storage, &config.genesis)?;
        let validators = genesis
            .validator_set()
            .ok_or(kumiki_protocol::GenesisError::Validators)?;
        check_ordering(&config.ordering, &genesis, &validators)?;
        let vm = open_vm(&config.data_dir, config.trap_offsets)?;
        let tip = storage.tip().ok_or(StorageError::NotInitialised)?;
        let state = Arc::new(storage.snapshot()?);
        tracing::info!(
            chain = genesis.chain_id,
            height = tip.height,
            root = %tip.state_root,
            "chain opened"
        );
        Ok(Self {
            executor: Arc::new(Executor::new(vm, &genesis)),
            storage: Arc::new(storage),
            genesis,
            config,
            tip,
            state,
        })
    }

    /// The same with a state from peers in the place of genesis.
    pub(crate) async fn with_fetched_state(
        self,
        exchange: &mut Exchange,
        sync: StateSync,
    ) -> Result<Self, NodeError> {
        let Self {
            config,
            genesis,
            storage,
            executor,
            state,
            tip: _,
        } = self;
        // These have the store open, which another is to take the place of.
        drop((storage, executor, state));
        let folder = config.data_dir.join(CHAIN_FOLDER);
        let start = Instant::now();
        let (network, channel) = (&exchange.network, &mut exchange.state);
        let place = (folder.as_path(), config.storage);
        let fetched = state_sync::fetch(&genesis, sync, network, channel, place).await?;
        tracing::info!(
            height = fetched.height,
            entries = fetched.entries,
            bytes = fetched.bytes,
            peers = fetched.peers,
            seconds = start.elapsed().as_secs_f64(),
            "state fetched"
        );
        let opened = tokio::task::spawn_blocking(move || Self::open(config));
        opened
            .await
            .map_err(|_panic| Fatal::Panicked { thread: "start-up" })?
    }
}

/// Checks that this node can take part in ordering this chain in the way it is told to.
fn check_ordering(
    ordering: &OrderingConfig,
    genesis: &Genesis,
    validators: &ValidatorSet,
) -> Result<(), NodeError> {
    let lag = genesis.parameters.execution_lag;
    match ordering {
        OrderingConfig::Network { .. } if lag == 0 => Err(NodeError::NoExecutionLag),
        OrderingConfig::Network { .. } => Ok(()),
        OrderingConfig::Solo { key, .. } => {
            let key = key.public_key();
            if validators.keys() != [key] {
                return Err(NodeError::NotTheValidator { key });
            }
            if lag != 0 {
                return Err(NodeError::ExecutionLag { found: lag });
            }
            let epoch_blocks = genesis.parameters.epoch_blocks;
            if epoch_blocks != u32::MAX {
                return Err(NodeError::Epochs {
                    found: epoch_blocks,
                });
            }
            Ok(())
        }
    }
}

fn open_vm(data_dir: &Path, trap_offsets: bool) -> Result<Vm, NodeError> {
    let mut config = VmConfig::new(EngineKind::Wasmtime);
    config.cache_dir = Some(data_dir.join("compiled"));
    config.trap_offsets = trap_offsets;
    Ok(Vm::new(config)?)
}

/// The chain that the store holds, started from `source` where there is none.
fn open_chain(storage: &Storage, source: &GenesisSource) -> Result<Arc<Genesis>, NodeError> {
    let (GenesisSource::Exactly(wanted) | GenesisSource::StoredOr(wanted)) = source;
    let Some(stored) = storage.genesis() else {
        initialise(storage, wanted)?;
        return Ok(Arc::new(wanted.clone()));
    };
    if matches!(source, GenesisSource::Exactly(_)) && *stored != *wanted {
        return Err(NodeError::OtherChain {
            found: stored.hash(),
            expected: wanted.hash(),
        });
    }
    Ok(stored)
}

/// Starts the chain of `genesis` in an empty store.
///
/// # Errors
/// When the genesis starts no chain, or the store refuses.
pub fn initialise(storage: &Storage, genesis: &Genesis) -> Result<(), NodeError> {
    genesis.check()?;
    let validators = genesis
        .validator_set()
        .ok_or(kumiki_protocol::GenesisError::Validators)?;
    let changes = genesis_changes(genesis);
    let block = genesis_block(genesis, &validators, &changes)?;
    storage.initialise(genesis, &changes, &block)?;
    Ok(())
}
