//! Define `kumiki localnet`: a network of validators on this machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kumiki_protocol::limits;

#[derive(Debug, Subcommand)]
pub(crate) enum LocalnetCommand {
    /// Start the network, made new where there is none; nodes that are down are started again.
    #[command(
        after_help = "Examples:\n  kumiki localnet up -n 4\n  kumiki localnet up -n 7 --full-nodes 2 --block-time 50\n  kumiki localnet up --dir /tmp/net --base-port 9000"
    )]
    Up(LocalnetUpArguments),
    /// Show each node: up, down or paused, height, role, peers, and whether all agree.
    #[command(after_help = "Examples:\n  kumiki localnet status\n  kumiki localnet status --json")]
    Status(LocalnetArguments),
    /// Print what nodes log.
    #[command(after_help = "Examples:\n  kumiki localnet logs 2\n  kumiki localnet logs -f -n 5")]
    Logs(LocalnetLogsArguments),
    /// Stop the network; its state stays.
    #[command(after_help = "Examples:\n  kumiki localnet down\n  kumiki localnet down --wipe")]
    Down(LocalnetDownArguments),
    /// Make something go wrong, or right again.
    #[command(
        subcommand,
        after_help = "Examples:\n  kumiki localnet fault partition 0,1 2,3\n  kumiki localnet fault heal\n  kumiki localnet fault kill 3\n  kumiki localnet fault delay 200 0"
    )]
    Fault(FaultCommand),
    /// Pass the nodes' connections on; 'up' starts it.
    #[command(hide = true)]
    Relay(LocalnetArguments),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LocalnetArguments {
    /// Folder of the network; by default localnet in KUMIKI_HOME.
    #[arg(long, env = "KUMIKI_LOCALNET", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LocalnetUpArguments {
    /// Validators; by default those the network has, 4 in a new one.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) nodes: Option<u16>,
    /// Nodes that follow without a seat.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u16).range(0..=16))]
    pub(crate) full_nodes: Option<u16>,
    /// The least time between two blocks, in a new network.
    #[arg(long, value_name = "MS")]
    pub(crate) block_time: Option<u64>,
    /// Blocks of one epoch, after which validators come and go, in a new network; by default the first never ends.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(i64::from(limits::EPOCH_BLOCKS_MIN)..))]
    pub(crate) epoch_blocks: Option<u32>,
    /// First port of a new network: RPC of node 0, then of 1 and so on, then ports between the nodes. 0 looks for
    /// free ones.
    #[arg(
        long,
        env = "KUMIKI_LOCALNET_PORT",
        value_name = "PORT",
        default_value_t = 8700
    )]
    pub(crate) base_port: u16,
    #[command(flatten)]
    pub(crate) localnet: LocalnetArguments,
}

#[derive(Debug, Args)]
pub(crate) struct LocalnetLogsArguments {
    /// The node; by default all.
    pub(crate) node: Option<usize>,
    /// Go on as more is logged.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Lines of each node to begin with.
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 20)]
    pub(crate) lines: usize,
    #[command(flatten)]
    pub(crate) localnet: LocalnetArguments,
}

#[derive(Debug, Args)]
pub(crate) struct LocalnetDownArguments {
    /// Also delete the network: keys, blocks, logs.
    #[arg(long)]
    pub(crate) wipe: bool,
    #[command(flatten)]
    pub(crate) localnet: LocalnetArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FaultCommand {
    /// Freeze nodes: they hold their connections and say nothing.
    Pause(FaultNodesArguments),
    /// Let frozen nodes go on.
    Resume(FaultNodesArguments),
    /// End nodes at once, as a power failure does.
    Kill(FaultNodesArguments),
    /// Stop nodes that run, and start them on what they have on disk.
    Restart(FaultNodesArguments),
    /// Cut the network: nodes of different groups do not hear each other; nodes in no group are one more.
    Partition(FaultPartitionArguments),
    /// End partition, delay and drop.
    Heal(LocalnetArguments),
    /// Let all that these nodes send and receive take longer; 0 ends it.
    Delay(FaultDelayArguments),
    /// Lose a share of what these nodes send and receive. Connections repair it, so it comes late; 0 ends it.
    Drop(FaultDropArguments),
}

#[derive(Debug, Args)]
pub(crate) struct FaultNodesArguments {
    /// The nodes, from 0.
    #[arg(value_name = "NODE", required = true)]
    pub(crate) nodes: Vec<usize>,
    #[command(flatten)]
    pub(crate) localnet: LocalnetArguments,
}

#[derive(Debug, Args)]
pub(crate) struct FaultPartitionArguments {
    /// Groups of nodes: 0,1 2,3.
    #[arg(value_name = "NODE,NODE…", required = true, value_parser = parse_group)]
    pub(crate) groups: Vec<Group>,
    #[command(flatten)]
    pub(crate) localnet: LocalnetArguments,
}

/// Nodes that stay connected with each other.
#[derive(Clone, Debug)]
pub(crate) struct Group(pub(crate) Vec<usize>);

#[derive(Debug, Args)]
pub(crate) struct FaultDelayArguments {
    /// Milliseconds.
    #[arg(value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub(crate) milliseconds: u64,
    /// The nodes, from 0.
    #[arg(value_name = "NODE", required = true)]
    pub(crate) nodes: Vec<usize>,
    #[command(flatten)]
    pub(crate) localnet: LocalnetArguments,
}

#[derive(Debug, Args)]
pub(crate) struct FaultDropArguments {
    /// Percent of the pieces sent.
    #[arg(value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) percent: u8,
    /// The nodes, from 0.
    #[arg(value_name = "NODE", required = true)]
    pub(crate) nodes: Vec<usize>,
    #[command(flatten)]
    pub(crate) localnet: LocalnetArguments,
}

fn parse_group(text: &str) -> Result<Group, String> {
    let parse = |part: &str| part.trim().parse();
    let nodes: Result<Vec<usize>, _> = text.split(',').map(parse).collect();
    nodes
        .map(Group)
        .map_err(|_no_number| format!("expected numbers of nodes as in 0,1, found '{text}'"))
}
