//! `kumiki node`: make, run and look at a node of a network.

mod cut;
pub(crate) mod folder;
pub(crate) mod settings;

use kumiki_client::Client;
use kumiki_network::{peer_id_of, peer_key_of};
use kumiki_node::{Node, NodeError, NodeHandle};
use kumiki_protocol::{ChainKind, Genesis, GenesisAccount, Parameters, PublicKey, SecretKey};
use kumiki_rpc_api::{NodeRole, NodeStatus};
use kumiki_storage::StorageError;
use serde_json::{Value, json};

use crate::arguments::{
    NodeCommand, NodeConfigArguments, NodeGenesisArguments, NodeInitArguments, NodeRunArguments,
    NodeShowArguments,
};
use crate::failure::{Exit, Failure, Outcome};
use crate::next_step::shell_word;
use crate::output::Output;
use folder::{NodeFolder, read_genesis, write};
use settings::{LogFormat, LogSettings};

/// The node.toml of a new node, with the addresses of peers at PEERS.
const TEMPLATE: &str = include_str!("node/node.toml");

pub(crate) async fn run(command: NodeCommand, output: Output) -> Outcome<()> {
    match command {
        NodeCommand::Init(arguments) => init(&arguments, output),
        NodeCommand::Run(arguments) => run_node(&arguments, output).await,
        NodeCommand::Status(arguments) => status(&arguments, output).await,
        NodeCommand::Peers(arguments) => peers(&arguments, output).await,
        NodeCommand::Keys(arguments) => {
            let key = NodeFolder::find(arguments.home.as_ref())?.key()?;
            show_key(&key, output);
            Ok(())
        }
        NodeCommand::Config(arguments) => config(&arguments, output),
        NodeCommand::Genesis(arguments) => genesis(&arguments, output),
    }
}

/// The text of node.toml for a node that begins with these peers.
pub(crate) fn settings_text(bootstrap: &[String]) -> String {
    TEMPLATE.replace(
        "PEERS",
        &serde_json::to_string(bootstrap).unwrap_or_default(),
    )
}

/// A key as libp2p shows it.
pub(crate) fn peer_id_text(key: &PublicKey) -> String {
    let peer = kumiki_consensus::simplex::peer_key(key);
    let id = peer.as_ref().and_then(peer_id_of);
    id.filter(|id| peer_key_of(id).is_some())
        .map_or_else(String::new, |id| id.to_string())
}

fn show_key(key: &SecretKey, output: Output) {
    let public = key.public_key();
    let peer_id = peer_id_text(&public);
    output.data(
        &json!({ "key": public, "peerId": peer_id }),
        &format!("key      {public}\npeer id  {peer_id}"),
    );
}

fn init(arguments: &NodeInitArguments, output: Output) -> Outcome<()> {
    let folder = NodeFolder::find(arguments.home.home.as_ref())?;
    let genesis = read_genesis(&arguments.chain)?;
    let key = folder.make(&genesis, &settings_text(&arguments.bootstrap))?;
    let public = key.public_key();
    let seated = genesis.validators.contains(&public);
    output.message(&format!(
        "made {}: settings in node.toml, key in node.key (keep a copy; never run it twice)",
        folder.0.display()
    ));
    output.message(&format!(
        "next: kumiki node run --home {}",
        shell_word(&folder.0)
    ));
    let role = if seated { "validator" } else { "full node" };
    output.data(
        &json!({ "home": folder.0, "key": public, "peerId": peer_id_text(&public), "genesis": genesis.hash(), "role": role }),
        &format!("key      {public}\npeer id  {}\nchain    {} {}\nrole     {role}", peer_id_text(&public), genesis.chain_id, genesis.hash()),
    );
    Ok(())
}

