//! Know a network of this machine: its folder, its nodes, its ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::arguments::localnet::LocalnetArguments;
use crate::failure::{Exit, Failure, Outcome};
use crate::home::Home;

pub(crate) mod faults;
pub(crate) mod process;
pub(crate) mod relay;

/// What the network is called as `--network`.
pub(crate) const NETWORK_NAME: &str = "localnet";
/// In the network's folder: what it is made of.
const FILE: &str = "localnet.json";

/// What a network was made with; it stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Layout {
    pub(crate) validators: u16,
    pub(crate) full_nodes: u16,
    /// The first of its ports.
    pub(crate) base_port: u16,
}

impl Layout {
    pub(crate) fn nodes(self) -> usize {
        usize::from(self.validators) + usize::from(self.full_nodes)
    }

    /// How many ports there are from the first on.
    pub(crate) fn ports(self) -> usize {
        let nodes = self.nodes();
        2 * nodes + 1 + nodes * nodes
    }

    fn port(self, place: usize) -> u16 {
        // `up` checks that all fit.
        u16::try_from(place + usize::from(self.base_port)).unwrap_or(u16::MAX)
    }

    /// Where `node` answers JSON-RPC.
    pub(crate) fn rpc_port(self, node: usize) -> u16 {
        self.port(node)
    }

    /// Where `node` listens for peers.
    pub(crate) fn p2p_port(self, node: usize) -> u16 {
        self.port(self.nodes() + node)
    }

    /// Where the relay is told what to do.
    pub(crate) fn control_port(self) -> u16 {
        self.port(2 * self.nodes())
    }

    /// Where the relay takes connections of the node `from` to the node `to`.
    pub(crate) fn link_port(self, from: usize, to: usize) -> u16 {
        self.port(2 * self.nodes() + 1 + from * self.nodes() + to)
    }
}

/// A network, running or not.
#[derive(Clone, Debug)]
pub(crate) struct Localnet {
    pub(crate) folder: PathBuf,
    pub(crate) layout: Layout,
}

impl Localnet {
    /// The folder that the arguments, or the user's home, name.
    pub(crate) fn folder(arguments: &LocalnetArguments) -> Outcome<PathBuf> {
        match &arguments.dir {
            Some(folder) => {
                std::path::absolute(folder).map_err(|error| Failure::io(folder, &error))
            }
            None => Ok(Home::find()?.path().join(NETWORK_NAME)),
        }
    }

    /// The network in `folder`; `None` where there is none.
    pub(crate) fn open(folder: &Path) -> Outcome<Option<Self>> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io(&path, &error)),
        };
        let layout = serde_json::from_str(&text).map_err(|error| {
            Failure::new(Exit::Usage, "configMalformed", "this is no network's file")
                .at(path.display().to_string())
                .expected("a file as 'kumiki localnet up' writes it")
                .found(error.to_string())
                .next("kumiki localnet up --help")
        })?;
        Ok(Some(Self {
            folder: folder.to_owned(),
            layout,
        }))
    }

    /// The network that the arguments name, which must be there.
    pub(crate) fn find(arguments: &LocalnetArguments) -> Outcome<Self> {
        let folder = Self::folder(arguments)?;
        Self::open(&folder)?.ok_or_else(|| {
            Failure::new(
                Exit::NotFound,
                "localnetUnknown",
                "there is no network here",
            )
            .at(folder.display().to_string())
            .expected("a folder made by 'kumiki localnet up'")
            .next("kumiki localnet up -n 4")
        })
    }

    /// Writes what the network is made of, which is what makes a folder one.
    pub(crate) fn save(&self) -> Outcome<()> {
        let path = self.folder.join(FILE);
        let text = serde_json::to_string_pretty(&self.layout)
            .map_err(|error| Failure::new(Exit::System, "localnet", error.to_string()))?;
        std::fs::write(&path, text).map_err(|error| Failure::io(&path, &error))
    }

    /// The numbers of its nodes.
    pub(crate) fn nodes(&self) -> std::ops::Range<usize> {
        0..self.layout.nodes()
    }

    /// The folder of `node`.
    pub(crate) fn home_of(&self, node: usize) -> PathBuf {
        self.folder.join(format!("node-{node}"))
    }

    pub(crate) fn rpc_of(&self, node: usize) -> String {
        format!("http://127.0.0.1:{}", self.layout.rpc_port(node))
    }

    /// Checks that the network has such a node.
    pub(crate) fn check_node(&self, node: usize) -> Outcome<()> {
        if self.nodes().contains(&node) {
            return Ok(());
        }
        Err(Failure::new(
            Exit::NotFound,
            "localnetNodeUnknown",
            format!("there is no node {node}"),
        )
        .at(self.folder.display().to_string())
        .expected(format!("0 to {}", self.layout.nodes().saturating_sub(1)))
        .found(node.to_string())
        .next("kumiki localnet status"))
    }
}

/// The RPC of a node that runs, of the network that `KUMIKI_LOCALNET` or the user's home names.
pub(crate) fn running_rpc() -> Option<String> {
    let dir = std::env::var_os("KUMIKI_LOCALNET").map(PathBuf::from);
    let folder = Localnet::folder(&LocalnetArguments { dir }).ok()?;
    let network = Localnet::open(&folder).ok()??;
    let up = |node: &usize| {
        network.process(*node).state() == process::State::Up
            && is_taken(network.layout.rpc_port(*node))
    };
    network.nodes().find(up).map(|node| network.rpc_of(node))
}

/// Whether somebody listens on this port of loopback.
pub(crate) fn is_taken(port: u16) -> bool {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_err()
}
