//! Define `kumiki bench`: what to load, and how.

use clap::{Args, ValueEnum};

use super::NodeArguments;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchKind {
    /// Native transfers.
    Native,
    /// Calls of a token contract.
    Token,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// What to send; by default native, and with --localnet first native, then token.
    #[arg(long, value_enum)]
    pub(crate) kind: Option<BenchKind>,
    /// How long to send.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
    /// Transactions per second that are offered at most; they are signed ahead.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) rate: usize,
    /// Accounts that send.
    #[arg(long, default_value_t = 64)]
    pub(crate) senders: usize,
    /// For --kind token: the contract. With --localnet it is built and deployed from the project, or from the
    /// template where there is no project.
    #[arg(long, default_value = "token")]
    pub(crate) contract: String,
    /// The account that funds the senders, and may mint for --kind token.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) from: Option<String>,
    #[command(flatten)]
    pub(crate) network: BenchNetworkArguments,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct BenchNetworkArguments {
    /// Measure a network of so many validators, made on this machine for it and deleted afterwards.
    #[arg(long, value_name = "N", conflicts_with_all = ["rpc", "network", "from"],
        value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) localnet: Option<u16>,
    /// Of these, so many are killed before anything is measured.
    #[arg(long, value_name = "K", default_value_t = 0, requires = "localnet")]
    pub(crate) offline: u16,
    /// Everything between two validators takes so much longer, one way.
    #[arg(long, value_name = "MS", default_value_t = 0, requires = "localnet",
        value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub(crate) delay_ms: u64,
    /// The least time between two blocks.
    #[arg(long, value_name = "MS", default_value_t = 100, requires = "localnet")]
    pub(crate) block_time: u64,
}
