//! `kumiki localnet up`: start what is down, and wait until every node has a block.

use std::process::Child;
use std::time::{Duration, Instant};

use kumiki_client::Client;
use kumiki_rpc_api::NodeStatus;
use serde_json::{Value, json};

use super::make::{self, Plan};
use super::stop_all;
use crate::arguments::localnet::LocalnetUpArguments;
use crate::commands::node::ask::role_name;
use crate::failure::{Exit, Failure, Outcome};
use crate::localnet::faults::Faults;
use crate::localnet::process::{Process, State};
use crate::localnet::{Localnet, is_taken};
use crate::next_step::shell_word;
use crate::output::Output;

/// Far above what it takes: a machine may be busy.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const RELAY_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two looks at nodes that come up.
const LOOK: Duration = Duration::from_millis(50);
/// One answer of a node that comes up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Lines of its log that show why a node failed.
const LOG_LINES: usize = 12;

/// A process that this run has started.
struct Started {
    /// The node; `None` is the relay.
    node: Option<usize>,
    process: Process,
    child: Child,
}

pub(super) async fn run(arguments: &LocalnetUpArguments, output: Output) -> Outcome<()> {
    let folder = Localnet::folder(&arguments.localnet)?;
    let begun = Instant::now();
    let network = match Localnet::open(&folder)? {
        Some(network) => {
            check_same(&network, arguments)?;
            network
        }
        None => {
            std::fs::create_dir_all(&folder).map_err(|error| Failure::io(&folder, &error))?;
            make::network(&folder, Plan::of(arguments))?
        }
    };
    let ready = bring_up(&network).await?;
    show(&network, &ready, begun.elapsed(), output);
    Ok(())
}

/// Starts what is down and waits until all is ready. Where that fails, what was started is stopped again.
pub(super) async fn bring_up(network: &Localnet) -> Outcome<Vec<NodeStatus>> {
    let mut started = Vec::new();
    let ready = match start(network, &mut started).await {
        Ok(()) => wait_ready(network, &mut started).await,
        Err(failure) => Err(failure),
    };
    if ready.is_err() {
        let processes: Vec<Process> = started.iter().map(|one| one.process.clone()).collect();
        stop_all(&processes).await?;
        reap(&mut started);
    }
    ready
}

/// Leaves nothing behind of processes that have ended.
fn reap(started: &mut [Started]) {
    for one in started {
        // Those that run on are the system's to watch.
        let _running = one.child.try_wait();
    }
}

/// What a network was made with stays: another size is another network.
fn check_same(network: &Localnet, arguments: &LocalnetUpArguments) -> Outcome<()> {
    let layout = network.layout;
    let other = arguments
        .nodes
        .is_some_and(|nodes| nodes != layout.validators)
        || arguments
            .full_nodes
            .is_some_and(|nodes| nodes != layout.full_nodes);
    if !other {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        "localnetOther",
        "there is a network of another size already; nothing was changed",
    )
    .at(network.folder.display().to_string())
    .expected(format!(
        "-n {} --full-nodes {}",
        layout.validators, layout.full_nodes
    ))
    .found(format!(
        "-n {} --full-nodes {}",
        arguments.nodes.unwrap_or(layout.validators),
        arguments.full_nodes.unwrap_or(layout.full_nodes)
    ))
    .next(format!(
        "kumiki localnet down --wipe --dir {}",
        shell_word(&network.folder)
    )))
}

/// Starts relay and nodes that are down; what is paused goes on.
async fn start(network: &Localnet, started: &mut Vec<Started>) -> Outcome<()> {
    check_ports(network)?;
    let relay = network.relay();
    if relay.state() == State::Down {
        let child = relay.start()?;
        started.push(Started {
            node: None,
            process: relay,
            child,
        });
        wait_relay(network, started).await?;
    }
    for node in network.nodes() {
        let process = network.process(node);
        match process.state() {
            State::Up => {}
            State::Paused => process.signal("CONT")?,
            State::Down => {
                let child = process.start()?;
                started.push(Started {
                    node: Some(node),
                    process,
                    child,
                });
            }
        }
    }
    Ok(())
}

