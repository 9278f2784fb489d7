//! `kumiki build`: contracts to Wasm and ABI.

use std::path::Path;

use kumiki_abi::metadata::Metadata;
use kumiki_contract_build::{DebugFile, FunctionSize};
use kumiki_protocol::{limits, sha3_256};
use serde_json::{Value, json};

use crate::arguments::BuildArguments;
use crate::contract_build::{Builder, Built, check_code};
use crate::failure::{Failure, Outcome};
use crate::home::Home;
use crate::output::Output;
use crate::project::Project;

pub(crate) fn run(arguments: &BuildArguments, output: Output) -> Outcome<()> {
    if arguments.abi_schema {
        let schema = schemars::schema_for!(Metadata);
        let pretty = serde_json::to_string_pretty(&schema).unwrap_or_default();
        output.data(schema.as_value(), &pretty);
        return Ok(());
    }
    if let Some(path) = &arguments.check {
        return check_file(path, output);
    }
    let project = Project::find(&arguments.project)?;
    let home = Home::find()?;
    let builder = Builder {
        project: &project,
        home: &home,
        output,
    };
    let built = builder.build(arguments.contract.as_deref())?;
    let contracts: Vec<Value> = built.iter().map(built_json).collect();
    let lines: Vec<String> = built.iter().map(built_text).collect();
    output.data(&json!({ "contracts": contracts }), &lines.join("\n"));
    Ok(())
}

fn check_file(path: &Path, output: Output) -> Outcome<()> {
    let wasm = std::fs::read(path).map_err(|error| Failure::io(path, &error))?;
    let deploy_gas = check_code(&wasm).map_err(|failure| failure.at(path.display().to_string()))?;
    let code_hash = sha3_256(&[&wasm]);
    let json = json!({
        "wasm": path,
        "codeHash": code_hash,
        "size": wasm.len(),
        "sizeMax": limits::CODE_BYTES_MAX,
        "deployGas": deploy_gas,
        "deployGasMax": limits::BLOCK_CODE_GAS_MAX,
    });
    let text = format!(
        "{} bytes, {deploy_gas} gas to deploy, the chain takes it\n{code_hash}",
        wasm.len()
    );
    output.data(&json, &text);
    Ok(())
}

/// Functions shown to people, and told to programs.
const FUNCTIONS_SHOWN: usize = 5;
const FUNCTIONS_TOLD: usize = 50;

/// The functions that take most of the code, the largest first.
fn largest_functions(built: &Built) -> Vec<FunctionSize> {
    let debug = std::fs::read(&built.debug_path).unwrap_or_default();
    let file = DebugFile::new(&debug, &built.wasm);
    let mut functions = file.map_or_else(|_damaged| Vec::new(), |file| file.functions_by_size());
    functions.truncate(FUNCTIONS_TOLD);
    functions
}

fn built_json(built: &Built) -> Value {
    let functions: Vec<Value> = largest_functions(built)
        .iter()
        .map(|one| json!({ "name": one.name, "bytes": one.bytes }))
        .collect();
    json!({
        "functions": functions,
        "name": built.name,
        "wasm": built.wasm_path,
        "abi": built.abi_path,
        "debug": built.debug_path,
        "codeHash": built.code_hash,
        "size": built.wasm.len(),
        "sizeMax": limits::CODE_BYTES_MAX,
        "deployGas": built.deploy_gas,
        "deployGasMax": limits::BLOCK_CODE_GAS_MAX,
    })
}

fn built_text(built: &Built) -> String {
    let size = built.wasm.len();
    let abi_size = serde_json::to_vec(&built.abi).map_or(0, |json| json.len());
    let mut text = format!(
        "{}  {size} bytes of {} ({} code, {abi_size} ABI)\n  gas   {} of {} to deploy, before init\n  wasm  {}\n  abi   {}\n  hash  {}\n  largest functions",
        built.name,
        limits::CODE_BYTES_MAX,
        size.saturating_sub(abi_size),
        built.deploy_gas,
        limits::BLOCK_CODE_GAS_MAX,
        built.wasm_path.display(),
        built.abi_path.display(),
        built.code_hash,
    );
    for one in largest_functions(built).iter().take(FUNCTIONS_SHOWN) {
        text.push_str(&format!("\n    {:>6}  {}", one.bytes, one.name));
    }
    text
}
