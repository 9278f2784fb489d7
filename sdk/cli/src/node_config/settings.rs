//! Make what a node is started with of its settings.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use kumiki_consensus::simplex::Pace;
use kumiki_mempool::MempoolLimits;
use kumiki_network::{Multiaddr, NetworkConfig, NetworkLimits};
use kumiki_node::{GenesisSource, NodeConfig, OrderingConfig, StateSync, system_clock};
use kumiki_protocol::{Genesis, Hash, SecretKey};
use kumiki_rpc::ServerConfig;
use kumiki_storage::{OpenCheck, StorageOptions};
use kumiki_wallet::read_node_key;
use toml::Value;

use super::NodeSettings;
use crate::failure::{Exit, Failure, Outcome};
use crate::genesis_file;
use crate::next_step::shell_word;

/// Where peers of earlier runs are kept, in the data folder.
const KNOWN_PEERS: &str = "peers.json";

impl NodeSettings {
    pub(crate) fn text(&self, section: &'static str, name: &'static str) -> &str {
        let (value, _) = self.entry(section, name);
        value.as_str().unwrap_or_default()
    }

    pub(crate) fn number(&self, section: &'static str, name: &'static str) -> u64 {
        let (value, _) = self.entry(section, name);
        let number = value.as_integer().unwrap_or_default();
        u64::try_from(number).unwrap_or_default()
    }

    fn size(&self, section: &'static str, name: &'static str) -> usize {
        usize::try_from(self.number(section, name)).unwrap_or(usize::MAX)
    }

    fn switch(&self, section: &'static str, name: &'static str) -> bool {
        let (value, _) = self.entry(section, name);
        value.as_bool().unwrap_or_default()
    }

    fn texts(&self, section: &'static str, name: &'static str) -> Vec<String> {
        let (value, _) = self.entry(section, name);
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let texts = items.iter().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }

    fn path(&self, section: &'static str, name: &'static str) -> PathBuf {
        self.home.join(self.text(section, name))
    }

    fn addresses(&self, name: &'static str) -> Outcome<Vec<Multiaddr>> {
        let parse = |text: String| {
            text.parse().map_err(|error| {
                self.refused("p2p", name, "a multiaddr: /ip4/192.0.2.7/tcp/8661")
                    .detail(format!("{text}: {error}"))
            })
        };
        self.texts("p2p", name).into_iter().map(parse).collect()
    }

    /// A value of the right kind that means nothing.
    fn refused(
        &self,
        section: &'static str,
        name: &'static str,
        expected: impl Into<String>,
    ) -> Failure {
        let (value, origin) = self.entry(section, name);
        Failure::new(
            Exit::Usage,
            "configValue",
            format!("{section}.{name} cannot be this"),
        )
        .at(origin.to_string())
        .expected(expected)
        .found(value.to_string())
        .next(format!(
            "kumiki node config show --home {}",
            shell_word(&self.home)
        ))
    }

