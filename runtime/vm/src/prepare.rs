//! Compile contracts ahead of execution.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use kumiki_protocol::limits::CODE_BYTES_MAX;
use kumiki_protocol::{Gas, Transaction, sha3_256};

use crate::VmFailure;
use crate::engine::Engine;

/// Contracts whose transactions wait for a block; more are left for the block to ask for.
const WAITING_MAX: usize = 64;
/// Blocks that wait for their code; more than an engine looks at together.
const BLOCKS_MAX: usize = 16;

/// Code that a transaction brings along.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// The Wasm.
    pub code: Arc<[u8]>,
    /// What the transaction can pay: code that costs more is not compiled, now or when it is executed.
    pub gas_max: Gas,
}

impl NewCode {
    /// What the actions of a transaction bring.
    pub fn of(transaction: &Transaction) -> impl Iterator<Item = Self> {
        transaction.body.codes().map(|code| Self {
            code: code.into(),
            gas_max: transaction.body.gas_limit,
        })
    }
}

/// What is done once code is prepared.
type Then = Box<dyn FnOnce() + Send>;

struct Job {
    codes: Vec<NewCode>,
    then: Then,
}

/// Hands code to two workers, which end when this is dropped: what blocks ask for never waits behind what may come
/// into a block.
#[derive(Debug)]
pub(crate) struct PrepareQueue {
    ahead: SyncSender<Job>,
    for_blocks: SyncSender<Job>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.codes).finish()
    }
}

impl PrepareQueue {
    pub(crate) fn start(engine: &Arc<Engine>, threads: usize) -> Result<Self, VmFailure> {
        Ok(Self {
            ahead: worker(engine, "kumiki-prepare", WAITING_MAX, 1)?,
            for_blocks: worker(engine, "kumiki-block-code", BLOCKS_MAX, threads.max(1))?,
        })
    }

    /// Does nothing when the queue is full: the block compiles what is missing.
    pub(crate) fn push_ahead(&self, code: NewCode) {
        let job = Job {
            codes: vec![code],
            then: Box::new(|| ()),
        };
        drop(self.ahead.try_send(job));
    }

    /// Calls `then` at once when the queue is full: execution compiles what is missing.
    pub(crate) fn push_block(&self, codes: Vec<NewCode>, then: Then) {
        let refused = self.for_blocks.try_send(Job { codes, then });
        if let Err(error) = refused {
            let (TrySendError::Full(job) | TrySendError::Disconnected(job)) = error;
            (job.then)();
        }
    }
}

fn worker(
    engine: &Arc<Engine>,
    name: &str,
    waiting_max: usize,
    threads: usize,
) -> Result<SyncSender<Job>, VmFailure> {
    let (jobs, queue) = sync_channel(waiting_max);
    let engine = Arc::clone(engine);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || work(&engine, &queue, threads))
        .map_err(|error| VmFailure::Engine {
            reason: format!("no thread to compile on: {error}"),
        })?;
    Ok(jobs)
}

fn work(engine: &Engine, queue: &Receiver<Job>, threads: usize) {
    while let Ok(Job { codes, then }) = queue.recv() {
        match codes.as_slice() {
            [one] => prepare(engine, one),
            several => prepare_side_by_side(engine, several, threads),
        }
        then();
    }
}

/// An engine compiles the functions of one module side by side, but many a module has one large function.
fn prepare_side_by_side(engine: &Engine, codes: &[NewCode], threads: usize) {
    let next = AtomicUsize::new(0);
    let take = || codes.get(next.fetch_add(1, Ordering::Relaxed));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(codes.len()) {
            scope.spawn(|| {
                while let Some(code) = take() {
                    prepare(engine, code);
                }
            });
        }
    });
}

fn prepare(engine: &Engine, new: &NewCode) {
    if new.code.len() <= CODE_BYTES_MAX {
        engine.prepare(&sha3_256(&[&new.code]), &new.code, new.gas_max);
    }
}
