//! `cargo xtask chaos`: run a network of real processes under load and faults for as long as asked.

use std::process::ExitCode;
use std::time::Duration;

use kumiki_chaos::attacker::HARMS;
use kumiki_chaos::{Faults, HostilePlan, Plan, TurnoverPlan, hostile, run, turnover};

/// How long each kind of harm is done at a time: longer than a node waits for the rest of a frame.
const HARM_SECONDS: u32 = 75;

/// `--minutes N`, `--seed S`, `--validators V`, `--kill-only`, each optional.
fn plan(arguments: &[String]) -> Result<Plan, String> {
    let mut plan = Plan {
        validators: 4,
        full_nodes: 1,
        duration: Duration::from_secs(600),
        interval: Duration::from_secs(5),
        faults: Faults::All,
        seed: 1,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--kill-only" {
            plan.faults = Faults::Kill;
            continue;
        }
        let value = rest.next().and_then(|text| text.parse::<u32>().ok());
        let value = value.ok_or_else(|| format!("{argument} needs a number"))?;
        match argument.as_str() {
            "--minutes" => plan.duration = Duration::from_secs(60) * value,
            "--seed" => plan.seed = value.into(),
            "--validators" => plan.validators = usize::try_from(value).unwrap_or(4),
            other => return Err(format!("unknown option '{other}'")),
        }
    }
    Ok(plan)
}

/// `--changes N`, `--seed S`, each optional.
fn turnover_plan(arguments: &[String]) -> Result<TurnoverPlan, String> {
    let mut plan = TurnoverPlan {
        epoch_blocks: 48,
        changes: 60,
        seed: 1,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().and_then(|text| text.parse::<u32>().ok());
        let value = value.ok_or_else(|| format!("{argument} needs a number"))?;
        match argument.as_str() {
            "--changes" => plan.changes = value,
            "--seed" => plan.seed = value.into(),
            other => return Err(format!("unknown option '{other}'")),
        }
    }
    Ok(plan)
}

/// `--minutes N`, `--seed S`, each optional.
fn hostile_plan(arguments: &[String]) -> Result<HostilePlan, String> {
    let (mut minutes, mut seed) = (10, 1);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().and_then(|text| text.parse::<u32>().ok());
        let value = value.ok_or_else(|| format!("{argument} needs a number"))?;
        match argument.as_str() {
            "--minutes" => minutes = value,
            "--seed" => seed = value.into(),
            other => return Err(format!("unknown option '{other}'")),
        }
    }
    let kinds = u32::try_from(HARMS.len() + 1).unwrap_or(1);
    Ok(HostilePlan {
        each: Duration::from_secs(HARM_SECONDS.into()),
        rounds: (minutes * 60 / (kinds * HARM_SECONDS)).max(1),
        seed,
    })
}

/// What a run came to, and whether all promises held.
async fn outcome(arguments: &[String]) -> Result<(String, bool), String> {
    if let [first, rest @ ..] = arguments
        && first == "--turnover"
    {
        let report = turnover(&turnover_plan(rest)?).await?;
        return Ok((format!("{report:#?}"), report.broken.is_empty()));
    }
    if let [first, rest @ ..] = arguments
        && first == "--hostile"
    {
        let report = hostile(&hostile_plan(rest)?).await?;
        return Ok((format!("{report:#?}"), report.broken.is_empty()));
    }
    let report = run(&plan(arguments)?).await?;
    Ok((format!("{report:#?}"), report.broken.is_empty()))
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match outcome(&arguments).await {
        Ok((report, held)) => {
            println!("{report}");
            if held {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}
