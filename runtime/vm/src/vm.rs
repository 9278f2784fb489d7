//! Run calls, deployments and upgrades, each all or nothing.

mod calls;
mod conclude;
#[cfg(test)]
#[cfg(all(feature = "wasmtime", feature = "wasmi"))]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use kumiki_protocol::Address;

pub(crate) use calls::Invocation;

use crate::engine::Engine;
use crate::execution_stack::run_on_execution_stack;
use crate::prepare::PrepareQueue;
use crate::{
    CodeReplacement, Deployment, Entry, Message, NewCode, Outcome, Session, Upgrade, VmFailure,
};

/// Which engine runs Wasm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineKind {
    /// The compiler: what nodes run.
    #[cfg(feature = "wasmtime")]
    Wasmtime,
    /// The interpreter: the second opinion, and quick to start.
    #[cfg(feature = "wasmi")]
    Wasmi,
    /// No Wasm: only registered native code runs.
    #[cfg(feature = "native")]
    NativeOnly,
}

/// How to set up a [`Vm`].
#[derive(Clone, Debug)]
pub struct VmConfig {
    /// Which engine runs Wasm.
    pub engine: EngineKind,
    /// Folder of compiled modules, made if missing and readable to this user only; none is kept if `None`.
    pub cache_dir: Option<PathBuf>,
    /// Bytes that the folder may hold; the files written first go first.
    pub cache_bytes_max: u64,
    /// Bytes of prepared modules that stay in memory; the least recently used go first, but for the newest.
    pub modules_bytes_max: usize,
    /// Threads that compile, whoever asks: one contract that waits for a block, as many of a block, and what execution
    /// misses.
    pub compile_threads: usize,
    /// Calls from outside that run at the same time; more wait.
    pub parallel_calls_max: u32,
    /// Keep what tells where in its Wasm a contract failed. For developers: it costs memory.
    pub trap_offsets: bool,
}

impl VmConfig {
    /// The settings of a node with `engine` and no folder of compiled modules.
    #[must_use]
    pub const fn new(engine: EngineKind) -> Self {
        Self {
            engine,
            cache_dir: None,
            cache_bytes_max: 2 << 30,
            modules_bytes_max: 1 << 30,
            compile_threads: 2,
            parallel_calls_max: 8,
            trap_offsets: false,
        }
    }
}

/// Runs contracts. Clones share engine and caches; calls may run at the same time on several threads.
#[derive(Clone, Debug)]
pub struct Vm {
    pub(crate) inner: Arc<VmInner>,
}

#[derive(Debug)]
pub(crate) struct VmInner {
    pub(crate) engine: Arc<Engine>,
    prepare: PrepareQueue,
    parallel_calls_max: u32,
    slots: Mutex<Slots>,
    slot_freed: Condvar,
    #[cfg(feature = "native")]
    pub(crate) native: crate::engine::native::NativeCodes,
}

impl Vm {
    /// Sets up the engine; there should be one per process.
    ///
    /// # Errors
    /// `VmFailure` when the engine or the folder of compiled modules cannot be used.
    pub fn new(config: VmConfig) -> Result<Self, VmFailure> {
        let engine = Arc::new(Engine::new(&config)?);
        let prepare = PrepareQueue::start(&engine, config.compile_threads)?;
        Ok(Self {
            inner: Arc::new(VmInner {
                engine,
                prepare,
                parallel_calls_max: config.parallel_calls_max.max(1),
                slots: Mutex::new(Slots {
                    free: config.parallel_calls_max.max(1),
                    waiting: 0,
                }),
                slot_freed: Condvar::new(),
                #[cfg(feature = "native")]
                native: crate::engine::native::NativeCodes::default(),
            }),
        })
    }

    /// How many calls from outside run at the same time; one more waits. Who executes blocks never waits when all
    /// others together make fewer calls at once.
    #[must_use]
    pub fn parallel_calls_max(&self) -> u32 {
        self.inner.parallel_calls_max
    }

