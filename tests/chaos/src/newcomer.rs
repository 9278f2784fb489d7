//! A fresh full node beside a local network, that knows nothing but genesis and the address of one peer.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::tool::tool;
use crate::{Net, Nodes};

/// Looks at a node that starts, 50 ms apart; one that fetches a state is ready when it has it.
const LOOKS: u32 = 2_400;

/// How a newcomer comes to the chain's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// It executes every block.
    Blocks,
    /// It fetches a recent state.
    State,
}

/// A full node that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Newcomer {
    /// Which of the nodes it is.
    pub node: usize,
    /// Where peers connect to.
    pub address: String,
    folder: PathBuf,
    child: Child,
}

impl Newcomer {
    /// Makes a folder from the network's genesis and the address of one `peer`, starts the node, waits until it serves,
    /// and adds it to `nodes`.
    ///
    /// # Errors
    /// What the program says.
    pub async fn join(net: &Net, nodes: &mut Nodes, peer: &str, by: By) -> Result<Self, String> {
        let node = nodes.rpc.len();
        let folder = net.folder(node);
        let genesis = net.folder(0).join("genesis.json");
        let (home, genesis) = (folder.to_string_lossy(), genesis.to_string_lossy());
        let mut arguments = vec!["node", "init", "--full", "--home", &home];
        arguments.extend(["--chain", &genesis, "--bootstrap", peer]);
        arguments.extend(["--listen", "/ip4/127.0.0.1/tcp/0", "--rpc-port", "0"]);
        net.kumiki(&arguments)?;
        net.configure(node, "#one_machine = false", "one_machine = true")?;
        if by == By::State {
            net.configure(node, "#mode = \"blocks\"", "mode = \"state\"")?;
        }
        let mut newcomer = Self {
            node,
            address: String::new(),
            child: run(net, &folder)?,
            folder,
        };
        let rpc = newcomer.ready(nodes).await?;
        nodes.rpc.push(rpc);
        Ok(newcomer)
    }

    /// Stops the node as an operator does, and starts it again.
    ///
    /// # Errors
    /// When it does not end well, or does not start.
    pub async fn restart(&mut self, net: &Net, nodes: &mut Nodes) -> Result<(), String> {
        tool(&["kill", "-TERM", &self.child.id().to_string()])?;
        let mut looks = 0;
        let ended = loop {
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            if let Some(status) = ended {
                break status;
            }
            looks += 1;
            if looks == LOOKS {
                return Err(format!("node {} does not stop", self.node));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        if !ended.success() {
            return Err(format!("node {} ended with {ended}", self.node));
        }
        self.child = run(net, &self.folder)?;
        let rpc = self.ready(nodes).await?;
        if let Some(known) = nodes.rpc.get_mut(self.node) {
            *known = rpc;
        }
        Ok(())
    }

    /// Waits for the line that says where it answers.
    async fn ready(&mut self, nodes: &Nodes) -> Result<String, String> {
        for _ in 0..LOOKS {
            let said = std::fs::read_to_string(self.folder.join("ready")).unwrap_or_default();
            let line: Value = said
                .lines()
                .next()
                .and_then(|line| serde_json::from_str(line).ok())
                .unwrap_or(Value::Null);
            let peer = line["peerId"].as_str();
            if let (Some(rpc), Some(peer)) = (line["rpc"].as_str(), peer) {
                let listen = line["listen"]
                    .as_array()
                    .and_then(|all| all.first()?.as_str());
                let listen = listen.ok_or("it listens nowhere")?;
                self.address = format!("{listen}/p2p/{peer}");
                return Ok(rpc.to_owned());
            }
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            if let Some(status) = ended {
                let node = self.node;
                return Err(format!(
                    "node {node} ended with {status}; {}",
                    nodes.log_end(node)
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!(
            "node {} is not ready; {}",
            self.node,
            nodes.log_end(self.node)
        ))
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        // It may have ended before.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn run(net: &Net, folder: &std::path::Path) -> Result<Child, String> {
    let file = |name: &str| File::create(folder.join(name)).map_err(|error| error.to_string());
    let mut command: Command = net.command();
    command
        .args(["--json", "node", "run", "--home"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(file("ready")?)
        .stderr(file("log")?);
    command.spawn().map_err(|error| error.to_string())
}
