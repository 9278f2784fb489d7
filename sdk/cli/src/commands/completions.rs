//! `kumiki completions`: a completion script for a shell.

use clap::CommandFactory as _;

use crate::arguments::{Arguments, CompletionsArguments};
use crate::failure::Outcome;

pub(crate) fn run(arguments: &CompletionsArguments) -> Outcome<()> {
    let mut command = Arguments::command();
    clap_complete::generate(
        arguments.shell,
        &mut command,
        "kumiki",
        &mut std::io::stdout(),
    );
    Ok(())
}
