//! Define `kumiki node`: run a node of a network.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kumiki_protocol::{Address, Amount, PublicKey};

use super::NodeArguments;

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Make the folder of a node: its key, the chain's genesis, and a node.toml that explains itself.
    #[command(
        after_help = "Examples:\n  kumiki node init --chain genesis.json --bootstrap /ip4/192.0.2.7/tcp/8661\n  kumiki node init --chain genesis.json --validator --home /srv/kumiki"
    )]
    Init(NodeInitArguments),
    /// Run the node of a folder until SIGTERM or Ctrl-C.
    #[command(
        after_help = "Examples:\n  kumiki node run\n  kumiki node run --home /srv/kumiki --rpc-port 9000\n  KUMIKI_NODE_LOG_FORMAT=json kumiki node run"
    )]
    Run(NodeRunArguments),
    /// Show how a running node is: role, height, peers.
    #[command(
        after_help = "Examples:\n  kumiki node status\n  kumiki node status --rpc http://127.0.0.1:8660 --json"
    )]
    Status(NodeAskArguments),
    /// List the peers that a running node is connected to.
    #[command(after_help = "Examples:\n  kumiki node peers\n  kumiki node peers --json")]
    Peers(NodeAskArguments),
    /// Show the node's public key and peer id, or make a key.
    #[command(
        after_help = "Examples:\n  kumiki node keys\n  kumiki node keys --new --home /srv/kumiki"
    )]
    Keys(NodeKeysArguments),
    /// Write the genesis.json of a new network, and print its hash.
    #[command(
        after_help = "Examples:\n  kumiki node genesis --chain-id my-chain --validator 0x5e… --validator 0x77… --account kumi1…=1000000000"
    )]
    Genesis(NodeGenesisArguments),
    /// Show what node.toml, environment and flags come to.
    #[command(
        subcommand,
        after_help = "Examples:\n  kumiki node config show --origin"
    )]
    Config(NodeConfigCommand),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct NodeHomeArguments {
    /// Folder of the node; by default node in KUMIKI_HOME.
    #[arg(long, env = "KUMIKI_NODE_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
}

/// Values that flags give to keys of node.toml.
#[derive(Clone, Debug, Args)]
pub(crate) struct NodeValueArguments {
    /// Port of the RPC; 0 takes a free one.
    #[arg(long, value_name = "PORT")]
    pub(crate) rpc_port: Option<u16>,
    /// Where peers connect to, as a multiaddr; may be given several times.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<String>,
    /// A peer to begin with, as a multiaddr; may be given several times.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bootstrap: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct NodeInitArguments {
    /// The chain's genesis.
    #[arg(long, value_name = "FILE")]
    pub(crate) chain: PathBuf,
    /// The node shall be a validator: refuse a genesis in which its key has no seat.
    #[arg(long, conflicts_with = "full")]
    pub(crate) validator: bool,
    /// The node shall follow only: refuse a genesis in which its key has a seat.
    #[arg(long)]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) values: NodeValueArguments,
    #[command(flatten)]
    pub(crate) home: NodeHomeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct NodeRunArguments {
    #[command(flatten)]
    pub(crate) values: NodeValueArguments,
    #[command(flatten)]
    pub(crate) home: NodeHomeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct NodeAskArguments {
    /// The node's address; by default that of the node in the folder.
    #[arg(long, value_name = "URL", conflicts_with = "home")]
    pub(crate) rpc: Option<String>,
    #[command(flatten)]
    pub(crate) home: NodeHomeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct NodeKeysArguments {
    /// Make a key where there is none; one that is there is never replaced.
    #[arg(long)]
    pub(crate) new: bool,
    #[command(flatten)]
    pub(crate) home: NodeHomeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct NodeGenesisArguments {
    /// The chain's name: 1 to 32 of a-z, 0-9 and -.
    #[arg(long, value_name = "ID")]
    pub(crate) chain_id: String,
    /// A validator's public key, as 'kumiki node keys' shows it; may be given several times.
    #[arg(long, value_name = "KEY", required = true)]
    pub(crate) validator: Vec<PublicKey>,
    /// An account that holds funds from the start, in base units; may be given several times.
    #[arg(long, value_name = "ADDRESS=AMOUNT", value_parser = parse_account)]
    pub(crate) account: Vec<(Address, Amount)>,
    /// Blocks of one epoch; the validators of an epoch sign all its blocks.
    #[arg(long, value_name = "N", default_value_t = 4_096)]
    pub(crate) epoch_blocks: u32,
    /// What a validator's seat costs, in base units.
    #[arg(long, value_name = "AMOUNT", default_value_t = 1_000_000_000_000)]
    pub(crate) validator_stake: Amount,
    /// Blocks between a block and the header that holds its result.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) execution_lag: u8,
    /// The least price of a unit of gas, in base units.
    #[arg(long, value_name = "AMOUNT", default_value_t = 1)]
    pub(crate) gas_price_min: u64,
    /// Where to write it.
    #[arg(long, value_name = "FILE", default_value = "genesis.json")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeConfigCommand {
    /// Print every key and its value in effect.
    Show(NodeConfigShowArguments),
}

#[derive(Debug, Args)]
pub(crate) struct NodeConfigShowArguments {
    /// Print where each value came from.
    #[arg(long)]
    pub(crate) origin: bool,
    #[command(flatten)]
    pub(crate) values: NodeValueArguments,
    #[command(flatten)]
    pub(crate) home: NodeHomeArguments,
}

impl NodeCommand {
    /// By what this command chooses a node, for next steps.
    pub(super) fn chosen(&self) -> NodeArguments {
        let rpc = match self {
            Self::Status(arguments) | Self::Peers(arguments) => arguments.rpc.clone(),
            _ => None,
        };
        NodeArguments {
            rpc,
            network: None,
            project: ".".into(),
        }
    }
}

/// `address=amount`.
fn parse_account(text: &str) -> Result<(Address, Amount), String> {
    let (address, amount) = text
        .split_once('=')
        .ok_or_else(|| format!("expected kumi1…=AMOUNT, found '{text}'"))?;
    let address = address.parse().map_err(|error| format!("{error}"))?;
    let amount = amount
        .replace('_', "")
        .parse()
        .map_err(|error| format!("the amount: {error}"))?;
    Ok((address, amount))
}
