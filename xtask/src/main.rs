//! Run developer commands: `cargo xtask lint`, `test`, `bless`, `audit` and long runs.

mod audit;
mod crate_table;
mod durability;
mod fuzz;
mod layers;
mod lint;
mod planted;
mod process;
mod test_run;
mod tidy;
mod tool;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
Developer commands of Kumiki.

Usage: cargo xtask COMMAND

  lint                         formatting, layer rules, tidy rules, clippy, rustdoc; all must be clean
  tidy                         only the rules that need no compiler (layers, tidy, docs)
  test [--lint] [-p CRATE]... [FILTER]
                               installs what is missing, builds once, runs every test (or those of
                               CRATE, or those whose name contains FILTER); ends with 'N passed, N failed';
                               --lint runs the lints beside them, on the processor time that they leave
  chaos [--minutes N] [--seed S] [--kill-only]
                               a network of real processes under load and faults, checked at the end
  chaos --turnover [--changes N] [--seed S]
                               the same, with validators that join and leave at every epoch
  chaos --hostile [--minutes N] [--seed S]
                               the same, with peers that mean harm on every protocol
  rpc-attacks [--seconds N] [--through NODE] [--only ATTACK]
                               attacks on the RPC of a validator, and what each costs honest callers and blocks
  audit [--advisory-db DIR]    known holes, licences, sources and versions of all crates, by our own lists and
                               cargo-deny, which it installs; exits with 2 where advisories cannot be had
  powerloss [--crashes N] [--seed S]
                               so many power losses of the store on a simulated disk, or those of one life
  kills [--rounds N] [--seed S]
                               a node under load, killed so many times, its chain executed again from genesis
  simulate [--seeds N] [--seed S]
                               so many simulated networks, or the one of this seed
  simulate --planted [NAME]    plants the bugs of tests/simulator/bugs one at a time, in a working tree of
                               its own, and shows which seed finds each; fails where none does
  hostile smith [--modules N] [--seed S]
                               so many generated contracts, on the compiler and on the interpreter
  hostile bombs                time and memory of compiling the heaviest code that the rules let through
  hostile blocks               time of blocks full of hostile calls and deployments, beside a usual one
  hostile gas [--minutes N] [--seed S] [--passes N] [--only WORD] [--json]
                               what takes longest for its gas: every instruction and host function, and so many
                               minutes of mixtures
  fuzz [TARGET]... [--minutes M]
                               fuzzes every target, or these, for M minutes in all on each core (20), and ends with a
                               table; installs cargo-fuzz, and the first build takes as long as the workspace's
  fuzz table                   the table of all runs so far
  fuzz minimise TARGET FILE    the smallest input that fails as FILE does, beside it
  fuzz keep                    takes the best of what the runs found into tests/fuzz-bodies/corpus
  bless                        rewrites the golden files of tests/conformance; review the diff
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["audit", rest @ ..] => return audit::run(rest),
        ["lint"] => lint::run(lint::Scope::Everything),
        ["tidy"] => lint::run(lint::Scope::WithoutCompiler),
        ["test", rest @ ..] => test_run::Selection::parse(rest).and_then(|one| test_run::run(&one)),
        ["chaos", rest @ ..] => test_run::chaos(rest),
        ["rpc-attacks", rest @ ..] => test_run::chaos(&[&["--rpc"], rest].concat()),
        ["powerloss", rest @ ..] => durability::power_loss(rest),
        ["kills", rest @ ..] => durability::kills(rest),
        ["simulate", "--planted"] => planted::run(""),
        ["simulate", "--planted", name] => planted::run(name),
        ["simulate", rest @ ..] => test_run::simulate(rest),
        ["hostile", rest @ ..] => test_run::hostile(rest),
        ["fuzz", "table"] => fuzz::table(),
        ["fuzz", "keep"] => fuzz::keep(),
        ["fuzz", "minimise", target, file] => fuzz::minimise(target, file),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["bless"] => test_run::bless(),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!(
            "unknown command '{}'\n\n{USAGE}",
            arguments.join(" ")
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            if !message.is_empty() {
                eprintln!("error: {message}");
            }
            ExitCode::FAILURE
        }
    }
}
