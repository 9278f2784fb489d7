//! Wire nodes in network namespaces to one switch, and cut single wires one way with nftables.

use crate::tool::tool;

/// The switch that all nodes, and the test, are wired to.
const SWITCH: &str = "switch0";
const TABLE: [&str; 2] = ["inet", "faults"];
const CHAIN: &str = "arriving";

/// Network namespaces, one for each node, each with one wire to the switch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wires {
    nodes: usize,
}

impl Wires {
    /// Lays them. The test itself must be in a world of its own.
    ///
    /// # Errors
    /// What `ip` or `nft` says.
    pub(crate) fn lay(nodes: usize) -> Result<Self, String> {
        tool(&["ip", "link", "add", SWITCH, "type", "bridge"])?;
        tool(&["ip", "address", "add", "10.7.0.254/24", "dev", SWITCH])?;
        tool(&["ip", "link", "set", SWITCH, "up"])?;
        for node in 0..nodes {
            let (inside, end) = (Self::namespace(node), format!("wire{node}"));
            let address = format!("{}/24", Self::address(node));
            tool(&["ip", "netns", "add", &inside])?;
            tool(&[
                "ip", "link", "add", &end, "type", "veth", "peer", "name", "eth0", "netns", &inside,
            ])?;
            tool(&["ip", "link", "set", &end, "master", SWITCH, "up"])?;
            let within = ["ip", "-n", &inside];
            for rest in [
                &["address", "add", &address, "dev", "eth0"][..],
                &["link", "set", "eth0", "up"],
                &["link", "set", "lo", "up"],
            ] {
                tool(&[&within, rest].concat())?;
            }
            let hook = "{ type filter hook input priority 0; }";
            nft(node, &[&["add", "table"][..], &TABLE].concat())?;
            nft(
                node,
                &[&["add", "chain"], &TABLE[..], &[CHAIN, hook]].concat(),
            )?;
        }
        Ok(Self { nodes })
    }

    /// The namespace of a node.
    pub(crate) fn namespace(node: usize) -> String {
        format!("node{node}")
    }

    /// The address of a node.
    pub(crate) fn address(node: usize) -> String {
        format!("10.7.0.{}", node + 1)
    }

    /// Loses everything that `from` sends to `to`, silently. The other direction stays.
    ///
    /// # Errors
    /// What `nft` says.
    pub(crate) fn cut(self, from: usize, to: usize) -> Result<(), String> {
        let address = Self::address(from);
        let rule = [CHAIN, "ip", "saddr", &address, "counter", "drop"];
        nft(to, &[&["add", "rule"][..], &TABLE, &rule].concat()).map(drop)
    }

    /// Packets that were lost on their way to a node since the last healing.
    ///
    /// # Errors
    /// What `nft` says.
    pub(crate) fn lost(self, node: usize) -> Result<u64, String> {
        let shown = nft(node, &[&["list", "chain"][..], &TABLE, &[CHAIN]].concat())?;
        let words: Vec<&str> = shown.split_whitespace().collect();
        let counts = words.windows(2).filter_map(|pair| match pair {
            ["packets", count] => count.parse::<u64>().ok(),
            _ => None,
        });
        Ok(counts.sum())
    }

    /// Loses nothing any more.
    ///
    /// # Errors
    /// What `nft` says.
    pub(crate) fn heal(self) -> Result<(), String> {
        for node in 0..self.nodes {
            nft(node, &[&["flush", "chain"][..], &TABLE, &[CHAIN]].concat())?;
        }
        Ok(())
    }
}

fn nft(node: usize, arguments: &[&str]) -> Result<String, String> {
    let inside = Wires::namespace(node);
    tool(&[&["ip", "netns", "exec", &inside, "nft"], arguments].concat())
}
