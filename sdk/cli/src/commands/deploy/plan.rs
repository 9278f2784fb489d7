//! Plan the deployment of several contracts: their order, code, arguments and addresses, all known before any is sent.

use std::collections::BTreeMap;
use std::path::Path;

use kumiki_client::Draft;
use kumiki_client::abi::{Abi, ArgumentText};
use kumiki_protocol::{Action, Address, Hash, PublicKey, sha3_256};
use kumiki_rpc_api::{Bytes, Decimal};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Source;
use crate::arguments::DeployArguments;
use crate::commands::call::resolve_names;
use crate::contract_build::Builder;
use crate::deploy::DeployRequest;
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::Output;
use crate::project::Project;
use crate::sdk_sources::write_if_changed;
use crate::signer::Sender;

/// The only version of the file.
const VERSION: u32 = 1;

/// What a plan file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Plan {
    version: u32,
    /// The one chain that it is for.
    pub(super) genesis_hash: Hash,
    /// The one account that may send it: addresses follow from it.
    pub(super) deployer: Address,
    /// Contracts in the order in which they are deployed.
    pub(super) steps: Vec<Step>,
}

/// One contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) address: Address,
    pub(super) code_hash: Hash,
    /// Arguments of `init` as they were written, for people.
    arguments: BTreeMap<String, String>,
    salt: Bytes,
    /// SCALE arguments of `init`.
    input: Bytes,
    admin: Option<Address>,
    code: Bytes,
}

impl Step {
    /// What is sent.
    pub(super) fn action(&self) -> Action {
        let mut salt = [0; 32];
        salt.iter_mut()
            .zip(&self.salt.0)
            .for_each(|(to, from)| *to = *from);
        Action::Deploy {
            code: self.code.0.clone(),
            salt,
            input: self.input.0.clone(),
            value: 0,
            admin: self.admin,
        }
    }
}

impl Plan {
    pub(super) fn read(path: &Path) -> Outcome<(Self, Hash)> {
        let bytes = std::fs::read(path).map_err(|error| Failure::io(path, &error))?;
        let malformed = |found: String| {
            Failure::new(
                Exit::Usage,
                "planMalformed",
                "this is no plan of a deployment",
            )
            .at(path.display().to_string())
            .expected("a file that 'kumiki deploy --plan FILE' wrote")
            .found(found)
            .next("kumiki deploy --help")
        };
        let plan: Self =
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        if plan.version != VERSION {
            return Err(malformed(format!("version {}", plan.version)));
        }
        for step in &plan.steps {
            if !step.is_consistent(&plan.deployer) {
                return Err(malformed(format!(
                    "code, salt and address of '{}' do not belong together",
                    step.name
                )));
            }
        }
        Ok((plan, sha3_256(&[&bytes])))
    }
}

impl Step {
    fn is_consistent(&self, deployer: &Address) -> bool {
        let code_hash = sha3_256(&[&self.code.0]);
        <[u8; 32]>::try_from(self.salt.0.as_slice()).is_ok_and(|salt| {
            code_hash == self.code_hash
                && Address::of_contract(deployer, &salt, &code_hash) == self.address
        })
    }
}

/// `kumiki deploy --plan FILE`: builds, writes the plan, shows it, and sends nothing.
pub(super) async fn run(arguments: &DeployArguments, path: &Path, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    let sender = Sender::find(&arguments.sender, &network)?;
    let project = network.project.as_ref().ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            "projectUnknown",
            "this is no Kumiki project",
        )
        .expected("a kumiki.toml here or above")
        .next("kumiki new my-app && cd my-app")
    })?;
    let names = chosen(project, &arguments.words)?;
    let sources = sources(&network, project, &names, output)?;
    let deployer = sender.address();
    let addresses: BTreeMap<String, Address> = sources
        .iter()
        .map(|one| Ok((one.name.clone(), address(arguments, one, &deployer)?)))
        .collect::<Outcome<_>>()?;
    let mut steps = Vec::new();
    for source in in_order(sources, &addresses)? {
        steps.push(step(arguments, &network, &source, (&deployer, &addresses))?);
    }
    let plan = Plan {
        version: VERSION,
        genesis_hash: network.client.genesis_hash(),
        deployer,
        steps,
    };
    let mut bytes = serde_json::to_vec_pretty(&plan)
        .map_err(|error| Failure::new(Exit::System, "plan", error.to_string()))?;
    bytes.push(b'\n');
    write_if_changed(path, &bytes)?;
    print(&network, &sender.public_key, path, &plan, output).await
}

/// The contracts that the words name; all of the project where there are none.
fn chosen(project: &Project, words: &[String]) -> Outcome<Vec<String>> {
    if let Some(word) = words.iter().find(|word| word.contains('=')) {
        return Err(Failure::new(
            Exit::Usage,
            "arguments",
            "a plan takes arguments of init from kumiki.toml",
        )
        .expected("names of contracts, or nothing for all")
        .found(word)
        .next("kumiki deploy --help"));
    }
    if words.is_empty() {
        return Ok(project
            .contracts
            .iter()
            .map(|one| one.name.clone())
            .collect());
    }
    words
        .iter()
        .map(|word| project.contract(word).map(|one| one.name.clone()))
        .collect()
}

