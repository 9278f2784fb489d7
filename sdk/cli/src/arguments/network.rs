//! Define the commands of operators: a node of its own, and a network of nodes on this machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kumiki_protocol::{Address, Amount, PublicKey};

/// `kumiki node …`
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Make a node's folder: its key, node.toml and the chain's genesis.
    #[command(
        after_help = "Examples:\n  kumiki node init --chain genesis.json\n  kumiki node init --chain genesis.json --home /var/lib/kumiki --bootstrap /ip4/192.0.2.7/tcp/8651"
    )]
    Init(NodeInitArguments),
    /// Run the node until Ctrl-C or SIGTERM.
    #[command(
        after_help = "Examples:\n  kumiki node run\n  kumiki node run --home /var/lib/kumiki --set log.format=json"
    )]
    Run(NodeRunArguments),
    /// Show a node's part in its network.
    Status(NodeShowArguments),
    /// Show the peers that a node is connected to.
    Peers(NodeShowArguments),
    /// Show a node's public key and peer id.
    Keys(NodeHomeArguments),
    /// Show every setting, and where it comes from.
    #[command(after_help = "Examples:\n  kumiki node config --origin")]
    Config(NodeConfigArguments),
    /// Write the genesis of a new chain, and print its hash.
    #[command(
        after_help = "Examples:\n  kumiki node genesis --chain-id my-chain --validator 0x5f…,0x81… --account kumi1…=1000000000000 --output genesis.json"
    )]
    Genesis(NodeGenesisArguments),
}

/// Which node of this machine.
#[derive(Clone, Debug, Args)]
pub(crate) struct NodeHomeArguments {
    /// The node's folder; by default `node` in KUMIKI_HOME.
    #[arg(long, env = "KUMIKI_NODE_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct NodeInitArguments {
    #[command(flatten)]
    pub(crate) home: NodeHomeArguments,
    /// The chain's genesis.
    #[arg(long, value_name = "FILE")]
    pub(crate) chain: PathBuf,
    /// An address of any peer, as /ip4/192.0.2.7/tcp/8651; may be given several times.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bootstrap: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct NodeRunArguments {
    #[command(flatten)]
    pub(crate) home: NodeHomeArguments,
    /// Change a setting for this run, as `rpc.listen=127.0.0.1:9000`; may be given several times.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct NodeConfigArguments {
    #[command(flatten)]
    pub(crate) run: NodeRunArguments,
    /// Say where each value comes from.
    #[arg(long)]
    pub(crate) origin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NodeShowArguments {
    #[command(flatten)]
    pub(crate) home: NodeHomeArguments,
    /// The node's RPC address; by default that of the node in --home.
    #[arg(long, env = "KUMIKI_RPC", value_name = "URL")]
    pub(crate) rpc: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct NodeGenesisArguments {
    /// A name for people, 1 to 32 of a-z, 0-9 and '-'.
    #[arg(long, value_name = "NAME")]
    pub(crate) chain_id: String,
    /// The first validators, as 'kumiki node keys' prints them.
    #[arg(long, value_name = "KEY", value_delimiter = ',', required = true)]
    pub(crate) validator: Vec<PublicKey>,
    /// Accounts that hold funds from the start, in base units.
    #[arg(long, value_name = "ADDRESS=AMOUNT", value_delimiter = ',', value_parser = parse_account)]
    pub(crate) account: Vec<(Address, Amount)>,
    /// What a validator's seat costs, in base units.
    #[arg(long, value_name = "AMOUNT", default_value_t = 1_000_000_000_000)]
    pub(crate) validator_stake: Amount,
    /// Blocks of an epoch, within which the validators stay the same.
    #[arg(long, value_name = "BLOCKS", default_value_t = 3_600)]
    pub(crate) epoch_blocks: u32,
    /// Where to write it.
    #[arg(long, value_name = "FILE", default_value = "genesis.json")]
    pub(crate) output: PathBuf,
}

fn parse_account(text: &str) -> Result<(Address, Amount), String> {
    let (address, amount) = text.split_once('=').ok_or("expected ADDRESS=AMOUNT")?;
    let address = address.parse().map_err(|error| format!("{error}"))?;
    let amount = amount
        .parse()
        .map_err(|error| format!("the amount '{amount}': {error}"))?;
    Ok((address, amount))
}

/// `kumiki localnet …`
#[derive(Debug, Subcommand)]
pub(crate) enum LocalnetCommand {
    /// Start a network of nodes on this machine, in the background, and wait until it makes blocks.
    #[command(
        after_help = "Examples:\n  kumiki localnet up\n  kumiki localnet up -n 7 --block-time 500\n  kumiki localnet up --json"
    )]
    Up(LocalnetUpArguments),
    /// Show every node: whether it runs, its height and its peers.
    Status(LocalnetArguments),
    /// Show what a node logged.
    #[command(
        after_help = "Examples:\n  kumiki localnet logs 2 --lines 50\n  kumiki localnet logs 0 --follow"
    )]
    Logs(LocalnetLogsArguments),
    /// Make something go wrong, or right again.
    #[command(
        subcommand,
        after_help = "Examples:\n  kumiki localnet fault kill 3\n  kumiki localnet fault restart 3\n  kumiki localnet fault partition 0,1 2,3\n  kumiki localnet fault heal"
    )]
    Fault(FaultCommand),
    /// Stop all nodes.
    Down(LocalnetDownArguments),
}

