//! Run contracts compiled by wasmtime.
//!
//! The settings are consensus-relevant where they say so; `docs/spec/vm.md` 5 gives the reasons.

mod disk_cache;
mod growth;

use std::sync::Arc;

use kumiki_abi::{EXPORT_MEMORY, IMPORT_MODULE};
use kumiki_protocol::Hash;
use kumiki_protocol::limits::CALL_DEPTH_MAX;
use wasmtime::{
    Caller, Config, Enabled, Global, InstanceAllocationStrategy, InstancePre, Linker, Memory,
    Module, ModuleExport, OptLevel, PoolingAllocationConfig, Store, Strategy, Trap, Val,
    WasmBacktrace, WasmFeatures,
};

use super::modules::{Modules, Weighed};
use super::{Kept, Ran, Stop, host};
use crate::diagnostics::WASM_OFFSETS_MAX;
use crate::error::Refusal;
use crate::execution_stack::WASM_STACK_BYTES;
use crate::frame::{Ended, Frame};
use crate::instrument::{EXPORT_GAS, EXPORT_STACK, Instrumented, OffsetMap, instrument};
use crate::validate::{MEMORY_PAGES_MAX, TABLE_ENTRIES_MAX};
use crate::{Entry, VmConfig, VmFailure};
use disk_cache::DiskCache;
use growth::{GrowthLimits, LocalFailure};

/// Memory of a slot in the pool that stays resident and is zeroed between calls: the page that small contracts
/// have. What a call touched beyond goes back to the system.
const MEMORY_KEEP_RESIDENT_BYTES: usize = 64 << 10;
const TABLE_KEEP_RESIDENT_BYTES: usize = 64 << 10;

/// Bytes kept of modules that only simulations have asked for.
const TRIAL_BYTES_MAX: usize = 64 << 20;

/// Compilers recurse over deeply nested code.
const COMPILER_STACK_BYTES: usize = 16 << 20;

/// One engine, and the modules compiled for it.
pub(crate) struct WasmtimeEngine {
    engine: wasmtime::Engine,
    linker: Linker<HostState>,
    modules: Modules<WasmtimeModule>,
    /// Apart, so that simulations push out nothing that blocks need.
    trials: Modules<WasmtimeModule>,
    disk: Option<DiskCache>,
    /// wasmtime compiles the functions of a module side by side on the pool it is called in.
    compilers: rayon::ThreadPool,
    trap_offsets: bool,
}

/// A compiled contract with its imports resolved.
pub(crate) struct WasmtimeModule {
    instance: InstancePre<HostState>,
    memory: ModuleExport,
    gas: ModuleExport,
    stack: ModuleExport,
    entries: [Option<ModuleExport>; 4],
    instance_gas: u64,
    /// Only where failures carry offsets.
    offsets: Option<Arc<OffsetMap>>,
}

/// What a store holds: the frame, and how to reach the memory and the gas.
struct HostState {
    frame: Frame,
    exports: Option<(Memory, Global)>,
    limits: GrowthLimits,
    offsets: Option<Arc<OffsetMap>>,
}

fn engine_failure(error: impl std::fmt::Display) -> VmFailure {
    VmFailure::Engine {
        reason: format!("{error:#}"),
    }
}

/// Features drift between versions, so all are off and the list is ours.
fn settings(config: &VmConfig) -> wasmtime::Result<Config> {
    let mut settings = Config::new();
    settings.wasm_features(WasmFeatures::all(), false);
    settings.wasm_features(
        WasmFeatures::MUTABLE_GLOBAL
            | WasmFeatures::SIGN_EXTENSION
            | WasmFeatures::SATURATING_FLOAT_TO_INT
            | WasmFeatures::MULTI_VALUE
            | WasmFeatures::BULK_MEMORY
            | WasmFeatures::REFERENCE_TYPES,
        true,
    );
    settings
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .parallel_compilation(true)
        .memory_init_cow(true)
        .signals_based_traps(true)
        .memory_may_move(false)
        .native_unwind_info(false)
        .generate_address_map(config.trap_offsets)
        .wasm_backtrace_max_frames(
            config
                .trap_offsets
                .then_some(std::num::NonZeroUsize::new(WASM_OFFSETS_MAX))
                .flatten(),
        )
        .consume_fuel(false)
        .epoch_interruption(false)
        .max_wasm_stack(WASM_STACK_BYTES)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config)));
    // The same machine code on every x86-64 node, whatever its processor offers.
    if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        settings.target("x86_64-unknown-linux-gnu")?;
    }
    Ok(settings)
}

