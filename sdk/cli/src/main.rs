//! Run the `kumiki` command line: read it, do it, say what came of it.

mod archive;
mod arguments;
mod commands;
mod contract_build;
mod debug_files;
mod deploy;
mod deployments;
mod explain;
mod failure;
mod genesis_file;
mod home;
mod localnet;
mod network;
mod next_step;
mod node_config;
mod output;
mod project;
mod render;
mod rustc_wrapper;
mod said;
mod sdk_sources;
mod send;
mod signer;
mod stop_signal;
mod upgrade;
mod wasm_file;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use arguments::localnet::LocalnetCommand;
use arguments::node::NodeCommand;
use arguments::{AccountCommand, Arguments, Command};
use failure::{Exit, Failure, Outcome};
use output::Output;

fn main() -> ExitCode {
    if let Some(code) = rustc_wrapper::run() {
        return code;
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage_error(&error),
    };
    let output = Output {
        json: arguments.json,
        quiet: arguments.quiet,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let chosen = arguments.command.chosen();
            let result = runtime.block_on(interruptible(arguments.command, output));
            // What was interrupted may wait for a terminal for ever.
            runtime.shutdown_background();
            result.map_err(|failure| failure.with_options(&chosen))
        }
        Err(error) => Err(Failure::new(Exit::System, "runtime", error.to_string())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit() as u8)
        }
    }
}

/// Runs a command until it ends or Ctrl-C. Those that have a node to stop handle Ctrl-C themselves.
async fn interruptible(command: Command, output: Output) -> Outcome<()> {
    if matches!(
        command,
        Command::Dev(_)
            | Command::Node(NodeCommand::Run(_))
            | Command::Localnet(LocalnetCommand::Relay(_))
    ) || matches!(&command, Command::Bench(bench) if bench.network.localnet.is_some())
    {
        return run(command, output).await;
    }
    // On a thread of its own: commands wait for passphrases and compilers without letting others run. A worker that
    // waits so keeps the task of its connection, which then does not see that the node has closed it.
    let runtime = tokio::runtime::Handle::current();
    let mut running = tokio::task::spawn_blocking(move || runtime.block_on(run(command, output)));
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {
            show_typing();
            Err(Failure::new(Exit::Interrupted, "interrupted", "interrupted"))
        }
        ended = &mut running => ended.unwrap_or_else(|panic| {
            Err(Failure::new(Exit::System, "panicked", panic.to_string()))
        }),
    }
}

/// Lets a terminal show again what is typed: Ctrl-C at a prompt for a passphrase leaves it hidden.
fn show_typing() {
    use std::io::IsTerminal as _;
    if cfg!(unix) && std::io::stdin().is_terminal() {
        // Without `stty` the terminal stays as it is.
        drop(std::process::Command::new("stty").arg("echo").status());
    }
}

async fn run(command: Command, output: Output) -> Outcome<()> {
    match command {
        Command::New(arguments) => commands::new_project::run(&arguments, output),
        Command::Build(arguments) => commands::build::run(&arguments, output),
        Command::Verify(arguments) => commands::verify::run(&arguments, output).await,
        Command::Test(arguments) => commands::test::run(&arguments, output),
        Command::Dev(arguments) => commands::dev::run(arguments, output).await,
        Command::Deploy(arguments) => commands::deploy::run(&arguments, output).await,
        Command::Upgrade(arguments) => commands::upgrade::run(&arguments, output).await,
        Command::Call(arguments) => commands::call::call(&arguments, output).await,
        Command::Simulate(arguments) => commands::call::simulate(&arguments, output).await,
        Command::View(arguments) => commands::call::view(&arguments, output).await,
        Command::Trace(arguments) => commands::trace::run(&arguments, output).await,
        Command::Tx(arguments) => commands::tx::run(&arguments, output).await,
        Command::Events(arguments) => commands::events::run(&arguments, output).await,
        Command::Account(command) => match command {
            AccountCommand::New(arguments) => commands::account::new(&arguments, output),
            AccountCommand::Import(arguments) => commands::account::import(&arguments, output),
            AccountCommand::List => commands::account::list(output),
            AccountCommand::Show(arguments) => commands::account::show(&arguments, output).await,
            AccountCommand::Fund(arguments) => commands::account::fund(&arguments, output).await,
        },
        Command::Chain(command) => commands::chain::run(command, output).await,
        Command::Proof(arguments) => commands::proof::run(&arguments, output).await,
        Command::Bench(arguments) => commands::bench::run(&arguments, output).await,
        Command::Node(command) => commands::node::run(command, output).await,
        Command::Validator(command) => commands::validator::run(command, output).await,
        Command::Localnet(command) => commands::localnet::run(command, output).await,
        Command::Doctor(arguments) => commands::doctor::run(&arguments, output).await,
        Command::Completions(arguments) => commands::completions::run(&arguments),
    }
}

/// Help and version go to stdout; a wrong command line is a failure like any other.
fn usage_error(error: &clap::Error) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // Nothing is left to do where stdout is closed.
        let _closed = error.print();
        return ExitCode::SUCCESS;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let next = format!(
        "{} --help",
        next_step::command_named(words.iter().map(String::as_str))
    );
    if words.iter().any(|word| word == "--json") {
        let text = error.render().to_string();
        // Its first paragraph, on one line.
        let lines = text.lines().map(str::trim);
        let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
        let what = lines.join(" ");
        let what = what.strip_prefix("error: ").unwrap_or(&what);
        let failure = Failure::new(Exit::Usage, "usage", what).next(next);
        let output = Output {
            json: true,
            quiet: false,
        };
        output.failure(&failure);
    } else {
        let text = error.render().to_string();
        let text = text.replace(
            "For more information, try '--help'.",
            &format!("  next:     {next}"),
        );
        let _closed = writeln!(std::io::stderr(), "{}", text.trim_end());
    }
    ExitCode::from(Exit::Usage as u8)
}