fn check_ports(network: &Localnet) -> Outcome<()> {
    let layout = network.layout;
    let mut needed = Vec::new();
    for node in network.nodes() {
        if network.process(node).state() == State::Down {
            needed.extend([layout.rpc_port(node), layout.p2p_port(node)]);
        }
    }
    if network.relay().state() == State::Down {
        needed.push(layout.control_port());
        let pairs = network.nodes().flat_map(|from| {
            let others = network.nodes().filter(move |to| *to != from);
            others.map(move |to| layout.link_port(from, to))
        });
        needed.extend(pairs);
    }
    match needed.into_iter().find(|port| is_taken(*port)) {
        None => Ok(()),
        Some(port) => Err(Failure::new(
            Exit::System,
            "portInUse",
            format!("port {port} of the network is in use; nothing was started"),
        )
        .at(network.folder.display().to_string())
        .expected(format!(
            "free ports from {} to {}",
            layout.base_port,
            usize::from(layout.base_port) + layout.ports() - 1
        ))
        .found(format!("somebody listens on 127.0.0.1:{port}"))
        .next(format!(
            "kumiki localnet down --wipe --dir {0} && kumiki localnet up --base-port 0 --dir {0}",
            shell_word(&network.folder)
        ))),
    }
}

async fn wait_relay(network: &Localnet, started: &mut [Started]) -> Outcome<()> {
    let deadline = Instant::now() + RELAY_TIMEOUT;
    while !is_taken(network.layout.control_port()) {
        check_alive(started)?;
        if Instant::now() >= deadline {
            return Err(stuck("the relay", &network.relay(), "it does not listen"));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Waits until every node has a final block, and a peer where nothing keeps it from having one.
async fn wait_ready(network: &Localnet, started: &mut [Started]) -> Outcome<Vec<NodeStatus>> {
    let deadline = Instant::now() + READY_TIMEOUT;
    let alone = network.layout.nodes() == 1 || network.faults() != Faults::default();
    let mut ready = Vec::new();
    for node in network.nodes() {
        loop {
            let found = match ask(network, node).await {
                Ok(status) if status.height >= 1 && (alone || status.peers >= 1) => {
                    ready.push(status);
                    break;
                }
                Ok(status) => format!(
                    "at height {} with {} peers after {} s",
                    status.height,
                    status.peers,
                    READY_TIMEOUT.as_secs()
                ),
                Err(found) => found,
            };
            check_alive(started)?;
            if Instant::now() >= deadline {
                let process = network.process(node);
                return Err(stuck(&format!("node {node}"), &process, &found));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(ready)
}

pub(super) async fn ask(network: &Localnet, node: usize) -> Result<NodeStatus, String> {
    let url = network.rpc_of(node);
    let asked = async { Client::connect(&url, None).await?.node_status().await };
    match tokio::time::timeout(ANSWER_TIMEOUT, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_elapsed) => Err(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())),
    }
}

/// Fails when a process that this run has started has ended.
fn check_alive(started: &mut [Started]) -> Outcome<()> {
    for one in started {
        if let Ok(Some(status)) = one.child.try_wait() {
            let name = one
                .node
                .map_or_else(|| "the relay".to_owned(), |node| format!("node {node}"));
            return Err(stuck(
                &name,
                &one.process,
                &format!("it ended with {status}"),
            ));
        }
    }
    Ok(())
}

fn stuck(name: &str, process: &Process, found: &str) -> Failure {
    let log = process.log_file();
    let failure = Failure::new(
        Exit::Node,
        "localnetStart",
        format!("{name} does not come up; what this command started is stopped again"),
    )
    .at(process.folder.display().to_string())
    .expected("a first block")
    .found(found)
    .next(format!("tail -n 50 {}", shell_word(&log)));
    let lines = process.last_lines(LOG_LINES);
    lines
        .into_iter()
        .fold(failure, |failure, line| failure.detail(format!("| {line}")))
}

fn show(network: &Localnet, ready: &[NodeStatus], took: Duration, output: Output) {
    let mut lines = vec![format!(
        "{:<5} {:<10} {:<22} {:<8} {:<53} log",
        "node", "role", "rpc", "pid", "peer id"
    )];
    let mut nodes: Vec<Value> = Vec::new();
    for (node, status) in (0..).zip(ready) {
        let process = network.process(node);
        let (rpc, log) = (network.rpc_of(node), process.log_file());
        let peer = status.peer_id.clone().unwrap_or_default();
        let pid = process.pid().unwrap_or_default();
        lines.push(format!(
            "{node:<5} {:<10} {rpc:<22} {pid:<8} {peer:<53} {}",
            role_name(status.role),
            log.display()
        ));
        nodes.push(json!({
            "node": node,
            "role": status.role,
            "rpc": rpc,
            "peerId": peer,
            "publicKey": status.key,
            "p2p": format!("/ip4/127.0.0.1/tcp/{}", network.layout.p2p_port(node)),
            "pid": pid,
            "log": log,
            "height": status.height,
        }));
    }
    let seconds = took.as_secs_f64();
    lines.push(format!(
        "ready in {seconds:.1} s; other commands find it by themselves, or by --network localnet"
    ));
    output.data(
        &json!({ "ready": true, "dir": network.folder, "seconds": seconds, "nodes": nodes }),
        &lines.join("\n"),
    );
}
