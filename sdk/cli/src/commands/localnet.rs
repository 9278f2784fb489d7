//! `kumiki localnet`: a network of real node processes on this machine.

pub(crate) mod network;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use kumiki_node::system_clock;
use kumiki_protocol::{ChainKind, Genesis, GenesisAccount, Parameters, SecretKey};
use kumiki_rpc_api::NodeStatus;
use kumiki_wallet::dev_account;
use serde_json::json;

use crate::arguments::{
    FaultCommand, FaultNodes, FaultPartition, LocalnetArguments, LocalnetCommand,
    LocalnetDownArguments, LocalnetLogsArguments, LocalnetUpArguments,
};
use crate::commands::node::folder::NodeFolder;
use crate::commands::node::{network_parameters, peer_id_text, role_text, settings_text};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::Output;
use network::{LocalNetwork, LocalNode, Process, folder};

/// What each published account has.
const BALANCE: u128 = 1_000_000_000_000_000_000;
/// Most nodes; each has two ports.
const NODES_MAX: u16 = 64;
/// How long the network may take to make its first block.
const START_TIME: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
/// Heartbeat of a local network's leaders.
const HEARTBEAT_MS: u64 = 1_000;

pub(crate) async fn run(command: LocalnetCommand, output: Output) -> Outcome<()> {
    match command {
        LocalnetCommand::Up(arguments) => up(&arguments, output).await,
        LocalnetCommand::Status(arguments) => status(&arguments, output).await,
        LocalnetCommand::Logs(arguments) => logs(&arguments, output).await,
        LocalnetCommand::Fault(command) => fault(command, output).await,
        LocalnetCommand::Down(arguments) => down(&arguments, output).await,
    }
}

async fn up(arguments: &LocalnetUpArguments, output: Output) -> Outcome<()> {
    let folder = folder(&arguments.localnet)?;
    let (network, made) = match LocalNetwork::find(&folder)? {
        Some(network) => (network, false),
        None => (make(&folder, arguments)?, true),
    };
    for node in &network.nodes {
        node.start()?;
    }
    let result = wait_for_block(&network).await;
    if let Err(failure) = result {
        if made {
            stop_all(&network).await?;
        }
        return Err(failure);
    }
    show(&network, output).await;
    if made {
        let rpc = &network.nodes[0].rpc;
        output.message(&format!(
            "next: kumiki deploy --rpc {rpc}, or: export KUMIKI_RPC={rpc}"
        ));
    }
    Ok(())
}

/// Makes keys, genesis and settings of a new network.
fn make(folder: &Path, arguments: &LocalnetUpArguments) -> Outcome<LocalNetwork> {
    let count = arguments.nodes.saturating_add(arguments.full_nodes);
    if arguments.nodes == 0 || count > NODES_MAX {
        return Err(Failure::new(
            Exit::Usage,
            "nodes",
            "a local network cannot have so many nodes",
        )
        .at("--nodes, --full-nodes")
        .expected(format!("1 to {NODES_MAX} together, one validator at least"))
        .found(count.to_string())
        .next("kumiki localnet up -n 4"));
    }
    fs::create_dir_all(folder).map_err(|error| Failure::io(folder, &error))?;
    let mut keys = Vec::new();
    for _ in 0..count {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Failure::new(Exit::System, "noRandomness", error.to_string()))?;
        keys.push(SecretKey::from_seed(seed));
    }
    let validators = usize::from(arguments.nodes);
    let genesis = genesis(&keys[..validators], arguments.epoch_blocks);
    let mut nodes = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        let home = folder.join(format!("node{number}"));
        let ports = Ports::of(arguments.base_port, number);
        // One address is enough: the first node's, or the second's for the first one.
        let others = (0..keys.len()).filter(|other| *other != number).take(2);
        let bootstrap: Vec<String> = others
            .map(|other| Ports::of(arguments.base_port, other).listen())
            .collect();
        let settings = settings(&bootstrap, &ports, arguments.block_time);
        NodeFolder(home.clone()).make_with_key(key, &genesis, &settings)?;
        let public = key.public_key();
        nodes.push(LocalNode {
            number,
            home,
            rpc: format!("http://127.0.0.1:{}", ports.rpc),
            key: public,
            peer_id: peer_id_text(&public),
            validator: number < validators,
        });
    }
    let network = LocalNetwork { nodes };
    network.save(folder)?;
    Ok(network)
}

