//! Hold a node's settings: defaults, node.toml, environment, command line, and where each value comes from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kumiki_consensus::simplex::Pace;
use kumiki_mempool::MempoolLimits;
use kumiki_network::{Multiaddr, NetworkConfig, NetworkLimits};
use kumiki_node::{GenesisSource, NodeConfig, OrderingConfig, system_clock};
use kumiki_protocol::{Genesis, SecretKey};
use kumiki_rpc::ServerConfig;
use kumiki_storage::{OpenCheck, StorageOptions};
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure, Outcome};
use crate::project::read_toml;

/// What environment variables begin with.
const ENVIRONMENT: &str = "KUMIKI_NODE_";

/// All settings. Every key is documented in docs/operator.md and in the node.toml that `init` writes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) rpc: RpcSettings,
    pub(crate) p2p: P2pSettings,
    pub(crate) ordering: OrderingSettings,
    pub(crate) storage: StorageSettings,
    pub(crate) log: LogSettings,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RpcSettings {
    pub(crate) listen: SocketAddr,
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct P2pSettings {
    pub(crate) listen: Vec<String>,
    pub(crate) external: Vec<String>,
    pub(crate) bootstrap: Vec<String>,
    pub(crate) discovery: bool,
    pub(crate) mdns: bool,
    pub(crate) quic: bool,
    pub(crate) relay_server: bool,
    pub(crate) relay_client: bool,
    pub(crate) dcutr: bool,
    pub(crate) autonat: bool,
    pub(crate) target_peers: usize,
    /// Limits for many nodes that share one address.
    pub(crate) one_machine: bool,
    /// 0: no limit.
    pub(crate) upload_bytes_per_second: u64,
    /// 0: no limit.
    pub(crate) download_bytes_per_second: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OrderingSettings {
    pub(crate) block_time_ms: u64,
    pub(crate) heartbeat_ms: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StorageSettings {
    pub(crate) cache_bytes: usize,
    pub(crate) check_every_page: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogSettings {
    pub(crate) format: LogFormat,
    pub(crate) level: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Default for RpcSettings {
    fn default() -> Self {
        Self {
            listen: ServerConfig::loopback(8_650).listen,
            hosts: Vec::new(),
            origins: Vec::new(),
        }
    }
}

impl Default for P2pSettings {
    fn default() -> Self {
        Self {
            listen: vec!["/ip4/0.0.0.0/tcp/8651".to_owned()],
            external: Vec::new(),
            bootstrap: Vec::new(),
            discovery: true,
            mdns: false,
            quic: false,
            relay_server: false,
            relay_client: false,
            dcutr: false,
            autonat: false,
            target_peers: NetworkLimits::default().target_peers,
            one_machine: false,
            upload_bytes_per_second: 0,
            download_bytes_per_second: 0,
        }
    }
}

impl Default for OrderingSettings {
    fn default() -> Self {
        Self {
            block_time_ms: 0,
            heartbeat_ms: 2_000,
        }
    }
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            cache_bytes: StorageOptions::default().cache_bytes,
            check_every_page: false,
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "warn,kumiki=info".to_owned(),
        }
    }
}

/// Settings, and for each key that is not at its default where its value comes from.
#[derive(Debug)]
pub(crate) struct Effective {
    pub(crate) settings: Settings,
    pub(crate) origins: BTreeMap<String, String>,
}

/// Reads the settings of the node in `home`: node.toml, then the environment, then `set`.
pub(crate) fn load(home: &Path, set: &[String]) -> Outcome<Effective> {
    let path = home.join("node.toml");
    if !path.is_file() {
        return Err(
            Failure::new(Exit::NotFound, "noNode", "there is no node in this folder")
                .at(home.display().to_string())
                .expected("a folder that 'kumiki node init' has made")
                .next("kumiki node init --chain genesis.json"),
        );
    }
    // By its own type first: this names the line of what is wrong.
    read_toml::<Settings>(&path)?;
    let mut table: toml::Table = read_toml(&path)?;
    let mut origins = BTreeMap::new();
    for (section, keys) in &table {
        for key in keys.as_table().into_iter().flat_map(toml::Table::keys) {
            origins.insert(format!("{section}.{key}"), path.display().to_string());
        }
    }
    let known = known_keys();
    for (name, value) in std::env::vars() {
        let Some(key) = name.strip_prefix(ENVIRONMENT) else {
            continue;
        };
        let found = known
            .iter()
            .find(|known| known.to_uppercase().replace('.', "_") == key);
        if let Some(known) = found {
            put(&mut table, known, &value);
            origins.insert(known.clone(), name);
        }
    }
    for assignment in set {
        let (key, value) = assignment.split_once('=').unwrap_or((assignment, ""));
        if !known.iter().any(|known| known == key) {
            let failure = Failure::new(
                Exit::Usage,
                "configKeyUnknown",
                format!("unknown key '{key}'"),
            )
            .at("--set")
            .expected("SECTION.KEY=VALUE, as 'kumiki node config' lists them")
            .found(key);
            let meant = crate::failure::closest(key, known.iter().map(String::as_str));
            return Err(match meant {
                Some(meant) => failure.next(format!("kumiki node run --set {meant}={value}")),
                None => failure.next("kumiki node config"),
            });
        }
        put(&mut table, key, value);
        origins.insert(key.to_owned(), "--set".to_owned());
    }
    let settings = table.try_into().map_err(|error: toml::de::Error| {
        Failure::new(Exit::Usage, "configMalformed", error.message().to_owned())
            .at("--set or the environment")
            .next("kumiki node config --origin")
    })?;
    Ok(Effective { settings, origins })
}

/// All keys, as `section.key`.
pub(crate) fn known_keys() -> Vec<String> {
    flat(&Settings::default()).into_keys().collect()
}

/// Every value as TOML, by `section.key`.
pub(crate) fn flat(settings: &Settings) -> BTreeMap<String, String> {
    let table = toml::Table::try_from(settings).unwrap_or_default();
    let mut all = BTreeMap::new();
    for (section, keys) in table {
        for (key, value) in keys.as_table().into_iter().flatten() {
            all.insert(format!("{section}.{key}"), value.to_string());
        }
    }
    all
}

/// Sets `section.key`. A value that is no TOML is text.
fn put(table: &mut toml::Table, key: &str, value: &str) {
    let parsed: Option<toml::Table> = toml::from_str(&format!("value = {value}")).ok();
    let value = parsed
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let (section, key) = key.split_once('.').unwrap_or((key, ""));
    let section = table
        .entry(section)
        .or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let Some(section) = section.as_table_mut() {
        section.insert(key.to_owned(), value);
    }
}

/// What the node in `home` is started with.
pub(crate) fn node_config(
    settings: &Settings,
    home: &Path,
    genesis: Genesis,
    key: SecretKey,
) -> Outcome<NodeConfig> {
    let network = network_config(&settings.p2p, home, &genesis, key)?;
    let check = match settings.storage.check_every_page {
        true => OpenCheck::Full,
        false => OpenCheck::Quick,
    };
    Ok(NodeConfig {
        data_dir: data_folder(home),
        genesis: GenesisSource::Exactly(genesis),
        ordering: OrderingConfig::Network {
            pace: Pace {
                block_time: Duration::from_millis(settings.ordering.block_time_ms),
                heartbeat: Duration::from_millis(settings.ordering.heartbeat_ms),
            },
            network: Box::new(network),
        },
        mempool: MempoolLimits::STANDARD,
        storage: StorageOptions {
            check,
            cache_bytes: settings.storage.cache_bytes,
            ..StorageOptions::default()
        },
        admission_threads: 1,
        trap_offsets: false,
        clock: system_clock(),
        rpc: ServerConfig {
            listen: settings.rpc.listen,
            hosts: settings.rpc.hosts.clone(),
            origins: settings.rpc.origins.clone(),
            ..ServerConfig::loopback(0)
        },
    })
}

/// Where the node in `home` keeps the chain.
pub(crate) fn data_folder(home: &Path) -> PathBuf {
    home.join("data")
}

fn network_config(
    p2p: &P2pSettings,
    home: &Path,
    genesis: &Genesis,
    key: SecretKey,
) -> Outcome<NetworkConfig> {
    let mut config = NetworkConfig::new(key, genesis.hash(), addresses("p2p.listen", &p2p.listen)?);
    config.external = addresses("p2p.external", &p2p.external)?;
    config.bootstrap = addresses("p2p.bootstrap", &p2p.bootstrap)?;
    config.known_peers_file = Some(home.join("peers.json"));
    config.discovery = p2p.discovery;
    config.mdns = p2p.mdns;
    config.quic = p2p.quic;
    config.relay_server = p2p.relay_server;
    config.relay_client = p2p.relay_client;
    config.dcutr = p2p.dcutr;
    config.autonat = p2p.autonat;
    if p2p.one_machine {
        config.limits = NetworkLimits::loopback();
    }
    config.limits.target_peers = p2p.target_peers;
    config.limits.upload_bytes_per_second = NonZeroU64::new(p2p.upload_bytes_per_second);
    config.limits.download_bytes_per_second = NonZeroU64::new(p2p.download_bytes_per_second);
    Ok(config)
}

fn addresses(key: &str, texts: &[String]) -> Outcome<Vec<Multiaddr>> {
    let parsed = texts.iter().map(|text| {
        text.parse().map_err(|error| {
            Failure::new(Exit::Usage, "addressMalformed", format!("{error}"))
                .at(key)
                .expected("a multiaddress like /ip4/192.0.2.7/tcp/8651")
                .found(text)
                .next("kumiki node config --origin")
        })
    });
    parsed.collect()
}
