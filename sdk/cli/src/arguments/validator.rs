//! Define `kumiki validator`: seats in the set that signs blocks.

use clap::{Args, Subcommand};
use kumiki_protocol::PublicKey;

use super::node::NodeHomeArguments;
use super::{NodeArguments, SenderArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum ValidatorCommand {
    /// List who signs blocks now, and who will from the next epoch on.
    #[command(after_help = "Examples:\n  kumiki validator list\n  kumiki validator list --json")]
    List(ValidatorListArguments),
    /// Show a validator: owner, stake, and how far it is.
    #[command(
        after_help = "Examples:\n  kumiki validator show\n  kumiki validator show 0x5e… --rpc http://127.0.0.1:8660"
    )]
    Show(ValidatorShowArguments),
    /// Put the chain's stake down for the key of a node's folder, which takes a seat when an epoch begins.
    #[command(
        after_help = "Examples:\n  kumiki validator join --from mine\n  kumiki validator join --from mine --home /srv/kumiki --json"
    )]
    Join(ValidatorJoinArguments),
    /// Give a seat back when the epoch ends, or a place in the queue at once.
    #[command(
        after_help = "Examples:\n  kumiki validator leave --from mine\n  kumiki validator leave 0x5e… --from mine"
    )]
    Leave(ValidatorChangeArguments),
    /// Take back the stake of a seat that ended two epochs ago.
    #[command(
        after_help = "Examples:\n  kumiki validator withdraw --from mine\n  kumiki validator withdraw 0x5e… --from mine"
    )]
    Withdraw(ValidatorChangeArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ValidatorListArguments {
    #[command(flatten)]
    pub(crate) home: NodeHomeArguments,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ValidatorShowArguments {
    /// Its public key; by default that of the node in the folder.
    pub(crate) key: Option<PublicKey>,
    #[command(flatten)]
    pub(crate) home: NodeHomeArguments,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ValidatorJoinArguments {
    #[command(flatten)]
    pub(crate) home: NodeHomeArguments,
    #[command(flatten)]
    pub(crate) sender: SenderArguments,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ValidatorChangeArguments {
    /// Its public key; by default that of the node in the folder.
    pub(crate) key: Option<PublicKey>,
    #[command(flatten)]
    pub(crate) home: NodeHomeArguments,
    #[command(flatten)]
    pub(crate) sender: SenderArguments,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

impl ValidatorCommand {
    /// By what this command chooses node and project.
    pub(super) fn chosen(&self) -> NodeArguments {
        let node = match self {
            Self::List(arguments) => &arguments.node,
            Self::Show(arguments) => &arguments.node,
            Self::Join(arguments) => &arguments.node,
            Self::Leave(arguments) | Self::Withdraw(arguments) => &arguments.node,
        };
        node.clone()
    }
}
