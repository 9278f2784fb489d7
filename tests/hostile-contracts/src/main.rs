//! `cargo xtask hostile`: run generated contracts as long as asked, and measure what hostile ones cost.

use std::process::ExitCode;

mod allocated;
mod blocks;
mod measure;
mod smith_run;

const USAGE: &str = "\
Usage: cargo xtask hostile COMMAND

  smith [--modules N] [--seed S]  generated modules on both engines
  module SEED FILE                writes the generated module of a seed
  file FILE                       a contract, Wasm or WAT, on both engines
  bombs                           time and memory of compiling what the rules let through
  blocks                          time of blocks full of hostile calls and deployments, beside a usual one
  gas [--minutes N] [--seed S] [--passes N] [--only WORD] [--json]
                                  time for each gas of every instruction and host function, and of mixtures
";

/// Options and the number after each.
pub(crate) fn numbers(arguments: &[String]) -> Result<Vec<(&str, u64)>, String> {
    let mut found = Vec::new();
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        let value = rest.next().and_then(|text| text.parse().ok());
        let value = value.ok_or_else(|| format!("{option} needs a number"))?;
        found.push((option.as_str(), value));
    }
    Ok(found)
}

fn run(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [command] if command == "bombs" => measure::bombs(),
        [command] if command == "blocks" => measure::on_stack(blocks::blocks),
        [command, rest @ ..] if command == "gas" => measure::search_gas(rest),
        [command, path] if command == "file" => smith_run::file(path),
        [command, seed, file] if command == "module" => smith_run::write(seed, file),
        [command, rest @ ..] if command == "smith" => {
            let (mut modules, mut seed) = (100_000, 0);
            for (option, value) in numbers(rest)? {
                match option {
                    "--modules" => modules = value,
                    "--seed" => seed = value,
                    other => return Err(format!("unknown option '{other}'\n\n{USAGE}")),
                }
            }
            smith_run::smith(seed, modules)
        }
        _ => Err(USAGE.to_owned()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