/// The ports of one node.
struct Ports {
    rpc: u16,
    peers: u16,
}

impl Ports {
    fn of(base: u16, number: usize) -> Self {
        let first = base.saturating_add(u16::try_from(number * 2).unwrap_or(u16::MAX));
        Self {
            rpc: first,
            peers: first.saturating_add(1),
        }
    }

    fn listen(&self) -> String {
        format!("/ip4/127.0.0.1/tcp/{}", self.peers)
    }
}

fn settings(bootstrap: &[String], ports: &Ports, block_time_ms: u64) -> String {
    let rpc = format!("[rpc]\nlisten = \"127.0.0.1:{}\"", ports.rpc);
    let p2p = format!(
        "[p2p]\nlisten = [\"{}\"]\none_machine = true",
        ports.listen()
    );
    let ordering =
        format!("[ordering]\nblock_time_ms = {block_time_ms}\nheartbeat_ms = {HEARTBEAT_MS}");
    settings_text(bootstrap)
        .replace("[rpc]", &rpc)
        .replace("[p2p]", &p2p)
        .replace("[ordering]", &ordering)
}

/// A dev chain: the published accounts hold its funds, so that everything works as on `kumiki dev`.
fn genesis(validators: &[SecretKey], epoch_blocks: u32) -> Genesis {
    Genesis {
        chain_id: "kumiki-localnet".to_owned(),
        kind: ChainKind::Dev,
        time_ms: system_clock()(),
        certificate_scheme: "ed25519".to_owned(),
        validators: validators.iter().map(SecretKey::public_key).collect(),
        accounts: dev_account::all()
            .iter()
            .map(|account| GenesisAccount {
                address: account.address,
                balance: BALANCE,
            })
            .collect(),
        parameters: Parameters {
            epoch_blocks,
            ..network_parameters()
        },
    }
}

