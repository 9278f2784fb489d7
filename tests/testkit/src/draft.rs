//! Write transactions with one line per thing that matters to a test.

use kumiki_protocol::{
    Action, Address, Amount, Gas, Genesis, Hash, Height, Nonce, Transaction, TransactionBody,
};

use crate::Account;

/// A transaction in the making: valid for [`crate::genesis`] unless a test says otherwise.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What will be signed; tests may change any of it.
    pub body: TransactionBody,
    sender: Account,
}

impl Draft {
    /// A transaction without actions, from `sender`, for the chain of `genesis`.
    #[must_use]
    pub fn new(genesis: &Genesis, sender: &Account, nonce: Nonce) -> Self {
        Self {
            body: TransactionBody {
                version: TransactionBody::current_version(),
                genesis_hash: genesis.hash(),
                sender: sender.public_key(),
                nonce,
                gas_limit: 10_000_000,
                gas_price: genesis.parameters.gas_price_min,
                valid_until: 100,
                actions: Vec::new(),
            },
            sender: sender.clone(),
        }
    }

    /// Adds an action.
    #[must_use]
    pub fn action(mut self, action: Action) -> Self {
        self.body.actions.push(action);
        self
    }

    /// Adds a transfer of native tokens.
    #[must_use]
    pub fn transfer(self, to: &Address, amount: Amount) -> Self {
        self.action(Action::Transfer { to: *to, amount })
    }

    /// Adds a call that sends no tokens along.
    #[must_use]
    pub fn call(self, contract: &Address, input: &[u8]) -> Self {
        self.action(Action::Call {
            contract: *contract,
            input: input.to_vec(),
            value: 0,
        })
    }

    /// Adds a deploy with a salt of zeros, no tokens and the sender as admin.
    #[must_use]
    pub fn deploy(self, code: &[u8], input: &[u8]) -> Self {
        let admin = Some(self.sender.address);
        self.action(Action::Deploy {
            code: code.to_vec(),
            salt: [0; 32],
            input: input.to_vec(),
            value: 0,
            admin,
        })
    }

    /// Sets the gas limit.
    #[must_use]
    pub fn gas_limit(mut self, gas_limit: Gas) -> Self {
        self.body.gas_limit = gas_limit;
        self
    }

    /// Sets the price of a unit of gas.
    #[must_use]
    pub fn gas_price(mut self, gas_price: u64) -> Self {
        self.body.gas_price = gas_price;
        self
    }

    /// Sets the last height at which it may be executed.
    #[must_use]
    pub fn valid_until(mut self, valid_until: Height) -> Self {
        self.body.valid_until = valid_until;
        self
    }

    /// Signs it. A transfer of one unit to the zero address stands in where there is no action.
    #[must_use]
    pub fn sign(mut self) -> Transaction {
        if self.body.actions.is_empty() {
            self = self.transfer(&Address(Hash::ZERO.0), 1);
        }
        self.body.sign(&self.sender.key)
    }
}
