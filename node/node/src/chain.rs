//! Answer the ordering engine: every question goes into the executor thread's queue, no answer is waited for.

use std::future::Future;
use std::sync::{Arc, mpsc};

use kumiki_consensus::{Application, BuildRequest, Decided, Pending};
use kumiki_mempool::SharedMempool;
use kumiki_protocol::{Block, Height, ValidatorSet};
use tokio::sync::oneshot;

/// Work for the executor thread, in the order in which it is done.
pub(crate) enum Task {
    Build(BuildRequest, oneshot::Sender<Option<Arc<Block>>>),
    Check(Arc<Block>, oneshot::Sender<bool>),
    Commit(Decided, oneshot::Sender<()>),
    Blocks(Height, usize, oneshot::Sender<Vec<Decided>>),
}

/// The node's chain behind the ordering seam.
#[derive(Debug)]
pub struct Chain {
    /// Unbounded, but an engine has at most a few questions open at a time.
    tasks: mpsc::Sender<Task>,
    mempool: Arc<SharedMempool>,
    validators: Arc<ValidatorSet>,
}

impl Chain {
    pub(crate) fn new(
        tasks: mpsc::Sender<Task>,
        mempool: Arc<SharedMempool>,
        validators: Arc<ValidatorSet>,
    ) -> Self {
        Self {
            tasks,
            mempool,
            validators,
        }
    }

    fn ask<T>(&self, task: impl FnOnce(oneshot::Sender<T>) -> Task) -> Pending<T> {
        let (reply, answer) = oneshot::channel();
        // Where the executor thread has ended, the reply is dropped here and the answer says so.
        drop(self.tasks.send(task(reply)));
        answer
    }
}

impl Application for Chain {
    fn build(&self, request: BuildRequest) -> Pending<Option<Arc<Block>>> {
        self.ask(|reply| Task::Build(request, reply))
    }

    fn check(&self, block: Arc<Block>) -> Pending<bool> {
        self.ask(|reply| Task::Check(block, reply))
    }

    fn commit(&self, decided: Decided) -> Pending<()> {
        self.ask(|reply| Task::Commit(decided, reply))
    }

    /// The set changes nowhere yet, so it is the same for every height.
    fn validators(&self, _height: Height) -> Option<Arc<ValidatorSet>> {
        Some(Arc::clone(&self.validators))
    }

    fn blocks(&self, from: Height, count_max: usize) -> Pending<Vec<Decided>> {
        self.ask(|reply| Task::Blocks(from, count_max, reply))
    }

    fn work_waits(&self) -> impl Future<Output = ()> + Send {
        self.mempool.candidate_waits()
    }
}
