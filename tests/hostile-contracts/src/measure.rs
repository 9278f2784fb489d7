//! Measure what hostile contracts cost: compiling them, and blocks full of calls of them.

use std::sync::Arc;
use std::time::Duration;

use kumiki_executor::ExecutedBlock;
use kumiki_hostile_contracts::{Case, Chain, Node, cases};
use kumiki_protocol::{Action, Address, Gas, Transaction};
use kumiki_state::{Journal, MemoryState};
use kumiki_vm::{
    BlockContext, CodeSource, Deployment, EngineKind, Session, Vm, VmConfig, check_code,
    run_on_execution_stack,
};

use crate::allocated::peak_bytes;

/// Gas of a block as `kumiki` makes chains.
const BLOCK_GAS: Gas = 1_000_000_000;
/// What is executed of it to measure its time.
const MEASURED_GAS: Gas = 60_000_000;

fn on_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    run_on_execution_stack(work).map_err(|failure| failure.to_string())
}

#[expect(clippy::cast_precision_loss, reason = "for reading")]
fn per_gas(time: Duration, gas: Gas) -> f64 {
    time.as_nanos() as f64 / gas.max(1) as f64
}

/// Prints time and memory of deploying each of the heaviest modules.
pub(crate) fn bombs() -> Result<(), String> {
    println!(
        "{:36} {:>7} {:>10} {:>12} {:>8} {:>7} {:>7}",
        "", "bytes", "complexity", "gas", "CPU ms", "ns/gas", "MB"
    );
    for (name, code) in cases::heaviest() {
        let info = match check_code(&code) {
            Ok(info) => info,
            Err(refused) => {
                println!("{name:36} {:>7} refused: {refused}", code.len());
                continue;
            }
        };
        let (time, gas, peak) = on_stack(|| deploy(&code))?;
        println!(
            "{name:36} {:>7} {:>10} {gas:>12} {:>8.1} {:>7.2} {:>7.1}",
            info.size,
            info.complexity,
            time.as_secs_f64() * 1e3,
            per_gas(time, gas),
            f64::from(u32::try_from(peak >> 10).unwrap_or(u32::MAX)) / 1024.0,
        );
    }
    Ok(())
}

/// Processor time of all threads of this process, as far as they still run. Other work on the machine does not count.
fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a Linux machine");
    let nanos = tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(nanos)
}

/// Processor time, gas and memory of a deployment by a node that has compiled nothing.
fn deploy(code: &[u8]) -> (Duration, Gas, usize) {
    let vm =
        Vm::new(VmConfig::new(EngineKind::Wasmtime)).expect("a machine that can run contracts");
    let block = BlockContext {
        height: 1,
        time_ms: 1,
        chain_id: "bombs".into(),
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
    let start = cpu_time();
    let (done, peak) = peak_bytes(|| vm.deploy(session, deployment));
    let time = cpu_time().saturating_sub(start);
    let (_, outcome, _) = done.expect("a node that deploys does not fail");
    (time, outcome.gas_used, peak)
}

/// Prints the time of blocks full of each hostile call, and of one with all of them, beside a usual block.
pub(crate) fn blocks() -> Result<(), String> {
    on_stack(measure_blocks)
}

fn measure_blocks() {
    let mut chain = Chain::on_both_engines();
    let genesis = chain.genesis().clone();
    let node = || Node::new("measured", VmConfig::new(EngineKind::Wasmtime), &genesis);
    let attacks: Vec<Case> = cases::all().into_iter().filter(Case::is_deployed).collect();
    for case in &attacks {
        let deployment = case.deployment(&chain);
        chain.run(vec![deployment]);
    }
    let node = node();
    let honest = Action::Call {
        contract: chain.honest,
        input: Vec::new(),
        value: 0,
    };
    let usual = full_block(&chain, &node, &honest, 1_000_000);
    println!("a usual block of {BLOCK_GAS} gas: {usual:?}");
    let mut all: Vec<(Duration, &str)> = attacks
        .iter()
        .map(|case| {
            let time = full_block(&chain, &node, &case.attack_action(&chain), case.gas_limit);
            (time, case.name.as_str())
        })
        .collect();
    all.sort();
    all.reverse();
    for (time, name) in all.iter().take(25) {
        println!("{name:40} {time:>10.1?}  {:.2}", ratio(*time, usual));
    }
    let every = every_attack(&chain, &node, &attacks);
    println!(
        "a block of every hostile call in turn: {every:.1?}  {:.2}",
        ratio(every, usual)
    );
}

fn ratio(time: Duration, usual: Duration) -> f64 {
    time.as_secs_f64() / usual.as_secs_f64()
}

fn gas(block: &ExecutedBlock) -> Gas {
    block.receipts.iter().map(|receipt| receipt.gas_used).sum()
}

/// Executes a block twice, the first time to have everything compiled.
fn timed(chain: &Chain, node: &Node, transactions: &[Transaction]) -> (Duration, Gas) {
    let mut best = Duration::MAX;
    let mut used = 0;
    for _ in 0..2 {
        let start = cpu_time();
        let block = chain.execute(node, transactions.to_vec());
        best = best.min(cpu_time().saturating_sub(start));
        used = gas(&block);
    }
    (best, used)
}

/// The time of a block whose gas is used up by `action` alone.
fn full_block(chain: &Chain, node: &Node, action: &Action, gas_limit: Gas) -> Duration {
    let one = chain.transaction(vec![action.clone()], gas_limit);
    let used = gas(&chain.execute(node, vec![one]));
    let count = (MEASURED_GAS / used.max(1)).clamp(1, 20_000);
    let transactions: Vec<Transaction> = (0..count)
        .map(|earlier| chain.transaction_after(earlier, vec![action.clone()], gas_limit))
        .collect();
    let (time, used) = timed(chain, node, &transactions);
    time.mul_f64(per_block(used))
}

#[expect(clippy::cast_precision_loss, reason = "for reading")]
fn per_block(used: Gas) -> f64 {
    BLOCK_GAS as f64 / used.max(1) as f64
}

/// The time of a block that holds every attack as often as fits.
fn every_attack(chain: &Chain, node: &Node, attacks: &[Case]) -> Duration {
    let transactions: Vec<Transaction> = (0..)
        .zip(attacks)
        .map(|(earlier, case)| {
            let action = case.attack_action(chain);
            chain.transaction_after(earlier, vec![action], case.gas_limit)
        })
        .collect();
    let (time, used) = timed(chain, node, &transactions);
    time.mul_f64(per_block(used))
}
