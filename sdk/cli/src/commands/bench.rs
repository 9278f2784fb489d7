//! `kumiki bench`: drive a running node and report how fast it is.

mod localnet;

use std::time::Duration;

use kumiki_bench::{BenchError, Cost, Latency, Load, Options, Report, Target};
use kumiki_client::abi::Abi;
use kumiki_protocol::sha3_256;
use serde_json::{Value, json};

use crate::arguments::SenderArguments;
use crate::arguments::bench::{BenchArguments, BenchKind};
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::Output;
use crate::signer::Signer;

const CONNECTIONS: usize = 4;
const BATCH: usize = 50;
/// Transactions measured one after the other on an idle dev chain.
const IDLE_COUNT: usize = 300;

pub(crate) async fn run(arguments: &BenchArguments, output: Output) -> Outcome<()> {
    if let Some(validators) = arguments.network.localnet {
        return localnet::run(validators, arguments, output).await;
    }
    let network = Network::connect(&arguments.node).await?;
    let sender = SenderArguments {
        from: arguments.from.clone(),
        passphrase_file: None,
        value: 0,
        gas: None,
        gas_price: None,
        nonce: None,
    };
    let signer = Signer::find(&sender, &network)?;
    let load = match arguments.kind.unwrap_or(BenchKind::Native) {
        BenchKind::Native => Load::Native,
        BenchKind::Token => token_load(&network, &arguments.contract).await?,
    };
    let options = Options {
        nodes: vec![Target {
            url: network.client.url().to_owned(),
            pid: None,
        }],
        funder: signer.key,
        load,
        seconds: arguments.seconds.max(1),
        rate_max: arguments.rate,
        connections: CONNECTIONS,
        senders: arguments.senders.div_ceil(CONNECTIONS).max(1),
        batch: BATCH,
        idle_count: IDLE_COUNT,
        idle_pause: Duration::ZERO,
    };
    let report = kumiki_bench::run(&options, |text| output.message(text))
        .await
        .map_err(failed)?;
    output.data(&report_json(&report), &report.to_string());
    Ok(())
}

/// Calls of the project's token: `transfer(to, amount)` and `mint(to, amount)`.
async fn token_load(network: &Network, name: &str) -> Outcome<Load> {
    let contract = network.contract_address(name)?;
    let abi = network.abi(contract, name).await?;
    for (method, selector) in [("transfer", TRANSFER), ("mint", MINT)] {
        check_method(&abi, name, method, selector)?;
    }
    Ok(Load::Token { contract })
}

const TRANSFER: &str = "transfer(Address,u128)";
const MINT: &str = "mint(Address,u128)";

fn check_method(abi: &Abi, contract: &str, method: &str, signature: &str) -> Outcome<()> {
    let selector = format!(
        "0x{}",
        hex::encode(&sha3_256(&[signature.as_bytes()]).0[..4])
    );
    let found = abi.method(method).map(|one| one.selector.clone());
    if found.as_ref() == Ok(&selector) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        "benchContract",
        format!("contract '{contract}' cannot be loaded as a token"),
    )
    .expected(signature)
    .found(found.unwrap_or_else(|error| error.to_string()))
    .next("kumiki new my-token --template token"))
}

fn failed(error: BenchError) -> Failure {
    match error {
        BenchError::Client(error) => error.into(),
        other => Failure::new(Exit::Node, "bench", "the load could not be driven")
            .expected("a node that takes transactions")
            .found(other.to_string())
            .next("kumiki chain info"),
    }
}

fn report_json(report: &Report) -> Value {
    let stages: Vec<Value> = report
        .stages
        .iter()
        .map(|one| {
            json!({
                "name": one.name,
                "share": one.share,
                "microsPerTransaction": one.micros_per_transaction,
            })
        })
        .collect();
    json!({
        "load": report.load,
        "seconds": report.seconds,
        "transactions": report.transactions,
        "blocks": report.blocks,
        "perSecond": report.per_second,
        "idle": latency_json(&report.idle),
        "loaded": latency_json(&report.loaded),
        "refusals": report.refusals,
        "stages": stages,
        "cost": cost_json(&report.cost),
    })
}

/// What is not known is `null`.
fn cost_json(cost: &Cost) -> Value {
    json!({
        "nodes": cost.nodes,
        "cpuMsPerHeight": cost.cpu_ms_per_height,
        "cpuMicrosPerTransaction": cost.cpu_us_per_transaction,
        "sentBytesPerHeight": cost.bytes_per_height,
        "sentBytesPerTransaction": cost.bytes_per_transaction,
    })
}

fn latency_json(latency: &Latency) -> Value {
    json!({
        "count": latency.count,
        "p50Ms": latency.p50_ms,
        "p99Ms": latency.p99_ms,
        "maxMs": latency.max_ms,
    })
}
