//! Run validators as an operator would, each by `kumiki node run` on a machine (a network namespace) of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use kumiki_integration::program::{Home, kumiki};
use kumiki_protocol::{ChainKind, Genesis, GenesisAccount};
use kumiki_wallet::dev_account;
use serde_json::Value;

use crate::Nodes;
use crate::wires::Wires;

const BALANCE: u128 = 1_000_000_000_000_000;
const P2P_PORT: u16 = 8_661;
const RPC_PORT: u16 = 8_660;
/// Looks at a node that comes up; see [`Nodes::higher_than`].
const START_LOOKS: u32 = 2_400;

/// Validators on machines of their own, wired together. Dropping it kills them.
#[derive(Debug)]
pub struct Cluster {
    /// Where they answer.
    pub nodes: Nodes,
    wires: Wires,
    children: Vec<Child>,
    _home: Home,
}

impl Cluster {
    /// Starts `count` validators and waits until each has a block. The test must be in a world of its own.
    ///
    /// # Errors
    /// What a tool or the program says.
    pub async fn start(count: usize) -> Result<Self, String> {
        let wires = Wires::lay(count)?;
        let home = Home::new();
        let folders: Vec<PathBuf> = (0..count)
            .map(|node| home.path().join(format!("node-{node}")))
            .collect();
        make(&home, &folders)?;
        let rpc = (0..count).map(|node| format!("http://{}:{RPC_PORT}", Wires::address(node)));
        let mut cluster = Self {
            nodes: Nodes::new(rpc.collect(), home.path().to_owned()),
            wires,
            children: Vec::new(),
            _home: home,
        };
        for (node, folder) in folders.iter().enumerate() {
            cluster.children.push(run(&cluster._home, node, folder)?);
        }
        for node in 0..count {
            cluster.nodes.higher_than(0, node, START_LOOKS).await?;
        }
        Ok(cluster)
    }

    /// Loses all that goes along these ways, each from one node to another.
    ///
    /// # Errors
    /// What `nft` says.
    pub fn cut(&self, ways: &[(usize, usize)]) -> Result<(), String> {
        ways.iter()
            .try_for_each(|(from, to)| self.wires.cut(*from, *to))
    }

    /// Packets that were lost on their way to a node since the last healing.
    ///
    /// # Errors
    /// What `nft` says.
    pub fn lost(&self, node: usize) -> Result<u64, String> {
        self.wires.lost(node)
    }

    /// Loses nothing any more.
    ///
    /// # Errors
    /// What `nft` says.
    pub fn heal(&self) -> Result<(), String> {
        self.wires.heal()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended before.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// Makes keys, genesis and folders.
fn make(home: &Home, folders: &[PathBuf]) -> Result<(), String> {
    let mut keys = Vec::new();
    let mut addresses = Vec::new();
    for (node, folder) in folders.iter().enumerate() {
        let made = node_command(home, &["keys", "--new", "--home", &text(folder)])?;
        let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
        keys.push(text("publicKey"));
        let (address, peer) = (Wires::address(node), text("peerId"));
        addresses.push((format!("/ip4/{address}/tcp/{P2P_PORT}"), peer));
    }
    let genesis = text(&home.path().join("genesis.json"));
    let mut arguments = vec!["genesis", "--chain-id", "kumiki-chaos", "--out", &genesis];
    arguments.extend(keys.iter().flat_map(|key| ["--validator", key]));
    node_command(home, &arguments)?;
    fund(&genesis)?;
    for (node, folder) in folders.iter().enumerate() {
        let folder = text(folder);
        let others = (0..).zip(&addresses).filter(|(other, _)| *other != node);
        let others: Vec<String> = others
            .map(|(_, (address, peer))| format!("{address}/p2p/{peer}"))
            .collect();
        let listen = addresses.get(node).map_or("", |(address, _)| address);
        let mut arguments = vec![
            "init",
            "--validator",
            "--chain",
            &genesis,
            "--home",
            &folder,
        ];
        arguments.extend(["--listen", listen]);
        arguments.extend(others.iter().flat_map(|other| ["--bootstrap", other]));
        node_command(home, &arguments)?;
    }
    Ok(())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Gives the published accounts something to send, which no genesis of the program does.
fn fund(path: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let genesis = serde_json::from_str(&text);
    let mut genesis: Genesis = genesis.map_err(|error| error.to_string())?;
    genesis.kind = ChainKind::Dev;
    genesis.accounts = dev_account::all()
        .iter()
        .map(|account| GenesisAccount {
            address: account.address,
            balance: BALANCE,
        })
        .collect();
    genesis.accounts.sort_by_key(|account| account.address);
    let text = serde_json::to_string(&genesis).map_err(|error| error.to_string())?;
    std::fs::write(path, text).map_err(|error| error.to_string())
}

fn node_command(home: &Home, arguments: &[&str]) -> Result<Value, String> {
    let mut command = Command::new(kumiki());
    home.prepare(&mut command);
    command.args(["--json", "node"]).args(arguments);
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(format!("kumiki node {}: {said}", arguments.join(" ")));
    }
    Ok(serde_json::from_str(&said).unwrap_or(Value::Null))
}

fn run(home: &Home, node: usize, folder: &Path) -> Result<Child, String> {
    let log = File::create(folder.join("log")).map_err(|error| error.to_string())?;
    let errors = log.try_clone().map_err(|error| error.to_string())?;
    let mut command = Command::new("ip");
    home.prepare(&mut command);
    command
        .args(["netns", "exec", &Wires::namespace(node)])
        .arg(kumiki())
        .args(["node", "run", "--home"])
        .arg(folder)
        .env("KUMIKI_NODE_RPC_ADDRESS", Wires::address(node))
        .env("KUMIKI_NODE_RPC_PORT", RPC_PORT.to_string())
        .env("KUMIKI_NODE_RPC_EXPOSE", "true")
        .env("KUMIKI_NODE_STORAGE_CACHE_MIB", "32")
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(|error| format!("ip netns exec: {error}"))
}
