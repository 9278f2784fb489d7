//! Read the arguments of `kumiki chain`.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};

use super::NodeArguments;

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
}

impl ChainCommand {
    pub(crate) fn chosen(&self) -> NodeArguments {
        match self {
            Self::Info(node) => node.clone(),
            Self::Mine(arguments) => arguments.node.clone(),
            Self::Warp(arguments) => arguments.node.clone(),
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
