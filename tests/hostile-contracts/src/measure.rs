//! Measure what hostile contracts cost: compiling them, and blocks full of calls of them.

use std::sync::Arc;
use std::time::Duration;

use kumiki_executor::{ExecutedBlock, Signatures};
use kumiki_hostile_contracts::gas_search::{Search, search};
use kumiki_hostile_contracts::processor_time::processor_time;
use kumiki_hostile_contracts::{Case, Chain, Node, cases, corpus};
use kumiki_protocol::{Action, Address, Gas, Transaction};
use kumiki_state::{Journal, MemoryState, Tree};
use kumiki_vm::{
    BlockContext, CodeSource, Deployment, EngineKind, Session, Vm, VmConfig, check_code,
    run_on_execution_stack,
};

use crate::allocated::peak_bytes;

/// Gas of a block as `kumiki` makes chains.
const BLOCK_GAS: Gas = 1_000_000_000;
/// What is executed of it to measure its time.
const MEASURED_GAS: Gas = 300_000_000;

/// How often each deployment is made.
const DEPLOYMENTS: u32 = 5;

fn on_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    run_on_execution_stack(work).map_err(|failure| failure.to_string())
}

/// Prints what takes longest for its gas.
pub(crate) fn search_gas(arguments: &[String]) -> Result<(), String> {
    let mut wanted = Search {
        mixing: Duration::from_secs(60),
        seed: 1,
        only: String::new(),
        passes: 5,
    };
    let mut json = false;
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{option} needs a value"));
        let number = |text: &String| {
            let parsed = text.parse::<u32>();
            parsed.map_err(|_| format!("{option} needs a number"))
        };
        match option.as_str() {
            "--json" => json = true,
            "--only" => wanted.only.clone_from(value()?),
            "--seed" => wanted.seed = number(value()?)?.into(),
            "--passes" => wanted.passes = number(value()?)?,
            "--minutes" => wanted.mixing = Duration::from_secs(60) * number(value()?)?,
            other => return Err(format!("unknown option '{other}'")),
        }
    }
    let report = on_stack(|| search(&wanted, &|line| eprintln!("{line}")))?;
    println!("{}", if json { report.json() } else { report.table() });
    Ok(())
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
        let start = processor_time();
        let mut peaks = Vec::new();
        let mut gas = 0;
        for _ in 0..DEPLOYMENTS {
            let (used, peak) = on_stack(|| deploy(&code))?;
            peaks.push(peak);
            gas = used;
        }
        let time = processor_time().saturating_sub(start) / DEPLOYMENTS;
        let peak = peaks.into_iter().max().unwrap_or(0);
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

/// Gas and memory of a deployment by a node that has compiled nothing.
fn deploy(code: &[u8]) -> (Gas, usize) {
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
    let (done, peak) = peak_bytes(|| vm.deploy(session, deployment));
    let (_, outcome, _) = done.expect("a node that deploys does not fail");
    (outcome.gas_used, peak)
}

/// Prints the time of blocks full of each hostile call, and of one with all of them, beside a usual block.
pub(crate) fn blocks() -> Result<(), String> {
    on_stack(measure_blocks)
}

fn measure_blocks() {
    let mut chain = Chain::on_both_engines();
    let attacks: Vec<Case> = cases::all().into_iter().filter(Case::is_deployed).collect();
    for case in &attacks {
        let deployment = case.deployment(&chain);
        chain.run(vec![deployment]);
    }
    let usual = corpus::samples(&mut chain).into_iter();
    let usual = usual.filter(|sample| sample.name == "token transfer");
    let node = Node::new(
        "measured",
        VmConfig::new(EngineKind::Wasmtime),
        chain.genesis(),
    );
    let usual = usual
        .map(|sample| full_block(&chain, &node, &sample.action, 1_000_000))
        .sum();
    println!(
        "signatures, execution and root of a block of {BLOCK_GAS} gas, token transfers: {usual:?}"
    );
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

/// The processor time of checking the signatures of a block, executing it, and the root after it.
fn timed(chain: &Chain, node: &Node, transactions: &[Transaction]) -> (Duration, Gas) {
    let tree = Tree::rebuild(chain.state()).expect("a state in memory");
    let start = processor_time();
    let block = chain.execute_with(node, transactions.to_vec(), Signatures::Verify);
    let root = tree.update(&block.changes, chain.state());
    let time = processor_time().saturating_sub(start);
    root.expect("a state in memory");
    (time, gas(&block))
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
