//! Read the arguments of `kumiki upgrade`.

use std::path::PathBuf;

use clap::Args;
use kumiki_client::abi::ArgumentText;

use super::{NodeArguments, SenderArguments, parse_argument};

#[derive(Debug, Args)]
pub(crate) struct UpgradeArguments {
    /// The contract: a name that the project has deployed, or an address.
    pub(crate) contract: String,
    /// Arguments of the method that --migrate names.
    #[arg(value_name = "NAME=VALUE", value_parser = parse_argument, requires = "migrate")]
    pub(crate) arguments: Vec<ArgumentText>,
    /// Run this method of the new code, marked `#[migrate]`, in the same transaction: it rewrites what is stored.
    #[arg(long, value_name = "METHOD")]
    pub(crate) migrate: Option<String>,
    /// Accept that the new code cannot read this storage field as it is; may be given several times.
    #[arg(long, value_name = "FIELD", conflicts_with = "migrate")]
    pub(crate) allow_unsafe: Vec<String>,
    /// Print what would be done, and send nothing.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Deploy a fresh contract and send it the old one's calls again, in order; only on a chain for development.
    #[arg(long, conflicts_with_all = ["migrate", "allow_unsafe", "plan", "reset"])]
    pub(crate) replay: bool,
    /// Deploy a fresh contract under the name; only on a chain for development.
    #[arg(long, conflicts_with_all = ["migrate", "allow_unsafe", "plan"])]
    pub(crate) reset: bool,
    /// Use this Wasm file instead of building one.
    #[arg(long, value_name = "FILE")]
    pub(crate) wasm: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sender: SenderArguments,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}
