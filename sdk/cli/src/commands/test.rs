//! `kumiki test`: build the contracts, then run the project's tests.

use std::process::Stdio;

use serde_json::json;

use crate::arguments::TestArguments;
use crate::contract_build::{Builder, cargo, cargo_missing};
use crate::failure::{Exit, Failure, Outcome};
use crate::home::Home;
use crate::output::Output;
use crate::project::{Contract, Project};
use crate::sdk_sources::SdkSources;

pub(crate) fn run(arguments: &TestArguments, output: Output) -> Outcome<()> {
    let project = Project::find(&arguments.project)?;
    let home = Home::find()?;
    let builder = Builder {
        project: &project,
        home: &home,
        output,
    };
    builder.build(None)?;
    let cargo_arguments = SdkSources::unpack(&home)?.attach(&project)?;
    output.message("running the tests");
    let mut command = cargo();
    command.arg("test").args(&cargo_arguments);
    for contract in &project.contracts {
        command.args(["--package", &contract.package]);
    }
    command.args(&arguments.filter);
    if !arguments.arguments.is_empty() {
        command.arg("--").args(&arguments.arguments);
    }
    // In JSON mode stdout belongs to our one document.
    if output.json {
        command.stdout(std::io::stderr());
    }
    // Tests run what was just built, where the file names say which is which.
    let named_alike = |one: &Contract| one.name == one.package.replace('-', "_");
    if project.contracts.iter().all(named_alike) {
        command.env("KUMIKI_WASM_DIR", project.private_folder().join("build"));
    }
    let status = command
        .current_dir(&project.cargo_root)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| cargo_missing(&error))?;
    if status.success() {
        if output.json {
            output.data(&json!({ "passed": true }), "");
        }
        return Ok(());
    }
    Err(Failure::new(Exit::Execution, "testsFailed", "tests failed")
        .at(project.folder.display().to_string())
        .expected("every test passes")
        .found(format!("{status}; what failed is shown above"))
        .next("kumiki test -- --nocapture"))
}
