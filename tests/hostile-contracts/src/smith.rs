//! Generate contracts by wasm-smith and hold the compiler and the interpreter to the same results.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arbitrary::Unstructured;
use kumiki_abi::HOST_FUNCTIONS;
use kumiki_protocol::{
    AccountRecord, Address, Encode as _, Event, Gas, ResultCode, sha3_256, state_key,
};
use kumiki_state::{Journal, MemoryState, StateChanges};
use kumiki_testkit::Random;
use kumiki_vm::{
    BlockContext, CodeSource, Deployment, EngineKind, Entry, Message, Outcome, Session, Vm,
    VmConfig, check_code, run_on_execution_stack,
};
use wasm_smith::{Config, InstructionKind, InstructionKinds};

use crate::observe::observed;
use crate::wat::{import, wasm};

/// Gas of each call: enough to look at the whole memory at the end, and for loops to be worth it.
const GAS: Gas = 300_000;
/// Entropy of a module, at most.
const ENTROPY_BYTES_MAX: usize = 3_000;
/// Modules after which fresh engines are taken, so that what they keep stays small.
const MODULES_PER_PAIR: u64 = 1_000;
const CALLER: Address = Address([0x33; 32]);

/// The two engines.
pub struct Pair {
    compiled: Vm,
    interpreted: Vm,
}

/// What a generated module came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// wasm-smith had not enough entropy.
    NotGenerated,
    /// Our rules refuse it, and so does every engine.
    Refused,
    /// It ran, and its `call` ended so on both engines.
    Ran(ResultCode),
}

/// Everything that two engines must agree on.
#[derive(Debug, PartialEq, Eq)]
struct Came {
    outcomes: Vec<Outcome>,
    events: Vec<Event>,
    changes: StateChanges,
}

impl Pair {
    /// Both engines, with nothing compiled.
    ///
    /// # Panics
    /// When the machine refuses them their memory.
    #[must_use]
    pub fn new() -> Self {
        let vm = |kind| Vm::new(VmConfig::new(kind)).expect("a machine that can run contracts");
        Self {
            compiled: vm(EngineKind::Wasmtime),
            interpreted: vm(EngineKind::Wasmi),
        }
    }

    /// Generates the module of `seed` and runs it on both engines.
    ///
    /// # Errors
    /// What each engine came to, where they differ.
    pub fn hold(&self, seed: u64) -> Result<Verdict, String> {
        match generate(seed) {
            None => Ok(Verdict::NotGenerated),
            Some(code) => self
                .hold_code(&code)
                .map_err(|difference| format!("seed {seed}: {difference}")),
        }
    }

    /// Runs a contract on both engines.
    ///
    /// # Errors
    /// What each engine came to, where they differ.
    pub fn hold_code(&self, code: &[u8]) -> Result<Verdict, String> {
        let [compiled, interpreted] =
            [&self.compiled, &self.interpreted].map(|vm| outcomes(vm, code, session()));
        judged(check_code(code).is_ok(), &compiled, &interpreted)
    }
}

/// What both engines came to, or how they differ from each other or from what our rules say of the code.
fn judged(valid: bool, compiled: &Came, interpreted: &Came) -> Result<Verdict, String> {
    if compiled != interpreted {
        let (compiled, interpreted) = (compiled.text(), interpreted.text());
        return Err(format!(
            "the engines differ\n  compiled    {compiled}\n  interpreted {interpreted}"
        ));
    }
    let deployed = compiled.outcomes.first().map(|outcome| outcome.code);
    if valid != (deployed != Some(ResultCode::InvalidCode)) {
        return Err(format!(
            "our rules say {valid}, the deployment {deployed:?}"
        ));
    }
    Ok(match compiled.outcomes.get(1) {
        Some(call) => Verdict::Ran(call.code),
        None => Verdict::Refused,
    })
}

impl Came {
    /// All of it in a few lines.
    fn text(&self) -> String {
        let mut lines: Vec<String> = self
            .outcomes
            .iter()
            .map(|outcome| {
                let data = sha3_256(&[&outcome.data]);
                format!(
                    "{} gas {} data {data}",
                    outcome.code.name(),
                    outcome.gas_used
                )
            })
            .collect();
        let entries: Vec<_> = self.changes.entries.clone().into_iter().collect();
        lines.push(format!("events {}", sha3_256(&[&self.events.encode()])));
        lines.push(format!("changes {}", sha3_256(&[&entries.encode()])));
        lines.join("; ")
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

/// How often each verdict was found.
pub type Verdicts = BTreeMap<Verdict, u64>;

/// Runs `count` modules from seed `first` on as many threads as there are cores, and tells `progress` now and then.
///
/// # Errors
/// The differences that were found, with their seeds.
///
/// # Panics
/// When the system refuses a thread.
pub fn run(
    first: u64,
    count: u64,
    progress: &(impl Fn(&Verdicts) + Sync),
) -> Result<Verdicts, String> {
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let next = AtomicU64::new(first);
    let found: Mutex<(Verdicts, Vec<String>)> = Mutex::default();
    let work = || {
        loop {
            let from = next.fetch_add(MODULES_PER_PAIR, Ordering::Relaxed);
            let to = (from + MODULES_PER_PAIR).min(first + count);
            if from >= to {
                return;
            }
            let pair = Pair::new();
            let held: Vec<Result<Verdict, String>> =
                (from..to).map(|seed| pair.hold(seed)).collect();
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            for verdict in held {
                match verdict {
                    Ok(verdict) => *found.0.entry(verdict).or_insert(0) += 1,
                    Err(difference) => found.1.push(difference),
                }
            }
            progress(&found.0);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| run_on_execution_stack(work).expect("a thread to execute on"));
        }
    });
    let (verdicts, differences) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    if differences.is_empty() {
        Ok(verdicts)
    } else {
        Err(differences.join("\n"))
    }
}

