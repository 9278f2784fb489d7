//! Hand in transfers, remember what was acknowledged, and model what they come to.

use std::collections::BTreeMap;

use kumiki_protocol::{
    Amount, Evidence, Genesis, Height, Nonce, PublicKey, Transaction, TransactionHash,
    ValidatorsCall,
};
use kumiki_testkit::{Account, Draft, Random, account};

/// Accounts that send and receive; the one after them owns seats and reports double votes.
const ACCOUNTS: u8 = 9;
/// Transactions of one account that may be under way at a time.
const PIPELINE: u64 = 8;

/// The clients of a network.
pub(crate) struct Load {
    genesis: Genesis,
    accounts: Vec<Account>,
    /// The next nonce of each account, and how many before it are acknowledged.
    nonces: Vec<(Nonce, Nonce)>,
    /// Signed and not acknowledged yet, with the account.
    open: BTreeMap<TransactionHash, (usize, Transaction)>,
    /// Acknowledged, with the height at which the answering node said so.
    pub(crate) acknowledged: BTreeMap<TransactionHash, Height>,
    /// The report of each double vote, by who voted twice.
    pub(crate) reports: BTreeMap<PublicKey, TransactionHash>,
}

impl Load {
    pub(crate) fn new(genesis: Genesis) -> Self {
        let accounts: Vec<Account> = (0..=ACCOUNTS).map(account).collect();
        Self {
            genesis,
            nonces: vec![(0, 0); accounts.len()],
            accounts,
            open: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            reports: BTreeMap::new(),
        }
    }

    /// One more transfer; `None` where the drawn account has enough under way.
    pub(crate) fn next(&mut self, random: &mut Random) -> Option<Transaction> {
        let from = random.below(usize::from(ACCOUNTS));
        let to = random.below(self.accounts.len());
        let (next, acknowledged) = self.nonces[from];
        if next - acknowledged >= PIPELINE {
            return None;
        }
        let amount = Amount::from(random.next_u64() % 1_000);
        let to = self.accounts[to].address;
        Some(self.sign(from, |draft| draft.transfer(&to, amount)))
    }

    /// Reports a double vote, once for each validator.
    pub(crate) fn report(&mut self, evidence: Evidence) -> Option<Transaction> {
        if self.reports.contains_key(&evidence.validator) {
            return None;
        }
        let transaction = self.call(&ValidatorsCall::Report(evidence));
        self.reports.insert(evidence.validator, transaction.hash());
        Some(transaction)
    }

    /// Who owns the seats that change hands; `None` while something of that account is under way.
    pub(crate) fn idle_owner(&self) -> Option<&Account> {
        let owner = usize::from(ACCOUNTS);
        let (next, acknowledged) = self.nonces[owner];
        (next == acknowledged).then(|| &self.accounts[owner])
    }

    /// Calls the contract of the validators.
    pub(crate) fn call(&mut self, call: &ValidatorsCall) -> Transaction {
        let action = call.action(self.genesis.parameters.validator_stake);
        self.sign(usize::from(ACCOUNTS), |draft| draft.action(action))
    }

    fn sign(&mut self, from: usize, say: impl FnOnce(Draft) -> Draft) -> Transaction {
        let nonce = self.nonces[from].0;
        self.nonces[from].0 += 1;
        let draft = Draft::new(&self.genesis, &self.accounts[from], nonce);
        let transaction = say(draft).valid_until(90_000).sign();
        self.open
            .insert(transaction.hash(), (from, transaction.clone()));
        transaction
    }

    /// What is not acknowledged yet.
    pub(crate) fn open(&self) -> impl Iterator<Item = Transaction> {
        self.open
            .values()
            .map(|(_, transaction)| transaction.clone())
    }

    /// Whether a client has signed the transaction.
    pub(crate) fn has_signed(&self, hash: &TransactionHash) -> bool {
        self.open.contains_key(hash) || self.acknowledged.contains_key(hash)
    }

    pub(crate) fn acknowledge(&mut self, hash: TransactionHash, height: Height) {
        if let Some((from, _transaction)) = self.open.remove(&hash) {
            self.nonces[from].1 += 1;
            self.acknowledged.insert(hash, height);
        }
    }
}
