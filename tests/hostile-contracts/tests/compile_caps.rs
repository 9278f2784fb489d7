//! Compiling what the rules let through needs bounded memory; what they refuse needs next to none.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use std::sync::Arc;

use kumiki_hostile_contracts::{End, cases};
use kumiki_protocol::{Address, ResultCode};
use kumiki_state::{Journal, MemoryState};
use kumiki_vm::{
    BlockContext, CodeSource, Deployment, EngineKind, Session, Vm, VmConfig, check_code,
};

#[path = "../src/allocated.rs"]
mod allocated;

/// The most that compiling one contract may hold, by all threads of the compiler together.
const COMPILE_BYTES_MAX: usize = 64 << 20;
/// The most that checking code may hold beside it, for each of its bytes: what is kept of each function.
const CHECK_BYTES_PER_BYTE: usize = 16;
/// What checking may hold whatever the code.
const CHECK_BYTES_FREE: usize = 256 << 10;

/// The most memory held while a node that has compiled nothing deploys `code`.
fn deployment_peak(code: &[u8]) -> usize {
    let vm = Vm::new(VmConfig::new(EngineKind::Wasmtime)).unwrap();
    let block = BlockContext {
        height: 1,
        time_ms: 1,
        chain_id: "caps".into(),
    };
    let session = Session::new(Journal::new(Arc::new(MemoryState::default())), block);
    let deployment = Deployment {
        deployer: Address([1; 32]),
        admin: None,
        code: CodeSource::Bytes(code.into()),
        salt: [0; 32],
        input: Vec::new(),
        value: 0,
        gas: 100_000_000_000,
    };
    let (deployed, peak) = allocated::peak_bytes(|| vm.deploy(session, deployment));
    assert_eq!(deployed.unwrap().1.code, ResultCode::Ok);
    peak
}

// One test, because the whole process is measured.
#[test]
fn the_heaviest_code_that_is_let_through_needs_bounded_memory() {
    for (name, code) in cases::heaviest() {
        let peak = deployment_peak(&code);
        assert!(peak <= COMPILE_BYTES_MAX, "{name}: {peak} bytes");
    }
    let mut refused = 0;
    for case in cases::all() {
        if let End::Refused(_) = case.end {
            refused += 1;
            let (found, peak) = allocated::peak_bytes(|| check_code(&case.code));
            assert!(found.is_err(), "{}", case.name);
            let allowed = CHECK_BYTES_FREE + CHECK_BYTES_PER_BYTE * case.code.len();
            assert!(
                peak <= allowed,
                "{}: {peak} bytes, {allowed} allowed",
                case.name
            );
        }
    }
    assert!(refused > 60, "{refused} refused");
}
