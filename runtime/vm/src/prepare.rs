//! Compile contracts ahead of execution, in a capped number of workers.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use kumiki_protocol::limits::CODE_BYTES_MAX;
use kumiki_protocol::sha3_256;

use crate::VmFailure;
use crate::engine::Engine;

/// Contracts that wait for a worker; more are left for execution to compile.
const WAITING_MAX: usize = 64;
/// Compilers recurse over deeply nested code.
const WORKER_STACK_BYTES: usize = 16 << 20;

/// Hands code to the workers; they end when it is dropped.
#[derive(Debug)]
pub(crate) struct PrepareQueue {
    jobs: SyncSender<Arc<[u8]>>,
}

impl PrepareQueue {
    pub(crate) fn start(engine: &Arc<Engine>, threads: usize) -> Result<Self, VmFailure> {
        let (jobs, queue) = sync_channel::<Arc<[u8]>>(WAITING_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let (engine, queue) = (Arc::clone(engine), Arc::clone(&queue));
            std::thread::Builder::new()
                .name("kumiki-compile".to_owned())
                .stack_size(WORKER_STACK_BYTES)
                .spawn(move || work(&engine, &queue))
                .map_err(|error| VmFailure::Engine {
                    reason: format!("no thread to compile on: {error}"),
                })?;
        }
        Ok(Self { jobs })
    }

    /// Does nothing when the queue is full: execution compiles what is missing.
    pub(crate) fn push(&self, code: &[u8]) {
        if code.len() <= CODE_BYTES_MAX {
            drop(self.jobs.try_send(code.into()));
        }
    }
}

fn work(engine: &Engine, queue: &Mutex<Receiver<Arc<[u8]>>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(code) => engine.prepare(&sha3_256(&[&code]), &code),
            Err(_queue_dropped) => return,
        }
    }
}
