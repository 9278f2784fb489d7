//! `kumiki bench --localnet`: measure a network of validators that is made for it.

use std::time::Duration;

use kumiki_bench::{Empty, Load, Options, Report, Target, watch_empty};
use kumiki_client::Client;
use kumiki_client::abi::Abi;
use kumiki_protocol::Address;
use kumiki_wallet::{DevAccount, dev_account};
use serde_json::{Value, json};

use super::{BATCH, CONNECTIONS, check_method, cost_json, failed, latency_json, report_json};
use crate::arguments::bench::{BenchArguments, BenchKind};
use crate::commands::localnet::temporary::{RunningNetwork, Temporary};
use crate::commands::new_project;
use crate::contract_build::{Builder, Built};
use crate::deploy::DeployRequest;
use crate::failure::{Exit, Failure, Outcome};
use crate::home::Home;
use crate::output::Output;
use crate::project::Project;
use crate::stop_signal::stop_signal;

/// Transactions measured one after the other on the idle network, where there is time for so many.
const IDLE_COUNT: u64 = 60;
/// Longer than it takes until nothing is left to settle, and on average in the middle of a heartbeat.
const IDLE_PAUSE: Duration = Duration::from_millis(800);
/// Message delays from handing a transaction in to its finality, as the goal has it.
const GOAL_DELAYS: f64 = 3.5;

/// What was measured.
struct Measured {
    loads: Vec<Report>,
    empty: Empty,
}

pub(super) async fn run(
    validators: u16,
    arguments: &BenchArguments,
    output: Output,
) -> Outcome<()> {
    check_offline(validators, arguments.network.offline)?;
    // Ctrl-C ends this future where it stands; with it goes the network that it holds.
    let measured = tokio::select! {
        biased;
        () = stop_signal() => {
            return Err(Failure::new(
                Exit::Interrupted,
                "interrupted",
                "interrupted; the network is stopped and deleted",
            ));
        }
        measured = measure(validators, arguments, output) => measured?,
    };
    let json = json(validators, arguments, &measured);
    output.data(&json, &text(validators, arguments, &measured));
    Ok(())
}

/// As many must stay as can decide alone: more than two thirds.
fn check_offline(validators: u16, offline: u16) -> Outcome<()> {
    let most = validators.saturating_sub(1) / 3;
    if offline <= most {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        "usage",
        "with so many offline the network decides nothing",
    )
    .at("--offline")
    .expected(format!("at most {most} of {validators}"))
    .found(offline.to_string())
    .next("kumiki bench --localnet 4 --offline 1"))
}

async fn measure(validators: u16, arguments: &BenchArguments, output: Output) -> Outcome<Measured> {
    let kinds = match arguments.kind {
        Some(kind) => vec![kind],
        None => vec![BenchKind::Native, BenchKind::Token],
    };
    let how = Temporary {
        validators,
        block_time_ms: arguments.network.block_time,
        is_restless: false,
        delay_ms: arguments.network.delay_ms,
    };
    let token = match kinds.contains(&BenchKind::Token) {
        true => Some(Token::build(arguments, output)?),
        false => None,
    };
    let mut loads = Vec::new();
    for kind in kinds {
        output.message(&format!("starting {validators} validators"));
        let (network, nodes) = start(how, arguments).await?;
        let load = match (kind, &token) {
            (BenchKind::Token, Some(token)) => token.deploy(&nodes).await?,
            _ => Load::Native,
        };
        let options = options(arguments, load, nodes)?;
        let report = kumiki_bench::run(&options, |doing| output.message(doing)).await;
        loads.push(report.map_err(failed)?);
        network.stop().await?;
    }
    output.message("starting them again, to make empty blocks as fast as they can");
    let restless = Temporary {
        block_time_ms: 0,
        is_restless: true,
        ..how
    };
    let (network, nodes) = start(restless, arguments).await?;
    output.message("measuring empty blocks");
    let seconds = arguments.seconds.clamp(1, 30);
    let empty = watch_empty(&nodes, seconds).await.map_err(failed)?;
    network.stop().await?;
    Ok(Measured { loads, empty })
}

/// A network, and those of its nodes that are left.
async fn start(
    how: Temporary,
    arguments: &BenchArguments,
) -> Outcome<(RunningNetwork, Vec<Target>)> {
    let network = RunningNetwork::start(how).await?;
    let offline = usize::from(arguments.network.offline);
    network.kill_last(offline).await?;
    let mut nodes: Vec<Target> = network
        .nodes()
        .into_iter()
        .map(|(url, pid)| Target { url, pid })
        .collect();
    nodes.truncate(nodes.len().saturating_sub(offline));
    Ok((network, nodes))
}

fn funder() -> Outcome<DevAccount> {
    dev_account::find("alice").ok_or_else(|| {
        Failure::new(
            Exit::System,
            "accountUnknown",
            "there is no published account 'alice'",
        )
    })
}

