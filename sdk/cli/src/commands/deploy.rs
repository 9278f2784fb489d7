//! `kumiki deploy`: build and deploy a contract of the project, or a Wasm file.

mod apply;
mod journal;
mod plan;

use std::path::Path;

use kumiki_client::abi::{Abi, ArgumentText};
use kumiki_protocol::Address;
use serde_json::json;

use crate::arguments::{DeployArguments, parse_argument};
use crate::commands::call::resolve_names;
use crate::contract_build::{Builder, Built, check_code};
use crate::deploy::{DeployRequest, Deployed};
use crate::deployments::{Deployment, Deployments};
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::Output;
use crate::project::Project;
use crate::signer::Signer;
use crate::wasm_file;

pub(crate) async fn run(arguments: &DeployArguments, output: Output) -> Outcome<()> {
    match (&arguments.plan, &arguments.apply, &arguments.resume) {
        (Some(path), _, _) => plan::run(arguments, path, output).await,
        (_, Some(path), _) => apply::run(arguments, path, apply::Mode::Apply, output).await,
        (_, _, Some(path)) => apply::run(arguments, path, apply::Mode::Resume, output).await,
        (None, None, None) => deploy_one(arguments, output).await,
    }
}

async fn deploy_one(arguments: &DeployArguments, output: Output) -> Outcome<()> {
    let (name, given) = split_words(&arguments.words)?;
    let network = Network::connect(&arguments.node).await?;
    let signer = Signer::find(&arguments.sender, &network)?;
    let source = match &arguments.wasm {
        Some(path) => Source::from_file(path, name)?,
        None => Source::from_project(&network, name, output)?,
    };
    let is_set_up = !given.is_empty() || arguments.sender.value > 0;
    let abi = Abi::new(source.abi);
    let mut init = source.init;
    for one in given {
        init.retain(|before| before.name != one.name);
        init.push(one);
    }
    let fields = abi.metadata().init.as_ref().map(|init| init.args.clone());
    let init = resolve_names(&network, fields.as_deref().unwrap_or_default(), &init)?;
    let request = DeployRequest {
        project: network.project.as_ref(),
        name: &source.name,
        wasm: &source.wasm,
        abi: &abi,
        arguments: &init,
        salt: &arguments.salt,
        immutable: arguments.immutable,
        value: arguments.sender.value,
        gas: arguments.sender.gas,
        gas_price: arguments.sender.gas_price,
        nonce: arguments.sender.nonce,
    };
    // Another instance gets a name of its own; it does not take the first one's.
    let name = match arguments.salt.as_str() {
        "" => source.name.clone(),
        salt => format!("{}-{salt}", source.name),
    };
    let recorded = recorded_address(&network, &name)?;
    let deployed = request.send(&network.client, &signer.key, recorded).await?;
    if let Some(project) = &network.project {
        let deployment = Deployment {
            address: deployed.address,
            code_hash: deployed.code_hash,
        };
        let chain = network.client.genesis_hash();
        Deployments::load(project)?.record(&chain, &name, deployment)?;
    }
    if deployed.receipt.is_none() && is_set_up {
        output.message(&format!(
            "{name} keeps its state: the arguments of init were not used; --salt NAME makes another instance"
        ));
    }
    print(&name, &deployed, &signer, output);
    Ok(())
}

fn print(name: &str, deployed: &Deployed, signer: &Signer, output: Output) {
    let receipt = deployed.receipt.as_ref();
    let json = json!({
        "name": name,
        "address": deployed.address,
        "codeHash": deployed.code_hash,
        "from": signer.name,
        "reused": receipt.is_none(),
        "hash": receipt.map(|one| one.receipt.transaction),
        "height": receipt.map(|one| one.height),
        "gasUsed": receipt.map(|one| one.receipt.gas_used),
        "fee": receipt.map(|one| one.receipt.fee),
    });
    let how = receipt.map_or_else(
        || "was there already, with the same code".to_owned(),
        |one| format!("deployed at height {}, fee {}", one.height, one.receipt.fee),
    );
    output.data(&json, &format!("{name}  {}\n{how}", deployed.address));
}

/// Where the project has deployed a contract of this name.
pub(crate) fn recorded_address(network: &Network, name: &str) -> Outcome<Option<Address>> {
    let Some(project) = &network.project else {
        return Ok(None);
    };
    let chain = network.client.genesis_hash();
    let deployments = Deployments::load(project)?;
    Ok(deployments.find(&chain, name).map(|one| one.address))
}

/// The contract's name, if the first word is one, and the arguments.
fn split_words(words: &[String]) -> Outcome<(Option<&str>, Vec<ArgumentText>)> {
    let (name, rest) = match words.split_first() {
        Some((first, rest)) if !first.contains('=') => (Some(first.as_str()), rest),
        _ => (None, words),
    };
    let arguments = rest
        .iter()
        .map(|word| {
            parse_argument(word).map_err(|problem| {
                Failure::new(Exit::Usage, "arguments", problem).next("kumiki deploy --help")
            })
        })
        .collect::<Outcome<Vec<_>>>()?;
    Ok((name, arguments))
}

/// Code to put on a chain.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) wasm: Vec<u8>,
    pub(crate) abi: kumiki_abi::metadata::Metadata,
    /// Arguments of `init`, as kumiki.toml gives them.
    pub(crate) init: Vec<ArgumentText>,
}

impl Source {
    pub(crate) fn from_file(path: &Path, name: Option<&str>) -> Outcome<Self> {
        let wasm = std::fs::read(path).map_err(|error| Failure::io(path, &error))?;
        check_code(&wasm).map_err(|failure| failure.at(path.display().to_string()))?;
        let abi = wasm_file::read_metadata(&wasm).map_err(|error| {
            Failure::new(Exit::Build, "badWasm", "the file carries no readable ABI")
                .at(path.display().to_string())
                .expected("Wasm as 'kumiki build' makes it")
                .found(error.to_string())
                .next("kumiki build")
        })?;
        let stem = || {
            path.file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
        };
        Ok(Self {
            name: name.map_or_else(stem, str::to_owned),
            wasm,
            abi,
            init: Vec::new(),
        })
    }

    pub(crate) fn from_project(
        network: &Network,
        name: Option<&str>,
        output: Output,
    ) -> Outcome<Self> {
        let Some(project) = &network.project else {
            return Err(Failure::new(
                Exit::NotFound,
                "projectUnknown",
                "this is no Kumiki project",
            )
            .expected("a kumiki.toml here or above, or --wasm FILE")
            .next("kumiki new my-app && cd my-app"));
        };
        let name = match name {
            Some(name) => name.to_owned(),
            None => only_contract(project)?,
        };
        let init = project.contract(&name)?.init.clone();
        let builder = Builder {
            project,
            home: &network.home,
            output,
        };
        let built: Built = builder.build(Some(&name))?.remove(0);
        Ok(Self {
            name,
            wasm: built.wasm,
            abi: built.abi,
            init,
        })
    }
}

fn only_contract(project: &Project) -> Outcome<String> {
    let names: Vec<&str> = project
        .contracts
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    match names.as_slice() {
        [one] => Ok((*one).to_owned()),
        many => Err(Failure::new(
            Exit::Usage,
            "contractMissing",
            "which contract should be deployed?",
        )
        .at(project.folder.display().to_string())
        .expected(format!("one of {}", many.join(", ")))
        .next(format!("kumiki deploy {}", many.first().unwrap_or(&"NAME")))),
    }
}
