//! Start the node's threads, hear of their end, and wait for it.

use std::sync::Arc;
use std::thread::JoinHandle;

use kumiki_mempool::SharedMempool;
use kumiki_vm::spawn_execution_thread;
use tokio::sync::watch;

use crate::chain::TaskQueue;
use crate::chain_executor::ChainExecutor;
use crate::{Fatal, NodeError};

/// Tells the supervisor that a thread has ended, however it did.
pub(crate) struct Alarm(watch::Sender<bool>);

impl Alarm {
    pub(crate) fn of(alarm: &watch::Sender<bool>) -> Self {
        Self(alarm.clone())
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// The threads of a running node.
pub(crate) struct Threads {
    pub(crate) executor: JoinHandle<Result<(), Fatal>>,
    pub(crate) admission: Vec<JoinHandle<()>>,
}

/// Waits for the threads on a thread of its own: those that the runtime keeps for blocking may all be taken by what
/// callers asked for.
pub(crate) async fn joined(threads: Threads) -> Result<(), Fatal> {
    let panicked = Fatal::Panicked { thread: "join" };
    let (done, result) = tokio::sync::oneshot::channel();
    let joining = std::thread::Builder::new()
        .name("kumiki-join".to_owned())
        .spawn(move || drop(done.send(join(threads))));
    match joining {
        Ok(_joining) => result.await.unwrap_or(Err(panicked)),
        Err(error) => {
            tracing::error!(%error, "no thread to wait for the others on");
            Err(panicked)
        }
    }
}

fn join(threads: Threads) -> Result<(), Fatal> {
    let executor = threads.executor.join();
    for thread in threads.admission {
        thread.join().map_err(|_panic| Fatal::Panicked {
            thread: "admission",
        })?;
    }
    executor.unwrap_or(Err(Fatal::Panicked { thread: "executor" }))
}

pub(crate) fn spawn_executor(
    thread: ChainExecutor,
    tasks: TaskQueue,
    alarm: Alarm,
) -> Result<JoinHandle<Result<(), Fatal>>, NodeError> {
    spawn_execution_thread("kumiki-executor", move || {
        let _alarm = alarm;
        thread.run(tasks)
    })
    .map_err(|source| NodeError::Io {
        operation: "start the executor thread",
        source,
    })
}

pub(crate) fn spawn_admission(
    mempool: &Arc<SharedMempool>,
    alarm: Alarm,
) -> Result<JoinHandle<()>, NodeError> {
    let mempool = Arc::clone(mempool);
    std::thread::Builder::new()
        .name("kumiki-admit".to_owned())
        .spawn(move || {
            let _alarm = alarm;
            mempool.run_admission();
        })
        .map_err(|source| NodeError::Io {
            operation: "start an admission thread",
            source,
        })
}
