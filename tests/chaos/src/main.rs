//! `cargo xtask chaos`: run a network of real processes under load and faults for as long as asked.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use kumiki_chaos::{Faults, Plan, run};

/// Run a local network under load and faults, and check it.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// What the faults are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Validators.
    #[arg(long, default_value_t = 4)]
    validators: usize,
    /// Only kill nodes.
    #[arg(long)]
    kill_only: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plan = Plan {
        validators: arguments.validators,
        full_nodes: 1,
        duration: Duration::from_secs(arguments.minutes * 60),
        interval: Duration::from_secs(5),
        faults: if arguments.kill_only {
            Faults::Kill
        } else {
            Faults::All
        },
        seed: arguments.seed,
    };
    match run(&plan).await {
        Ok(report) if report.broken.is_empty() => {
            println!("{report:?}");
            ExitCode::SUCCESS
        }
        Ok(report) => {
            println!("{report:#?}");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}
