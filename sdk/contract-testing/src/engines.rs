//! Make the virtual machines that run a test's contracts.

use std::sync::OnceLock;

use kumiki_vm::{EngineKind, Vm, VmConfig};

use crate::wasm_file::fail;

/// A machine for native contracts, which holds the contracts of one test.
pub(crate) fn native() -> (&'static str, Vm) {
    ("native", vm(EngineKind::NativeOnly))
}

/// The engines that run Wasm, each kept for the whole process with what it compiled.
pub(crate) fn wasm() -> Vec<(&'static str, Vm)> {
    static WASMI: OnceLock<Vm> = OnceLock::new();
    let interpreter = WASMI.get_or_init(|| vm(EngineKind::Wasmi)).clone();
    vec![
        ("wasmi", interpreter),
        #[cfg(feature = "wasmtime")]
        {
            static WASMTIME: OnceLock<Vm> = OnceLock::new();
            let compiler = WASMTIME.get_or_init(|| vm(EngineKind::Wasmtime)).clone();
            ("wasmtime", compiler)
        },
    ]
}

fn vm(engine: EngineKind) -> Vm {
    let config = VmConfig {
        trap_offsets: true,
        ..VmConfig::new(engine)
    };
    Vm::new(config).unwrap_or_else(|failure| fail(&failure.to_string()))
}
