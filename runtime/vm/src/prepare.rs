//! Compile contracts ahead of execution, one after the other.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use kumiki_protocol::limits::CODE_BYTES_MAX;
use kumiki_protocol::sha3_256;

use crate::VmFailure;
use crate::engine::Engine;

/// Contracts that wait for the worker; more are left for execution to compile.
const WAITING_MAX: usize = 64;

/// Hands code to the worker, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct PrepareQueue {
    jobs: SyncSender<Arc<[u8]>>,
}

impl PrepareQueue {
    pub(crate) fn start(engine: &Arc<Engine>) -> Result<Self, VmFailure> {
        let (jobs, queue) = sync_channel::<Arc<[u8]>>(WAITING_MAX);
        let engine = Arc::clone(engine);
        std::thread::Builder::new()
            .name("kumiki-prepare".to_owned())
            .spawn(move || work(&engine, &queue))
            .map_err(|error| VmFailure::Engine {
                reason: format!("no thread to compile on: {error}"),
            })?;
        Ok(Self { jobs })
    }

    /// Does nothing when the queue is full: execution compiles what is missing.
    pub(crate) fn push(&self, code: &[u8]) {
        if code.len() <= CODE_BYTES_MAX {
            drop(self.jobs.try_send(code.into()));
        }
    }
}

fn work(engine: &Engine, queue: &Receiver<Arc<[u8]>>) {
    while let Ok(code) = queue.recv() {
        engine.prepare(&sha3_256(&[&code]), &code);
    }
}
