//! `cargo xtask chaos`: run a network of real processes under load and faults for as long as asked.

use std::process::ExitCode;
use std::time::Duration;

use kumiki_chaos::attacker::HARMS;
use kumiki_chaos::rpc_attack::{ATTACKS, Target, find, start};
use kumiki_chaos::{Faults, HostilePlan, Plan, RpcPlan, TurnoverPlan};
use kumiki_chaos::{attack_rpc, hostile, run, turnover};
use tokio::io::AsyncReadExt as _;

/// How long each kind of harm is done at a time: longer than a node waits for the rest of a frame.
const HARM_SECONDS: u32 = 75;

const RPC_HEADINGS: &str = "\
| attack | tx/s before, under | p99 ms before, under | blocks/s before, under: pace | CPU of the node before, under | \
memory before, most | sockets before, most, after | what the node did |
|---|---|---|---|---|---|---|---|";

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

/// `--seconds N`, `--through NODE`, `--only ATTACK`, each optional.
fn rpc_plan(arguments: &[String]) -> Result<RpcPlan, String> {
    let (mut seconds, mut through) = (15, 1);
    let mut attacks: Vec<_> = ATTACKS.iter().collect();
    for pair in arguments.chunks(2) {
        let number = pair.get(1).and_then(|text| text.parse::<u32>().ok());
        match (pair, number) {
            ([option, _], Some(number)) if option == "--seconds" => seconds = number.max(1),
            ([option, _], Some(number)) if option == "--through" && number < 4 => through = number,
            ([option, name], _) if option == "--only" => {
                let names = || ATTACKS.iter().map(|one| one.name).collect::<Vec<_>>();
                let unknown = || format!("no attack '{name}'; there are {}", names().join(", "));
                attacks = vec![find(name).ok_or_else(unknown)?];
            }
            _ => {
                return Err(format!(
                    "expected --seconds N, --through 0..3 or --only ATTACK, found {}",
                    pair.join(" ")
                ));
            }
        }
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(RpcPlan {
        attacks,
        window: Duration::from_secs(seconds.into()),
        quiet: Duration::from_secs(seconds.into()),
        through: usize::try_from(through).unwrap_or(1),
        growth_kib_max: u64::MAX >> 1,
        program,
    })
}

/// Attacks until standard input ends, and says what came of it: `NAME` and the arguments of a [`Target`].
async fn attack_until_told(arguments: &[String]) -> Result<String, String> {
    let wrong = || format!("no attack and target: {}", arguments.join(" "));
    let (name, target) = arguments.split_first().ok_or_else(wrong)?;
    let attack = find(name).ok_or_else(wrong)?;
    let running = start(attack, &Target::parse(target).ok_or_else(wrong)?);
    let mut nothing = Vec::new();
    let mut stdin = tokio::io::stdin();
    let mut ended = std::pin::pin!(stdin.read_to_end(&mut nothing));
    let mut shown = false;
    loop {
        tokio::select! {
            ended = &mut ended => {
                ended.map_err(|error| error.to_string())?;
                break;
            }
            () = tokio::time::sleep(Duration::from_millis(20)), if !shown => {}
        }
        if running.has_shown(attack) {
            println!("shown");
            shown = true;
        }
    }
    let outcomes = running.stop().await;
    serde_json::to_string(&outcomes).map_err(|error| error.to_string())
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
    if let [first, rest @ ..] = arguments
        && first == "--rpc"
    {
        println!("{RPC_HEADINGS}");
        let report = attack_rpc(&rpc_plan(rest)?).await?;
        let text = format!(
            "{} acknowledged; tried again: {:?}; broken: {:#?}",
            report.acknowledged, report.failures, report.broken
        );
        return Ok((text, report.broken.is_empty()));
    }
    if let [first, rest @ ..] = arguments
        && first == "--attack"
    {
        return Ok((attack_until_told(rest).await?, true));
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