/// Which network of this machine.
#[derive(Clone, Debug, Args)]
pub(crate) struct LocalnetArguments {
    /// The network's folder; by default `localnet` in KUMIKI_HOME.
    #[arg(long, env = "KUMIKI_LOCALNET", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LocalnetUpArguments {
    #[command(flatten)]
    pub(crate) localnet: LocalnetArguments,
    /// Validators.
    #[arg(short, long, value_name = "COUNT", default_value_t = 4)]
    pub(crate) nodes: u16,
    /// Nodes without a seat, besides.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) full_nodes: u16,
    /// The least time between two blocks, in milliseconds; by default a block is made as soon as a transaction waits.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) block_time: u64,
    /// Blocks of an epoch, within which the validators stay the same.
    #[arg(long, value_name = "BLOCKS", default_value_t = 1_000_000)]
    pub(crate) epoch_blocks: u32,
    /// Node N answers RPC at this port plus 2 N, and peers at the next.
    #[arg(long, value_name = "PORT", default_value_t = 8_700)]
    pub(crate) base_port: u16,
}

#[derive(Debug, Args)]
pub(crate) struct LocalnetLogsArguments {
    #[command(flatten)]
    pub(crate) localnet: LocalnetArguments,
    /// The node's number.
    #[arg(default_value_t = 0)]
    pub(crate) node: usize,
    /// How many lines, counted from the last.
    #[arg(short, long, default_value_t = 20)]
    pub(crate) lines: usize,
    /// Wait for more.
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LocalnetDownArguments {
    #[command(flatten)]
    pub(crate) localnet: LocalnetArguments,
    /// Delete the network's folder too.
    #[arg(long)]
    pub(crate) wipe: bool,
}

/// `kumiki localnet fault …`
#[derive(Debug, Subcommand)]
pub(crate) enum FaultCommand {
    /// Stop nodes where they are, as if their machine hung.
    Pause(FaultNodes),
    /// Let paused nodes go on.
    Resume(FaultNodes),
    /// Kill nodes at once.
    Kill(FaultNodes),
    /// Kill nodes that run, and start them.
    Restart(FaultNodes),
    /// Cut the network into groups that cannot reach each other; nodes that are in no group reach everybody.
    Partition(FaultPartition),
    /// Undo partitions.
    Heal(LocalnetArguments),
}

#[derive(Debug, Args)]
pub(crate) struct FaultNodes {
    #[command(flatten)]
    pub(crate) localnet: LocalnetArguments,
    /// Numbers of nodes.
    #[arg(required = true)]
    pub(crate) nodes: Vec<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct FaultPartition {
    #[command(flatten)]
    pub(crate) localnet: LocalnetArguments,
    /// Groups of nodes, as `0,1 2,3`.
    #[arg(required = true, num_args = 2.., value_parser = parse_group)]
    pub(crate) groups: Vec<Group>,
}

/// Nodes that stay connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group(pub(crate) Vec<usize>);

fn parse_group(text: &str) -> Result<Group, String> {
    let numbers = text.split(',').map(|number| {
        number
            .trim()
            .parse()
            .map_err(|error| format!("node '{number}': {error}"))
    });
    numbers.collect::<Result<_, _>>().map(Group)
}