fn pool(config: &VmConfig) -> PoolingAllocationConfig {
    let depth = u32::try_from(CALL_DEPTH_MAX).unwrap_or(u32::MAX);
    let slots = config.parallel_calls_max.max(1).saturating_mul(depth);
    let memory_bytes = usize::try_from(MEMORY_PAGES_MAX << 16).unwrap_or(usize::MAX);
    let table_entries = usize::try_from(TABLE_ENTRIES_MAX).unwrap_or(usize::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(slots)
        .total_memories(slots)
        .total_tables(slots)
        .max_memories_per_module(1)
        .max_tables_per_module(1)
        .max_memory_size(memory_bytes)
        .table_elements(table_entries)
        .linear_memory_keep_resident(MEMORY_KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
        // Asking the kernel which pages were touched costs more than zeroing one Wasm page (ADR 7).
        .pagemap_scan(Enabled::No);
    pool
}

impl WasmtimeEngine {
    pub(super) fn new(config: &VmConfig) -> Result<Self, VmFailure> {
        let settings = settings(config).map_err(engine_failure)?;
        let engine = wasmtime::Engine::new(&settings).map_err(engine_failure)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker).map_err(engine_failure)?;
        let disk = match &config.cache_dir {
            Some(path) => Some(DiskCache::open(path, config.cache_bytes_max, &engine)?),
            None => None,
        };
        Ok(Self {
            engine,
            linker,
            modules: Modules::new(config.modules_bytes_max),
            trials: Modules::new(TRIAL_BYTES_MAX),
            disk,
            compilers: rayon::ThreadPoolBuilder::new()
                .num_threads(config.compile_threads.max(1))
                .stack_size(COMPILER_STACK_BYTES)
                .thread_name(|_| "kumiki-compile".to_owned())
                .build()
                .map_err(engine_failure)?,
            trap_offsets: config.trap_offsets,
        })
    }

    /// The module of `hash`, from memory, from disk or compiled from `code`.
    pub(super) fn module(
        &self,
        hash: &Hash,
        kept: Kept,
        code: impl FnOnce() -> Result<Arc<[u8]>, Refusal>,
    ) -> Result<Arc<WasmtimeModule>, Refusal> {
        match kept {
            Kept::Chain => self.modules.obtain(hash, || {
                // A simulation may have compiled it before it came to the chain.
                if let Some(module) = self.trials.kept(hash) {
                    self.store(hash, module.instance.module(), module.instance_gas);
                    return Ok(module);
                }
                self.make(hash, kept, code)
            }),
            Kept::Trial => match self.modules.kept(hash) {
                Some(module) => Ok(module),
                None => self.trials.obtain(hash, || self.make(hash, kept, code)),
            },
        }
    }

    fn make(
        &self,
        hash: &Hash,
        kept: Kept,
        code: impl FnOnce() -> Result<Arc<[u8]>, Refusal>,
    ) -> Result<Arc<WasmtimeModule>, Refusal> {
        let loaded = self.disk.as_ref().and_then(|disk| disk.load(hash));
        let failed = |error| Refusal::Failed(engine_failure(error));
        if let Some((module, instance_gas)) = &loaded
            && !self.trap_offsets
        {
            let module = self.resolve(module.clone(), *instance_gas);
            return module.map(Arc::new).map_err(failed);
        }
        let invalid = || Refusal::Code(kumiki_protocol::ResultCode::InvalidCode);
        let Instrumented {
            wasm,
            info,
            offsets,
        } = instrument(&code()?).map_err(|_error| invalid())?;
        let module = match loaded {
            Some((module, _)) => module,
            None => {
                // Our own rules are narrower, so this refuses nothing that we know of. Should it ever, then the
                // contract is refused on every node of this version, instead of stopping them all.
                Module::validate(&self.engine, &wasm).map_err(|_error| invalid())?;
                let compile = || Module::new(&self.engine, &wasm);
                let module = self.compilers.install(compile).map_err(failed)?;
                if kept == Kept::Chain {
                    self.store(hash, &module, info.instance_gas);
                }
                module
            }
        };
        let mut module = self.resolve(module, info.instance_gas).map_err(failed)?;
        module.offsets = self.trap_offsets.then(|| Arc::new(offsets));
        Ok(Arc::new(module))
    }

    fn store(&self, hash: &Hash, module: &Module, instance_gas: u64) {
        if let Some(disk) = &self.disk {
            disk.store(hash, module, instance_gas);
        }
    }

    fn resolve(&self, module: Module, instance_gas: u64) -> wasmtime::Result<WasmtimeModule> {
        let export = |name: &str| {
            module
                .get_export_index(name)
                .ok_or_else(|| wasmtime::format_err!("no export {name}"))
        };
        Ok(WasmtimeModule {
            memory: export(EXPORT_MEMORY)?,
            gas: export(EXPORT_GAS)?,
            stack: export(EXPORT_STACK)?,
            entries: Entry::ALL.map(|entry| module.get_export_index(entry.export())),
            instance: self.linker.instantiate_pre(&module)?,
            instance_gas,
            offsets: None,
        })
    }
}

impl Weighed for WasmtimeModule {
    fn code_bytes(&self) -> usize {
        let range = self.instance.module().image_range();
        range.end.addr().saturating_sub(range.start.addr())
    }
}

impl WasmtimeModule {
    pub(super) fn has_entry(&self, entry: Entry) -> bool {
        self.entries.get(entry.index()).is_some_and(Option::is_some)
    }

    pub(super) const fn instance_gas(&self) -> u64 {
        self.instance_gas
    }

    pub(super) fn run(&self, entry: Entry, frame: Frame) -> Ran {
        let state = HostState {
            frame,
            exports: None,
            limits: GrowthLimits,
            offsets: self.offsets.clone(),
        };
        let mut store = Store::new(self.instance.module().engine(), state);
        store.limiter(|state| &mut state.limits);
        let mut stack_left = 0;
        let stop = match self.run_in(&mut store, entry, &mut stack_left) {
            Ok(()) => Stop::Returned,
            Err(error) => self.explain(&error, store.data(), &mut stack_left),
        };
        let mut frame = store.into_data().frame;
        if stack_left < 0 {
            frame.end = None;
        }
        Ran {
            frame,
            stop,
            stack_left,
        }
    }

    /// Tells the contract's faults from this node's.
    fn explain(&self, error: &wasmtime::Error, state: &HostState, stack_left: &mut i32) -> Stop {
        if error.downcast_ref::<LocalFailure>().is_some() {
            return Stop::Failed(engine_failure(error));
        }
        match error.downcast_ref::<Trap>() {
            // The native stack is a backstop under the injected counter, and the same on all nodes of one target.
            Some(Trap::StackOverflow) => {
                *stack_left = -1;
                self.trapped("call stack exhausted".to_owned(), error)
            }
            Some(trap) => self.trapped(trap.to_string(), error),
            None if state.frame.has_ended() => self.trapped("ended by the host".to_owned(), error),
            None => Stop::Failed(engine_failure(error)),
        }
    }

    fn trapped(&self, reason: String, error: &wasmtime::Error) -> Stop {
        let backtrace = error.downcast_ref::<WasmBacktrace>();
        let positions = self.offsets.as_deref().zip(backtrace);
        Stop::Trapped {
            reason,
            wasm_offsets: positions.map_or_else(Vec::new, |(map, trace)| original(map, trace)),
        }
    }

    fn run_in(
        &self,
        store: &mut Store<HostState>,
        entry: Entry,
        stack_left: &mut i32,
    ) -> wasmtime::Result<()> {
        let instance = self.instance.instantiate(&mut *store)?;
        let mut export = |index: &ModuleExport| instance.get_module_export(&mut *store, index);
        let gone = || wasmtime::format_err!("an export is gone").context(LocalFailure);
        let memory = export(&self.memory)
            .and_then(wasmtime::Extern::into_memory)
            .ok_or_else(gone)?;
        let gas = export(&self.gas)
            .and_then(wasmtime::Extern::into_global)
            .ok_or_else(gone)?;
        let stack = export(&self.stack)
            .and_then(wasmtime::Extern::into_global)
            .ok_or_else(gone)?;
        let function = self
            .entries
            .get(entry.index())
            .and_then(Option::as_ref)
            .and_then(export)
            .and_then(wasmtime::Extern::into_func)
            .ok_or_else(gone)?
            .typed::<i32, ()>(&*store)?;
        let state = store.data_mut();
        state.exports = Some((memory, gas));
        let input_len = i32::try_from(state.frame.input.len())?;
        let gas_given = state.frame.gas;
        gas.set(&mut *store, Val::I64(gas_given))?;
        let result = function.call(&mut *store, input_len);
        store.data_mut().frame.gas = gas.get(&mut *store).i64().unwrap_or(-1);
        *stack_left = stack.get(&mut *store).i32().unwrap_or(-1);
        result
    }
}

/// Where in the contract's Wasm the frames of `backtrace` are.
fn original(offsets: &OffsetMap, backtrace: &WasmBacktrace) -> Vec<u32> {
    let frames = backtrace.frames().iter();
    frames
        .filter_map(|frame| offsets.original(frame.module_offset()?))
        .collect()
}

/// Hands gas and memory to the frame, and takes the gas back.
fn enter<T>(
    caller: &mut Caller<'_, HostState>,
    run: impl FnOnce(&mut Frame, &mut [u8]) -> Result<T, Ended>,
) -> wasmtime::Result<T> {
    let (memory, gas) = caller.data().exports.ok_or_else(|| {
        wasmtime::format_err!("called before it was set up").context(LocalFailure)
    })?;
    let left = gas.get(&mut *caller).i64().unwrap_or(-1);
    let (memory, state) = memory.data_and_store_mut(&mut *caller);
    state.frame.gas = left;
    let result = run(&mut state.frame, memory);
    let left = state.frame.gas;
    let offsets = match state.frame.position_wanted {
        true => state.offsets.clone(),
        false => None,
    };
    gas.set(&mut *caller, Val::I64(left))?;
    if let Some(offsets) = offsets {
        let place = original(&offsets, &WasmBacktrace::capture(&*caller));
        caller.data_mut().frame.place(place);
    }
    result.map_err(wasmtime::Error::new)
}

macro_rules! result_type {
    () => { wasmtime::Result<()> };
    ($type:ident) => { wasmtime::Result<$type> };
}

macro_rules! link_functions {
    ($($(#[doc = $docs:literal])+ fn $name:ident($($parameter:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
        fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
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
