//! `kumiki localnet fault`: pause, kill and restart nodes, and disturb their connections.

use std::time::{Duration, Instant};

use serde_json::json;

use super::up::ask;
use super::{kill, stop_all};
use crate::arguments::localnet::{FaultCommand, FaultNodesArguments, Group};
use crate::failure::{Exit, Failure, Outcome};
use crate::localnet::Localnet;
use crate::localnet::faults::Faults;
use crate::localnet::process::State;
use crate::output::Output;

/// A signal takes effect at once.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Far above what it takes to open a store: a machine may be busy.
const RESTART_TIMEOUT: Duration = Duration::from_secs(60);
/// Time between two looks at a node that comes up.
const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn run(command: &FaultCommand, output: Output) -> Outcome<()> {
    match command {
        FaultCommand::Pause(arguments) => {
            let nodes = named(arguments)?;
            signal(&nodes, "STOP", State::Paused).await?;
            say("paused", &nodes, output)
        }
        FaultCommand::Resume(arguments) => {
            let nodes = named(arguments)?;
            signal(&nodes, "CONT", State::Up).await?;
            say("resumed", &nodes, output)
        }
        FaultCommand::Kill(arguments) => {
            let nodes = named(arguments)?;
            for node in &nodes.1 {
                kill(&nodes.0.process(*node)).await?;
            }
            say("killed", &nodes, output)
        }
        FaultCommand::Restart(arguments) => {
            let nodes = named(arguments)?;
            restart(&nodes).await?;
            say("restarted", &nodes, output)
        }
        FaultCommand::Partition(arguments) => {
            let network = Localnet::find(&arguments.localnet)?;
            let groups = groups(&network, &arguments.groups)?;
            change(&network, output, |faults| faults.groups = groups).await
        }
        FaultCommand::Heal(arguments) => {
            let network = Localnet::find(arguments)?;
            change(&network, output, |faults| *faults = Faults::default()).await
        }
        FaultCommand::Delay(arguments) => {
            let network = Localnet::find(&arguments.localnet)?;
            check(&network, &arguments.nodes)?;
            change(&network, output, |faults| {
                for node in &arguments.nodes {
                    faults.delay_ms.insert(*node, arguments.milliseconds);
                }
                faults.delay_ms.retain(|_, ms| *ms > 0);
            })
            .await
        }
        FaultCommand::Drop(arguments) => {
            let network = Localnet::find(&arguments.localnet)?;
            check(&network, &arguments.nodes)?;
            change(&network, output, |faults| {
                for node in &arguments.nodes {
                    faults.loss_percent.insert(*node, arguments.percent);
                }
                faults.loss_percent.retain(|_, percent| *percent > 0);
            })
            .await
        }
    }
}

type Named = (Localnet, Vec<usize>);

fn named(arguments: &FaultNodesArguments) -> Outcome<Named> {
    let network = Localnet::find(&arguments.localnet)?;
    check(&network, &arguments.nodes)?;
    let mut nodes = arguments.nodes.clone();
    nodes.sort_unstable();
    nodes.dedup();
    Ok((network, nodes))
}

fn check(network: &Localnet, nodes: &[usize]) -> Outcome<()> {
    nodes.iter().try_for_each(|node| network.check_node(*node))
}

async fn signal((network, nodes): &Named, name: &str, wanted: State) -> Outcome<()> {
    for node in nodes {
        let process = network.process(*node);
        let refused = |found: &str| {
            Failure::new(
                Exit::Node,
                "localnetNodeDown",
                format!("node {node} does not become {}", wanted.name()),
            )
            .at(process.folder.display().to_string())
            .expected("a node that runs")
            .found(found)
            .next(format!("kumiki localnet fault restart {node}"))
        };
        if process.state() == State::Down {
            return Err(refused("it is down"));
        }
        process.signal(name)?;
        if !process.becomes(wanted, SIGNAL_TIMEOUT).await {
            return Err(refused(process.state().name()));
        }
    }
    Ok(())
}

async fn restart((network, nodes): &Named) -> Outcome<()> {
    let processes: Vec<_> = nodes.iter().map(|node| network.process(*node)).collect();
    stop_all(&processes).await?;
    for (node, process) in nodes.iter().zip(&processes) {
        let mut child = process.start()?;
        let deadline = Instant::now() + RESTART_TIMEOUT;
        while let Err(found) = ask(network, *node).await {
            let ended = child.try_wait().ok().flatten();
            if ended.is_none() && Instant::now() < deadline {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let failure = Failure::new(
                Exit::Node,
                "localnetStart",
                format!("node {node} does not come up"),
            )
            .at(process.folder.display().to_string())
            .expected("an answer of its RPC")
            .found(ended.map_or(found, |status| format!("it ended with {status}")))
            .next(format!("kumiki localnet logs {node} -n 50"));
            let lines = process.last_lines(12).into_iter();
            return Err(lines.fold(failure, |failure, line| failure.detail(format!("| {line}"))));
        }
    }
    Ok(())
}

/// The groups, in each of which every node is once and exists.
fn groups(network: &Localnet, groups: &[Group]) -> Outcome<Vec<Vec<usize>>> {
    let mut seen = Vec::new();
    for node in groups.iter().flat_map(|group| &group.0) {
        network.check_node(*node)?;
        if seen.contains(node) {
            return Err(Failure::new(
                Exit::Usage,
                "usage",
                format!("node {node} is in two groups; nothing was changed"),
            )
            .expected("each node at most once")
            .next("kumiki localnet fault partition --help"));
        }
        seen.push(*node);
    }
    Ok(groups.iter().map(|group| group.0.clone()).collect())
}

async fn change(
    network: &Localnet,
    output: Output,
    change: impl FnOnce(&mut Faults),
) -> Outcome<()> {
    let mut faults = network.faults();
    change(&mut faults);
    network.set_faults(&faults).await?;
    let text = faults.text().unwrap_or_else(|| "no faults".to_owned());
    output.data(&json!({ "faults": faults }), &text);
    Ok(())
}

fn say(done: &str, (_, nodes): &Named, output: Output) -> Outcome<()> {
    let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    output.data(
        &json!({ "done": done, "nodes": nodes }),
        &format!("{done} node {}", names.join(", ")),
    );
    Ok(())
}
