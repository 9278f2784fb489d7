//! Hold results, gas, events and state changes of small contracts to golden text, under both engines.

use std::fmt::Write as _;
use std::sync::Arc;

use kumiki_abi::{HOST_FUNCTIONS, HostFunction, ValueType};
use kumiki_conformance::Golden;
use kumiki_protocol::{AccountRecord, Address, Encode, Gas, sha3_256, state_key};
use kumiki_state::{Journal, MemoryState};
use kumiki_vm::{
    BlockContext, CodeSource, Deployment, EngineKind, Entry, Message, Session, Vm, VmConfig,
};

const CALLER: Address = Address([0x11; 32]);

fn vms() -> [Vm; 2] {
    [EngineKind::Wasmtime, EngineKind::Wasmi]
        .map(|engine| Vm::new(VmConfig::new(engine)).expect("engines start"))
}

fn session() -> Session {
    let record = AccountRecord {
        nonce: 0,
        balance: 1_000_000,
    };
    let mut state = MemoryState::default();
    state
        .entries
        .insert(state_key::account(&CALLER), record.encode());
    let block = BlockContext {
        height: 7,
        time_ms: 1_767_225_607_000,
        chain_id: "golden-1".into(),
    };
    Session::new(Journal::new(Arc::new(state)), block)
}

/// Deploys the module and calls it once: everything that peers must agree on, as text.
fn trace(vm: &Vm, module: &str, gas: Gas) -> String {
    let code = wat::parse_str(module).unwrap_or_else(|error| panic!("{error}\n{module}"));
    let deployment = Deployment {
        deployer: CALLER,
        admin: Some(CALLER),
        code: CodeSource::Bytes(code.into()),
        salt: [0; 32],
        input: Vec::new(),
        value: 1_000,
        gas: 100_000_000,
    };
    let (session, deployed, contract) = vm.deploy(session(), deployment).unwrap();
    let mut text = format!("deploy {} gas {}", deployed.code.name(), deployed.gas_used);
    let message = Message {
        caller: CALLER,
        contract,
        entry: Entry::Call,
        input: b"input of the call".to_vec(),
        value: 5,
        gas,
    };
    let (session, outcome) = vm.call(session, message).unwrap();
    let changes = session.journal.into_changes().unwrap();
    let entries: Vec<_> = changes.entries.into_iter().collect();
    let _infallible = write!(
        text,
        "; call {} gas {} data {} events {} {} changes {} {}",
        outcome.code.name(),
        outcome.gas_used,
        hex::encode(sha3_256(&[&outcome.data]).0),
        session.events.len(),
        hex::encode(sha3_256(&[&session.events.encode()]).0),
        entries.len(),
        hex::encode(sha3_256(&[&entries.encode()]).0),
    );
    text
}

fn add(golden: &mut Golden, vms: &[Vm; 2], name: &str, module: &str, gas: Gas) {
    let [compiled, interpreted] = vms.each_ref().map(|vm| trace(vm, module, gas));
    assert_eq!(compiled, interpreted, "{name}: the engines differ");
    golden.add(name, compiled);
}

const fn type_name(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::I32 => "i32",
        ValueType::I64 => "i64",
    }
}

/// An argument that makes the call do something: a range of prepared memory of its own for each pointer.
fn argument(position: usize, name: &str, value_type: ValueType) -> String {
    let value = match name {
        "flags" | "gas" => 0,
        "limit" | "topics_count" => 3,
        _ if name.ends_with("_len") || name == "len" => 40,
        _ => 1_024 + 256 * position,
    };
    format!("({}.const {value})", type_name(value_type))
}

