//! Time the compilation of hostile and usual contracts against the gas of their deployment. Names of Wasm files
//! are measured too: `cargo bench ... --bench compile -- token.wasm`.

use std::sync::Arc;
use std::time::Instant;

use kumiki_protocol::Address;
use kumiki_state::{Journal, MemoryState};
use kumiki_vm::{
    BlockContext, CodeSource, Deployment, EngineKind, Session, Vm, VmConfig, check_code,
    spawn_execution_thread,
};

/// A contract with one more function, of `locals` i32 locals and `body`.
fn bomb(locals: usize, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module (memory (export "memory") 1) (func (export "init") (param i32))
            (func (export "call") (param i32))
            (func (param i32) {} {body}))"#,
        "(local i32)".repeat(locals)
    );
    wat::parse_str(text).expect("valid WAT")
}

/// `depth` loops in each other, over locals that all change in the innermost.
fn loops(depth: usize, locals: usize) -> Vec<u8> {
    let sets: String = (1..=locals)
        .map(|local| {
            format!(
                "(local.set {local} (i32.add (local.get {local}) (local.get {})))",
                local - 1
            )
        })
        .collect();
    let body = format!(
        "{} {sets} {}",
        "(loop ".repeat(depth),
        "(br_if 0 (local.get 0)))".repeat(depth)
    );
    bomb(locals, &body)
}

fn branch_table(targets: usize, locals: usize) -> Vec<u8> {
    let blocks = 16;
    let sets: String = (1..=locals)
        .map(|local| {
            format!("(local.set {local} (i32.add (local.get {local}) (i32.const {local})))")
        })
        .collect();
    let targets: String = (0..targets)
        .map(|index| format!(" {}", index % blocks))
        .collect();
    let body = format!(
        "(loop {} (br_table {targets} (local.get 0)) {})",
        "(block ".repeat(blocks),
        format!(") {sets}").repeat(1) + &")".repeat(blocks - 1),
    );
    bomb(locals, &body)
}

fn branches(count: usize) -> Vec<u8> {
    bomb(
        1,
        &format!("(block {})", "(br_if 0 (local.get 0))".repeat(count)),
    )
}

fn conditions(count: usize) -> Vec<u8> {
    bomb(
        1,
        &"(if (local.get 0) (then (local.set 1 (i32.const 1))))".repeat(count),
    )
}

fn main() {
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("20 loops, 100 locals".into(), loops(20, 100)),
        ("20 loops, 800 locals".into(), loops(20, 800)),
        ("60 loops, 100 locals".into(), loops(60, 100)),
        ("100 loops, 30 locals".into(), loops(100, 30)),
        ("br_table 100, 900 locals".into(), branch_table(100, 900)),
        ("br_table 4,000, 40 locals".into(), branch_table(4_000, 40)),
        ("br_if 10,000".into(), branches(10_000)),
        ("if 8,000".into(), conditions(4_000)),
    ];
    for argument in std::env::args()
        .skip(1)
        .filter(|one| one.ends_with(".wasm"))
    {
        let code = std::fs::read(&argument).expect("a readable file");
        cases.push((argument, code));
    }
    let bench = spawn_execution_thread("bench", move || {
        println!("contract                      bytes complexity      gas       ms  ns/gas");
        for (name, code) in cases {
            measure(&name, code);
        }
    });
    bench.expect("a thread").join().expect("no bench panics");
}

fn measure(name: &str, code: Vec<u8>) {
    let info = match check_code(&code) {
        Ok(info) => info,
        Err(refused) => {
            println!("{name:28} {:6} refused: {refused}", code.len());
            return;
        }
    };
    let vm = Vm::new(VmConfig::new(EngineKind::Wasmtime)).expect("a working node");
    let block = BlockContext {
        height: 1,
        time_ms: 1,
        chain_id: "bench".into(),
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
    let start = Instant::now();
    let (_, outcome, _) = vm.deploy(session, deployment).expect("a working node");
    let ms = start.elapsed().as_secs_f64() * 1e3;
    let gas = outcome.gas_used;
    #[expect(clippy::cast_precision_loss, reason = "for reading")]
    let ns_per_gas = ms * 1e6 / gas as f64;
    println!(
        "{name:28} {:6} {:10} {gas:9} {ms:8.1} {ns_per_gas:7.2}",
        info.size, info.complexity
    );
}