async fn run_node(arguments: &NodeRunArguments, output: Output) -> Outcome<()> {
    let folder = NodeFolder::find(arguments.home.home.as_ref())?;
    let effective = settings::load(&folder.0, &arguments.set)?;
    let genesis = folder.genesis()?;
    let key = folder.key()?;
    let public = key.public_key();
    start_log(&effective.settings.log)?;
    let config = settings::node_config(&effective.settings, &folder.0, genesis, key)?;
    let started = Node::start(config).await;
    let mut node = started.map_err(|error| node_failure(&error, &folder))?;
    if let Some(network) = node.network() {
        tokio::spawn(cut::follow(folder.0.join("cut.json"), network.clone()));
    }
    print_ready(&node, &public, output).await;
    tokio::select! {
        biased;
        () = stop_signal() => {}
        ended = node.wait() => {
            return match ended {
                Ok(()) => Ok(()),
                Err(error) => Err(node_failure(&error, &folder)),
            };
        }
    }
    output.message("stopping");
    node.stop()
        .await
        .map_err(|error| node_failure(&error, &folder))
}

async fn print_ready(node: &NodeHandle, key: &PublicKey, output: Output) {
    let url = format!("http://{}", node.rpc_address());
    let listen = match node.network() {
        Some(network) => network.listening().await.unwrap_or_default(),
        None => Vec::new(),
    };
    let listen: Vec<String> = listen.iter().map(ToString::to_string).collect();
    let height = node.heads().borrow().height;
    let peer_id = peer_id_text(key);
    output.data(
        &json!({ "rpc": url, "key": key, "peerId": peer_id, "listen": listen, "height": height }),
        &format!(
            "ready  rpc {url}  peer {peer_id}  at {}  height {height}",
            listen.join(" ")
        ),
    );
}

/// Waits for Ctrl-C or a request to terminate.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    drop(tokio::signal::ctrl_c().await);
}

fn start_log(log: &LogSettings) -> Outcome<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&log.level).map_err(|error| {
        Failure::new(Exit::Usage, "logLevel", error.to_string())
            .at("log.level")
            .expected("info, or like warn,kumiki_node=debug")
            .found(&log.level)
            .next("kumiki node config --origin")
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let result = match log.format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
    result.map_err(|error| Failure::new(Exit::System, "log", error.to_string()))
}

fn node_failure(error: &NodeError, folder: &NodeFolder) -> Failure {
    let failure = Failure::new(Exit::Node, "nodeStopped", error.to_string())
        .at(folder.0.display().to_string());
    match error {
        NodeError::Storage(StorageError::Locked { .. }) => failure
            .expected("a node that runs once: a key that votes twice loses its stake")
            .next(format!(
                "kumiki node status --home {}",
                shell_word(&folder.0)
            )),
        NodeError::Rpc(_) => failure
            .expected("a free port for RPC")
            .next("kumiki node run --set rpc.listen=127.0.0.1:0"),
        NodeError::Network(_) => failure
            .expected("a free port for peers")
            .next("kumiki node config --origin"),
        _ => failure.next(format!("kumiki node run --home {}", shell_word(&folder.0))),
    }
}

/// The client of the node that was named, or of the one in the folder.
async fn connect(arguments: &NodeShowArguments) -> Outcome<Client> {
    let url = match &arguments.rpc {
        Some(url) => url.clone(),
        None => {
            let folder = NodeFolder::find(arguments.home.home.as_ref())?;
            let effective = settings::load(&folder.0, &[])?;
            format!("http://{}", effective.settings.rpc.listen)
        }
    };
    Ok(Client::connect(&url, None).await?)
}

async fn status(arguments: &NodeShowArguments, output: Output) -> Outcome<()> {
    let client = connect(arguments).await?;
    let status = client.node_status().await?;
    let health = client.health().await?;
    let text = format!(
        "chain       {}\nhealth      {}\nrole        {}\nheight      {}\nepoch       {}\nvalidators  {} ({} connected)\npeers       {}\npending     {}\npeer id     {}\nlisten      {}",
        client.chain_id(),
        serde_json::to_string(&health.status)
            .unwrap_or_default()
            .trim_matches('"'),
        role_text(&status),
        status.height,
        status.epoch,
        status.validators,
        status.connected_validators,
        status.peers,
        health.pending_transactions,
        status.peer_id.as_deref().unwrap_or("-"),
        status.listen_addresses.join(" "),
    );
    output.data(&json!({ "status": status, "health": health }), &text);
    Ok(())
}

/// A node's part in words.
pub(crate) const fn role_text(status: &NodeStatus) -> &'static str {
    match status.role {
        NodeRole::Solo => "solo",
        NodeRole::Validator => "validator",
        NodeRole::FullNode => "full node",
    }
}

