//! `kumiki node`: make, run and look at a node of a network.

pub(crate) mod ask;
mod config;
mod genesis;
mod init;
mod run;

use std::path::{Path, PathBuf};

use kumiki_consensus::simplex::peer_key;
use kumiki_network::peer_id_of;
use kumiki_protocol::SecretKey;
use kumiki_wallet::create_node_key;
use serde_json::json;
use toml::Value;

use crate::arguments::node::{
    NodeCommand, NodeConfigCommand, NodeHomeArguments, NodeKeysArguments, NodeValueArguments,
};
use crate::failure::{Failure, Outcome};
use crate::home::Home;
use crate::next_step::shell_word;
use crate::node_config::{FILE, NodeSettings, Override};
use crate::output::Output;

/// The key's file where node.toml says nothing else, or is not there yet.
const KEY_FILE: &str = "node.key";
/// In a node's folder, as long as it runs: the address of its RPC.
const RPC_FILE: &str = "rpc";

pub(crate) async fn run(command: NodeCommand, output: Output) -> Outcome<()> {
    match command {
        NodeCommand::Init(arguments) => init::run(&arguments, output),
        NodeCommand::Run(arguments) => run::run(&arguments, output).await,
        NodeCommand::Status(arguments) => ask::status(&arguments, output).await,
        NodeCommand::Peers(arguments) => ask::peers(&arguments, output).await,
        NodeCommand::Keys(arguments) => keys(&arguments, output),
        NodeCommand::Genesis(arguments) => genesis::run(&arguments, output),
        NodeCommand::Config(NodeConfigCommand::Show(arguments)) => config::show(&arguments, output),
    }
}

/// The node's folder.
fn folder(arguments: &NodeHomeArguments) -> Outcome<PathBuf> {
    match &arguments.home {
        Some(folder) => std::path::absolute(folder).map_err(|error| Failure::io(folder, &error)),
        None => Ok(Home::find()?.path().join("node")),
    }
}

/// What holds for the node in `folder`.
fn settings(folder: &Path, values: &NodeValueArguments) -> Outcome<NodeSettings> {
    NodeSettings::load(folder, std::env::vars(), overrides(values))
}

/// What flags say of keys.
fn overrides(values: &NodeValueArguments) -> Vec<Override> {
    let texts = |given: &[String]| {
        let texts = given.iter().cloned().map(Value::String);
        Value::Array(texts.collect())
    };
    let mut overrides = Vec::new();
    if let Some(port) = values.rpc_port {
        overrides.push(("rpc", "port", Value::Integer(port.into()), "--rpc-port"));
    }
    if !values.listen.is_empty() {
        overrides.push(("p2p", "listen", texts(&values.listen), "--listen"));
    }
    if !values.bootstrap.is_empty() {
        overrides.push(("p2p", "bootstrap", texts(&values.bootstrap), "--bootstrap"));
    }
    overrides
}

/// The peer id of the node with `key`, as libp2p writes it.
pub(crate) fn peer_id(key: &SecretKey) -> String {
    // Every key that comes from a seed is on the curve.
    peer_key(&key.public_key())
        .as_ref()
        .and_then(peer_id_of)
        .map(|id| id.to_string())
        .unwrap_or_default()
}

/// The option that names `folder` in a next step; nothing where it is the default.
pub(crate) fn home_option(arguments: &NodeHomeArguments) -> String {
    match &arguments.home {
        Some(folder) => format!(" --home {}", shell_word(folder)),
        None => String::new(),
    }
}

fn make_folder(folder: &Path) -> Outcome<()> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::io(folder, &error))
}

/// Where the node in `folder` keeps its key.
fn key_file(folder: &Path) -> Outcome<PathBuf> {
    if !folder.join(FILE).is_file() {
        return Ok(folder.join(KEY_FILE));
    }
    let none = NodeValueArguments {
        rpc_port: None,
        listen: Vec::new(),
        bootstrap: Vec::new(),
    };
    Ok(settings(folder, &none)?.key_file())
}

/// The key of the node's folder, which must be there.
pub(crate) fn read_key(home: &NodeHomeArguments) -> Outcome<SecretKey> {
    let file = key_file(&folder(home)?)?;
    kumiki_wallet::read_node_key(&file).map_err(|error| {
        let failure = Failure::from(error);
        if file.exists() {
            return failure;
        }
        failure.next(format!("kumiki node keys --new{}", home_option(home)))
    })
}

/// Where the node of the folder answers, as long as it runs.
pub(crate) fn running_rpc(home: &NodeHomeArguments) -> Outcome<Option<String>> {
    let text = std::fs::read_to_string(folder(home)?.join(RPC_FILE));
    Ok(text.ok().map(|url| url.trim().to_owned()))
}

fn keys(arguments: &NodeKeysArguments, output: Output) -> Outcome<()> {
    let folder = folder(&arguments.home)?;
    let file = key_file(&folder)?;
    let key = if arguments.new {
        make_folder(&folder)?;
        create_node_key(&file)?
    } else {
        read_key(&arguments.home)?
    };
    let (public, peer) = (key.public_key(), peer_id(&key));
    output.data(
        &json!({ "publicKey": public, "peerId": peer, "file": file }),
        &format!(
            "public key  {public}\npeer id     {peer}\nkept in     {}",
            file.display()
        ),
    );
    Ok(())
}
