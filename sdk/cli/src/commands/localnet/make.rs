//! Make a new network: keys, genesis, and a `node.toml` for each node.

use std::fs;
use std::path::Path;

use kumiki_node::{dev_genesis, system_clock};
use kumiki_protocol::{Genesis, SecretKey};
use kumiki_wallet::{create_node_key, dev_account};
use toml::Value;

use crate::arguments::localnet::LocalnetUpArguments;
use crate::commands::dev::chain::BALANCE;
use crate::commands::node::peer_id;
use crate::failure::{Exit, Failure, Outcome};
use crate::genesis_file;
use crate::localnet::{Layout, Localnet, NETWORK_NAME, is_taken};
use crate::node_config::{FILE, template};

const VALIDATORS: u16 = 4;
const BLOCK_TIME_MS: u64 = 100;
/// Short, so that the first block comes soon and a dead leader is skipped soon.
pub(crate) const HEARTBEAT_MS: u64 = 500;
/// Small: many nodes share the machine, and what they keep is young.
const CACHE_MIB: i64 = 32;
/// Heights below the tip whose transactions can be traced.
const UNDO_HEIGHTS: u64 = 1_000;
/// Below the ports that systems give out for outgoing connections.
const SEARCHED_PORTS: std::ops::Range<u16> = 10_000..32_000;

/// A network to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// With port 0, free ports are looked for.
    pub(crate) layout: Layout,
    pub(crate) block_time_ms: u64,
    pub(crate) heartbeat_ms: u64,
    /// Blocks of an epoch; without it, as on a dev chain.
    pub(crate) epoch_blocks: Option<u32>,
    /// Whether connections go through the relay, which can disturb them.
    pub(crate) relayed: bool,
}

impl Plan {
    pub(super) fn of(arguments: &LocalnetUpArguments) -> Self {
        let block_time_ms = arguments.block_time.unwrap_or(BLOCK_TIME_MS);
        Self {
            layout: Layout {
                validators: arguments.nodes.unwrap_or(VALIDATORS),
                full_nodes: arguments.full_nodes.unwrap_or(0),
                base_port: arguments.base_port,
            },
            block_time_ms,
            heartbeat_ms: HEARTBEAT_MS.max(block_time_ms),
            epoch_blocks: arguments.epoch_blocks,
            relayed: true,
        }
    }
}

/// Makes the network that `plan` describes in `folder`; nothing runs yet.
pub(super) fn network(folder: &Path, plan: Plan) -> Outcome<Localnet> {
    let mut layout = plan.layout;
    if layout.base_port == 0 {
        layout.base_port = free_ports(layout.ports())?;
    }
    check_range(layout)?;
    let network = Localnet {
        folder: folder.to_owned(),
        layout,
    };
    // What an interrupted start left behind has no meaning without the others.
    for node in network.nodes() {
        let home = network.home_of(node);
        if home.exists() {
            fs::remove_dir_all(&home).map_err(|error| Failure::io(&home, &error))?;
        }
        fs::create_dir_all(&home).map_err(|error| Failure::io(&home, &error))?;
    }
    let keys = network
        .nodes()
        .map(|node| Ok(create_node_key(&network.home_of(node).join("node.key"))?))
        .collect::<Outcome<Vec<SecretKey>>>()?;
    let genesis = genesis(&keys, layout, plan.epoch_blocks);
    let genesis_text = genesis_file::text(&genesis)?;
    for node in network.nodes() {
        let home = network.home_of(node);
        let config = config(&network, node, &keys, plan);
        for (name, text) in [("genesis.json", &genesis_text), (FILE, &config)] {
            let path = home.join(name);
            fs::write(&path, text).map_err(|error| Failure::io(&path, &error))?;
        }
    }
    // Last: a folder with this file is a whole network.
    network.save()?;
    Ok(network)
}

fn genesis(keys: &[SecretKey], layout: Layout, epoch_blocks: Option<u32>) -> Genesis {
    let accounts: Vec<_> = dev_account::all().iter().map(|one| one.address).collect();
    let mut genesis = dev_genesis(&accounts, BALANCE, system_clock()());
    genesis.chain_id = format!("kumiki-{NETWORK_NAME}");
    genesis.validators = keys
        .iter()
        .take(usize::from(layout.validators))
        .map(SecretKey::public_key)
        .collect();
    genesis.parameters.execution_lag = 2;
    if let Some(blocks) = epoch_blocks {
        genesis.parameters.epoch_blocks = blocks;
    }
    genesis
}

fn config(network: &Localnet, node: usize, keys: &[SecretKey], plan: Plan) -> String {
    let layout = network.layout;
    let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let texts = |texts: Vec<String>| Value::Array(texts.into_iter().map(Value::String).collect());
    let others = (0..).zip(keys).filter(|(other, _)| *other != node);
    let bootstrap = others.map(|(other, key)| {
        let port = match plan.relayed {
            true => layout.link_port(node, other),
            false => layout.p2p_port(other),
        };
        format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", peer_id(key))
    });
    let listen = format!("/ip4/127.0.0.1/tcp/{}", layout.p2p_port(node));
    template(&[
        ("rpc", "port", number(layout.rpc_port(node).into())),
        // A network of this machine serves the pages of this machine, as a dev chain does.
        (
            "rpc",
            "origins",
            texts(
                ["http://localhost:*", "http://127.0.0.1:*"]
                    .map(str::to_owned)
                    .into(),
            ),
        ),
        ("rpc", "debug", Value::Boolean(true)),
        ("p2p", "listen", texts(vec![listen])),
        ("p2p", "bootstrap", texts(bootstrap.collect())),
        // Nodes must not find ways around the relay.
        ("p2p", "discovery", Value::Boolean(false)),
        ("limits", "one_machine", Value::Boolean(true)),
        ("ordering", "block_time_ms", number(plan.block_time_ms)),
        ("ordering", "heartbeat_ms", number(plan.heartbeat_ms)),
        ("storage", "cache_mib", Value::Integer(CACHE_MIB)),
        ("storage", "undo_heights", number(UNDO_HEIGHTS)),
    ])
}

fn check_range(layout: Layout) -> Outcome<()> {
    let last = usize::from(layout.base_port) + layout.ports() - 1;
    if last <= usize::from(u16::MAX) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        "usage",
        "there are not so many ports above the first",
    )
    .at("--base-port")
    .expected(format!(
        "at most {}",
        usize::from(u16::MAX) + 1 - layout.ports()
    ))
    .found(layout.base_port.to_string())
    .next("kumiki localnet up --base-port 0"))
}

/// The first of `count` free ports in a row. Where to look first differs between processes, so that two that look at
/// the same time do not find the same.
fn free_ports(count: usize) -> Outcome<u16> {
    let step = u16::try_from(count).unwrap_or(u16::MAX);
    let blocks = (SEARCHED_PORTS.end - SEARCHED_PORTS.start) / step;
    let first = std::process::id() % u32::from(blocks);
    let first = u16::try_from(first).unwrap_or(0);
    (0..blocks)
        .map(|block| SEARCHED_PORTS.start + (first + block) % blocks * step)
        .find(|base| (*base..base + step).all(|port| !is_taken(port)))
        .ok_or_else(|| {
            Failure::new(
                Exit::System,
                "portInUse",
                format!("there are no {count} free ports in a row"),
            )
            .at(format!(
                "127.0.0.1, ports {} to {}",
                SEARCHED_PORTS.start, SEARCHED_PORTS.end
            ))
            .next("kumiki localnet up --base-port 40000")
        })
}
