//! `kumiki validator`: take, look at and leave a seat among those who sign blocks.

mod seat;

use kumiki_client::Draft;
use kumiki_client::abi::Abi;
use kumiki_protocol::{
    Address, Amount, PublicKey, VALIDATORS_CONTRACT, ValidatorStatus, ValidatorsCall,
};
use kumiki_rpc_api::TransactionReceipt;
use serde_json::Value;

use crate::arguments::node::NodeHomeArguments;
use crate::arguments::validator::{
    ValidatorChangeArguments, ValidatorCommand, ValidatorJoinArguments, ValidatorListArguments,
    ValidatorShowArguments,
};
use crate::arguments::{NodeArguments, SenderArguments};
use crate::commands::node::{home_option, read_key, running_rpc};
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::Output;
use crate::render::{Called, receipt_json, receipt_text};
use crate::send::send;
use crate::signer::Signer;
use seat::{Seat, Sets};

/// What the contract is called where one is named.
const CONTRACT: &str = "validators";

pub(crate) async fn run(command: ValidatorCommand, output: Output) -> Outcome<()> {
    match command {
        ValidatorCommand::List(arguments) => list(&arguments, output).await,
        ValidatorCommand::Show(arguments) => show(&arguments, output).await,
        ValidatorCommand::Join(arguments) => join(&arguments, output).await,
        ValidatorCommand::Leave(arguments) => {
            change(&arguments, "leave", ValidatorsCall::Leave, output).await
        }
        ValidatorCommand::Withdraw(arguments) => {
            change(&arguments, "withdraw", ValidatorsCall::Withdraw, output).await
        }
    }
}

async fn list(arguments: &ValidatorListArguments, output: Output) -> Outcome<()> {
    let network = connect(&arguments.home, &arguments.node).await?;
    let abi = abi(&network).await?;
    let sets = Sets::read(&network, &abi, None).await?;
    output.data(&sets.json(), &sets.text());
    Ok(())
}

async fn show(arguments: &ValidatorShowArguments, output: Output) -> Outcome<()> {
    let network = connect(&arguments.home, &arguments.node).await?;
    let key = chosen_key(arguments.key, &arguments.home)?;
    let abi = abi(&network).await?;
    let sets = Sets::read(&network, &abi, None).await?;
    let seat = Seat::read(&network, &abi, &key, sets).await?;
    if seat.record.is_none() {
        return Err(unknown(&key, &network));
    }
    output.data(&seat.json(), &seat.text());
    Ok(())
}

/// A join is signed twice: by the account that pays, and by the node's key, which thereby agrees to that owner.
async fn join(arguments: &ValidatorJoinArguments, output: Output) -> Outcome<()> {
    let network = connect(&arguments.home, &arguments.node).await?;
    let key = read_key(&arguments.home)?;
    let signer = Signer::find(&arguments.sender, &network)?;
    let owner = Address::of_account(&signer.key.public_key());
    let call = ValidatorsCall::join(&network.client.genesis_hash(), &owner, &key);
    let contract = Contract {
        abi: abi(&network).await?,
        network,
        key: key.public_key(),
        method: "join",
    };
    contract
        .call(&call, &signer, &arguments.sender, output)
        .await
}

async fn change(
    arguments: &ValidatorChangeArguments,
    method: &'static str,
    call: fn(PublicKey) -> ValidatorsCall,
    output: Output,
) -> Outcome<()> {
    let network = connect(&arguments.home, &arguments.node).await?;
    let key = chosen_key(arguments.key, &arguments.home)?;
    let abi = abi(&network).await?;
    let sets = Sets::read(&network, &abi, None).await?;
    let seat = Seat::read(&network, &abi, &key, sets).await?;
    if seat.record.is_none() {
        return Err(unknown(&key, &network));
    }
    let signer = Signer::find(&arguments.sender, &network)?;
    let contract = Contract {
        abi,
        network,
        key,
        method,
    };
    contract
        .call(&call(key), &signer, &arguments.sender, output)
        .await
}

/// One method, for one validator.
struct Contract {
    network: Network,
    abi: Abi,
    key: PublicKey,
    method: &'static str,
}

