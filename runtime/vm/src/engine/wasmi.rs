//! Run contracts interpreted by wasmi: the second opinion on every result.

use std::sync::Arc;

use kumiki_abi::{EXPORT_MEMORY, IMPORT_MODULE};
use kumiki_protocol::{Hash, ResultCode};
use wasmi::errors::{ErrorKind, TableError};
use wasmi::{AsContext, Caller, Config, Global, Linker, Memory, Module, Store, TrapCode, Val};

use super::modules::{Modules, Weighed};
use super::{Ran, Stop, host};
use crate::diagnostics::WASM_OFFSETS_MAX;
use crate::error::Refusal;
use crate::frame::{Ended, Frame};
use crate::instrument::{
    EXPORT_GAS, EXPORT_POSITION, EXPORT_POSITIONS, EXPORT_STACK, NO_POSITION, POSITION_BYTES,
    STACK_SLOTS, instrument, instrument_with_positions,
};
use crate::{Entry, VmConfig, VmFailure};

/// One engine, and the modules translated for it.
pub(crate) struct WasmiEngine {
    engine: wasmi::Engine,
    linker: Arc<Linker<HostState>>,
    modules: Modules<WasmiModule>,
    trap_offsets: bool,
}

/// A translated contract.
pub(crate) struct WasmiModule {
    module: Module,
    linker: Arc<Linker<HostState>>,
    entries: [bool; 4],
    instance_gas: u64,
    wasm_bytes: usize,
}

struct HostState {
    frame: Frame,
    exports: Option<(Memory, Global)>,
    /// Where the code keeps positions, if it does.
    positions: Option<(Memory, Global)>,
}

/// Why Wasm was stopped by the host, as wasmi carries it.
#[derive(Debug, thiserror::Error)]
#[error("ended by the host")]
struct HostStop;

impl wasmi::errors::HostError for HostStop {}

fn engine_failure(error: impl std::fmt::Display) -> VmFailure {
    VmFailure::Engine {
        reason: error.to_string(),
    }
}

/// The injected counter ends a call long before these limits.
fn settings() -> Config {
    let slots = usize::try_from(STACK_SLOTS).unwrap_or(usize::MAX);
    let mut config = Config::default();
    config
        .set_max_recursion_depth(slots)
        .set_max_stack_height(slots.saturating_mul(64));
    config
}

impl WasmiEngine {
    pub(super) fn new(config: &VmConfig) -> Result<Self, VmFailure> {
        let engine = wasmi::Engine::new(&settings());
        let mut linker = Linker::new(&engine);
        link(&mut linker).map_err(engine_failure)?;
        Ok(Self {
            engine,
            linker: Arc::new(linker),
            modules: Modules::new(config.modules_bytes_max),
            trap_offsets: config.trap_offsets,
        })
    }

    /// The module of `hash`, from memory or translated from `code`.
    pub(super) fn module(
        &self,
        hash: &Hash,
        code: impl FnOnce() -> Result<Arc<[u8]>, Refusal>,
    ) -> Result<Arc<WasmiModule>, Refusal> {
        self.modules.obtain(hash, || {
            let instrumented = match self.trap_offsets {
                true => instrument_with_positions(&code()?),
                false => instrument(&code()?),
            };
            let instrumented =
                instrumented.map_err(|_invalid| Refusal::Code(ResultCode::InvalidCode))?;
            let module = self.translate(&instrumented.wasm).map_err(engine_failure)?;
            Ok(Arc::new(WasmiModule {
                module,
                linker: Arc::clone(&self.linker),
                entries: instrumented.info.entries,
                instance_gas: instrumented.info.instance_gas,
                wasm_bytes: instrumented.wasm.len(),
            }))
        })
    }

    #[expect(
        unsafe_code,
        reason = "wasmi is built without its own validator, an older version of ours"
    )]
    fn translate(&self, checked: &[u8]) -> Result<Module, wasmi::Error> {
        // SAFETY: `instrument` has validated what it wrote.
        unsafe { Module::new_unchecked(&self.engine, checked) }
    }
}

impl Weighed for WasmiModule {
    fn code_bytes(&self) -> usize {
        // wasmi's own code is a few times the Wasm.
        self.wasm_bytes.saturating_mul(4)
    }
}

impl WasmiModule {
    pub(super) fn has_entry(&self, entry: Entry) -> bool {
        self.entries.get(entry.index()).copied().unwrap_or(false)
    }

    pub(super) const fn instance_gas(&self) -> u64 {
        self.instance_gas
    }

    pub(super) fn run(&self, entry: Entry, frame: Frame) -> Ran {
        let state = HostState {
            frame,
            exports: None,
            positions: None,
        };
        let mut store = Store::new(self.module.engine(), state);
        let mut stack_left = 0;
        let stop = match self.run_in(&mut store, entry, &mut stack_left) {
            Ok(()) => Stop::Returned,
            Err(error) => explain(&error, &store),
        };
        Ran {
            frame: store.into_data().frame,
            stop,
            stack_left,
        }
    }

