//! `kumiki call`, `view` and `simulate`: use a contract's methods by name.

use kumiki_abi::metadata::{EntryKind, EntryPoint, Field};
use kumiki_client::abi::{Abi, ArgumentText, signature};
use kumiki_client::{ClientError, Draft};
use kumiki_protocol::{Action, Address};
use kumiki_rpc_api::FailureView;
use serde_json::{Value, json};

use crate::arguments::{CallArguments, SenderArguments, SimulateArguments, ViewArguments};
use crate::commands::chain::check_movable;
use crate::commands::trace;
use crate::explain::value_failure;
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::Output;
use crate::render::{
    Called, event_text, events_json, execution_failure, receipt_json, receipt_text, status_name,
    value_text,
};
use crate::send::{prepare, send};
use crate::signer::{Sender, Signer};

/// A method of a contract, looked up and with its input encoded.
struct Target {
    address: Address,
    abi: Abi,
    method: EntryPoint,
    input: Vec<u8>,
}

impl Target {
    fn called<'a>(&'a self, contract: &'a str) -> Called<'a> {
        Called {
            abi: &self.abi,
            address: self.address,
            contract,
            method: &self.method.name,
        }
    }

    fn returns(&self, data: Option<&[u8]>, command: &str) -> Outcome<Value> {
        let data = data.unwrap_or_default();
        self.abi
            .decode_return(&self.method, data)
            .map_err(|error| value_failure(error, command))
    }
}

pub(crate) async fn call(arguments: &CallArguments, output: Output) -> Outcome<()> {
    call_as(arguments, None, output).await
}

/// Calls as whoever signs, or as `impersonated`, which only a chain for development allows.
pub(crate) async fn call_as(
    arguments: &CallArguments,
    impersonated: Option<&str>,
    output: Output,
) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    let Some(target) = find_target(&network, arguments, "call", output).await? else {
        return Ok(());
    };
    refuse_view(&target, &arguments.contract)?;
    let command = format!("kumiki call {}", arguments.contract);
    let signer = Signer::find(&arguments.sender, &network)?;
    let called = target.called(&arguments.contract);
    let mut draft = draft(&arguments.sender, &target);
    if let Some(name) = impersonated {
        check_movable(&network).await?;
        let account = network.holder_address(name)?;
        draft.actions.insert(0, Action::Impersonate { account });
    }
    let receipt = send(&network, &signer, &draft, Some(&called), output).await?;
    let data = receipt
        .receipt
        .outputs
        .last()
        .map(|bytes| bytes.0.as_slice());
    let returns = target.returns(data, &command)?;
    output.data(
        &receipt_json(&receipt, &returns, Some(&called)),
        &receipt_text(&receipt, &returns, Some(&called)),
    );
    Ok(())
}

pub(crate) async fn simulate(given: &SimulateArguments, output: Output) -> Outcome<()> {
    let arguments = &given.call;
    let network = Network::connect(&arguments.node).await?;
    let Some(target) = find_target(&network, arguments, "simulate", output).await? else {
        return Ok(());
    };
    refuse_view(&target, &arguments.contract)?;
    let sender = Sender::find(&arguments.sender, &network)?;
    let called = target.called(&arguments.contract);
    let draft = draft(&arguments.sender, &target);
    if given.trace {
        let prepared = network.client.prepare(&draft, &sender.public_key).await?;
        return trace::show_unsent(&network, &prepared.body, output).await;
    }
    let paid = "this was only a simulation";
    let prepared = prepare(&network, &sender, &draft, Some(&called), paid).await?;
    let simulation = &prepared.simulation;
    let data = simulation
        .receipt
        .outputs
        .first()
        .map(|bytes| bytes.0.as_slice());
    let returns = target.returns(data, "kumiki build")?;
    let json = json!({
        "hash": prepared.body.hash(),
        "height": simulation.height,
        "status": status_name(simulation.receipt.status),
        "returns": returns,
        "events": events_json(&simulation.receipt, Some(&called)),
        "gasUsed": simulation.receipt.gas_used,
        "fee": simulation.receipt.fee,
        "suggestedGasLimit": simulation.suggested_gas_limit,
        "reads": simulation.reads,
        "writes": simulation.writes,
        "validUntil": prepared.body.valid_until,
    });
    let mut lines = vec![format!("would return  {}", value_text(&returns))];
    for event in &simulation.receipt.events {
        let abi = (event.contract == target.address).then_some(&target.abi);
        lines.push(format!("event         {}", event_text(event, abi)));
    }
    lines.push(format!(
        "gas           {} (limit {}, fee {})",
        simulation.receipt.gas_used, simulation.suggested_gas_limit, simulation.receipt.fee
    ));
    lines.push(format!(
        "state         {} reads, {} writes",
        simulation.reads, simulation.writes
    ));
    output.data(&json, &lines.join("\n"));
    Ok(())
}

