//! `kumiki node run`: start the node of a folder, say when it is ready, stop it when asked to.

use std::io::{self, IsTerminal as _, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kumiki_client::Client;
use kumiki_node::{Node, NodeError, NodeHandle};
use kumiki_rpc_api::NodeStatus;
use kumiki_storage::StorageError;
use serde_json::json;
use tracing_subscriber::EnvFilter;

use super::ask::role_name;
use super::{RPC_FILE, folder, settings};
use crate::arguments::node::NodeRunArguments;
use crate::failure::{Exit, Failure, Outcome, steers};
use crate::next_step::shell_word;
use crate::node_config::NodeSettings;
use crate::output::Output;
use crate::stop_signal::stop_signal;

pub(super) async fn run(arguments: &NodeRunArguments, output: Output) -> Outcome<()> {
    let folder = folder(&arguments.home)?;
    let settings = settings(&folder, &arguments.values)?;
    start_log(&settings)?;
    let config = settings.node_config()?;
    let mut stop = Box::pin(stop_signal());
    let started = tokio::select! {
        started = Node::start(config) => started,
        () = &mut stop => return Ok(()),
    };
    let mut node = started.map_err(|error| start_failure(&error, &folder))?;
    let url = url(node.rpc_address());
    let rpc_file = RpcFile::write(&folder, &url)?;
    let result = tokio::select! {
        shown = show_ready(&node, &url, output) => match shown {
            Ok(()) => tokio::select! {
                ended = node.wait() => Err(end_failure(ended, &folder)),
                () = &mut stop => Ok(()),
            },
            Err(failure) => Err(failure),
        },
        () = &mut stop => Ok(()),
    };
    drop(rpc_file);
    if result.is_ok() {
        output.message("stopping");
        node.stop()
            .await
            .map_err(|error| end_failure(Err(error), &folder))?;
    }
    result
}

/// The address that programs of this machine reach `address` under.
fn url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("http://127.0.0.1:{}", address.port());
    }
    format!("http://{address}")
}

/// One line when the node answers.
async fn show_ready(node: &NodeHandle, url: &str, output: Output) -> Outcome<()> {
    if let Some(network) = node.network() {
        network
            .listening()
            .await
            .map_err(|error| Failure::new(Exit::Node, "nodeStopped", error.to_string()))?;
    }
    let client = Client::connect(url, Some(node.genesis().hash())).await?;
    let NodeStatus {
        key,
        peer_id,
        role,
        height,
        ..
    } = client.node_status().await?;
    let listen = node.network().map(|network| network.listen_addresses());
    let listen: Vec<String> = listen
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect();
    let peer_id = peer_id.unwrap_or_else(|| {
        let id = node.network().map(|network| network.local_peer_id());
        id.map(|id| id.to_string()).unwrap_or_default()
    });
    output.data(
        &json!({
            "ready": true,
            "rpc": url,
            "chainId": node.genesis().chain_id,
            "publicKey": key,
            "peerId": peer_id,
            "listen": listen,
            "role": role,
            "height": height,
        }),
        &format!(
            "ready  rpc {url}  peer {peer_id}  listen {}  role {}  height {height}",
            listen.join(" "),
            role_name(role)
        ),
    );
    Ok(())
}

/// Sends the log to stderr, as the settings say.
fn start_log(settings: &NodeSettings) -> Outcome<()> {
    let level = settings.text("log", "level");
    let filter = EnvFilter::try_new(level).map_err(|error| {
        Failure::new(Exit::Usage, "configValue", "log.level cannot be this")
            .expected("info, or info,kumiki_network=debug")
            .found(format!("{level}: {error}"))
            .next("kumiki node config show --origin")
    })?;
    let colours = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || Log { colours })
        .with_ansi(colours);
    let started = match settings.text("log", "format") {
        "json" => log.json().try_init(),
        _ => log.try_init(),
    };
    started.map_err(|error| Failure::new(Exit::System, "log", error.to_string()))
}

/// Stderr, without what would steer a terminal: libraries log what strangers sent.
struct Log {
    /// Whether the log has codes of its own, which a terminal is to obey. Those in values are escaped before.
    colours: bool,
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = |one| match one {
            '\n' | '\t' => one,
            '\u{1b}' if self.colours => one,
            _ if steers(one) => '\u{fffd}',
            _ => one,
        };
        let text: String = String::from_utf8_lossy(line).chars().map(shown).collect();
        io::stderr().lock().write_all(text.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn start_failure(error: &NodeError, folder: &Path) -> Failure {
    let home = shell_word(folder);
    let failure = |name: &str, what: &str| {
        Failure::new(Exit::Node, name, what)
            .at(folder.display().to_string())
            .found(error.to_string())
    };
    match error {
        NodeError::Storage(StorageError::Locked { .. }) => failure(
            "nodeRuns",
            "another process runs the node of this folder; a key must never sign in two places",
        )
        .expected("one process for one folder")
        .next(format!("kumiki node status --home {home}")),
        NodeError::OtherChain { .. } => {
            failure("wrongChain", "the data folder holds another chain")
                .expected("the chain of the folder's genesis.json")
                .next(format!("kumiki node config show --origin --home {home}"))
        }
        NodeError::Rpc(_) => failure("rpcStart", "the RPC cannot be served")
            .expected("a free port, and hosts and origins as in node.toml")
            .next(format!("kumiki node run --rpc-port 0 --home {home}")),
        NodeError::Network(_) => failure("p2pStart", "the network cannot be joined")
            .expected("addresses of this machine with free ports in p2p.listen")
            .next(format!("kumiki node config show --origin --home {home}")),
        _ => failure("nodeStart", "the node does not start")
            .next(format!("kumiki node config show --origin --home {home}")),
    }
}

fn end_failure(ended: Result<(), NodeError>, folder: &Path) -> Failure {
    let found = match ended {
        Ok(()) => "it ended".to_owned(),
        Err(error) => error.to_string(),
    };
    Failure::new(Exit::Node, "nodeStopped", "the node stopped")
        .at(folder.display().to_string())
        .expected("it runs until it is asked to stop; everything acknowledged is on disk")
        .found(found)
        .next(format!("kumiki node run --home {}", shell_word(folder)))
}

/// Tells other commands where the folder's node answers, as long as it does.
struct RpcFile(PathBuf);

impl RpcFile {
    fn write(folder: &Path, url: &str) -> Outcome<Self> {
        let path = folder.join(RPC_FILE);
        std::fs::write(&path, url).map_err(|error| {
            Failure::io(&path, &error)
                .expected("a folder that can be written, on a disk with room")
                .next(format!("kumiki node run --home {}", shell_word(folder)))
        })?;
        Ok(Self(path))
    }
}

impl Drop for RpcFile {
    fn drop(&mut self) {
        // A file that stays names an address where nobody answers, which the next command says.
        let _stays = std::fs::remove_file(&self.0);
    }
}
