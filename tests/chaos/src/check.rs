//! Read every block of every node, and hold them to what clients were told.

use std::collections::BTreeMap;

use kumiki_client::Client;
use kumiki_protocol::{Address, Amount, Height, TransactionHash, VALIDATORS_CONTRACT, sha3_256};
use kumiki_rpc_api::{ActionView, BlockView, EventView, ReceiptStatus};

use crate::{Acknowledged, Nodes};

/// A promise that was broken, in words.
pub type Promise = String;

/// What each published account has before anything is sent, and the stakes of the first validators.
pub type Opening = BTreeMap<Address, Amount>;

/// Reads what each published account has now, and what all stakes come to.
///
/// # Errors
/// When the first node does not answer.
pub async fn opening(nodes: &Nodes) -> Result<Opening, String> {
    let client = nodes.client_soon(0).await?;
    let mut balances = BTreeMap::new();
    for account in kumiki_wallet::dev_account::all() {
        let view = client.account(account.address, None).await;
        let balance = view.map_err(|error| error.to_string())?.balance.0;
        balances.insert(account.address, balance);
    }
    let stakes = client.account(VALIDATORS_CONTRACT, None).await;
    let stakes = stakes.map_err(|error| error.to_string())?.balance.0;
    balances.insert(VALIDATORS_CONTRACT, stakes);
    Ok(balances)
}

/// Checks one block hash and one state root for each height, each acknowledged transaction exactly once at the height
/// that was given, balances equal to what the transfers come to, and that nobody was seen to vote twice.
///
/// # Errors
/// When a node does not answer.
pub async fn check(
    nodes: &Nodes,
    opening: Opening,
    told: &Acknowledged,
) -> Result<Vec<Promise>, String> {
    let mut clients = Vec::new();
    for node in 0..nodes.rpc.len() {
        clients.push(nodes.client_soon(node).await?);
    }
    let mut broken = told.broken.clone();
    let mut height = Height::MAX;
    for client in &clients {
        height = height.min(health(client).await?);
    }
    let mut happened: BTreeMap<TransactionHash, Vec<Height>> = BTreeMap::new();
    let mut model = Model(opening);
    for at in 1..=height {
        let block = same_block(&clients, at, &mut broken).await?;
        for hash in &block.transaction_hashes {
            happened.entry(*hash).or_default().push(at);
        }
        model.apply(&clients[0], &block, &mut broken).await?;
    }
    for (hash, at) in told.transactions.iter().filter(|(_, at)| **at <= height) {
        let found = happened.get(hash).map_or(&[][..], Vec::as_slice);
        if found != [*at] {
            broken.push(format!(
                "{hash} was called final at {at} and is in blocks {found:?}"
            ));
        }
    }
    for (node, client) in clients.iter().enumerate() {
        model.compare(client, height, node, &mut broken).await?;
        if nodes.log(node).contains("voted twice") {
            broken.push(format!("node {node} saw a validator vote twice"));
        }
    }
    Ok(broken)
}

async fn health(client: &Client) -> Result<Height, String> {
    let health = client.health().await;
    health
        .map(|health| health.height)
        .map_err(|error| error.to_string())
}

/// The block at `at`, the same on all nodes. Headers commit to results, so equal hashes are equal states.
async fn same_block(
    clients: &[Client],
    at: Height,
    broken: &mut Vec<Promise>,
) -> Result<BlockView, String> {
    let first = clients[0]
        .block(Some(at), None)
        .await
        .map_err(|error| error.to_string())?;
    for (node, client) in clients.iter().enumerate().skip(1) {
        let other = client
            .header(Some(at))
            .await
            .map_err(|error| error.to_string())?;
        if other.header != first.header {
            broken.push(format!("node {node} has another block {at} than node 0"));
        }
    }
    Ok(first)
}

/// To whom the validators' contract pays how much by this event, if it does: key, owner and amount are its data.
fn stake_paid_back(event: &EventView) -> Option<(Address, Amount)> {
    let name = sha3_256(&[b"Withdrawn([u8; 32],Address,u128)"]);
    if event.contract != VALIDATORS_CONTRACT || event.topics.first() != Some(&name) {
        return None;
    }
    let owner = event.data.0.get(32..64)?.try_into().ok()?;
    let stake = event.data.0.get(64..80)?.try_into().ok()?;
    Some((Address(owner), Amount::from_le_bytes(stake)))
}

/// Balances as transfers, stakes and fees alone explain them.
struct Model(Opening);

impl Model {
    async fn apply(
        &mut self,
        client: &Client,
        block: &BlockView,
        broken: &mut Vec<Promise>,
    ) -> Result<(), String> {
        for transaction in block.transactions.iter().flatten() {
            let receipt = client.receipt(transaction.hash).await;
            let receipt = receipt.map_err(|error| error.to_string())?.receipt;
            if receipt.status != ReceiptStatus::Ok {
                broken.push(format!("{} came to {:?}", transaction.hash, receipt.status));
                continue;
            }
            *self.0.entry(transaction.sender).or_default() -= receipt.fee.0;
            for action in &transaction.actions {
                let (to, amount) = match action {
                    ActionView::Transfer { to, amount } => (*to, amount.0),
                    ActionView::Call {
                        contract, value, ..
                    } => (*contract, value.0),
                    ActionView::Deploy { .. } | ActionView::Upgrade { .. } => continue,
                };
                self.pay(transaction.sender, to, amount);
            }
            for event in &receipt.events {
                if let Some((owner, stake)) = stake_paid_back(event) {
                    self.pay(VALIDATORS_CONTRACT, owner, stake);
                }
            }
        }
        Ok(())
    }

    fn pay(&mut self, from: Address, to: Address, amount: Amount) {
        *self.0.entry(from).or_default() -= amount;
        *self.0.entry(to).or_default() += amount;
    }

    async fn compare(
        &self,
        client: &Client,
        height: Height,
        node: usize,
        broken: &mut Vec<Promise>,
    ) -> Result<(), String> {
        for (address, balance) in &self.0 {
            let view = client.account(*address, Some(height)).await;
            let found = view.map_err(|error| error.to_string())?.balance.0;
            if found != *balance {
                broken.push(format!(
                    "node {node}: {address} has {found}, its transfers come to {balance}"
                ));
            }
        }
        Ok(())
    }
}