pub(crate) async fn view(arguments: &ViewArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    let as_call = as_call(arguments);
    let Some(target) = find_target(&network, &as_call, "view", output).await? else {
        return Ok(());
    };
    let command = format!("kumiki view {}", arguments.contract);
    if target.method.kind != EntryKind::View {
        return Err(Failure::new(
            Exit::Usage,
            "methodNotView",
            format!(
                "'{}' may change state, so it is called, not viewed",
                target.method.name
            ),
        )
        .expected("a view")
        .found(signature(&target.method))
        .next(example(
            &format!("kumiki call {}", arguments.contract),
            &target.method,
        )));
    }
    let caller = match &arguments.from {
        Some(name) => Some(network.account_address(name)?),
        None => None,
    };
    let asked = network
        .client
        .view(
            target.address,
            target.input.clone(),
            caller,
            None,
            arguments.at,
        )
        .await;
    let answer =
        asked.map_err(|error| view_failure(error, &target, &arguments.contract, &network))?;
    let returns = target.returns(Some(&answer.data.0), &command)?;
    let json = json!({
        "hash": null,
        "height": answer.height,
        "status": "ok",
        "returns": returns,
        "events": [],
        "gasUsed": answer.gas_used,
        "fee": "0",
    });
    output.data(&json, &value_text(&returns));
    Ok(())
}

/// A contract does not take its views as calls: they have an entry of their own, which cannot write.
fn refuse_view(target: &Target, contract: &str) -> Outcome<()> {
    if target.method.kind != EntryKind::View {
        return Ok(());
    }
    let name = &target.method.name;
    Err(Failure::new(
        Exit::Usage,
        "methodNotCall",
        format!("'{name}' changes nothing, so it is viewed, not called; nothing was sent"),
    )
    .expected("a call")
    .found(signature(&target.method))
    .next(example(&format!("kumiki view {contract}"), &target.method)))
}

/// A view's arguments in the form that methods are looked up by.
fn as_call(arguments: &ViewArguments) -> CallArguments {
    CallArguments {
        contract: arguments.contract.clone(),
        method: arguments.method.clone(),
        arguments: arguments.arguments.clone(),
        sender: SenderArguments {
            from: arguments.from.clone(),
            passphrase_file: None,
            value: 0,
            gas: None,
            gas_price: None,
            nonce: None,
        },
        node: arguments.node.clone(),
    }
}

/// Why a view has no answer: the contract's own reason where it gave one.
fn view_failure(error: ClientError, target: &Target, contract: &str, network: &Network) -> Failure {
    match error {
        ClientError::Api(error) if (3000..4000).contains(&error.code.number()) => {
            let failure = FailureView {
                code: error.code.number(),
                name: error.code.name().to_owned(),
                action: None,
                data: error.data.revert_data.clone().unwrap_or_default(),
            };
            let called = target.called(contract);
            let said = network.sources().explain(&error.data.diagnostics);
            execution_failure(&failure, said, Some(&called), "views cost nothing")
        }
        other => other.into(),
    }
}

