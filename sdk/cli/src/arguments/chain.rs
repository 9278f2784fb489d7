//! Read the arguments of `kumiki chain`.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use kumiki_protocol::{Amount, Hash, Height, limits};

use super::{CallArguments, NodeArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum ChainCommand {
    /// What chain this is and how far it has come.
    Info(NodeArguments),
    /// Make blocks now, on a chain for development; the first take what waits.
    #[command(
        after_help = "Examples:\n  kumiki chain mine\n  kumiki chain mine 100\n  kumiki chain mine 5 --json"
    )]
    Mine(ChainMineArguments),
    /// Move the time of a chain for development on, and make a block that shows it.
    #[command(
        after_help = "Examples:\n  kumiki chain warp 90s\n  kumiki chain warp '30days 12h'\n  kumiki chain warp 2030-01-01\n  kumiki chain warp 2030-01-01T12:30:00Z"
    )]
    Warp(ChainWarpArguments),
    /// Name the newest block of a chain for development, to go back to later.
    #[command(
        after_help = "Examples:\n  kumiki chain snapshot\n  kumiki chain snapshot --json | jq -r .head.hash"
    )]
    Snapshot(NodeArguments),
    /// Go back to a block of a chain for development: all after it are gone, and what waits.
    #[command(after_help = "Examples:\n  kumiki chain revert 12\n  kumiki chain revert 0x3f…")]
    Revert(ChainRevertArguments),
    /// Take the newest transactions of a chain for development back, block by block.
    #[command(after_help = "Examples:\n  kumiki chain undo\n  kumiki chain undo 3")]
    Undo(ChainUndoArguments),
    /// Go back to the genesis of a chain for development.
    #[command(after_help = "Examples:\n  kumiki chain reset")]
    Reset(NodeArguments),
    /// Set what an account or a contract of a chain for development holds.
    #[command(
        after_help = "Examples:\n  kumiki chain set-balance alice 5000000000\n  kumiki chain set-balance kumi1… 0"
    )]
    SetBalance(ChainSetBalanceArguments),
    /// Call a method as an account or a contract that does not sign, on a chain for development.
    #[command(
        after_help = "Examples:\n  kumiki chain impersonate governor token mint to=bob amount=5\n  kumiki chain impersonate kumi1… counter increase amount=1 --from alice"
    )]
    Impersonate(ChainImpersonateArguments),
}

impl ChainCommand {
    pub(crate) fn chosen(&self) -> NodeArguments {
        match self {
            Self::Info(node) => node.clone(),
            Self::Mine(arguments) => arguments.node.clone(),
            Self::Warp(arguments) => arguments.node.clone(),
            Self::Snapshot(node) | Self::Reset(node) => node.clone(),
            Self::Revert(arguments) => arguments.node.clone(),
            Self::Undo(arguments) => arguments.node.clone(),
            Self::SetBalance(arguments) => arguments.node.clone(),
            Self::Impersonate(arguments) => arguments.call.node.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ChainMineArguments {
    /// How many.
    #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) blocks: u32,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ChainWarpArguments {
    /// By how much, as 90s or '2h 30m', or to which moment in UTC, as 2030-01-01 or 2030-01-01T12:30:00Z.
    #[arg(value_parser = parse_warp)]
    pub(crate) to: Warp,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ChainRevertArguments {
    /// Height or hash of the block that becomes the newest.
    #[arg(value_name = "BLOCK", value_parser = parse_block)]
    pub(crate) to: BlockName,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ChainUndoArguments {
    /// How many blocks that have transactions.
    #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) blocks: u32,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ChainSetBalanceArguments {
    /// A name, also of a contract, or an address.
    pub(crate) account: String,
    /// Base units; 1 KUMI is 1000000000.
    #[arg(value_name = "AMOUNT", value_parser = parse_balance)]
    pub(crate) balance: Amount,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ChainImpersonateArguments {
    /// Who calls: a name, also of a contract, or an address.
    pub(crate) account: String,
    #[command(flatten)]
    pub(crate) call: CallArguments,
}

/// How a block is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockName {
    /// By its height.
    Height(Height),
    /// By its hash.
    Hash(Hash),
}

fn parse_balance(text: &str) -> Result<Amount, String> {
    let max = limits::SET_BALANCE_MAX;
    let wrong = || format!("expected a whole number of base units, at most {max}, found '{text}'");
    let amount: Amount = text.parse().map_err(|_not_a_number| wrong())?;
    Some(amount)
        .filter(|amount| *amount <= max)
        .ok_or_else(wrong)
}

fn parse_block(text: &str) -> Result<BlockName, String> {
    if let Ok(height) = text.parse() {
        return Ok(BlockName::Height(height));
    }
    let wrong = |_error| format!("expected a height as 12, or a hash as 0x…, found '{text}'");
    text.parse().map(BlockName::Hash).map_err(wrong)
}

/// Where the time is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Warp {
    /// On by so many milliseconds.
    By(u64),
    /// To a moment, in milliseconds since 1970.
    To(u64),
}

fn parse_warp(text: &str) -> Result<Warp, String> {
    let wrong = || {
        format!(
            "expected a duration as 90s or '2h 30m', or a moment as 2030-01-01 or 2030-01-01T12:30:00Z, found '{text}'"
        )
    };
    let milliseconds =
        |duration: std::time::Duration| u64::try_from(duration.as_millis()).map_err(|_| wrong());
    if let Ok(duration) = humantime::parse_duration(text) {
        return milliseconds(duration).map(Warp::By);
    }
    let midnight = format!("{text}T00:00:00Z");
    let moment: SystemTime = humantime::parse_rfc3339(text)
        .or_else(|_| humantime::parse_rfc3339_weak(text))
        .or_else(|_| humantime::parse_rfc3339(&midnight))
        .map_err(|_not_a_moment| wrong())?;
    let since = moment.duration_since(UNIX_EPOCH);
    milliseconds(since.map_err(|_before| wrong())?).map(Warp::To)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_moments_are_told_apart() {
        let day = 86_400_000;
        let cases = [
            ("90s", Warp::By(90_000)),
            ("2h 30m", Warp::By(9_000_000)),
            ("30days", Warp::By(30 * day)),
            ("250ms", Warp::By(250)),
            ("1970-01-02", Warp::To(day)),
            ("1970-01-02T00:00:01Z", Warp::To(day + 1_000)),
            ("1970-01-02 00:00:01", Warp::To(day + 1_000)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_warp(text), Ok(expected), "{text}");
        }
        for text in ["", "soon", "-1h", "10", "1969-12-31", "2030-13-01"] {
            assert!(parse_warp(text).is_err(), "{text}");
        }
    }
}