    /// Calls a contract: moves the value, runs the code, undoes all but the gas on failure.
    ///
    /// # Errors
    /// `VmFailure` when this node failed; the session is lost with it.
    pub fn call(
        &self,
        session: Session,
        message: Message,
    ) -> Result<(Session, Outcome), VmFailure> {
        if matches!(message.entry, Entry::Init | Entry::Migrate) {
            return Ok((
                session,
                calls::refused(kumiki_protocol::ResultCode::NotAllowed),
            ));
        }
        let invocation = Invocation {
            caller: message.caller,
            contract: message.contract,
            entry: message.entry,
            input: message.input,
            value: message.value,
            gas: message.gas,
            reentry_allowed: false,
        };
        self.run(move |vm| {
            vm.call_within(Box::new(session), invocation)
                .map(|(session, outcome)| (*session, outcome))
        })
    }

    /// Makes a contract and runs its `init`. The address is the contract's, whether or not it was made.
    ///
    /// # Errors
    /// `VmFailure` when this node failed; the session is lost with it.
    pub fn deploy(
        &self,
        session: Session,
        deployment: Deployment,
    ) -> Result<(Session, Outcome, Address), VmFailure> {
        self.run(move |vm| {
            vm.deploy_within(Box::new(session), deployment)
                .map(|(session, outcome, address)| (*session, outcome, address))
        })
    }

    /// Gives a contract other code and runs that code's `migrate`; code without one is refused as `InvalidCode`.
    ///
    /// # Errors
    /// `VmFailure` when this node failed; the session is lost with it.
    pub fn upgrade(
        &self,
        session: Session,
        upgrade: Upgrade,
    ) -> Result<(Session, Outcome), VmFailure> {
        self.run(move |vm| {
            vm.upgrade_within(Box::new(session), upgrade)
                .map(|(session, outcome)| (*session, outcome))
        })
    }

    /// Gives a contract other code and runs none of it.
    ///
    /// # Errors
    /// `VmFailure` when this node failed; the session is lost with it.
    pub fn replace_code(
        &self,
        session: Session,
        replacement: CodeReplacement,
    ) -> Result<(Session, Outcome), VmFailure> {
        self.run(move |vm| {
            vm.replace_code_within(Box::new(session), replacement)
                .map(|(session, outcome)| (*session, outcome))
        })
    }

    /// Validates and compiles code of a transaction that waits for a block, in a worker. Returns at once; does nothing
    /// when too many wait already.
    pub fn prepare_ahead(&self, code: NewCode) {
        self.inner.prepare.push_ahead(code);
    }

    /// Validates and compiles the code of a block in a worker, so that executing the block need not wait for it, and
    /// then calls `then` there; on this thread, and without the code, when too many blocks wait already. Returns at once.
    pub fn prepare_block(&self, codes: Vec<NewCode>, then: impl FnOnce() + Send + 'static) {
        self.inner.prepare.push_block(codes, Box::new(then));
    }

    /// Makes `run` the contract whose code is `code`, which is then deployed and called like any other. `code`
    /// needs not be Wasm.
    #[cfg(feature = "native")]
    pub fn register_native(&self, code: Arc<[u8]>, run: Arc<dyn crate::NativeCode>) {
        self.inner
            .native
            .insert(kumiki_protocol::sha3_256(&[&code]), run);
    }

    /// Waits for a slot, so that the engine's pool of instances is never exhausted, and for a stack.
    fn run<T: Send>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, VmFailure> + Send,
    ) -> Result<T, VmFailure> {
        let _slot = Slot::take(&self.inner);
        run_on_execution_stack(|| work(self))?
    }
}

/// How many chains of calls may still start, and how many wait to.
#[derive(Debug)]
struct Slots {
    free: u32,
    waiting: u32,
}

/// The right to run one chain of calls.
struct Slot<'a>(&'a VmInner);

impl<'a> Slot<'a> {
    fn take(inner: &'a VmInner) -> Self {
        let mut slots = inner.slots.lock().unwrap_or_else(PoisonError::into_inner);
        while slots.free == 0 {
            slots.waiting += 1;
            slots = inner
                .slot_freed
                .wait(slots)
                .unwrap_or_else(PoisonError::into_inner);
            slots.waiting -= 1;
        }
        slots.free -= 1;
        Self(inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.free += 1;
        // Waking is a system call even when nobody waits.
        if slots.waiting > 0 {
            self.0.slot_freed.notify_one();
        }
    }
}