/// Waits until every node that runs has a block.
async fn wait_for_block(network: &LocalNetwork) -> Outcome<()> {
    let end = Instant::now() + START_TIME;
    for node in &network.nodes {
        loop {
            let status = node_status(node).await;
            if status.is_some_and(|status| status.height > 0) {
                break;
            }
            let down = node.process() == Process::Down;
            if down || Instant::now() >= end {
                let what = match down {
                    true => format!("node {} has ended", node.number),
                    false => format!("node {} has no block after {START_TIME:?}", node.number),
                };
                let mut failure = Failure::new(Exit::Node, "localnetStart", what)
                    .at(node.log().display().to_string())
                    .next(format!("kumiki localnet logs {}", node.number));
                for line in node.last_lines(8) {
                    failure = failure.detail(line);
                }
                return Err(failure);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

async fn node_status(node: &LocalNode) -> Option<NodeStatus> {
    node.client().await?.node_status().await.ok()
}

async fn status(arguments: &LocalnetArguments, output: Output) -> Outcome<()> {
    show(&LocalNetwork::open(arguments)?, output).await;
    Ok(())
}

async fn show(network: &LocalNetwork, output: Output) {
    let mut lines = vec![format!(
        "{:<4} {:<7} {:<10} {:>8} {:>6}  {:<23} {:>8}  log",
        "node", "process", "role", "height", "peers", "rpc", "pid"
    )];
    let mut rows = Vec::new();
    for node in &network.nodes {
        let process = node.process();
        let status = match process {
            Process::Up => node_status(node).await,
            Process::Paused | Process::Down => None,
        };
        let pid = node.pid().filter(|_| process != Process::Down);
        let number = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        lines.push(format!(
            "{:<4} {:<7} {:<10} {:>8} {:>6}  {:<23} {:>8}  {}",
            node.number,
            process.text(),
            status.as_ref().map_or("-", role_text),
            number(status.as_ref().map(|status| status.height.to_string())),
            number(status.as_ref().map(|status| status.peers.to_string())),
            node.rpc,
            number(pid.map(|pid| pid.to_string())),
            node.log().display(),
        ));
        rows.push(json!({
            "number": node.number, "process": process, "rpc": node.rpc, "peerId": node.peer_id,
            "key": node.key, "pid": pid, "log": node.log(), "status": status,
        }));
    }
    output.data(&json!({ "nodes": rows }), &lines.join("\n"));
}

async fn logs(arguments: &LocalnetLogsArguments, output: Output) -> Outcome<()> {
    let network = LocalNetwork::open(&arguments.localnet)?;
    let node = network.node(arguments.node)?;
    let mut shown = fs::metadata(node.log()).map_or(0, |data| data.len());
    let lines = node.last_lines(arguments.lines);
    output.data(&json!({ "lines": lines }), &lines.join("\n"));
    while arguments.follow {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let text = fs::read(node.log()).map_err(|error| Failure::io(&node.log(), &error))?;
        let length = text.len() as u64;
        let from = usize::try_from(shown.min(length)).unwrap_or(usize::MAX);
        let new = String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned();
        if !new.is_empty() {
            output.data(
                &json!({ "lines": new.lines().collect::<Vec<_>>() }),
                new.trim_end(),
            );
        }
        shown = length;
    }
    Ok(())
}

async fn fault(command: FaultCommand, output: Output) -> Outcome<()> {
    match command {
        FaultCommand::Pause(nodes) => each(&nodes, "STOP", output),
        FaultCommand::Resume(nodes) => each(&nodes, "CONT", output),
        FaultCommand::Kill(nodes) => {
            for node in chosen(&nodes)? {
                node.kill().await?;
                output.message(&format!("node {} is killed", node.number));
            }
            Ok(())
        }
        FaultCommand::Restart(nodes) => {
            for node in chosen(&nodes)? {
                node.kill().await?;
                node.start()?;
                output.message(&format!("node {} is started", node.number));
            }
            Ok(())
        }
        FaultCommand::Partition(partition) => cut(&partition, output),
        FaultCommand::Heal(arguments) => {
            for node in &LocalNetwork::open(&arguments)?.nodes {
                write_cut(node, &[])?;
            }
            output.message("healed");
            Ok(())
        }
    }
}

fn chosen(nodes: &FaultNodes) -> Outcome<Vec<LocalNode>> {
    let network = LocalNetwork::open(&nodes.localnet)?;
    let chosen = nodes
        .nodes
        .iter()
        .map(|number| network.node(*number).cloned());
    chosen.collect()
}

fn each(nodes: &FaultNodes, signal: &str, output: Output) -> Outcome<()> {
    for node in chosen(nodes)? {
        node.signal(signal)?;
        output.message(&format!("node {}: SIG{signal}", node.number));
    }
    Ok(())
}

/// Tells every node in a group whom it must not reach: all nodes of other groups.
fn cut(partition: &FaultPartition, output: Output) -> Outcome<()> {
    let network = LocalNetwork::open(&partition.localnet)?;
    for group in &partition.groups {
        for number in &group.0 {
            let others = partition.groups.iter().filter(|other| *other != group);
            let keys: Vec<_> = others
                .flat_map(|other| &other.0)
                .map(|number| network.node(*number).map(|node| node.key))
                .collect::<Outcome<_>>()?;
            write_cut(network.node(*number)?, &keys)?;
        }
    }
    output.message("cut");
    Ok(())
}

fn write_cut(node: &LocalNode, keys: &[kumiki_protocol::PublicKey]) -> Outcome<()> {
    let path = node.cut_file();
    let new = path.with_extension("new");
    let text = serde_json::to_string(keys).unwrap_or_default();
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|error| Failure::io(&path, &error))
}

async fn down(arguments: &LocalnetDownArguments, output: Output) -> Outcome<()> {
    let network = LocalNetwork::open(&arguments.localnet)?;
    stop_all(&network).await?;
    if arguments.wipe {
        let folder = folder(&arguments.localnet)?;
        fs::remove_dir_all(&folder).map_err(|error| Failure::io(&folder, &error))?;
    }
    output.message(&format!("{} nodes are stopped", network.nodes.len()));
    Ok(())
}

async fn stop_all(network: &LocalNetwork) -> Outcome<()> {
    // All at once: each has a block to finish.
    for node in &network.nodes {
        node.signal("CONT")?;
        node.signal("TERM")?;
    }
    for node in &network.nodes {
        node.stop().await?;
    }
    Ok(())
}
