//! Simulate a transaction, sign it, and wait until it is final; say in terms of the user why it is not.

use kumiki_client::{ClientError, Draft, Prepared};
use kumiki_protocol::{Action, Amount, ChainKind};
use kumiki_rpc_api::{ErrorCode, FailureView, ReceiptStatus, TransactionReceipt};

use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::Output;
use crate::render::{Called, execution_failure};
use crate::signer::{Sender, Signer};

/// Sends what would succeed, and waits until it has.
pub(crate) async fn send(
    network: &Network,
    signer: &Signer,
    draft: &Draft,
    called: Option<&Called<'_>>,
    output: Output,
) -> Outcome<TransactionReceipt> {
    let paid = "nothing was sent, nothing is paid";
    let sender = signer.sender();
    let prepared = prepare(network, &sender, draft, called, paid).await?;
    // Said before waiting, so that Ctrl-C loses nothing.
    output.message(&format!("sending {}", prepared.body.hash()));
    let receipt = network
        .client
        .send(prepared.body, &signer.key)
        .await
        .map_err(|error| explain_refusal(error, network, &sender))?;
    if let (ReceiptStatus::Failed | ReceiptStatus::Rejected, Some(failure)) =
        (receipt.receipt.status, &receipt.receipt.failure)
    {
        let paid = format!("nothing changed, the fee {} is paid", receipt.receipt.fee);
        let hash = receipt.receipt.transaction;
        // Nodes that serve no developers do not say where it failed.
        let trace = network.client.trace_transaction(hash).await;
        let diagnostics = trace.map(|trace| trace.diagnostics).unwrap_or_default();
        let said = network.sources().explain(&diagnostics);
        return Err(execution_failure(failure, said, called, &paid));
    }
    Ok(receipt)
}

/// Fills in what the draft leaves out. What would fail is a failure here, of which `paid` says whether it cost
/// anything.
pub(crate) async fn prepare(
    network: &Network,
    sender: &Sender,
    draft: &Draft,
    called: Option<&Called<'_>>,
    paid: &str,
) -> Outcome<Prepared> {
    let prepared = network
        .client
        .prepare(draft, &sender.public_key)
        .await
        .map_err(|error| explain_refusal(error, network, sender))?;
    let simulation = &prepared.simulation;
    if let Some(failure) = &simulation.receipt.failure {
        let said = network.sources().explain(&simulation.diagnostics);
        let shown = execution_failure(failure, said, called, paid);
        return Err(explain_funds(network, sender, draft, failure, shown).await);
    }
    Ok(prepared)
}

/// A refusal for lack of funds, said in terms of the account.
fn explain_refusal(error: ClientError, network: &Network, sender: &Sender) -> Failure {
    match error {
        ClientError::Api(error) if error.code == ErrorCode::InsufficientFunds => {
            too_little(network, sender, error.data.detail)
        }
        ClientError::CannotPay { balance, .. } => {
            too_little(network, sender, format!("a balance of {balance}"))
        }
        other => other.into(),
    }
}

/// `shown`, unless the simulation failed because the account cannot pay.
async fn explain_funds(
    network: &Network,
    sender: &Sender,
    draft: &Draft,
    failure: &FailureView,
    shown: Failure,
) -> Failure {
    let address = sender.address();
    // Without a limit given, the gas limit is what the balance pays for.
    let starved = draft.gas_limit.is_none()
        && matches!(failure.name.as_str(), "gasLimitOutOfRange" | "outOfGas");
    let poor = matches!(
        failure.name.as_str(),
        "insufficientFunds" | "insufficientBalance"
    );
    if !starved && !poor {
        return shown;
    }
    let (Ok(account), Ok(info)) = (
        network.client.account(address, None).await,
        network.client.info().await,
    ) else {
        return shown;
    };
    // Rich enough for a whole block, the account is not what failed.
    let values: Amount = draft.actions.iter().map(Action::value).sum();
    let price = info.parameters.gas_price_min.0;
    let whole_block = price.saturating_mul(info.parameters.block_gas_max.into());
    if starved && account.balance.0 >= whole_block.saturating_add(values) {
        return shown;
    }
    too_little(network, sender, format!("a balance of {}", account.balance))
}

fn too_little(network: &Network, sender: &Sender, found: String) -> Failure {
    let next = match network.client.kind() {
        ChainKind::Dev => format!("kumiki account fund {}", sender.name),
        ChainKind::Live => format!("kumiki account show {}", sender.name),
    };
    Failure::new(
        Exit::Refused,
        "insufficientFunds",
        format!(
            "account '{}' has too little; nothing was sent, nothing is paid",
            sender.name
        ),
    )
    .at(format!(
        "{}, chain {}",
        network.client.url(),
        network.client.chain_id()
    ))
    .expected("enough for the fee and the value sent along")
    .found(found)
    .next(next)
}
