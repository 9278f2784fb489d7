//! Calibrate the gas schedule: each kernel's throughput is gas per second, so 1/x is the time of one gas.
//!
//! A price is fair where kernels come out near each other, and safe where none is far slower than 1 gas per
//! nanosecond.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use kumiki_abi::{HOST_FUNCTIONS, ValueType};
use kumiki_protocol::{Address, Gas, ResultCode};
use kumiki_state::{Journal, MemoryState};
use kumiki_vm::{
    BlockContext, CodeSource, Deployment, EngineKind, Entry, Message, Session, Vm, VmConfig,
    spawn_execution_thread,
};

const ALICE: Address = Address([1; 32]);
/// Rounds of a kernel's loop in one call: enough to hide the instance.
const ROUNDS: u32 = 2_000;

/// Name and body of the loop; `$i` counts down, `$a`, `$b` are i64, `$x` is i32.
const KERNELS: &[(&str, u32, &str)] = &[
    ("empty_loop", 100, ""),
    ("i64_add", 10, "(local.set $a (i64.add (i64.add (i64.add (i64.add (local.get $a) (local.get $b)) (local.get $a)) (local.get $b)) (i64.const 7)))"),
    ("i64_mul", 10, "(local.set $a (i64.mul (i64.mul (i64.mul (local.get $a) (local.get $b)) (local.get $a)) (local.get $b)))"),
    ("i64_div_u", 10, "(local.set $a (i64.div_u (i64.or (local.get $b) (i64.const 0x7000000000000000)) (i64.or (local.get $a) (i64.const 1))))"),
    ("i64_popcnt", 10, "(local.set $a (i64.popcnt (i64.popcnt (i64.popcnt (local.get $b)))))"),
    ("i64_rotl", 10, "(local.set $a (i64.rotl (local.get $a) (i64.rotl (local.get $b) (local.get $a))))"),
    ("load_hit", 10, "(local.set $a (i64.add (local.get $a) (i64.load (i32.and (i32.wrap_i64 (local.get $a)) (i32.const 4095)))))"),
    ("load_miss", 10, "(local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
       (local.set $a (i64.add (local.get $a) (i64.load (i32.and (local.get $x) (i32.const 0xfffff8)))))"),
    ("store_hit", 10, "(i64.store (i32.and (i32.wrap_i64 (local.get $a)) (i32.const 4095)) (local.tee $a (i64.add (local.get $a) (i64.const 8))))"),
    ("branch_mispredicted", 10, "(local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
       (if (i32.and (local.get $x) (i32.const 0x10000)) (then (local.set $a (i64.add (local.get $a) (local.get $b)))) (else (local.set $b (i64.xor (local.get $a) (local.get $b)))))"),
    ("call", 10, "(local.set $a (call $id (local.get $a)))"),
    ("call_indirect", 10, "(local.set $a (call_indirect (type $unary) (local.get $a) (i32.and (local.get $i) (i32.const 1))))"),
    ("memory_fill_4096", 1, "(memory.fill (i32.const 0) (local.get $x) (i32.const 4096))"),
    ("memory_copy_64", 1, "(memory.copy (i32.const 4096) (i32.const 0) (i32.const 64))"),
];

/// Name and one call of a host function.
const HOST_KERNELS: &[(&str, &str)] = &[
    ("caller", "(call $caller (i32.const 0))"),
    ("gas_left", "(drop (call $gas_left))"),
    (
        "input_32",
        "(drop (call $input (i32.const 0) (i32.const 32)))",
    ),
    (
        "storage_get_warm",
        "(drop (call $storage_get (i32.const 0) (i32.const 16) (i32.const 64) (i32.const 64)))",
    ),
    (
        "storage_get_new",
        "(i32.store (i32.const 0) (local.get $i)) (drop (call $storage_get (i32.const 0) (i32.const 16) (i32.const 64) (i32.const 64)))",
    ),
    (
        "storage_set_warm_32",
        "(call $storage_set (i32.const 0) (i32.const 16) (i32.const 64) (i32.const 32))",
    ),
    (
        "storage_set_new_32",
        "(i32.store (i32.const 0) (local.get $i)) (call $storage_set (i32.const 0) (i32.const 16) (i32.const 64) (i32.const 32))",
    ),
    (
        "storage_set_4096",
        "(call $storage_set (i32.const 0) (i32.const 16) (i32.const 64) (i32.const 4096))",
    ),
    ("balance", "(call $balance (i32.const 0) (i32.const 64))"),
    (
        "transfer",
        "(drop (call $transfer (i32.const 0) (i32.const 64)))",
    ),
    (
        "sha3_256_64",
        "(call $sha3_256 (i32.const 0) (i32.const 64) (i32.const 128))",
    ),
    (
        "sha3_256_4096",
        "(call $sha3_256 (i32.const 0) (i32.const 4096) (i32.const 128))",
    ),
    (
        "keccak_256_4096",
        "(call $keccak_256 (i32.const 0) (i32.const 4096) (i32.const 128))",
    ),
    (
        "sha2_256_4096",
        "(call $sha2_256 (i32.const 0) (i32.const 4096) (i32.const 128))",
    ),
    (
        "blake2b_256_4096",
        "(call $blake2b_256 (i32.const 0) (i32.const 4096) (i32.const 128))",
    ),
    (
        "query_self",
        "(call $self_address (i32.const 512)) (drop (call $call (i32.const 512) (i32.const 0) (i32.const 0) (i32.const 600) (i64.const 0) (i32.const 3)))",
    ),
];

/// The key of the generator point's first multiple, so that verification does its whole work.
const SLOW_HOST_KERNELS: &[(&str, &str)] = &[
    (
        "ed25519_verify",
        "(drop (call $ed25519_verify (i32.const 1024) (i32.const 1056) (i32.const 1024) (i32.const 32)))",
    ),
    (
        "secp256k1_recover",
        "(drop (call $secp256k1_recover (i32.const 1024) (i32.const 1120) (i32.const 2048)))",
    ),
];

fn module(repeats: u32, kernel: &str) -> Vec<u8> {
    let mut imports = String::new();
    for host in HOST_FUNCTIONS {
        let kind = |kind| match kind {
            ValueType::I32 => "i32",
            ValueType::I64 => "i64",
        };
        let parameters: Vec<&str> = host.parameters.iter().map(|(_, one)| kind(*one)).collect();
        let result = host
            .result
            .map_or(String::new(), |one| format!("(result {})", kind(one)));
        imports.push_str(&format!(
            "(import \"kumiki_v1\" \"{0}\" (func ${0} (param {1}) {2}))",
            host.name,
            parameters.join(" "),
            result
        ));
    }
    let body = kernel.repeat(usize::try_from(repeats).expect("small"));
    wat::parse_str(format!(
        r#"(module {imports}
          (type $unary (func (param i64) (result i64)))
          (memory (export "memory") 256) (table 2 funcref) (elem (i32.const 0) $id $id)
          (func $id (type $unary) (local.get 0))
          (func (export "init") (param i32)) (func (export "query") (param i32))
          (func (export "call") (param i32) (local $i i32) (local $a i64) (local $b i64) (local $x i32)
            (drop (call $input (i32.const 1024) (local.get 0)))
            (local.set $i (i32.load (i32.const 1024))) (local.set $b (i64.const 0x123456789abcdef1))
            (drop (call $input (i32.const 1020) (local.get 0)))
            (loop $again {body}
              (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))"#
    ))
    .expect("valid WAT")
}

/// Rounds, then a valid signature's key, ed25519 signature and secp256k1 signature of the key's bytes.
fn input(rounds: u32) -> Vec<u8> {
    let key = kumiki_protocol::SecretKey::from_seed([3; 32]);
    let public = key.public_key().0;
    let signer = k256::ecdsa::SigningKey::from_slice(&[9; 32]).expect("in range");
    let (signature, id) = signer.sign_prehash_recoverable(&public);
    [
        rounds.to_le_bytes().as_slice(),
        &public,
        &key.sign(&public).0,
        &signature.to_bytes(),
        &[id.to_byte()],
    ]
    .concat()
}

fn run(vm: &Vm, session: Session, contract: Address, input: &[u8]) -> (Session, Gas) {
    let message = Message {
        caller: ALICE,
        contract,
        entry: Entry::Call,
        input: input.to_vec(),
        value: 0,
        gas: 1 << 50,
    };
    let (mut session, outcome) = vm.call(session, message).expect("a working node");
    assert_eq!(outcome.code, ResultCode::Ok, "{:?}", session.diagnostics);
    black_box(session.journal.end_transaction());
    (session, outcome.gas_used)
}

fn bench(criterion: &mut Criterion, vm: &Vm, name: &str, code: Vec<u8>, rounds: u32) {
    let block = BlockContext {
        height: 1,
        time_ms: 1,
        chain_id: "bench".into(),
    };
    let session = Session::new(Journal::new(Arc::new(MemoryState::default())), block);
    let deployment = Deployment {
        deployer: ALICE,
        admin: None,
        code: CodeSource::Bytes(code.into()),
        salt: [0; 32],
        input: Vec::new(),
        value: 0,
        gas: 1 << 50,
    };
    let (session, outcome, address) = vm.deploy(session, deployment).expect("a working node");
    assert_eq!(outcome.code, ResultCode::Ok, "{:?}", session.diagnostics);
    // The gas of the instance is not the kernel's: only what further rounds cost counts.
    let (session, one_round) = run(vm, session, address, &input(1));
    let input = input(rounds);
    let (session, all_rounds) = run(vm, session, address, &input);
    let gas = all_rounds - one_round;
    let mut kept = Some(session);
    let mut group = criterion.benchmark_group("gas");
    group.throughput(Throughput::Elements(gas)).sample_size(20);
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let session = kept.take().expect("put back below");
            kept = Some(run(vm, session, address, &input).0);
        });
    });
    group.finish();
}

fn all(criterion: &mut Criterion) {
    let vm = Vm::new(VmConfig::new(EngineKind::Wasmtime)).expect("a working node");
    for (name, repeats, kernel) in KERNELS {
        let name = format!("wasm/{name}");
        bench(criterion, &vm, &name, module(*repeats, kernel), ROUNDS * 10);
    }
    for (name, kernel) in HOST_KERNELS {
        bench(
            criterion,
            &vm,
            &format!("host/{name}"),
            module(1, kernel),
            ROUNDS,
        );
    }
    for (name, kernel) in SLOW_HOST_KERNELS {
        bench(
            criterion,
            &vm,
            &format!("host/{name}"),
            module(1, kernel),
            20,
        );
    }
}

fn main() {
    let bench = spawn_execution_thread("bench", || {
        let mut criterion = Criterion::default().configure_from_args();
        all(&mut criterion);
        criterion.final_summary();
    });
    bench.expect("a thread").join().expect("no bench panics");
}
