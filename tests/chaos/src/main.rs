//! `cargo xtask chaos`: run a network of real processes under load and faults for as long as asked.

use std::process::ExitCode;
use std::time::Duration;

use kumiki_chaos::attacker::HARMS;
use kumiki_chaos::{Faults, HostilePlan, Plan, TurnoverPlan, hostile, run, turnover};

/// How long each kind of harm is done at a time: longer than a node waits for the rest of a frame.
const HARM_SECONDS: u32 = 75;

/// Options and the number after each.
fn numbers(arguments: &[String]) -> Result<Vec<(&str, u32)>, String> {
    let mut found = Vec::new();
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        let value = rest.next().and_then(|text| text.parse().ok());
        let value = value.ok_or_else(|| format!("{option} needs a number"))?;
        found.push((option.as_str(), value));
    }
    Ok(found)
}

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
    let (flags, others): (Vec<_>, Vec<_>) = arguments
        .iter()
        .cloned()
        .partition(|argument| argument == "--kill-only");
    if !flags.is_empty() {
        plan.faults = Faults::Kill;
    }
    for (option, value) in numbers(&others)? {
        match option {
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
    for (option, value) in numbers(arguments)? {
        match option {
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
    for (option, value) in numbers(arguments)? {
        match option {
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
