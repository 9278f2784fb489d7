//! Run calls, deployments and upgrades, each all or nothing.

use std::path::PathBuf;
use std::sync::Arc;

use kumiki_protocol::Address;

use crate::{Deployment, Message, Outcome, Session, Upgrade, VmFailure};

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
    /// Threads that compile.
    pub compile_threads: usize,
    /// Calls from outside that run at the same time; more wait.
    pub parallel_calls_max: u32,
    /// Keep a map from machine code to Wasm, so that traps carry offsets. For developers: it costs memory.
    pub trap_offsets: bool,
}

impl VmConfig {
    /// The settings of a node with `engine` and no folder of compiled modules.
    #[must_use]
    pub fn new(engine: EngineKind) -> Self {
        Self {
            engine,
            cache_dir: None,
            compile_threads: 1,
            parallel_calls_max: 8,
            trap_offsets: false,
        }
    }
}

/// Runs contracts. Clones share engine and caches; calls may run at the same time on several threads.
#[derive(Clone, Debug)]
pub struct Vm {
    _config: Arc<VmConfig>,
}

/// A contract in native Rust, for tests of contracts (feature `native`). It has the same host functions, gas
/// prices of host functions, rules of calls and limits as Wasm; its own instructions cost nothing.
#[cfg(feature = "native")]
pub trait NativeCode: Send + Sync {
    /// Runs `entry`, and hands the frame back. When a method of `frame` returns [`crate::Ended`], nothing more can
    /// happen in this call: return, or unwind (for example with `std::panic::resume_unwind`) and catch before the
    /// end of `run`; what it does after is ignored. A panic of the contract itself is to be caught too and handed
    /// to [`crate::Frame::panicked`].
    fn run(&self, entry: crate::Entry, frame: crate::Frame) -> crate::Frame;
}

impl Vm {
    /// Sets up the engine; there should be one per process.
    ///
    /// # Errors
    /// `VmFailure` when the engine or the folder of compiled modules cannot be used.
    pub fn new(config: VmConfig) -> Result<Self, VmFailure> {
        Ok(Self {
            _config: Arc::new(config),
        })
    }

    /// Calls a contract: moves the value, runs the code, undoes all but the gas on failure.
    ///
    /// # Errors
    /// `VmFailure` when this node failed; the session is lost with it.
    pub fn call(
        &self,
        _session: Session,
        _message: Message,
    ) -> Result<(Session, Outcome), VmFailure> {
        Err(VmFailure::Engine {
            reason: "not built yet".to_owned(),
        })
    }

    /// Makes a contract and runs its `init`. The address is the contract's, whether or not it was made.
    ///
    /// # Errors
    /// `VmFailure` when this node failed; the session is lost with it.
    pub fn deploy(
        &self,
        _session: Session,
        _deployment: Deployment,
    ) -> Result<(Session, Outcome, Address), VmFailure> {
        Err(VmFailure::Engine {
            reason: "not built yet".to_owned(),
        })
    }

    /// Gives a contract other code and runs that code's `migrate`, if it has one.
    ///
    /// # Errors
    /// `VmFailure` when this node failed; the session is lost with it.
    pub fn upgrade(
        &self,
        _session: Session,
        _upgrade: Upgrade,
    ) -> Result<(Session, Outcome), VmFailure> {
        Err(VmFailure::Engine {
            reason: "not built yet".to_owned(),
        })
    }

    /// Validates and compiles `code` in a worker, so that execution need not wait for it. Returns at once.
    pub fn prepare_ahead(&self, _code: &[u8]) {}

    /// Makes `run` the contract whose code is `code`, which is then deployed and called like any other.
    #[cfg(feature = "native")]
    pub fn register_native(&self, _code: Arc<[u8]>, _run: Arc<dyn NativeCode>) {}
}