    /// The file of the node's key.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.path("chain", "key")
    }

    /// The node's key.
    pub(crate) fn key(&self) -> Outcome<SecretKey> {
        read_node_key(&self.key_file()).map_err(Failure::from)
    }

    /// The chain.
    pub(crate) fn genesis(&self) -> Outcome<Genesis> {
        genesis_file::read(&self.path("chain", "genesis"))
    }

    /// Where the node's RPC is looked for, unless a running node has said so.
    pub(crate) fn rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.number("rpc", "port"))
    }

    /// What the node is started with.
    pub(crate) fn node_config(&self) -> Outcome<NodeConfig> {
        let genesis = self.genesis()?;
        let network = self.network(self.key()?, &genesis)?;
        let milliseconds = |name| Duration::from_millis(self.number("ordering", name));
        let state_sync = self.state_sync()?;
        Ok(NodeConfig {
            state_sync,
            data_dir: self.path("chain", "data"),
            genesis: GenesisSource::Exactly(genesis),
            ordering: OrderingConfig::Network {
                pace: Pace {
                    block_time: milliseconds("block_time_ms"),
                    heartbeat: milliseconds("heartbeat_ms"),
                },
                network: Box::new(network),
            },
            mempool: MempoolLimits {
                count_max: self.size("limits", "mempool_transactions"),
                bytes_max: self.size("limits", "mempool_bytes"),
                ..MempoolLimits::STANDARD
            },
            storage: self.storage(),
            admission_threads: 1,
            trap_offsets: true,
            clock: system_clock(),
            rpc: self.rpc()?,
        })
    }

    pub(super) fn state_sync(&self) -> Outcome<Option<StateSync>> {
        if self.text("sync", "mode") != "state" {
            return Ok(None);
        }
        let text = self.text("sync", "trusted");
        let trusted = match text.split_once(':') {
            None if text.is_empty() => None,
            parts => {
                let block = parts.and_then(|(height, hash)| {
                    Some((height.parse().ok()?, hash.parse::<Hash>().ok()?))
                });
                let refused = || self.refused("sync", "trusted", "a block: HEIGHT:0xHASH");
                Some(block.ok_or_else(refused)?)
            }
        };
        Ok(Some(StateSync { trusted }))
    }

    fn storage(&self) -> StorageOptions {
        StorageOptions {
            check: match self.text("storage", "check") {
                "quick" => OpenCheck::Quick,
                _ => OpenCheck::Full,
            },
            cache_bytes: self.size("storage", "cache_mib").saturating_mul(1 << 20),
            undo_heights: self.number("storage", "undo_heights"),
        }
    }

    pub(super) fn rpc(&self) -> Outcome<ServerConfig> {
        let text = self.text("rpc", "address");
        let address: IpAddr = text
            .parse()
            .map_err(|_no_address| self.refused("rpc", "address", "an IP address"))?;
        if !address.is_loopback() && !self.switch("rpc", "expose") {
            return Err(self.refused(
                "rpc",
                "address",
                "a loopback address, or expose = true in [rpc] where others shall reach it",
            ));
        }
        let port = u16::try_from(self.number("rpc", "port")).unwrap_or_default();
        Ok(ServerConfig {
            listen: SocketAddr::new(address, port),
            hosts: self.texts("rpc", "hosts"),
            origins: self.texts("rpc", "origins"),
            debug: self.switch("rpc", "debug"),
            ..ServerConfig::loopback(port)
        })
    }

    fn network(&self, key: SecretKey, genesis: &Genesis) -> Outcome<NetworkConfig> {
        let mut network = NetworkConfig::new(key, genesis.hash(), self.addresses("listen")?);
        network.external = self.addresses("external")?;
        network.bootstrap = self.addresses("bootstrap")?;
        network.known_peers_file = Some(self.path("chain", "data").join(KNOWN_PEERS));
        network.discovery = self.switch("p2p", "discovery");
        network.mdns = self.switch("p2p", "mdns");
        network.quic = self.switch("p2p", "quic");
        network.relay_server = self.switch("p2p", "relay_server");
        network.relay_client = self.switch("p2p", "relay_client");
        network.dcutr = self.switch("p2p", "dcutr");
        network.autonat = self.switch("p2p", "autonat");
        let base = if self.switch("limits", "one_machine") {
            NetworkLimits {
                // Peers that were paused or cut off leave many handshakes half done, all from one address.
                handshake_failures_per_minute_max: u32::MAX,
                ..NetworkLimits::loopback()
            }
        } else {
            NetworkLimits::default()
        };
        network.limits = NetworkLimits {
            target_peers: self.size("limits", "target_peers"),
            connections_in_max: self.size("limits", "connections_in"),
            connections_out_max: self.size("limits", "connections_out"),
            upload_bytes_per_second: NonZeroU64::new(
                self.number("limits", "upload_bytes_per_second"),
            ),
            download_bytes_per_second: NonZeroU64::new(
                self.number("limits", "download_bytes_per_second"),
            ),
            ..base
        };
        Ok(network)
    }
}
