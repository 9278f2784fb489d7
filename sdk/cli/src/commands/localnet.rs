//! `kumiki localnet`: run a network of validators on this machine, and make it suffer.

mod fault;
mod logs;
mod make;
mod status;
pub(crate) mod temporary;
mod up;

use std::time::Duration;

use serde_json::json;

use crate::arguments::localnet::{LocalnetCommand, LocalnetDownArguments};
use crate::failure::{Exit, Failure, Outcome};
use crate::localnet::process::{Process, State};
use crate::localnet::{Localnet, relay};
use crate::output::Output;
use crate::stop_signal::stop_signal;

/// A node that is asked to stop has so long to finish its block.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// What is killed is gone after this at the latest.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn run(command: LocalnetCommand, output: Output) -> Outcome<()> {
    match command {
        LocalnetCommand::Up(arguments) => up::run(&arguments, output).await,
        LocalnetCommand::Status(arguments) => {
            status::run(&Localnet::find(&arguments)?, output).await
        }
        LocalnetCommand::Logs(arguments) => logs::run(&arguments, output).await,
        LocalnetCommand::Down(arguments) => down(&arguments, output).await,
        LocalnetCommand::Fault(command) => fault::run(&command, output).await,
        LocalnetCommand::Relay(arguments) => {
            relay::run(&Localnet::find(&arguments)?, stop_signal()).await
        }
    }
}

async fn down(arguments: &LocalnetDownArguments, output: Output) -> Outcome<()> {
    let network = Localnet::find(&arguments.localnet)?;
    let nodes: Vec<Process> = network.nodes().map(|node| network.process(node)).collect();
    let killed = stop_all(&nodes).await?;
    let relay = [network.relay()];
    stop_all(&relay).await?;
    if arguments.wipe {
        std::fs::remove_dir_all(&network.folder)
            .map_err(|error| Failure::io(&network.folder, &error))?;
    }
    let mut text = format!("stopped {} nodes", nodes.len());
    if killed > 0 {
        text.push_str(&format!(", {killed} of them killed"));
    }
    text.push_str(if arguments.wipe {
        "; the network is deleted"
    } else {
        "; 'kumiki localnet up' goes on from here"
    });
    output.data(
        &json!({ "stopped": nodes.len(), "killed": killed, "wiped": arguments.wipe }),
        &text,
    );
    Ok(())
}

/// Stops what runs, all at once; says how many had to be killed.
async fn stop_all(processes: &[Process]) -> Outcome<usize> {
    for process in processes {
        process.signal("TERM")?;
        // A paused process hears nothing before it goes on.
        process.signal("CONT")?;
    }
    let mut killed = 0;
    for process in processes {
        if !process.becomes(State::Down, STOP_TIMEOUT).await {
            kill(process).await?;
            killed += 1;
        }
    }
    Ok(killed)
}

async fn kill(process: &Process) -> Outcome<()> {
    process.signal("KILL")?;
    if process.becomes(State::Down, KILL_TIMEOUT).await {
        return Ok(());
    }
    Err(Failure::new(
        Exit::System,
        "signal",
        "a process does not end when it is killed",
    )
    .at(process.folder.display().to_string())
    .next("kumiki localnet status"))
}
