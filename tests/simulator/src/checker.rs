//! Hold what the nodes of a network have stored against what its users were promised.

use std::collections::BTreeMap;
use std::sync::Arc;

use kumiki_protocol::{
    AccountRecord, Action, Address, Amount, Block, Decode as _, Event, Height, Receipt, Status,
    TransactionHash, VALIDATORS_CONTRACT, ValidatorRecord, ValidatorStatus, sha3_256, state_key,
};
use kumiki_state::StateReader as _;
use kumiki_storage::Storage;

use crate::certificates;
use crate::load::Load;

/// What a check found.
pub(crate) struct Found {
    /// The height that every node has.
    pub(crate) height: Height,
    /// Promises that are broken.
    pub(crate) broken: Vec<String>,
}

/// Where in the chain a transaction was executed.
type Location = (Height, u32);

/// Checks that all nodes have one chain with one state and the proof of it, that each acknowledged transaction happened
/// exactly once and not above the height it was acknowledged at, that nothing else happened, that balances are what the
/// transfers come to, and that who voted twice is punished.
pub(crate) fn check(nodes: &[&Arc<Storage>], load: &Load) -> Found {
    let tips = nodes
        .iter()
        .map(|node| node.tip().map_or(0, |tip| tip.height));
    let height = tips.min().unwrap_or(0);
    let mut broken = Vec::new();
    let mut happened: BTreeMap<TransactionHash, Vec<Location>> = BTreeMap::new();
    let mut model = Model::of_genesis(nodes[0]);
    let mut parent = nodes[0].header(0).expect("blocks can be read");
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
        if let Some(parent) = parent.replace(block.header.clone()) {
            if block.header.parent != parent.hash() || block.header.height != at {
                broken.push(format!("block {at} does not follow the one before it"));
            }
            if block.header.time_ms < parent.time_ms {
                broken.push(format!("the time of block {at} goes back"));
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
    broken.extend(check_transactions(&happened, load));
    for (index, node) in nodes.iter().enumerate() {
        let balances = model.compare(node, height).into_iter();
        let found = balances.chain(check_locations(node, &happened));
        let found = found.chain(certificates::check(node).err());
        let found = found.chain(check_punished(node, load, &happened));
        broken.extend(found.map(|text| format!("node {index}: {text}")));
    }
    broken.extend(same_roots(nodes, height));
    Found { height, broken }
}

fn note_happened(
    happened: &mut BTreeMap<TransactionHash, Vec<Location>>,
    block: &Block,
    receipts: &[Receipt],
) {
    for (index, (transaction, receipt)) in (0..).zip(block.transactions.iter().zip(receipts)) {
        if !matches!(receipt.status, Status::Rejected(_)) {
            let at = (block.header.height, index);
            happened.entry(transaction.hash()).or_default().push(at);
        }
    }
}

fn check_transactions(
    happened: &BTreeMap<TransactionHash, Vec<Location>>,
    load: &Load,
) -> Vec<String> {
    let mut broken = Vec::new();
    for (hash, at) in &load.acknowledged {
        match happened.get(hash).map(Vec::as_slice) {
            Some([(once, _)]) if once <= at => {}
            found => broken.push(format!(
                "transaction {hash} was acknowledged at height {at} and happened at {found:?}"
            )),
        }
    }
    for (hash, at) in happened {
        if at.len() > 1 {
            broken.push(format!("transaction {hash} happened at {at:?}"));
        }
        if !load.has_signed(hash) {
            broken.push(format!(
                "transaction {hash} happened at {at:?} and nobody signed it"
            ));
        }
    }
    broken
}

/// Whoever asks a node for a transaction must be told where it happened.
fn check_locations(
    node: &Storage,
    happened: &BTreeMap<TransactionHash, Vec<Location>>,
) -> Vec<String> {
    let tip = node.tip().map_or(0, |tip| tip.height);
    let differing = happened.iter().filter_map(|(hash, at)| {
        let first = at.first().filter(|(height, _)| *height <= tip)?;
        let told = node.transaction_location(hash);
        let told = told.expect("the store can be read");
        (told.as_ref() != Some(first))
            .then(|| format!("transaction {hash} happened at {first:?}, the node says {told:?}"))
    });
    differing.collect()
}

/// Who was reported on chain has lost its stake and gets no seat any more.
fn check_punished(
    node: &Storage,
    load: &Load,
    happened: &BTreeMap<TransactionHash, Vec<Location>>,
) -> Vec<String> {
    let (Some(genesis), Some(tip)) = (node.genesis(), node.tip()) else {
        return vec!["the store is empty".to_owned()];
    };
    let parameters = genesis.parameters;
    let mut broken = Vec::new();
    for (key, report) in &load.reports {
        let Some((reported, _)) = happened.get(report).and_then(|at| at.first()) else {
            continue;
        };
        if *reported > tip.height {
            continue;
        }
        let state = node.snapshot().expect("the state can be read");
        let stored = state.get(&state_key::validator(key)).ok().flatten();
        let record = stored.and_then(|bytes| ValidatorRecord::decode(&mut bytes.as_slice()).ok());
        let punished = record.is_some_and(|record| {
            record.stake == 0 && matches!(record.status, ValidatorStatus::Removed { .. })
        });
        if !punished {
            broken.push(format!(
                "{key} voted twice, is reported, and has {record:?}"
            ));
        }
        let before = parameters.validators_epoch(reported.saturating_sub(1));
        for epoch in before + 1..=parameters.validators_epoch(tip.height) {
            let set = node.validators_of(epoch);
            let set = set.expect("the store can be read");
            if set.is_none_or(|set| set.position(key).is_some()) {
                broken.push(format!("{key} voted twice and has a seat in epoch {epoch}"));
            }
        }
    }
    broken
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

/// The owner and the amount in an event that says that a validator's stake was paid back.
fn returned_stake(event: &Event) -> Option<(Address, Amount)> {
    let withdrawn = sha3_256(&[b"Withdrawn([u8; 32],Address,u128)"]);
    if event.contract != VALIDATORS_CONTRACT || event.topics.first() != Some(&withdrawn) {
        return None;
    }
    let (_key, owner, stake) =
        <([u8; 32], [u8; 32], Amount)>::decode(&mut event.data.as_slice()).ok()?;
    Some((Address(owner), stake))
}

/// Balances and nonces as transfers, stakes and fees alone explain them.
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
                match action {
                    Action::Transfer { to, amount } => {
                        self.0.entry(sender).or_default().0 -= amount;
                        self.0.entry(*to).or_default().0 += amount;
                    }
                    // A stake, to the contract of the validators.
                    Action::Call { value, .. } => self.0.entry(sender).or_default().0 -= value,
                    Action::Deploy { .. } | Action::Upgrade { .. } | Action::ReplaceCode { .. } => {
                    }
                    // Passed over here, since this is no chain for development.
                    Action::SetBalance { .. } | Action::Impersonate { .. } => {}
                }
            }
            for (owner, stake) in receipt.events.iter().filter_map(returned_stake) {
                self.0.entry(owner).or_default().0 += stake;
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
