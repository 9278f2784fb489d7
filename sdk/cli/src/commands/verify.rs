//! `kumiki verify`: whether a contract's source gives the code that is deployed.

use kumiki_abi::metadata::Metadata;
use kumiki_protocol::{Address, sha3_256};
use serde_json::json;

use crate::arguments::VerifyArguments;
use crate::contract_build::{Builder, Built};
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::next_step::shell_word;
use crate::output::Output;
use crate::project::Project;
use crate::wasm_file;

pub(crate) async fn run(arguments: &VerifyArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    let address = network.contract_address(&arguments.contract)?;
    let deployed = network.client.code(address).await?;
    if sha3_256(&[&deployed.code.0]) != deployed.code_hash {
        return Err(Failure::new(
            Exit::Proof,
            "codeOther",
            "the node answers other code than that of the hash it names",
        )
        .at(network.client.url())
        .expected(deployed.code_hash.to_string())
        .found(sha3_256(&[&deployed.code.0]).to_string())
        .next("kumiki chain info"));
    }
    let folder = arguments.path.as_ref().unwrap_or(&arguments.node.project);
    let project = Project::find(folder)?;
    let builder = Builder {
        project: &project,
        home: &network.home,
        output,
    };
    let built = builder.build(named(&project, &arguments.contract))?;
    let Some(same) = built.iter().find(|one| one.code_hash == deployed.code_hash) else {
        let shown = Deployed {
            address,
            code: &deployed.code.0,
            abi: wasm_file::read_metadata(&deployed.code.0).ok(),
        };
        return Err(differs(&shown, &built, &project));
    };
    let json = json!({
        "address": address,
        "codeHash": deployed.code_hash,
        "contract": same.name,
        "source": project.contract(&same.name)?.folder,
        "compiler": same.abi.compiler,
        "matches": true,
    });
    let text = format!(
        "{address} runs what the source of '{}' gives\nhash      {}\ncompiler  {}",
        same.name, deployed.code_hash, same.abi.compiler
    );
    output.data(&json, &text);
    Ok(())
}

/// The contract of the project that is called so; otherwise any may be the one.
fn named<'a>(project: &Project, contract: &'a str) -> Option<&'a str> {
    let is_named = project.contracts.iter().any(|one| one.name == contract);
    is_named.then_some(contract)
}

struct Deployed<'a> {
    address: Address,
    code: &'a [u8],
    abi: Option<Metadata>,
}

fn differs(deployed: &Deployed<'_>, built: &[Built], project: &Project) -> Failure {
    let hash = sha3_256(&[deployed.code]);
    let names: Vec<&str> = built.iter().map(|one| one.name.as_str()).collect();
    let failure = Failure::new(
        Exit::Proof,
        "codeDiffers",
        format!(
            "{} does not run what the source of '{}' gives",
            deployed.address,
            names.join("', '")
        ),
    )
    .at(project.folder.display().to_string())
    .expected(format!("{hash}, {} bytes", deployed.code.len()));
    let found: Vec<String> = built
        .iter()
        .map(|one| format!("{}, {} bytes", one.code_hash, one.wasm.len()))
        .collect();
    let failure = failure.found(found.join(" and "));
    let like = built.iter().find(|one| {
        let abi = deployed.abi.as_ref();
        built.len() == 1 || abi.is_some_and(|abi| abi.name == one.abi.name)
    });
    let Some(like) = like else {
        return failure
            .detail("none of the project's contracts has the name of the deployed one")
            .next("kumiki build");
    };
    let reasons = reasons(deployed, like);
    let failure = reasons
        .into_iter()
        .fold(failure, |failure, reason| failure.detail(reason));
    failure.next(format!(
        "git -C {} log -3  # is this the source it was built from?",
        shell_word(&project.folder)
    ))
}

/// What differs between the two, and so may be why the code does.
fn reasons(deployed: &Deployed<'_>, built: &Built) -> Vec<String> {
    let Some(abi) = &deployed.abi else {
        return vec!["the deployed code carries no ABI: 'kumiki build' did not make it".to_owned()];
    };
    let mut reasons = Vec::new();
    let mut compare = |what: &str, deployed: &str, here: &str| {
        if deployed != here {
            reasons.push(format!("{what}: deployed {deployed}, here {here}"));
        }
    };
    compare("compiler", &abi.compiler, &built.abi.compiler);
    compare("SDK", &abi.sdk, &built.abi.sdk);
    compare("version of the contract", &abi.version, &built.abi.version);
    let code_alone = |wasm: &[u8]| wasm_file::finish(wasm, &[]);
    let same_code = code_alone(deployed.code) == code_alone(&built.wasm);
    if same_code {
        reasons.push("only the ABI differs; the code that runs is the same".to_owned());
    } else if reasons.is_empty() {
        reasons.push(
            "the same compiler, SDK and version: the source or Cargo.lock is another".to_owned(),
        );
    }
    reasons
}
