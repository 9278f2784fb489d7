//! Say of a hostile contract what it attacks and how it must end.

use kumiki_protocol::{Action, Gas, ResultCode, Transaction, sha3_256};

use crate::chain::{Chain, GAS_LIMIT};

/// A contract that means harm.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name in tables and golden files.
    pub name: String,
    /// What it tries.
    pub attacks: &'static str,
    /// Its Wasm, or what it hands out as such.
    pub code: Vec<u8>,
    /// How it must end.
    pub end: End,
    /// The gas that the attack may ask for.
    pub gas_limit: Gas,
    /// Gas of the deployment.
    pub deploy_gas_limit: Gas,
}

/// How a hostile contract must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Its deployment is refused as `InvalidCode`, and whoever checks it first is told this rule.
    Refused(&'static str),
    /// Its deployment fails with this code.
    DeployFails(ResultCode),
    /// It is deployed, and a call of it fails with this code.
    CallFails(ResultCode),
    /// It is deployed, and a call of it succeeds and returns these bytes.
    CallReturns(Vec<u8>),
    /// It is deployed, and a call of it succeeds, whatever it returns.
    CallSucceeds,
}

impl Case {
    /// A case that ends so within the usual gas.
    pub fn new(name: impl Into<String>, attacks: &'static str, code: Vec<u8>, end: End) -> Self {
        Self {
            name: name.into(),
            attacks,
            code,
            end,
            gas_limit: GAS_LIMIT,
            deploy_gas_limit: 1_000_000_000,
        }
    }

    /// A deployment that is refused for this rule.
    pub fn refused(
        name: impl Into<String>,
        attacks: &'static str,
        code: Vec<u8>,
        rule: &'static str,
    ) -> Self {
        Self::new(name, attacks, code, End::Refused(rule))
    }

    /// A call that fails with this code.
    pub fn fails(
        name: impl Into<String>,
        attacks: &'static str,
        code: Vec<u8>,
        with: ResultCode,
    ) -> Self {
        Self::new(name, attacks, code, End::CallFails(with))
    }

    /// A call that succeeds and returns `bytes`.
    pub fn returns(
        name: impl Into<String>,
        attacks: &'static str,
        code: Vec<u8>,
        bytes: &[u8],
    ) -> Self {
        Self::new(name, attacks, code, End::CallReturns(bytes.to_vec()))
    }

    /// A call that succeeds: what it does is harmless, or paid for.
    pub fn succeeds(name: impl Into<String>, attacks: &'static str, code: Vec<u8>) -> Self {
        Self::new(name, attacks, code, End::CallSucceeds)
    }

    /// The same with another gas limit of the call.
    #[must_use]
    pub fn with_gas(self, gas_limit: Gas) -> Self {
        Self { gas_limit, ..self }
    }

    /// Whether its deployment must succeed.
    #[must_use]
    pub const fn is_deployed(&self) -> bool {
        !matches!(self.end, End::Refused(_) | End::DeployFails(_))
    }

    /// The transaction that deploys it.
    #[must_use]
    pub fn deployment(&self, chain: &Chain) -> Transaction {
        chain.transaction(vec![self.deploy_action(chain)], self.deploy_gas_limit)
    }

    /// The deployment alone.
    #[must_use]
    pub fn deploy_action(&self, chain: &Chain) -> Action {
        chain.deploy_action(&self.code, self.salt())
    }

    /// Another one for each case, as some have the same code.
    fn salt(&self) -> [u8; 32] {
        sha3_256(&[self.name.as_bytes()]).0
    }

    /// The call that attacks, once it is deployed. Its input is the accomplice's address and the hash of its own code.
    #[must_use]
    pub fn attack(&self, chain: &Chain) -> Transaction {
        chain.transaction(vec![self.attack_action(chain)], self.gas_limit)
    }

    /// The call alone.
    #[must_use]
    pub fn attack_action(&self, chain: &Chain) -> Action {
        let hash = sha3_256(&[&self.code]);
        Action::Call {
            contract: chain.address_of(&self.code, self.salt()),
            input: [chain.accomplice.0, hash.0].concat(),
            value: 0,
        }
    }
}