impl Contract {
    /// Sends the call, and shows when it takes effect.
    async fn call(
        &self,
        call: &ValidatorsCall,
        signer: &Signer,
        sender: &SenderArguments,
        output: Output,
    ) -> Outcome<()> {
        let info = self.network.client.info().await?;
        let action = call.action(info.parameters.validator_stake.0);
        self.check_value(sender.value, action.value())?;
        let draft = Draft {
            actions: vec![action],
            gas_limit: sender.gas,
            gas_price: sender.gas_price,
            nonce: sender.nonce,
        };
        let called = Called {
            abi: &self.abi,
            address: VALIDATORS_CONTRACT,
            contract: CONTRACT,
            method: self.method,
        };
        let sent = send(&self.network, signer, &draft, Some(&called), output).await;
        let receipt = sent.map_err(|failure| self.explain(failure))?;
        self.report(&receipt, &called, output).await
    }

    /// The value is no choice: a join sends the stake, everything else nothing.
    fn check_value(&self, given: Amount, needed: Amount) -> Outcome<()> {
        if given == 0 || given == needed {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Usage,
            "valueFixed",
            format!(
                "'{}' sends what the chain asks for; nothing was sent",
                self.method
            ),
        )
        .expected(format!("--value {needed}, or none"))
        .found(format!("--value {given}"))
        .next(format!("kumiki validator {} --help", self.method)))
    }

    /// Where the contract refuses, what it knows of the validator says why.
    fn explain(&self, failure: Failure) -> Failure {
        match failure.name() {
            "contractError" => failure.next(format!("kumiki validator show {}", self.key)),
            _ => failure,
        }
    }

    async fn report(
        &self,
        receipt: &TransactionReceipt,
        called: &Called<'_>,
        output: Output,
    ) -> Outcome<()> {
        let sets = Sets::read(&self.network, &self.abi, Some(receipt.height)).await?;
        let seat = Seat::read(&self.network, &self.abi, &self.key, sets).await?;
        let mut json = receipt_json(receipt, &Value::Null, Some(called));
        if let Some(entries) = json.as_object_mut() {
            entries.insert("validator".to_owned(), seat.json());
        }
        let text = receipt_text(receipt, &Value::Null, Some(called));
        output.data(&json, &format!("{text}\n{}", seat.text()));
        let waits = seat.record.is_some_and(|record| {
            matches!(
                record.status,
                ValidatorStatus::Queued { .. } | ValidatorStatus::Seated { .. }
            )
        });
        if waits {
            output.message(
                "the node of this key must run and have caught up by then: kumiki node status",
            );
        }
        Ok(())
    }
}

/// The validators' contract says what it is on every chain.
async fn abi(network: &Network) -> Outcome<Abi> {
    network.abi(VALIDATORS_CONTRACT, CONTRACT).await
}

/// The node that the arguments name, else the one of the folder if it runs, else as for other commands.
async fn connect(home: &NodeHomeArguments, node: &NodeArguments) -> Outcome<Network> {
    let mut node = node.clone();
    if node.rpc.is_some() || node.network.is_some() {
        return Network::connect(&node).await;
    }
    node.rpc = running_rpc(home)?;
    let own = node.rpc.is_some();
    Network::connect(&node).await.map_err(|failure| {
        if own && failure.name() == "nodeUnreachable" {
            return failure.next(format!("kumiki node run{}", home_option(home)));
        }
        failure
    })
}

fn chosen_key(given: Option<PublicKey>, home: &NodeHomeArguments) -> Outcome<PublicKey> {
    match given {
        Some(key) => Ok(key),
        None => Ok(read_key(home)?.public_key()),
    }
}

fn unknown(key: &PublicKey, network: &Network) -> Failure {
    Failure::new(
        Exit::NotFound,
        "validatorUnknown",
        "this key has no seat, waits for none, and has no stake",
    )
    .at(format!(
        "{}, chain {}",
        network.client.url(),
        network.client.chain_id()
    ))
    .expected("a key that 'kumiki validator list' shows, or one that was a validator's")
    .found(key.to_string())
    .next("kumiki validator list")
}