fn options(arguments: &BenchArguments, load: Load, nodes: Vec<Target>) -> Outcome<Options> {
    let idle_count = IDLE_COUNT.min(arguments.seconds.saturating_mul(2)).max(2);
    let connections = CONNECTIONS.max(nodes.len());
    Ok(Options {
        nodes,
        funder: funder()?.key,
        load,
        seconds: arguments.seconds.max(1),
        rate_max: arguments.rate,
        connections,
        senders: arguments.senders.div_ceil(connections).max(1),
        batch: BATCH,
        idle_count: usize::try_from(idle_count).unwrap_or(usize::MAX),
        idle_pause: IDLE_PAUSE,
    })
}

/// A token to deploy.
struct Token {
    built: Built,
    abi: Abi,
    init: Vec<kumiki_client::abi::ArgumentText>,
}

impl Token {
    /// Builds the project's, or the template's where there is no such project.
    fn build(arguments: &BenchArguments, output: Output) -> Outcome<Self> {
        let name = arguments.contract.as_str();
        let home = Home::find()?;
        let folder = tempfile::TempDir::with_prefix("kumiki-token-")
            .map_err(|error| Failure::new(Exit::System, "io", error.to_string()))?;
        let project = match Project::find_optional(&arguments.node.project)? {
            Some(project) => project,
            None => {
                let made = folder.path().join("token");
                new_project::write("token", "token", &made)?;
                Project::find(&made)?
            }
        };
        output.message(&format!("building contract '{name}'"));
        let builder = Builder {
            project: &project,
            home: &home,
            output,
        };
        let built = builder.build(Some(name))?.remove(0);
        let abi = Abi::new(built.abi.clone());
        for (method, selector) in [("transfer", super::TRANSFER), ("mint", super::MINT)] {
            check_method(&abi, name, method, selector)?;
        }
        let init = project.contract(name)?.init.clone();
        Ok(Self { built, abi, init })
    }

    async fn deploy(&self, nodes: &[Target]) -> Outcome<Load> {
        let url = nodes.first().map_or("", |node| &node.url);
        let client = Client::connect(url, None).await?;
        let funder = funder()?;
        let request = DeployRequest {
            project: None,
            name: &self.built.name,
            wasm: &self.built.wasm,
            abi: &self.abi,
            arguments: &self.init,
            salt: "",
            immutable: false,
            value: 0,
            gas: None,
            gas_price: None,
            nonce: None,
        };
        let deployed = request.send(&client, &funder.key, None).await?;
        let contract: Address = deployed.address;
        Ok(Load::Token { contract })
    }
}

/// The goal for a transaction on an idle network: message delays and half a block. None without an emulated delay,
/// where what the machine takes is all there is.
fn goal_ms(arguments: &BenchArguments) -> Option<f64> {
    let network = &arguments.network;
    let block = network.block_time as f64;
    let delay = network.delay_ms as f64;
    (network.delay_ms > 0).then(|| GOAL_DELAYS.mul_add(delay, block / 2.0))
}

/// Message delays in a time from handing in to finality.
fn delays(arguments: &BenchArguments, milliseconds: f64) -> Option<f64> {
    let delay = arguments.network.delay_ms as f64;
    (arguments.network.delay_ms > 0).then(|| milliseconds / delay)
}

fn json(validators: u16, arguments: &BenchArguments, measured: &Measured) -> Value {
    let network = &arguments.network;
    let loads: Vec<Value> = measured
        .loads
        .iter()
        .map(|report| {
            let mut json = report_json(report);
            json["heightsPerSecond"] = json!(report.blocks as f64 / report.seconds);
            json["idleDelays"] = json!(delays(arguments, report.idle.p50_ms));
            json["loadedDelays"] = json!(delays(arguments, report.loaded.p50_ms));
            json["idle"] = latency_json(&report.idle);
            json
        })
        .collect();
    json!({
        "validators": validators,
        "offline": network.offline,
        "delayMs": network.delay_ms,
        "blockTimeMs": network.block_time,
        "goalMs": goal_ms(arguments),
        "loads": loads,
        "empty": {
            "heights": measured.empty.heights,
            "perSecond": measured.empty.per_second,
            "cost": cost_json(&measured.empty.cost),
        },
    })
}

fn text(validators: u16, arguments: &BenchArguments, measured: &Measured) -> String {
    let network = &arguments.network;
    let mut lines = vec![format!(
        "{validators} validators, {} of them offline, {} ms one-way delay, a block every {} ms at most",
        network.offline, network.delay_ms, network.block_time
    )];
    for report in &measured.loads {
        let rate = report.blocks as f64 / report.seconds;
        lines.push(format!("{report}heights under load: {rate:.1} per second"));
        if let (Some(goal), Some(idle), Some(loaded)) = (
            goal_ms(arguments),
            delays(arguments, report.idle.p50_ms),
            delays(arguments, report.loaded.p50_ms),
        ) {
            lines.push(format!(
                "p50 in message delays: idle {idle:.1}, loaded {loaded:.1}; the goal is {goal:.0} ms"
            ));
        }
    }
    lines.push(format!(
        "empty blocks, as fast as they go: {}",
        measured.empty
    ));
    lines.join("\n")
}
