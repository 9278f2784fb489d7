//! Hand in transfers, remember what was acknowledged, and model what they come to.

use std::collections::BTreeMap;

use kumiki_protocol::{Amount, Genesis, Height, Nonce, Transaction, TransactionHash};
use kumiki_testkit::{Account, Draft, Random, account};

/// Accounts that send and receive.
const ACCOUNTS: u8 = 10;
/// Transactions of one account that may be under way at a time.
const PIPELINE: u64 = 8;

/// The clients of a network.
pub(crate) struct Load {
    genesis: Genesis,
    accounts: Vec<Account>,
    /// The next nonce of each account, and how many before it are acknowledged.
    nonces: Vec<(Nonce, Nonce)>,
    /// Signed and not acknowledged yet, with the account.
    pub(crate) open: BTreeMap<TransactionHash, (usize, Transaction)>,
    /// Acknowledged, with the height at which the answering node said so.
    pub(crate) acknowledged: BTreeMap<TransactionHash, Height>,
}

impl Load {
    pub(crate) fn new(genesis: Genesis) -> Self {
        let accounts: Vec<Account> = (0..ACCOUNTS).map(account).collect();
        Self {
            genesis,
            nonces: vec![(0, 0); accounts.len()],
            accounts,
            open: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
        }
    }

    /// One more transfer; `None` where the drawn account has enough under way.
    pub(crate) fn next(&mut self, random: &mut Random) -> Option<Transaction> {
        let from = random.below(self.accounts.len());
        let to = random.below(self.accounts.len());
        let (next, acknowledged) = self.nonces[from];
        if next - acknowledged >= PIPELINE {
            return None;
        }
        self.nonces[from].0 += 1;
        let amount = Amount::from(random.next_u64() % 1_000);
        let mut draft = Draft::new(&self.genesis, &self.accounts[from], next)
            .transfer(&self.accounts[to].address, amount);
        draft.body.valid_until = 90_000;
        let transaction = draft.sign();
        self.open
            .insert(transaction.hash(), (from, transaction.clone()));
        Some(transaction)
    }

    pub(crate) fn acknowledge(&mut self, hash: TransactionHash, height: Height) {
        if let Some((from, _transaction)) = self.open.remove(&hash) {
            self.nonces[from].1 += 1;
            self.acknowledged.insert(hash, height);
        }
    }
}
