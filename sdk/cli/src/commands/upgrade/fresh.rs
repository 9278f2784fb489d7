//! Begin anew on a dev chain: a fresh contract under the old one's name, which may get its calls again.

use std::collections::BTreeMap;

use kumiki_client::abi::{Abi, signature};
use kumiki_client::{Client, Draft};
use kumiki_protocol::{Action, Address, Amount, ChainKind, Height};
use kumiki_rpc_api::{ActionView, FailureView, ReceiptStatus, ReceiptView};
use kumiki_wallet::dev_account::{self, DevAccount};
use serde_json::{Value, json};

use super::Upgrade;
use crate::commands::call::resolve_names;
use crate::deploy::{DeployRequest, Deployed};
use crate::deployments::{Deployment, Deployments};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::render::{Called, execution_failure};
use crate::said::Said;
use crate::signer::Signer;

/// A call that the old contract got and took.
struct PastCall {
    height: Height,
    sender: Address,
    input: Vec<u8>,
    value: Amount,
}

/// A call that the fresh contract did not take.
struct Failed {
    height: Height,
    sender: String,
    /// The method, where its selector is known.
    method: String,
    why: String,
}

pub(super) async fn run(upgrade: &Upgrade<'_>, signer: &Signer, output: Output) -> Outcome<()> {
    let client = &upgrade.network.client;
    if client.kind() != ChainKind::Dev {
        return Err(Failure::new(
            Exit::Refused,
            "devOnly",
            "a contract begins anew only on a chain for development; nothing was sent",
        )
        .at(format!("{}, chain {}", client.url(), client.chain_id()))
        .expected("a chain of 'kumiki dev'")
        .found("a live chain")
        .next(format!("kumiki upgrade {} --plan", upgrade.name)));
    }
    let calls = if upgrade.arguments.replay {
        past_calls(client, upgrade.standing.address).await?
    } else {
        Vec::new()
    };
    let deployed = deploy(upgrade, signer).await?;
    let (replayed, failed) = replay(upgrade, deployed.address, &calls, output).await?;
    // Only now: whoever is interrupted keeps the old contract under the name.
    if let Some(project) = &upgrade.network.project {
        let deployment = Deployment {
            address: deployed.address,
            code_hash: deployed.code_hash,
        };
        let chain = client.genesis_hash();
        let mut deployments = Deployments::load(project)?;
        let name = deployments.name_of(&chain, upgrade.standing.address);
        let name = name.as_deref().unwrap_or(&upgrade.source.name);
        deployments.record(&chain, name, deployment)?;
    }
    print(upgrade, &deployed, replayed, &failed, output);
    Ok(())
}

async fn deploy(upgrade: &Upgrade<'_>, signer: &Signer) -> Outcome<Deployed> {
    let new = &upgrade.new;
    let fields = new.metadata().init.as_ref().map(|init| init.args.clone());
    let fields = fields.unwrap_or_default();
    let init = resolve_names(&upgrade.network, &fields, &upgrade.source.init)?;
    let request = DeployRequest {
        project: upgrade.network.project.as_ref(),
        name: &upgrade.source.name,
        wasm: &upgrade.source.wasm,
        abi: new,
        arguments: &init,
        salt: "",
        immutable: false,
        value: 0,
        gas: upgrade.arguments.sender.gas,
        gas_price: upgrade.arguments.sender.gas_price,
        nonce: upgrade.arguments.sender.nonce,
    };
    request
        .send_fresh(&upgrade.network.client, &signer.key)
        .await
}

/// The calls in transactions to `contract` that were executed, in order. What other contracts called comes again by
/// itself where those are called again.
async fn past_calls(client: &Client, contract: Address) -> Outcome<Vec<PastCall>> {
    let head = client.info().await?.head.height;
    let mut calls = Vec::new();
    for height in 1..=head {
        let block = client.block(Some(height), None).await?;
        for transaction in block.transactions.iter().flatten() {
            let to_it = transaction
                .actions
                .iter()
                .filter_map(|action| match action {
                    ActionView::Call {
                        contract: to,
                        input,
                        value,
                    } if *to == contract => Some(PastCall {
                        height,
                        sender: transaction.sender,
                        input: input.0.clone(),
                        value: value.0,
                    }),
                    _ => None,
                });
            let to_it: Vec<PastCall> = to_it.collect();
            if to_it.is_empty() {
                continue;
            }
            let receipt = client.receipt(transaction.hash).await?;
            if receipt.receipt.status == ReceiptStatus::Ok {
                calls.extend(to_it);
            }
        }
    }
    Ok(calls)
}