async fn peers(arguments: &NodeShowArguments, output: Output) -> Outcome<()> {
    let peers = connect(arguments).await?.node_peers().await?;
    let mut lines = vec![format!(
        "{:<54} {:<9} {:<4} {:>8} {:>7}  address",
        "peer", "role", "dir", "rtt ms", "score"
    )];
    for peer in &peers {
        lines.push(format!(
            "{:<54} {:<9} {:<4} {:>8} {:>7.1}  {}",
            peer.peer_id,
            if peer.validator { "validator" } else { "full" },
            if peer.inbound { "in" } else { "out" },
            peer.rtt_ms
                .map_or_else(|| "-".to_owned(), |rtt| format!("{rtt:.1}")),
            peer.score,
            peer.addresses.first().map_or("-", String::as_str),
        ));
    }
    output.data(&json!(peers), &lines.join("\n"));
    Ok(())
}

fn config(arguments: &NodeConfigArguments, output: Output) -> Outcome<()> {
    let folder = NodeFolder::find(arguments.run.home.home.as_ref())?;
    let effective = settings::load(&folder.0, &arguments.run.set)?;
    let values = settings::flat(&effective.settings);
    let origin = |key: &str| effective.origins.get(key).map_or("default", String::as_str);
    let lines = values.iter().map(|(key, value)| match arguments.origin {
        true => format!("{key} = {value}  # {}", origin(key)),
        false => format!("{key} = {value}"),
    });
    let json: serde_json::Map<String, Value> = values
        .iter()
        .map(|(key, value)| {
            (
                key.clone(),
                json!({ "value": value, "origin": origin(key) }),
            )
        })
        .collect();
    let text: Vec<String> = lines.collect();
    output.data(&Value::Object(json), &text.join("\n"));
    Ok(())
}

fn genesis(arguments: &NodeGenesisArguments, output: Output) -> Outcome<()> {
    let accounts = arguments.account.iter();
    let genesis = Genesis {
        chain_id: arguments.chain_id.clone(),
        kind: ChainKind::Live,
        time_ms: kumiki_node::system_clock()(),
        certificate_scheme: "ed25519".to_owned(),
        validators: arguments.validator.clone(),
        accounts: accounts
            .map(|(address, balance)| GenesisAccount {
                address: *address,
                balance: *balance,
            })
            .collect(),
        parameters: Parameters {
            epoch_blocks: arguments.epoch_blocks,
            validator_stake: arguments.validator_stake,
            ..network_parameters()
        },
    };
    genesis.check().map_err(|error| {
        Failure::new(Exit::Usage, "genesisMalformed", error.to_string())
            .next("kumiki node genesis --help")
    })?;
    let text = serde_json::to_string_pretty(&genesis).unwrap_or_default();
    write(&arguments.output, text.as_bytes())?;
    let next = format!("kumiki node init --chain {}", shell_word(&arguments.output));
    output.message(&format!("next, on every machine: {next}"));
    output.data(
        &json!({ "genesis": genesis.hash(), "file": arguments.output }),
        &format!("{}  {}", genesis.hash(), arguments.output.display()),
    );
    Ok(())
}

/// What a chain with many validators has unless told otherwise.
pub(crate) const fn network_parameters() -> Parameters {
    Parameters {
        execution_lag: 2,
        epoch_blocks: 3_600,
        validator_stake: 1_000_000_000_000,
        gas_price_min: 1,
        block_gas_max: 1_000_000_000,
        block_bytes_max: 4 << 20,
    }
}
