//! `kumiki account`: keep keys, show and fund accounts.

use kumiki_client::Draft;
use kumiki_protocol::{Address, ChainKind, SecretKey};
use kumiki_wallet::{AccountSummary, check_account_name, dev_account};
use serde_json::{Value, json};

use crate::arguments::{
    AccountFundArguments, AccountImportArguments, AccountNewArguments, AccountShowArguments,
};
use crate::failure::{Exit, Failure, Outcome};
use crate::home::Home;
use crate::network::Network;
use crate::output::Output;
use crate::render::{receipt_json, receipt_text};
use crate::send::send;
use crate::signer::{Signer, read_new_passphrase, read_seed};

pub(crate) fn new(arguments: &AccountNewArguments, output: Output) -> Outcome<()> {
    check_account_name(&arguments.name)?;
    let keystore = Home::find()?.keystore()?;
    let passphrase = read_new_passphrase(arguments.passphrase_file.as_deref())?;
    let account = keystore.create(&arguments.name, &passphrase)?;
    show_summary(&account, output);
    Ok(())
}

pub(crate) fn import(arguments: &AccountImportArguments, output: Output) -> Outcome<()> {
    check_account_name(&arguments.name)?;
    let keystore = Home::find()?.keystore()?;
    let text = read_seed(&arguments.seed_file)?;
    let mut seed = [0; 32];
    let digits = text.trim().trim_start_matches("0x");
    hex::decode_to_slice(digits, &mut seed).map_err(|_invalid| {
        // What was read may be most of a secret: it is not repeated.
        Failure::new(
            Exit::Usage,
            "seedMalformed",
            "this is no seed; nothing was kept",
        )
        .at(arguments.seed_file.display().to_string())
        .expected("64 hex digits")
        .found(format!("{} characters", text.chars().count()))
        .next(format!("kumiki account new {}", arguments.name))
    })?;
    let passphrase = read_new_passphrase(arguments.passphrase_file.as_deref())?;
    let key = SecretKey::from_seed(seed);
    let account = keystore.import(&arguments.name, &key, &passphrase)?;
    show_summary(&account, output);
    Ok(())
}

pub(crate) fn list(output: Output) -> Outcome<()> {
    let own = Home::find()?.keystore()?.list()?;
    let published: Vec<Value> = dev_account::all()
        .iter()
        .map(|one| {
            json!({ "name": one.name, "address": one.address, "publicKey": one.key.public_key() })
        })
        .collect();
    let mut lines: Vec<String> = own
        .iter()
        .map(|one| format!("{:<12}{}", one.name, one.address))
        .collect();
    lines.push("published, for dev chains only:".to_owned());
    lines.extend(
        dev_account::all()
            .iter()
            .map(|one| format!("{:<12}{}", one.name, one.address)),
    );
    output.data(
        &json!({ "accounts": own, "published": published }),
        &lines.join("\n"),
    );
    Ok(())
}

pub(crate) async fn show(arguments: &AccountShowArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    let address = network.holder_address(&arguments.account)?;
    let account = network.client.account(address, None).await?;
    let json = json!({
        "address": address,
        "balance": account.balance,
        "nonce": account.nonce,
        "height": account.height,
        "chain": network.client.chain_id(),
    });
    let text = format!(
        "address  {address}\nbalance  {} base units on {} at height {}\nnonce    {}",
        account.balance,
        network.client.chain_id(),
        account.height,
        account.nonce
    );
    output.data(&json, &text);
    Ok(())
}

pub(crate) async fn fund(arguments: &AccountFundArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    let to = network.holder_address(&arguments.account)?;
    let signer = Signer::find(&arguments.sender, &network)?;
    let draft = Draft {
        gas_limit: arguments.sender.gas,
        gas_price: arguments.sender.gas_price,
        nonce: arguments.sender.nonce,
        ..Draft::transfer(to, arguments.amount)
    };
    let receipt = send(&network, &signer, &draft, None, output).await?;
    output.data(
        &receipt_json(&receipt, &Value::Null, None),
        &receipt_text(&receipt, &Value::Null, None),
    );
    Ok(())
}

fn show_summary(account: &AccountSummary, output: Output) {
    output.data(
        &json!(account),
        &format!("{}  {}", account.name, account.address),
    );
}

/// The published accounts as `kumiki dev` prints them.
pub(crate) fn published(kind: ChainKind) -> Vec<(&'static str, Address)> {
    match kind {
        ChainKind::Dev => dev_account::all()
            .iter()
            .map(|one| (one.name, one.address))
            .collect(),
        ChainKind::Live => Vec::new(),
    }
}
