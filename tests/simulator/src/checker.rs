//! Hold what the nodes of a network have stored against what its users were promised.

use std::collections::BTreeMap;
use std::sync::Arc;

use kumiki_protocol::{
    AccountRecord, Action, Address, Amount, Block, Decode as _, Height, Receipt, Status,
    TransactionHash, state_key,
};
use kumiki_state::StateReader as _;
use kumiki_storage::Storage;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The height that every node has.
    pub height: Height,
    /// Promises that are broken.
    pub broken: Vec<String>,
}

/// Checks that all nodes have one chain with one state, that each acknowledged transaction happened exactly once and
/// not above the height it was acknowledged at, and that balances are what the transfers come to.
#[must_use]
pub fn check(nodes: &[&Arc<Storage>], acknowledged: &BTreeMap<TransactionHash, Height>) -> Found {
    let tips = nodes
        .iter()
        .map(|node| node.tip().map_or(0, |tip| tip.height));
    let height = tips.min().unwrap_or(0);
    let mut broken = Vec::new();
    let mut happened: BTreeMap<TransactionHash, Vec<Height>> = BTreeMap::new();
    let mut model = Model::of_genesis(nodes[0]);
    for at in 1..=height {
        let blocks: Vec<(Block, Vec<Receipt>)> =
            nodes.iter().map(|node| stored(node, at)).collect();
        let (block, receipts) = &blocks[0];
        for (index, (other, other_receipts)) in blocks.iter().enumerate().skip(1) {
            if other != block {
                broken.push(format!("node {index} has another block {at} than node 0"));
            }
            if other_receipts != receipts {
                broken.push(format!(
                    "node {index} has other receipts of block {at} than node 0"
                ));
            }
        }
        note_happened(&mut happened, block, receipts);
        model.apply(block, receipts);
    }
    // A node that is a block ahead may have acknowledged what is in it.
    if let Some(highest) = nodes
        .iter()
        .max_by_key(|node| node.tip().map(|tip| tip.height))
    {
        for at in height + 1..=highest.tip().map_or(0, |tip| tip.height) {
            let (block, receipts) = stored(highest, at);
            note_happened(&mut happened, &block, &receipts);
        }
    }
    for (hash, at) in acknowledged {
        match happened.get(hash).map(Vec::as_slice) {
            Some([once]) if once <= at => {}
            found => broken.push(format!(
                "transaction {hash} was acknowledged at height {at} and is in blocks {found:?}"
            )),
        }
    }
    let several = happened.iter().filter(|(_, at)| at.len() > 1);
    broken
        .extend(several.map(|(hash, at)| format!("transaction {hash} happened in blocks {at:?}")));
    for (index, node) in nodes.iter().enumerate() {
        broken.extend(
            model
                .compare(node, height)
                .into_iter()
                .map(|text| format!("node {index}: {text}")),
        );
    }
    broken.extend(same_roots(nodes, height));
    Found { height, broken }
}

fn note_happened(
    happened: &mut BTreeMap<TransactionHash, Vec<Height>>,
    block: &Block,
    receipts: &[Receipt],
) {
    for (transaction, receipt) in block.transactions.iter().zip(receipts) {
        if !matches!(receipt.status, Status::Rejected(_)) {
            let at = block.header.height;
            happened.entry(transaction.hash()).or_default().push(at);
        }
    }
}

fn stored(node: &Storage, height: Height) -> (Block, Vec<Receipt>) {
    let block = node.block(height).expect("blocks can be read");
    let receipts = node.receipts(height).expect("receipts can be read");
    (
        block.expect("every block up to the tip is there"),
        receipts.expect("every block has its receipts"),
    )
}

fn same_roots(nodes: &[&Arc<Storage>], height: Height) -> Option<String> {
    let roots: Vec<_> = nodes
        .iter()
        .map(|node| node.snapshot_at(height).map(|state| state.state_root()))
        .collect();
    let first = roots.first()?.as_ref().ok()?;
    let differ = roots
        .iter()
        .any(|root| root.as_ref().is_ok_and(|root| root != first));
    differ.then(|| format!("at height {height} the state roots differ: {roots:?}"))
}

/// Balances and nonces as transfers and fees alone explain them.
struct Model(BTreeMap<Address, (Amount, u64)>);

impl Model {
    fn of_genesis(node: &Storage) -> Self {
        let genesis = node.genesis().expect("the chain is initialised");
        let accounts = genesis.accounts.iter();
        Self(
            accounts
                .map(|one| (one.address, (one.balance, 0)))
                .collect(),
        )
    }

    fn apply(&mut self, block: &Block, receipts: &[Receipt]) {
        let mut fees = 0;
        for (transaction, receipt) in block.transactions.iter().zip(receipts) {
            if matches!(receipt.status, Status::Rejected(_)) {
                continue;
            }
            let sender = transaction.body.sender_address();
            let account = self.0.entry(sender).or_default();
            account.0 -= receipt.fee;
            account.1 += 1;
            fees += receipt.fee;
            if receipt.status != Status::Ok {
                continue;
            }
            for action in &transaction.body.actions {
                if let Action::Transfer { to, amount } = action {
                    self.0.entry(sender).or_default().0 -= amount;
                    self.0.entry(*to).or_default().0 += amount;
                }
            }
        }
        let proposer = Address::of_account(&block.header.proposer);
        if fees > 0 {
            self.0.entry(proposer).or_default().0 += fees;
        }
    }

    fn compare(&self, node: &Storage, height: Height) -> Vec<String> {
        let Ok(state) = node.snapshot_at(height) else {
            return vec![format!("the state at {height} is not there")];
        };
        let differing = self.0.iter().filter_map(|(address, (balance, nonce))| {
            let stored = state.get(&state_key::account(address)).ok().flatten();
            let record = stored
                .and_then(|bytes| AccountRecord::decode(&mut bytes.as_slice()).ok())
                .unwrap_or_default();
            let same = record.balance == *balance && record.nonce == *nonce;
            (!same).then(|| {
                format!(
                    "{address} has {record:?}, its transfers come to {balance} and nonce {nonce}"
                )
            })
        });
        differing.collect()
    }
}
