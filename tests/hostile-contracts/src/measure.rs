//! Measure what hostile contracts cost: time for each gas, and compiling them.

use std::sync::Arc;
use std::time::Duration;

use kumiki_hostile_contracts::cases;
use kumiki_hostile_contracts::gas_search::{Search, search};
use kumiki_hostile_contracts::processor_time::processor_time;
use kumiki_protocol::{Address, Gas};
use kumiki_state::{Journal, MemoryState};
use kumiki_vm::{
    BlockContext, CodeSource, Deployment, EngineKind, Session, Vm, VmConfig, check_code,
    run_on_execution_stack,
};

use crate::allocated::peak_bytes;

/// How often each deployment is made.
const DEPLOYMENTS: u32 = 5;

pub(crate) fn on_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
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
