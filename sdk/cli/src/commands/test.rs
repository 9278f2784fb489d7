//! `kumiki test`: build the contracts, run the project's tests, and hold their gas to a snapshot.

mod gas;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::arguments::test::TestArguments;
use crate::contract_build::{Builder, cargo, cargo_missing};
use crate::failure::{Exit, Failure, Outcome};
use crate::home::Home;
use crate::output::Output;
use crate::project::{Contract, Project};
use crate::sdk_sources::SdkSources;
use gas::Gas;

pub(crate) fn run(arguments: &TestArguments, output: Output) -> Outcome<()> {
    let project = Project::find(&arguments.project)?;
    let home = Home::find()?;
    // Before anything is built: whoever has no snapshot should not wait to hear it.
    let snapshot = arguments
        .gas_check
        .then(|| Gas::snapshot(&project))
        .transpose()?;
    let builder = Builder {
        project: &project,
        home: &home,
        output,
    };
    let built = builder.build(None)?;
    let cargo_arguments = SdkSources::unpack(&home)?.attach(&project)?;
    output.message("running the tests");
    let mut command = test_command(arguments, &project, &cargo_arguments);
    // In JSON mode stdout belongs to our one document.
    if output.json {
        command.stdout(std::io::stderr());
    }
    ask_for_random_calls(&mut command, arguments, output);
    let wants_gas = arguments.gas_snapshot || arguments.gas_check;
    let left = wants_gas
        .then(tempfile::tempdir)
        .transpose()
        .map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    match &left {
        Some(folder) => command.env("KUMIKI_GAS_DIR", folder.path()),
        None => command.env_remove("KUMIKI_GAS_DIR"),
    };
    let status = command.status().map_err(|error| cargo_missing(&error))?;
    if !status.success() {
        return Err(tests_failed(&project, status));
    }
    let Some(left) = left else {
        // For people, what cargo printed is enough.
        if output.json {
            output.data(&json!({ "passed": true }), "");
        }
        return Ok(());
    };
    let compiler = built.first().map_or("", |one| one.abi.compiler.as_str());
    let gas = Gas::left_in(left.path(), compiler)?;
    let file = gas::snapshot_file(&project);
    let text = match snapshot {
        Some(snapshot) => {
            let some_only = arguments.filter.is_some() || !arguments.arguments.is_empty();
            let tolerance = arguments.tolerance.unwrap_or_default();
            gas.check(&snapshot, tolerance, some_only, &project)?;
            format!(
                "gas       {} messages as in {}",
                gas.count(),
                file.display()
            )
        }
        None => {
            gas.write(&project)?;
            format!("gas       {} messages, in {}", gas.count(), file.display())
        }
    };
    let gas = json!({ "file": file, "messages": gas.count() });
    output.data(&json!({ "passed": true, "gas": gas }), &text);
    Ok(())
}

fn test_command(
    arguments: &TestArguments,
    project: &Project,
    cargo_arguments: &[String],
) -> Command {
    let mut command = cargo();
    command.arg("test").args(cargo_arguments);
    for contract in &project.contracts {
        command.args(["--package", &contract.package]);
    }
    command.args(&arguments.filter);
    if !arguments.arguments.is_empty() {
        command.arg("--").args(&arguments.arguments);
    }
    // Tests run what was just built, where the file names say which is which.
    let named_alike = |one: &Contract| one.name == one.package.replace('-', "_");
    if project.contracts.iter().all(named_alike) {
        command.env("KUMIKI_WASM_DIR", project.private_folder().join("build"));
    }
    command
        .current_dir(&project.cargo_root)
        .stdin(Stdio::null());
    command
}

/// Tells property tests how much to try and from which seed. Who asks for many runs wants others than the last time.
fn ask_for_random_calls(command: &mut Command, arguments: &TestArguments, output: Output) {
    let seed = match (arguments.fuzz_seed, arguments.fuzz_runs) {
        (Some(seed), _) => Some(seed),
        (None, Some(_)) => Some(RandomState::new().build_hasher().finish()),
        (None, None) => None,
    };
    if let Some(seed) = seed {
        output.message(&format!("random calls from seed {seed} on"));
        command.env("KUMIKI_FUZZ_SEED", seed.to_string());
    }
    if let Some(runs) = arguments.fuzz_runs {
        command.env("KUMIKI_FUZZ_RUNS", runs.to_string());
    }
}

fn tests_failed(project: &Project, status: std::process::ExitStatus) -> Failure {
    Failure::new(Exit::Execution, "testsFailed", "tests failed")
        .at(project.folder.display().to_string())
        .expected("every test passes")
        .found(format!("{status}; what failed is shown above"))
        .next("kumiki test -- --nocapture")
}
