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
        let mut command = Command::new(kumiki());
        self.home.prepare(&mut command);
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