/// Deploys the code, calls it, and queries it.
fn outcomes(vm: &Vm, code: &[u8], session: Session) -> Came {
    let deployment = Deployment {
        deployer: CALLER,
        admin: None,
        code: CodeSource::Bytes(code.into()),
        salt: [0; 32],
        input: Vec::new(),
        value: 1_000,
        gas: 1_000_000_000,
    };
    let failed = "a node that runs generated code does not fail";
    let (mut session, deployed, contract) = vm.deploy(session, deployment).expect(failed);
    let succeeded = deployed.code == ResultCode::Ok;
    let mut outcomes = vec![deployed];
    for entry in [Entry::Call, Entry::Query] {
        if !succeeded {
            break;
        }
        let message = Message {
            caller: CALLER,
            contract,
            entry,
            input: b"input of the call".to_vec(),
            value: 0,
            gas: GAS,
        };
        let (after, outcome) = vm.call(session, message).expect(failed);
        session = after;
        outcomes.push(outcome);
    }
    Came {
        outcomes,
        events: session.events,
        changes: session.journal.into_changes().expect("a state in memory"),
    }
}

fn session() -> Session {
    let mut state = MemoryState::default();
    let record = AccountRecord {
        nonce: 0,
        balance: 1_000_000,
    };
    state
        .entries
        .insert(state_key::account(&CALLER), record.encode());
    let block = BlockContext {
        height: 7,
        time_ms: 1_767_225_607_000,
        chain_id: "smith-1".into(),
    };
    // Simulated, so that a hundred thousand modules do not stay in memory.
    Session::new(Journal::new(Arc::new(state)), block).simulated()
}

/// The module of `seed`, made to show its memory and globals; `None` when its entropy did not suffice.
#[must_use]
pub fn generate(seed: u64) -> Option<Vec<u8>> {
    let mut random = Random::new(seed);
    let config = config(&mut random);
    let length = 200 + random.below(ENTROPY_BYTES_MAX);
    module(config, &random.bytes(length))
}

/// The module whose shape is that of `seed` and whose every choice is one of `entropy`: for who has bytes of their own.
#[must_use]
pub fn generate_from(seed: u64, entropy: &[u8]) -> Option<Vec<u8>> {
    module(config(&mut Random::new(seed)), entropy)
}

fn module(config: Config, entropy: &[u8]) -> Option<Vec<u8>> {
    let mut choices = Unstructured::new(entropy);
    let module = wasm_smith::Module::new(config, &mut choices).ok()?;
    observed(&module.to_bytes())
}

/// A shape of our rules, and instructions of our features. Each seed has others switched off.
fn config(random: &mut Random) -> Config {
    let instructions = [
        InstructionKind::NumericInt,
        InstructionKind::Parametric,
        InstructionKind::Variable,
        InstructionKind::MemoryInt,
        InstructionKind::Control,
        InstructionKind::Table,
        InstructionKind::Reference,
    ];
    let kept: Vec<InstructionKind> = instructions
        .into_iter()
        .filter(|kind| *kind == InstructionKind::NumericInt || !random.one_in(4))
        .collect();
    Config {
        module_shape: Some(shape(random)),
        allowed_instructions: InstructionKinds::new(&kept),
        allow_start_export: random.one_in(50),
        allow_floats: false,
        bulk_memory_enabled: !random.one_in(4),
        // Most function types would have several results, and most reference types others than functions.
        multi_value_enabled: random.one_in(16),
        reference_types_enabled: random.one_in(16),
        disallow_traps: random.one_in(3),
        max_data_segments: random.below(4),
        max_element_segments: random.below(4),
        max_instructions: 10 + random.below(150),
        max_funcs: 2 + random.below(8),
        max_globals: random.below(8),
        max_table_elements: 64,
        max_types: 12,
        max_tables: 1,
        max_memories: 1,
        max_memory32_bytes: 4 << 16,
        min_uleb_size: if random.one_in(8) { 5 } else { 1 },
        memory64_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        custom_descriptors_enabled: false,
        relaxed_simd_enabled: false,
        simd_enabled: false,
        saturating_float_to_int_enabled: false,
        shared_everything_threads_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        extended_const_enabled: false,
        ..Config::default()
    }
}

/// `ret` and some other host functions, a memory, and entries.
fn shape(random: &mut Random) -> Vec<u8> {
    let mut chosen = String::new();
    for host in HOST_FUNCTIONS {
        if host.name == "ret" || !random.one_in(6) {
            continue;
        }
        chosen.push_str(&import(host, ""));
    }
    let pages = 1 + random.below(2);
    let table = match random.below(3) {
        0 => "",
        1 => "(table 8 funcref)",
        _ => "(table 3 3 funcref)",
    };
    wasm(&format!(
        "(module (import \"kumiki_v1\" \"ret\" (func (param i32 i32))) {chosen}
           (memory (export \"memory\") {pages} 4) {table}
           (func (export \"call\") (param i32)) (func (export \"query\") (param i32)))"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_off_by_one_height_is_found() {
        let pair = Pair::new();
        let differs = |seed| {
            let code = generate(seed)?;
            let mut wrong = session();
            wrong.block.height += 1;
            let compiled = outcomes(&pair.compiled, &code, session());
            let interpreted = outcomes(&pair.interpreted, &code, wrong);
            judged(check_code(&code).is_ok(), &compiled, &interpreted).err()
        };
        assert!((0..2_000).any(|seed| differs(seed).is_some()));
    }
}