/// A contract whose `call` calls `function` once and returns its result and the first page of its memory.
fn probe(function: &HostFunction) -> String {
    let parameters: Vec<&str> = function
        .parameters
        .iter()
        .map(|(_, value_type)| type_name(*value_type))
        .collect();
    let arguments: String = function
        .parameters
        .iter()
        .enumerate()
        .map(|(position, (name, value_type))| argument(position, name, *value_type))
        .collect();
    let call = format!("(call $probed {arguments})");
    let (result, body) = match function.result {
        Some(value_type) => {
            let name = type_name(value_type);
            (
                format!("(result {name})"),
                format!("({name}.store (i32.const 0) {call})"),
            )
        }
        None => (String::new(), call),
    };
    let memory: String = (0..8)
        .map(|byte| format!("\\0{}", byte + 1).repeat(256))
        .collect();
    let (ret, import) = if function.name == "ret" {
        ("$probed", String::new())
    } else {
        (
            "$ret",
            "(import \"kumiki_v1\" \"ret\" (func $ret (param i32 i32)))".to_owned(),
        )
    };
    format!(
        "(module
          (import \"kumiki_v1\" \"{}\" (func $probed (param {}) {result}))
          {import}
          (memory (export \"memory\") 1)
          (data (i32.const 1024) \"{memory}\")
          (func (export \"init\") (param i32))
          (func (export \"call\") (param i32) {body} (call {ret} (i32.const 0) (i32.const 8192))))",
        function.name,
        parameters.join(" "),
    )
}

#[test]
fn every_host_function_does_and_costs_as_ever() {
    let mut golden = Golden::new("host_calls.txt");
    let vms = vms();
    for function in HOST_FUNCTIONS {
        add(
            &mut golden,
            &vms,
            function.name,
            &probe(function),
            10_000_000,
        );
    }
    golden.compare();
}

#[test]
fn programs_end_and_cost_as_ever() {
    let mut golden = Golden::new("programs.txt");
    let vms = vms();
    let module = |body: &str| {
        format!(
            "(module (memory (export \"memory\") 1 4)
               (func $deeper (param i64) (result i64)
                 (i64.add (i64.const 1) (call $deeper (local.get 0))))
               (func (export \"init\") (param i32))
               (func (export \"call\") (param i32) (local $n i32) {body}))"
        )
    };
    let count_to = |n: u32| {
        format!(
            "(loop $again
               (local.set $n (i32.add (local.get $n) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $n) (i32.const {n}))))"
        )
    };
    for (name, body) in [
        ("nothing", String::new()),
        ("count_to_1", count_to(1)),
        ("count_to_1000", count_to(1_000)),
        ("endless", "(loop $again (br $again))".to_owned()),
        ("unreachable", "(unreachable)".to_owned()),
        (
            "divide_by_zero",
            "(drop (i32.div_u (i32.const 1) (local.get $n)))".to_owned(),
        ),
        (
            "load_outside",
            "(drop (i32.load (i32.const 65536)))".to_owned(),
        ),
        (
            "recurse_without_end",
            "(drop (call $deeper (i64.const 0)))".to_owned(),
        ),
        (
            "grow_memory",
            "(drop (memory.grow (i32.const 2)))".to_owned(),
        ),
        (
            "grow_memory_too_far",
            "(drop (memory.grow (i32.const 9)))".to_owned(),
        ),
        (
            "fill_memory",
            "(memory.fill (i32.const 0) (i32.const 7) (i32.const 60000))".to_owned(),
        ),
    ] {
        add(&mut golden, &vms, name, &module(&body), 3_000_000);
    }
    golden.compare();
}

/// The price list as written: a constant or an instruction's price that is added, removed or changed is seen here.
#[test]
fn the_gas_schedule_is_as_ever() {
    let source = include_str!("../../../../runtime/vm/src/gas.rs");
    let mut golden = Golden::new("gas.txt");
    let (mut operators, mut in_operators) = (String::new(), false);
    for line in source.lines() {
        let line = line.trim();
        if line.starts_with("match operator {") {
            in_operators = true;
            continue;
        }
        if in_operators && !line.starts_with("//") {
            operators.extend(line.split_whitespace());
        }
        // Each group of instructions up to its price is one line, in the order of the file.
        if in_operators && line.starts_with("_ =>") {
            break;
        }
        let constant = line
            .strip_prefix("pub const ")
            .or_else(|| line.strip_prefix("pub(crate) const "))
            .filter(|rest| !rest.starts_with("fn "));
        if let Some((name, rest)) = constant.and_then(|one| one.split_once(':')) {
            let value = rest.split_once("= ").map_or(rest, |(_, value)| value);
            golden.add(name, value.trim_end_matches(';'));
        }
    }
    for group in operators.split_inclusive(',') {
        let (names, price) = group.split_once("=>").expect("a price for each group");
        golden.add(
            format!(
                "operators {}",
                names.replace("Operator::", "").replace("{..}", "")
            ),
            price.trim_end_matches(','),
        );
    }
    golden.compare();
}
