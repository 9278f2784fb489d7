//! Time a transfer of the SDK's own token, from its Rust source, on a fresh instance: under both engines, state
//! in memory, no signature and no root.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::Criterion;
use kumiki_contract_build::{ContractBuild, compact, ensure_target};
use kumiki_protocol::{Address, ResultCode};
use kumiki_state::{Journal, MemoryState};
use kumiki_vm::{
    BlockContext, CodeSource, Deployment, EngineKind, Entry, Message, Session, Vm, VmConfig,
    spawn_execution_thread,
};
use token::token::TokenRef;

const ALICE: Address = Address([1; 32]);
const GAS: u64 = 1_000_000_000;

fn token_wasm() -> Arc<[u8]> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    ensure_target().expect("rustup adds the target");
    let build = ContractBuild {
        package_dir: root.join("contracts/token"),
        package: "token".to_owned(),
        target_dir: root.join("target/kumiki"),
        cargo_arguments: Vec::new(),
    };
    let status = build.command().status().expect("cargo starts");
    assert!(status.success(), "the token builds");
    let wasm = std::fs::read(build.wasm_path()).expect("cargo left the Wasm");
    compact(&wasm).expect("rustc writes valid Wasm").into()
}

fn bench_transfer(criterion: &mut Criterion, vm: &Vm, engine: &str, wasm: &Arc<[u8]>) {
    let block = BlockContext {
        height: 1,
        time_ms: 1,
        chain_id: "bench".into(),
    };
    let session = Session::new(Journal::new(Arc::new(MemoryState::default())), block);
    let init = TokenRef::init("Example".into(), "EXA".into(), 6, u128::MAX);
    let deployment = Deployment {
        deployer: ALICE,
        admin: None,
        code: CodeSource::Bytes(Arc::clone(wasm)),
        salt: [0; 32],
        input: init.input().to_vec(),
        value: 0,
        gas: GAS,
    };
    let (session, outcome, contract) = vm.deploy(session, deployment).expect("a working node");
    assert_eq!(outcome.code, ResultCode::Ok);
    let transfer = TokenRef::at(kumiki_contract::Address(contract.0))
        .transfer(kumiki_contract::Address([7; 32]), 1);
    let mut kept = Some(session);
    criterion.bench_function(&format!("token/transfer/{engine}"), |bencher| {
        bencher.iter(|| {
            let message = Message {
                caller: ALICE,
                contract,
                entry: Entry::Call,
                input: black_box(transfer.input()).to_vec(),
                value: 0,
                gas: GAS,
            };
            let session = kept.take().expect("put back below");
            let (mut session, outcome) = vm.call(session, message).expect("a working node");
            assert_eq!(outcome.code, ResultCode::Ok);
            session.events.clear();
            black_box(session.journal.end_transaction());
            kept = Some(session);
        });
    });
}

fn main() {
    let wasm = token_wasm();
    let bench = spawn_execution_thread("bench", move || {
        let mut criterion = Criterion::default().configure_from_args();
        for (kind, engine) in [
            (EngineKind::Wasmtime, "wasmtime"),
            (EngineKind::Wasmi, "wasmi"),
        ] {
            let vm = Vm::new(VmConfig::new(kind)).expect("a working node");
            bench_transfer(&mut criterion, &vm, engine, &wasm);
        }
        criterion.final_summary();
    });
    bench.expect("a thread").join().expect("no bench panics");
}