/// Sends the calls to the contract at `fresh`; answers how many it took, and those that it did not.
async fn replay(
    upgrade: &Upgrade<'_>,
    fresh: Address,
    calls: &[PastCall],
    output: Output,
) -> Outcome<(usize, Vec<Failed>)> {
    let accounts = dev_account::all().into_iter();
    let accounts: BTreeMap<Address, DevAccount> = accounts.map(|one| (one.address, one)).collect();
    let mut failed = Vec::new();
    for call in calls {
        let method = method_name(upgrade, &call.input);
        let (sender, why) = match accounts.get(&call.sender) {
            None => (
                call.sender.to_string(),
                Err("its key is not published, so nobody here can sign for it".to_owned()),
            ),
            Some(account) => {
                let sent = send_again(upgrade, fresh, call, account).await?;
                (account.name.to_owned(), sent)
            }
        };
        if let Err(why) = why {
            output.message(&format!("not replayed: {method} of {sender}: {why}"));
            failed.push(Failed {
                height: call.height,
                sender,
                method,
                why,
            });
        }
    }
    Ok((calls.len() - failed.len(), failed))
}

/// Sends one call again. What the new code refuses is no failure of the command.
async fn send_again(
    upgrade: &Upgrade<'_>,
    fresh: Address,
    call: &PastCall,
    account: &DevAccount,
) -> Outcome<Result<(), String>> {
    let input = match new_input(upgrade.standing.abi.as_ref(), &upgrade.new, &call.input) {
        Ok(input) => input,
        Err(why) => return Ok(Err(why)),
    };
    let draft = Draft::new(vec![Action::Call {
        contract: fresh,
        input,
        value: call.value,
    }]);
    let client = &upgrade.network.client;
    let prepared = client.prepare(&draft, &account.key.public_key()).await?;
    let refused =
        |receipt: &ReceiptView| receipt.failure.as_ref().map(|one| why(upgrade, fresh, one));
    if let Some(why) = refused(&prepared.simulation.receipt) {
        return Ok(Err(why));
    }
    let receipt = client.send(prepared.body, &account.key).await?;
    Ok(refused(&receipt.receipt).map_or(Ok(()), Err))
}

/// Why the new code refused, in its own words where it has some.
fn why(upgrade: &Upgrade<'_>, fresh: Address, failure: &FailureView) -> String {
    let called = Called {
        abi: &upgrade.new,
        address: fresh,
        contract: upgrade.name,
        method: "replay",
    };
    let shown = execution_failure(failure, Said::default(), Some(&called), "");
    shown.found_text().unwrap_or(&failure.name).to_owned()
}

/// The input for the new code: the same where it has a method with this selector, else the same arguments for its
/// method of the same name.
fn new_input(old: Option<&Abi>, new: &Abi, input: &[u8]) -> Result<Vec<u8>, String> {
    if new.method_of(input).is_some() {
        return Ok(input.to_vec());
    }
    let before = old.and_then(|old| old.method_of(input).map(|method| (old, method)));
    let Some((old, before)) = before else {
        return Err("neither old nor new code has a method with its selector".to_owned());
    };
    let after = new
        .method(&before.name)
        .map_err(|_unknown| format!("the new code has no method '{}'", before.name))?;
    old.decode_call(before, input)
        .and_then(|arguments| new.encode_call(after, &arguments))
        .map_err(|error| format!("it is {} now: {error}", signature(after)))
}

fn method_name(upgrade: &Upgrade<'_>, input: &[u8]) -> String {
    let old = upgrade.standing.abi.as_ref();
    let method = old
        .and_then(|old| old.method_of(input))
        .or_else(|| upgrade.new.method_of(input));
    method.map_or_else(
        || format!("0x{}", hex::encode(input.get(..4).unwrap_or(input))),
        |method| method.name.clone(),
    )
}

fn print(
    upgrade: &Upgrade<'_>,
    deployed: &Deployed,
    replayed: usize,
    failed: &[Failed],
    output: Output,
) {
    let list = failed.iter().map(|one| {
        json!({
            "height": one.height,
            "from": one.sender,
            "method": one.method,
            "reason": one.why,
        })
    });
    let receipt = deployed.receipt.as_ref();
    let json = json!({
        "name": upgrade.name,
        "address": deployed.address,
        "oldAddress": upgrade.standing.address,
        "from": upgrade.sender.name,
        "codeHash": deployed.code_hash,
        "hash": receipt.map(|one| one.receipt.transaction),
        "height": receipt.map(|one| one.height),
        "replayed": replayed,
        "failed": list.collect::<Vec<Value>>(),
    });
    let mut lines = vec![
        format!("{}  {}", upgrade.name, deployed.address),
        format!("fresh; the old one stays at {}", upgrade.standing.address),
    ];
    if upgrade.arguments.replay {
        lines.push(format!("{replayed} calls replayed, {} not", failed.len()));
        lines.extend(failed.iter().map(|one| {
            format!(
                "  not: {} of {} at height {}: {}",
                one.method, one.sender, one.height, one.why
            )
        }));
    }
    output.data(&json, &lines.join("\n"));
}
