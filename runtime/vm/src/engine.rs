//! Choose the engine, keep what it has prepared, and run one entry of one contract.

#[cfg(any(feature = "wasmtime", feature = "wasmi"))]
mod modules;
#[cfg(feature = "native")]
pub(crate) mod native;
#[cfg(feature = "wasmi")]
mod wasmi;
#[cfg(feature = "wasmtime")]
mod wasmtime;

#[cfg(any(feature = "wasmtime", feature = "wasmi"))]
mod host;

use std::sync::Arc;

use kumiki_protocol::{Gas, Hash, ResultCode};

use crate::error::Refusal;
use crate::frame::Frame;
use crate::{EngineKind, Entry, Session, Vm, VmConfig, VmFailure};

/// How the code of a call stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    Returned,
    Trapped {
        reason: String,
        wasm_offsets: Vec<u32>,
    },
    Failed(VmFailure),
}

/// Where a module stays once it is prepared.
#[cfg(feature = "wasmtime")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// With those of the chain, in memory and on disk.
    Chain,
    /// Apart from those and in memory only: a simulation brought its code, and nobody has paid for it.
    Trial,
}

/// A call after its code stopped.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) frame: Frame,
    pub(crate) stop: Stop,
    /// Below zero when the stack counter ran out.
    pub(crate) stack_left: i32,
}

/// One of the engines and its modules.
pub(crate) enum Engine {
    #[cfg(feature = "wasmtime")]
    Wasmtime(Box<wasmtime::WasmtimeEngine>),
    #[cfg(feature = "wasmi")]
    Wasmi(wasmi::WasmiEngine),
    #[cfg(feature = "native")]
    NativeOnly,
}

/// A contract's code, ready to run.
pub(crate) enum Program {
    #[cfg(feature = "wasmtime")]
    Wasmtime(Arc<wasmtime::WasmtimeModule>),
    #[cfg(feature = "wasmi")]
    Wasmi(Arc<wasmi::WasmiModule>),
    #[cfg(feature = "native")]
    Native(Arc<dyn native::NativeCode>),
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    pub(crate) fn new(config: &VmConfig) -> Result<Self, VmFailure> {
        match config.engine {
            #[cfg(feature = "wasmtime")]
            EngineKind::Wasmtime => {
                wasmtime::WasmtimeEngine::new(config).map(|engine| Self::Wasmtime(Box::new(engine)))
            }
            #[cfg(feature = "wasmi")]
            EngineKind::Wasmi => wasmi::WasmiEngine::new(config).map(Self::Wasmi),
            #[cfg(feature = "native")]
            EngineKind::NativeOnly => Ok(Self::NativeOnly),
        }
    }

    /// Prepares `code` unless it is prepared or deploying it takes more than `gas_max`; what fails shows when it is run.
    pub(crate) fn prepare(&self, hash: &Hash, code: &Arc<[u8]>, gas_max: Gas) {
        let found = || match crate::check_code(code) {
            Ok(info) if info.deploy_gas <= gas_max => Ok(Arc::clone(code)),
            Ok(_) => Err(Refusal::Code(ResultCode::OutOfGas)),
            Err(_invalid) => Err(Refusal::Code(ResultCode::InvalidCode)),
        };
        match self {
            #[cfg(feature = "wasmtime")]
            Self::Wasmtime(engine) => drop(engine.module(hash, Kept::Chain, found)),
            #[cfg(feature = "wasmi")]
            Self::Wasmi(engine) => drop(engine.module(hash, found)),
            #[cfg(feature = "native")]
            Self::NativeOnly => drop(found()),
        }
    }
}

impl Vm {
    /// The code with this hash, if it has the entry.
    pub(crate) fn program(
        &self,
        session: &Session,
        hash: &Hash,
        entry: Entry,
    ) -> Result<Program, Refusal> {
        #[cfg(feature = "native")]
        if let Some(code) = self.inner.native.find(hash) {
            return Ok(Program::Native(code));
        }
        let code = || {
            session
                .journal
                .code(hash)?
                .ok_or(Refusal::Failed(VmFailure::CorruptState {
                    what: "a contract without its code",
                }))
        };
        let (program, has_entry) = match &*self.inner.engine {
            #[cfg(feature = "wasmtime")]
            Engine::Wasmtime(engine) => {
                let module = engine.module(hash, session.kept(hash), code)?;
                let has_entry = module.has_entry(entry);
                (Program::Wasmtime(module), has_entry)
            }
            #[cfg(feature = "wasmi")]
            Engine::Wasmi(engine) => {
                let module = engine.module(hash, code)?;
                let has_entry = module.has_entry(entry);
                (Program::Wasmi(module), has_entry)
            }
            #[cfg(feature = "native")]
            Engine::NativeOnly => {
                return Err(Refusal::Failed(VmFailure::Engine {
                    reason: format!(
                        "no native code is registered for {hash}, and this VM runs no Wasm ({} bytes)",
                        code()?.len()
                    ),
                }));
            }
        };
        if has_entry {
            Ok(program)
        } else {
            Err(ResultCode::InvalidCode.into())
        }
    }
}

impl Program {
    /// Gas of making an instance.
    pub(crate) fn instance_gas(&self) -> u64 {
        match self {
            #[cfg(feature = "wasmtime")]
            Self::Wasmtime(module) => module.instance_gas(),
            #[cfg(feature = "wasmi")]
            Self::Wasmi(module) => module.instance_gas(),
            #[cfg(feature = "native")]
            Self::Native(_) => 0,
        }
    }

    pub(crate) fn run(&self, entry: Entry, frame: Frame) -> Ran {
        match self {
            #[cfg(feature = "wasmtime")]
            Self::Wasmtime(module) => module.run(entry, frame),
            #[cfg(feature = "wasmi")]
            Self::Wasmi(module) => module.run(entry, frame),
            #[cfg(feature = "native")]
            Self::Native(code) => native::run(&**code, entry, frame),
        }
    }
}
