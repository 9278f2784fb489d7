//! Drive one local network with the `kumiki` program.

use std::process::{Command, Output};

use kumiki_integration::program::{Home, kumiki};
use serde_json::Value;

use crate::Nodes;

/// A local network in a folder of its own. Dropping it stops and deletes it.
#[derive(Debug)]
pub struct Net {
    home: Home,
    nodes: Nodes,
}

impl std::ops::Deref for Net {
    type Target = Nodes;

    fn deref(&self) -> &Nodes {
        &self.nodes
    }
}

impl Net {
    /// Starts `validators` and `full_nodes` with these further arguments of `localnet up`.
    ///
    /// # Errors
    /// What the program says.
    pub fn start(validators: usize, full_nodes: usize, more: &[&str]) -> Result<Self, String> {
        let home = Home::new();
        let folder = home.path().join("kumiki/localnet");
        let nodes = Nodes::new(Vec::new(), folder);
        let mut net = Self { home, nodes };
        // Two for each node, one for the relay, and one for each way between two nodes.
        let count = validators + full_nodes;
        let ports = 2 * count + 1 + count * count;
        let base = free_ports(ports, net.home.port).to_string();
        let (validators, full_nodes) = (validators.to_string(), full_nodes.to_string());
        let mut arguments = vec!["up", "-n", &validators, "--full-nodes", &full_nodes];
        arguments.extend(["--base-port", &base]);
        arguments.extend(more);
        let answer = net.localnet(&arguments)?;
        let nodes = answer["nodes"].as_array().cloned().unwrap_or_default();
        let rpc = nodes.iter().filter_map(|node| node["rpc"].as_str());
        net.nodes.rpc = rpc.map(str::to_owned).collect();
        Ok(net)
    }

    /// Starts `validators` that find peers through peers, which those of a local network do not on their own: what
    /// delays and cuts their links would be passed by.
    ///
    /// # Errors
    /// What the program says.
    pub fn start_discovering(validators: usize) -> Result<Self, String> {
        Self::start_changed(validators, |_| {
            vec![("discovery = false", "discovery = true")]
        })
    }

    /// Starts `validators` with lines of each one's `node.toml` changed from something to something.
    ///
    /// # Errors
    /// What the program says; when a file has no such line.
    pub(crate) fn start_changed(
        validators: usize,
        changes: impl Fn(usize) -> Vec<(&'static str, &'static str)>,
    ) -> Result<Self, String> {
        let net = Self::start(validators, 0, &[])?;
        net.localnet(&["down"])?;
        for node in 0..validators {
            for (from, to) in changes(node) {
                net.configure(node, from, to)?;
            }
        }
        net.localnet(&["up"])?;
        Ok(net)
    }

    /// Changes a line of a node's `node.toml`.
    ///
    /// # Errors
    /// When it has no such line.
    pub(crate) fn configure(&self, node: usize, from: &str, to: &str) -> Result<(), String> {
        let path = self.folder(node).join("node.toml");
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        if !text.lines().any(|line| line == from) {
            return Err(format!("{} has no line '{from}'", path.display()));
        }
        let changed = text.replace(from, to);
        std::fs::write(&path, changed).map_err(|error| error.to_string())
    }

    /// Where peers connect to a node, with its peer id, as it says itself when it is ready.
    ///
    /// # Errors
    /// When it has not said so.
    pub fn peer_address(&self, node: usize) -> Result<String, String> {
        let log = self.log(node);
        let ready = log.lines().rfind(|line| line.starts_with("ready"));
        let after = |name: &str| {
            let mut words = ready.unwrap_or_default().split_whitespace();
            words.find(|word| *word == name)?;
            words.next()
        };
        match (after("listen"), after("peer")) {
            (Some(address), Some(peer)) => Ok(format!("{address}/p2p/{peer}")),
            _ => Err(format!("node {node} is not ready; {}", self.log_end(node))),
        }
    }

    /// `kumiki` in this network's home.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(kumiki());
        self.home.prepare(&mut command);
        command
    }

    /// Runs `kumiki --json localnet …` and reads its answer, if it has one.
    ///
    /// # Errors
    /// What the program says.
    pub fn localnet(&self, arguments: &[&str]) -> Result<Value, String> {
        self.kumiki(&[&["localnet"], arguments].concat())
    }

    /// Runs `kumiki --json …` and reads its answer, if it has one.
    ///
    /// # Errors
    /// What the program says.
    pub fn kumiki(&self, arguments: &[&str]) -> Result<Value, String> {
        let mut command = self.command();
        command.arg("--json").args(arguments);
        let output: Output = command.output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            return Err(format!("kumiki {}: {text}", arguments.join(" ")));
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// A folder for files that a run makes.
    #[must_use]
    pub fn scratch(&self) -> &std::path::Path {
        self.home.path()
    }
}

/// The first of `count` ports in a row that nobody listens on now. They lie below those that the system gives to
/// outgoing connections, from a place that differs between tests.
fn free_ports(count: usize, differs: u16) -> u16 {
    let mut base = 10_000 + differs % 20_000;
    loop {
        let ports = (base..).take(count);
        let free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        if ports.into_iter().all(free) {
            return base;
        }
        base = 10_000 + (base - 10_000 + 64) % 20_000;
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // Where this fails, the folder is deleted under processes that are killed soon or have ended.
        drop(self.localnet(&["down"]));
    }
}