    fn run_in(
        &self,
        store: &mut Store<HostState>,
        entry: Entry,
        stack_left: &mut i32,
    ) -> Result<(), wasmi::Error> {
        let instance = self
            .linker
            .instantiate_and_start(&mut *store, &self.module)?;
        let gone = || wasmi::Error::new("an export is gone");
        let memory = instance
            .get_memory(&*store, EXPORT_MEMORY)
            .ok_or_else(gone)?;
        let gas = instance.get_global(&*store, EXPORT_GAS).ok_or_else(gone)?;
        let stack = instance
            .get_global(&*store, EXPORT_STACK)
            .ok_or_else(gone)?;
        let function = instance.get_typed_func::<i32, ()>(&*store, entry.export())?;
        let positions = instance
            .get_memory(&*store, EXPORT_POSITIONS)
            .zip(instance.get_global(&*store, EXPORT_POSITION));
        let state = store.data_mut();
        state.exports = Some((memory, gas));
        state.positions = positions;
        let input_len = i32::try_from(state.frame.input.len()).unwrap_or(i32::MAX);
        let given = state.frame.gas;
        gas.set(&mut *store, Val::I64(given))
            .map_err(|_mismatch| gone())?;
        let result = function.call(&mut *store, input_len);
        store.data_mut().frame.gas = gas.get(&*store).i64().unwrap_or(-1);
        *stack_left = stack.get(&*store).i32().unwrap_or(-1);
        result
    }
}

/// Tells the contract's faults from this node's.
fn explain(error: &wasmi::Error, store: &Store<HostState>) -> Stop {
    let (reason, stopped_in) = match error.as_trap_code() {
        Some(TrapCode::StackOverflow | TrapCode::OutOfFuel) => {
            return Stop::Failed(engine_failure(error));
        }
        Some(code) => (code.to_string(), StoppedIn::Wasm),
        None if error.downcast_ref::<HostStop>().is_some() => {
            ("ended by the host".to_owned(), StoppedIn::Host)
        }
        // A trap that wasmi has no code for.
        None if matches!(error.kind(), ErrorKind::Table(TableError::CopyOutOfBounds)) => {
            (error.to_string(), StoppedIn::Wasm)
        }
        None => return Stop::Failed(engine_failure(error)),
    };
    let positions = store.data().positions;
    Stop::Trapped {
        reason,
        wasm_offsets: positions.map_or_else(Vec::new, |kept| offsets(store, kept, stopped_in)),
    }
}

/// What ran innermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoppedIn {
    Wasm,
    /// A host function: its place among the positions is not its own.
    Host,
}

/// The positions that the code has kept, innermost first.
fn offsets(
    store: impl AsContext,
    (positions, position): (Memory, Global),
    stopped_in: StoppedIn,
) -> Vec<u32> {
    let innermost = position.get(&store).i32().unwrap_or(0);
    let end = match stopped_in {
        StoppedIn::Wasm => innermost.saturating_add(POSITION_BYTES),
        StoppedIn::Host => innermost,
    };
    let end = usize::try_from(end).unwrap_or(0);
    let kept = positions.data(&store).get(..end).unwrap_or_default();
    let (kept, _none) = kept.as_chunks();
    let innermost_first = kept.iter().rev().map(|bytes| u32::from_le_bytes(*bytes));
    innermost_first
        .filter(|offset| *offset != NO_POSITION)
        .take(WASM_OFFSETS_MAX)
        .collect()
}

/// Hands gas and memory to the frame, and takes the gas back.
fn enter<T>(
    caller: &mut Caller<'_, HostState>,
    run: impl FnOnce(&mut Frame, &mut [u8]) -> Result<T, Ended>,
) -> Result<T, wasmi::Error> {
    let (memory, gas) = caller
        .data()
        .exports
        .ok_or_else(|| wasmi::Error::new("called before it was set up"))?;
    let left = gas.get(&*caller).i64().unwrap_or(-1);
    let (memory, state) = memory.data_and_store_mut(&mut *caller);
    state.frame.gas = left;
    let result = run(&mut state.frame, memory);
    let left = state.frame.gas;
    let wanted = state.frame.position_wanted;
    gas.set(&mut *caller, Val::I64(left))
        .map_err(|_mismatch| wasmi::Error::new("the gas global has another type"))?;
    if let Some(kept) = caller.data().positions.filter(|_| wanted) {
        let place = offsets(&*caller, kept, StoppedIn::Host);
        caller.data_mut().frame.place(place);
    }
    result.map_err(|Ended| wasmi::Error::host(HostStop))
}

macro_rules! result_type {
    () => { Result<(), wasmi::Error> };
    ($type:ident) => { Result<$type, wasmi::Error> };
}

macro_rules! link_functions {
    ($($(#[doc = $docs:literal])+ fn $name:ident($($parameter:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
        fn link(linker: &mut Linker<HostState>) -> Result<(), wasmi::errors::LinkerError> {
            $(linker.func_wrap(
                IMPORT_MODULE,
                stringify!($name),
                |mut caller: Caller<'_, HostState>, $($parameter: $type),*| -> result_type!($($result)?) {
                    enter(&mut caller, |frame, memory| host::$name(frame, memory, $($parameter),*))
                },
            )?;)*
            Ok(())
        }
    };
}
kumiki_abi::host_functions!(link_functions);