/// Looks contract and method up and encodes the arguments. Without a method, lists what there is.
async fn find_target(
    network: &Network,
    arguments: &CallArguments,
    verb: &str,
    output: Output,
) -> Outcome<Option<Target>> {
    let command = format!("kumiki {verb} {}", arguments.contract);
    let address = network.contract_address(&arguments.contract)?;
    let abi = network.abi(address, &arguments.contract).await?;
    let Some(name) = &arguments.method else {
        list_methods(&abi, address, output);
        return Ok(None);
    };
    let method = abi
        .method(name)
        .map_err(|error| value_failure(error, &command))?
        .clone();
    if arguments.sender.value > 0 && !method.payable {
        return Err(Failure::new(
            Exit::Usage,
            "notPayable",
            format!("'{name}' takes no native tokens; nothing was sent"),
        )
        .expected("--value 0")
        .found(format!("--value {}", arguments.sender.value))
        .next(example(&command, &method)));
    }
    let resolved = resolve_names(network, &method.args, &arguments.arguments)?;
    let input = abi
        .encode_call(&method, &resolved)
        .map_err(|error| value_failure(error, &command).next(example(&command, &method)))?;
    Ok(Some(Target {
        address,
        abi,
        method,
        input,
    }))
}

/// A command line for `method` with a plausible value for each argument.
fn example(command: &str, method: &EntryPoint) -> String {
    format!(
        "{command} {}{}",
        method.name,
        example_arguments(&method.args)
    )
}

/// ` name=value` for each argument, to be pasted.
pub(crate) fn example_arguments(fields: &[Field]) -> String {
    fields
        .iter()
        .map(|field| format!(" {}={}", field.name, example_value(&field.type_name)))
        .collect()
}

fn example_value(type_name: &str) -> &'static str {
    match type_name {
        "bool" => "true",
        "Address" => "alice",
        "String" => "text",
        "Hash" => "0x0000000000000000000000000000000000000000000000000000000000000000",
        "Vec<u8>" => "0x00",
        name if name.starts_with("Option<") => "null",
        name if name.starts_with(['u', 'i']) => "1",
        _ => "'[]'",
    }
}

fn list_methods(abi: &Abi, address: Address, output: Output) {
    let metadata = abi.metadata();
    let mut lines = vec![format!("{}  {address}", metadata.name)];
    for method in &metadata.entry_points {
        let kind = match method.kind {
            EntryKind::View => "view",
            EntryKind::Call | EntryKind::Init | EntryKind::Migrate => "call",
        };
        lines.push(format!(
            "  {kind}  {} -> {}",
            signature(method),
            method.returns
        ));
    }
    output.data(
        &json!({ "address": address, "abi": metadata }),
        &lines.join("\n"),
    );
}

/// The arguments, with names of accounts and contracts replaced by their addresses where one is wanted.
pub(crate) fn resolve_names(
    network: &Network,
    fields: &[Field],
    given: &[ArgumentText],
) -> Outcome<Vec<ArgumentText>> {
    let wants_address = |name: &str| {
        fields.iter().any(|field| {
            field.name == name && matches!(field.type_name.as_str(), "Address" | "Option<Address>")
        })
    };
    given
        .iter()
        .map(|one| {
            let nothing = matches!(one.text.as_str(), "null" | "none" | "None");
            if nothing || one.text.starts_with("kumi1") || !wants_address(&one.name) {
                return Ok(one.clone());
            }
            let address = network
                .contract_address(&one.text)
                .or_else(|_no_contract| network.account_address(&one.text))
                .map_err(|failure| {
                    Failure::new(
                        Exit::Usage,
                        "argumentType",
                        format!("argument {} is no address", one.name),
                    )
                    .expected("kumi1…, an account of 'kumiki account list', or a deployed contract")
                    .found(format!(
                        "'{}', and there is no such account or contract",
                        one.text
                    ))
                    .next("kumiki account list")
                    .detail(failure.name().to_owned())
                })?;
            Ok(ArgumentText {
                name: one.name.clone(),
                text: address.to_string(),
            })
        })
        .collect()
}

fn draft(sender: &SenderArguments, target: &Target) -> Draft {
    Draft {
        actions: vec![Action::Call {
            contract: target.address,
            input: target.input.clone(),
            value: sender.value,
        }],
        gas_limit: sender.gas,
        gas_price: sender.gas_price,
        nonce: sender.nonce,
    }
}
