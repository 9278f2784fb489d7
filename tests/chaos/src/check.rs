//! Read every block of every node, and hold them to what clients were told.

use std::collections::BTreeMap;

use kumiki_client::{Client, ClientError};
use kumiki_protocol::{Address, Amount, Height, TransactionHash, VALIDATORS_CONTRACT, sha3_256};
use kumiki_rpc_api::{ActionView, BlockView, ErrorCode, EventView, ReceiptStatus};

use crate::{Acknowledged, Nodes};

/// Looks at a node that has yet to reach what was called final.
const LOOKS: u32 = 1_200;
/// How often what came since is read before it is given up.
const ROUNDS: u32 = 20;

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
/// that was given, balances equal to what the transfers come to, that all nodes agree with what any of them
/// showed of accounts, and that nobody was seen to vote twice.
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
    // All that was called final must be on every node, also on one that still catches up.
    let newest = told.transactions.values().max().copied().unwrap_or(0);
    for node in 0..nodes.rpc.len() {
        let reached = nodes
            .higher_than(newest.saturating_sub(1), node, LOOKS)
            .await;
        broken.extend(reached.err());
    }
    let mut read = Chain {
        height: 0,
        happened: BTreeMap::new(),
        model: Model(opening),
    };
    let mut rounds = 0;
    // Nodes keep the states of their newest blocks only, and the chain goes on while it is read.
    let wrong_balances = loop {
        read.go_on(&clients, &mut broken).await?;
        if let Some(wrong) = read.model.compare(&clients, read.height).await? {
            break wrong;
        }
        rounds += 1;
        if rounds == ROUNDS {
            return Err(format!(
                "the states at {} are gone before they are read",
                read.height
            ));
        }
    };
    broken.extend(wrong_balances);
    broken.extend(wrong_reads(&clients, told).await?);
    for (hash, at) in &told.transactions {
        let found = read.happened.get(hash).map_or(&[][..], Vec::as_slice);
        if found != [*at] {
            broken.push(format!(
                "{hash} was called final at {at} and is in blocks {found:?}"
            ));
        }
    }
    for node in 0..nodes.rpc.len() {
        if nodes.log(node).contains("voted twice") {
            broken.push(format!("node {node} saw a validator vote twice"));
        }
    }
    Ok(broken)
}

/// What some node showed of an account that the state at that height, on any node that still has it, does not.
async fn wrong_reads(clients: &[Client], told: &Acknowledged) -> Result<Vec<Promise>, String> {
    let mut wrong = Vec::new();
    for read in &told.reads {
        for (node, client) in clients.iter().enumerate() {
            match client.account(read.address, Some(read.height)).await {
                Ok(view) if (view.balance.0, view.nonce) == (read.balance, read.nonce) => {}
                Ok(view) => wrong.push(format!("{read:?} is {view:?} on node {node}")),
                Err(ClientError::Api(error)) if error.code == ErrorCode::HeightPruned => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
    Ok(wrong)
}

/// The chain as far as it was read.
struct Chain {
    height: Height,
    happened: BTreeMap<TransactionHash, Vec<Height>>,
    model: Model,
}

impl Chain {
    /// Reads on up to the lowest of the nodes' heads.
    async fn go_on(&mut self, clients: &[Client], broken: &mut Vec<Promise>) -> Result<(), String> {
        let mut head = Height::MAX;
        let mut earliest = Vec::new();
        for client in clients {
            let info = client.info().await.map_err(|error| error.to_string())?;
            head = head.min(info.head.height);
            earliest.push(info.earliest_height);
        }
        let whole = earliest.iter().position(|earliest| *earliest <= 1);
        let whole = whole.ok_or("no node has the whole chain")?;
        while self.height < head {
            let at = self.height + 1;
            let block = clients[whole].block(Some(at), None).await;
            let block = block.map_err(|error| error.to_string())?;
            // Headers commit to results, so equal headers are equal states.
            for (node, client) in clients.iter().enumerate() {
                if node == whole || at < earliest[node] {
                    continue;
                }
                let other = client.header(Some(at)).await;
                if other.map_err(|error| error.to_string())?.header != block.header {
                    broken.push(format!(
                        "node {node} has another block {at} than node {whole}"
                    ));
                }
            }
            for hash in &block.transaction_hashes {
                self.happened.entry(*hash).or_default().push(at);
            }
            self.model.apply(&clients[whole], &block, broken).await?;
            self.height = at;
        }
        Ok(())
    }
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
                    ActionView::Deploy { .. }
                    | ActionView::Upgrade { .. }
                    | ActionView::ReplaceCode { .. } => continue,
                    ActionView::SetBalance { .. } | ActionView::Impersonate { .. } => {
                        broken.push(format!("{} is for development", transaction.hash));
                        continue;
                    }
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

    /// What differs from it on which node at `height`; `None` where a node has forgotten that state meanwhile.
    async fn compare(
        &self,
        clients: &[Client],
        height: Height,
    ) -> Result<Option<Vec<Promise>>, String> {
        let mut wrong = Vec::new();
        for (node, client) in clients.iter().enumerate() {
            for (address, balance) in &self.0 {
                let found = match client.account(*address, Some(height)).await {
                    Ok(view) => view.balance.0,
                    Err(ClientError::Api(error)) if error.code == ErrorCode::HeightPruned => {
                        return Ok(None);
                    }
                    Err(error) => return Err(error.to_string()),
                };
                if found != *balance {
                    wrong.push(format!(
                        "node {node}: {address} has {found}, its transfers come to {balance}"
                    ));
                }
            }
        }
        Ok(Some(wrong))
    }
}