fn sources(
    network: &Network,
    project: &Project,
    names: &[String],
    output: Output,
) -> Outcome<Vec<Source>> {
    let builder = Builder {
        project,
        home: &network.home,
        output,
    };
    names
        .iter()
        .map(|name| {
            let built = builder.build(Some(name))?.remove(0);
            Ok(Source {
                name: name.clone(),
                wasm: built.wasm,
                abi: built.abi,
                init: project.contract(name)?.init.clone(),
            })
        })
        .collect()
}

fn address(arguments: &DeployArguments, source: &Source, deployer: &Address) -> Outcome<Address> {
    let abi = Abi::new(source.abi.clone());
    Ok(request(arguments, source, &abi, &[]).address(deployer))
}

fn request<'a>(
    arguments: &'a DeployArguments,
    source: &'a Source,
    abi: &'a Abi,
    init: &'a [ArgumentText],
) -> DeployRequest<'a> {
    DeployRequest {
        // Nothing is executed here that could say anything.
        project: None,
        name: &source.name,
        wasm: &source.wasm,
        abi,
        arguments: init,
        salt: &arguments.salt,
        immutable: arguments.immutable,
        value: 0,
        gas: None,
        gas_price: None,
        nonce: None,
    }
}

/// The contracts of the plan that an argument of `init` names.
fn references<'a>(
    source: &'a Source,
    planned: &'a BTreeMap<String, Address>,
) -> impl Iterator<Item = (&'a ArgumentText, Address)> {
    let fields = source.abi.init.iter().flat_map(|init| &init.args);
    let wants_address = |one: &ArgumentText| {
        fields.clone().any(|field| {
            field.name == one.name && matches!(&*field.type_name, "Address" | "Option<Address>")
        })
    };
    let found: Vec<_> = source
        .init
        .iter()
        .filter(|one| wants_address(one))
        .filter_map(|one| planned.get(&one.text).map(|address| (one, *address)))
        .collect();
    found.into_iter()
}

/// Those that others name come first; else as in kumiki.toml, by name.
fn in_order(mut left: Vec<Source>, planned: &BTreeMap<String, Address>) -> Outcome<Vec<Source>> {
    let mut ordered: Vec<Source> = Vec::new();
    while !left.is_empty() {
        let is_ready = |source: &Source| {
            references(source, planned)
                .all(|(one, _)| ordered.iter().any(|before| before.name == one.text))
        };
        let Some(next) = left.iter().position(is_ready) else {
            let names: Vec<&str> = left.iter().map(|one| one.name.as_str()).collect();
            return Err(Failure::new(
                Exit::Usage,
                "planCircular",
                "contracts name each other in their arguments of init, so none can be first",
            )
            .expected("one that names no other; the others' addresses can be set with a call later")
            .found(names.join(", "))
            .next("kumiki deploy --help"));
        };
        ordered.push(left.remove(next));
    }
    Ok(ordered)
}

fn step(
    arguments: &DeployArguments,
    network: &Network,
    source: &Source,
    (deployer, planned): (&Address, &BTreeMap<String, Address>),
) -> Outcome<Step> {
    let abi = Abi::new(source.abi.clone());
    let mut init = source.init.clone();
    for (one, address) in references(source, planned) {
        for field in init.iter_mut().filter(|field| field.name == one.name) {
            field.text = address.to_string();
        }
    }
    let fields = source.abi.init.as_ref().map(|init| init.args.clone());
    let init = resolve_names(network, fields.as_deref().unwrap_or_default(), &init)?;
    let request = request(arguments, source, &abi, &init);
    let written = source
        .init
        .iter()
        .map(|one| (one.name.clone(), one.text.clone()));
    Ok(Step {
        name: match arguments.salt.as_str() {
            "" => source.name.clone(),
            salt => format!("{}-{salt}", source.name),
        },
        address: request.address(deployer),
        code_hash: sha3_256(&[&source.wasm]),
        arguments: written.collect(),
        salt: Bytes(request.salt_bytes().to_vec()),
        input: Bytes(request.input()?),
        admin: (!arguments.immutable).then_some(*deployer),
        code: Bytes(source.wasm.clone()),
    })
}

/// Shows the plan. What a step costs is known where it needs no step before it.
async fn print(
    network: &Network,
    key: &PublicKey,
    path: &Path,
    plan: &Plan,
    output: Output,
) -> Outcome<()> {
    let mut lines = Vec::new();
    let mut steps = Vec::new();
    for step in &plan.steps {
        let draft = Draft::new(vec![step.action()]);
        let prepared = network.client.prepare(&draft, key).await?;
        let receipt = &prepared.simulation.receipt;
        let fee: Option<Decimal> = receipt.failure.is_none().then_some(receipt.fee);
        let arguments: String = step
            .arguments
            .iter()
            .map(|(name, text)| format!(" {name}={text}"))
            .collect();
        let shown = fee.map_or_else(
            || "fee not known yet".to_owned(),
            |fee| format!("fee {fee}"),
        );
        lines.push(format!(
            "{}  {}  {} bytes, {shown}\n   {arguments}",
            step.name,
            step.address,
            step.code.0.len()
        ));
        steps.push(json!({
            "name": step.name,
            "address": step.address,
            "codeHash": step.code_hash,
            "size": step.code.0.len(),
            "arguments": step.arguments,
            "fee": fee,
        }));
    }
    lines.push(format!(
        "nothing was sent; next: kumiki deploy --apply {}",
        crate::next_step::shell_word(path)
    ));
    let json = json!({ "file": path, "deployer": plan.deployer, "steps": steps });
    output.data(&json, &lines.join("\n"));
    Ok(())
}
