//! Answer the ordering engine: every question goes into the executor's queue, no answer is waited for.

use std::future::Future;
use std::sync::Arc;

use kumiki_consensus::{Application, BuildRequest, CheckRequest, Decided, Pending, Tip};
use kumiki_mempool::SharedMempool;
use kumiki_protocol::{
    Block, Encode as _, Evidence, Hash, Height, Parameters, Transaction, ValidatorSet, limits,
};
use kumiki_storage::{Storage, StorageError};
use kumiki_vm::{NewCode, Vm};
use tokio::sync::{mpsc, oneshot, watch};

use crate::validators::KnownValidators;

/// One question of an ordering engine.
pub(crate) enum Task {
    Build(BuildRequest, oneshot::Sender<Option<Arc<Block>>>),
    Check(CheckRequest, oneshot::Sender<bool>),
    Commit(Decided, oneshot::Sender<()>),
    Rewind(Height, oneshot::Sender<Option<(Tip, u64)>>),
}

/// The node's chain behind the ordering seam.
#[derive(Debug)]
pub struct Chain {
    vm: Vm,
    /// Unbounded, but an engine has at most a few questions open at a time.
    tasks: mpsc::UnboundedSender<Task>,
    storage: Arc<Storage>,
    parameters: Parameters,
    mempool: Arc<SharedMempool>,
    validators: watch::Receiver<KnownValidators>,
    heads: watch::Receiver<kumiki_storage::Tip>,
    evidence: mpsc::UnboundedSender<Evidence>,
}

/// Proofs of double votes that this node has seen; at most one for each validator.
pub type EvidenceQueue = mpsc::UnboundedReceiver<Evidence>;

/// Work for the executor, in the order in which it is done.
pub struct TaskQueue(pub(crate) mpsc::UnboundedReceiver<Task>);

impl std::fmt::Debug for TaskQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskQueue").finish_non_exhaustive()
    }
}

impl Chain {
    /// The chain whose newest block is in `heads`, and what an [`crate::ChainExecutor`] must do for it. It is at its
    /// end once the chain is dropped.
    pub(crate) fn new(
        vm: Vm,
        storage: Arc<Storage>,
        parameters: Parameters,
        mempool: Arc<SharedMempool>,
        validators: watch::Receiver<KnownValidators>,
        heads: watch::Receiver<kumiki_storage::Tip>,
    ) -> (Self, TaskQueue, EvidenceQueue) {
        let (tasks, queue) = mpsc::unbounded_channel();
        let (evidence, seen) = mpsc::unbounded_channel();
        let chain = Self {
            vm,
            tasks,
            storage,
            parameters,
            mempool,
            validators,
            heads,
            evidence,
        };
        (chain, TaskQueue(queue), seen)
    }

    fn ask<T>(&self, task: impl FnOnce(oneshot::Sender<T>) -> Task) -> Pending<T> {
        let (reply, answer) = oneshot::channel();
        // Where the executor thread has ended, the reply is dropped here and the answer says so.
        drop(self.tasks.send(task(reply)));
        answer
    }
}

/// Whether a block may hold these transactions, gas limits counted.
pub(crate) fn fits(parameters: &Parameters, transactions: &[Transaction]) -> bool {
    let bytes_max = usize::try_from(parameters.block_bytes_max).unwrap_or(usize::MAX);
    let (mut bytes, mut gas, mut code_gas) = (0_usize, 0_u64, 0_u64);
    for transaction in transactions {
        bytes = bytes.saturating_add(transaction.encoded_size());
        gas = gas.saturating_add(transaction.body.gas_limit);
        code_gas = code_gas.saturating_add(transaction.body.code_gas());
    }
    bytes <= bytes_max && gas <= parameters.block_gas_max && code_gas <= limits::BLOCK_CODE_GAS_MAX
}

fn new_codes(block: &Block) -> Vec<NewCode> {
    block.transactions.iter().flat_map(NewCode::of).collect()
}

/// What the store has. That it fails, the next commit finds too, and stops the node.
fn read<T>(found: Result<Option<T>, StorageError>) -> Option<T> {
    found
        .inspect_err(|error| tracing::error!(%error, "the store cannot be read"))
        .ok()
        .flatten()
}

impl Application for Chain {
    fn build(&self, request: BuildRequest) -> Pending<Option<Arc<Block>>> {
        self.ask(|reply| Task::Build(request, reply))
    }

    /// The block's code is compiled first, on threads that nothing else waits for: who votes has it by the time the block
    /// is decided. A block that would take too long misses its view, as one from a leader that is away.
    fn check(&self, request: CheckRequest) -> Pending<bool> {
        let transactions = &request.block.transactions;
        let brings_code = transactions.iter().any(|one| one.body.code_gas() > 0);
        // In this order: most blocks bring none, and what does not fit is not even copied.
        if !brings_code || !fits(&self.parameters, transactions) {
            return self.ask(|reply| Task::Check(request, reply));
        }
        let codes = new_codes(&request.block);
        let (reply, answer) = oneshot::channel();
        // Not one that keeps the queue open: the chain may be dropped meanwhile.
        let tasks = self.tasks.downgrade();
        self.vm.prepare_block(codes, move || {
            if let Some(tasks) = tasks.upgrade() {
                drop(tasks.send(Task::Check(request, reply)));
            }
        });
        answer
    }

    /// Who did not vote begins to compile the block's code while the executor is at what comes before it.
    fn commit(&self, decided: Decided) -> Pending<()> {
        let codes = new_codes(&decided.block);
        if !codes.is_empty() {
            self.vm.prepare_block(codes, || ());
        }
        self.ask(|reply| Task::Commit(decided, reply))
    }

    fn rewind(&self, height: Height) -> Pending<Option<(Tip, u64)>> {
        self.ask(|reply| Task::Rewind(height, reply))
    }

    fn tip(&self) -> Tip {
        let head = *self.heads.borrow();
        Tip {
            height: head.height,
            block_hash: head.block_hash,
        }
    }

    fn validators(&self, height: Height) -> Option<Arc<ValidatorSet>> {
        let newest = self.validators.borrow().at(height);
        newest.or_else(|| {
            let epoch = self.parameters.epoch_of(height);
            read(self.storage.validators_of(epoch)).map(Arc::new)
        })
    }

    fn decided(&self, height: Height) -> Option<Decided> {
        let block = Arc::new(read(self.storage.block(height))?);
        let certificate = read(self.storage.certificate(height));
        Some(Decided { block, certificate })
    }

    fn height_of(&self, hash: &Hash) -> Option<Height> {
        read(self.storage.height_of(hash))
    }

    fn misbehaved(&self, evidence: Evidence) {
        tracing::error!(validator = %evidence.validator, "a validator voted twice");
        // Nobody listens where the node is stopping; others have seen it too.
        let _stopping = self.evidence.send(evidence);
    }

    fn work_waits(&self) -> impl Future<Output = ()> + Send {
        self.mempool.candidate_waits()
    }
}
