//! Describe what is asked of a contract and what came of it.

use std::sync::Arc;

use kumiki_abi::{EXPORT_CALL, EXPORT_INIT, EXPORT_MIGRATE, EXPORT_QUERY};
use kumiki_protocol::{Address, Amount, Gas, Hash, ResultCode};

/// Which export runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// Makes a contract's first state.
    Init,
    /// May change state.
    Call,
    /// May not change state.
    Query,
    /// Takes over the state of older code.
    Migrate,
}

impl Entry {
    pub(crate) const ALL: [Self; 4] = [Self::Init, Self::Call, Self::Query, Self::Migrate];

    /// The name of its export.
    #[must_use]
    pub const fn export(self) -> &'static str {
        match self {
            Self::Init => EXPORT_INIT,
            Self::Call => EXPORT_CALL,
            Self::Query => EXPORT_QUERY,
            Self::Migrate => EXPORT_MIGRATE,
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// A call of a contract.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who calls; `value` is taken from it.
    pub caller: Address,
    /// The contract.
    pub contract: Address,
    /// [`Entry::Call`] or [`Entry::Query`]; others end as `NotAllowed`.
    pub entry: Entry,
    /// Selector and arguments.
    pub input: Vec<u8>,
    /// Native tokens moved to the contract first, in base units.
    pub value: Amount,
    /// The most gas it may use.
    pub gas: Gas,
}

/// Where a deployment's or upgrade's code comes from.
#[derive(Clone, Debug)]
pub enum CodeSource {
    /// These bytes; stored if they are new to the chain.
    Bytes(Arc<[u8]>),
    /// Code that the chain stores already.
    Stored(Hash),
}

/// The making of a contract.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Who deploys; `value` is taken from it.
    pub deployer: Address,
    /// Who may upgrade it by transaction; nobody if `None`.
    pub admin: Option<Address>,
    /// Its code.
    pub code: CodeSource,
    /// Makes addresses differ that would otherwise be equal.
    pub salt: [u8; 32],
    /// Arguments of `init`.
    pub input: Vec<u8>,
    /// Native tokens moved to the contract first, in base units.
    pub value: Amount,
    /// The most gas it may use.
    pub gas: Gas,
}

/// A contract's switch to other code.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// The contract.
    pub contract: Address,
    /// Its new code.
    pub code: CodeSource,
    /// Arguments of `migrate`.
    pub input: Vec<u8>,
    /// The most gas it may use.
    pub gas: Gas,
    /// Who asks: `Some` must be the admin, `None` is the contract itself.
    pub sender: Option<Address>,
}

/// A contract's switch to other code that reads what is stored as it is.
#[derive(Clone, Debug)]
pub struct CodeReplacement {
    /// The contract.
    pub contract: Address,
    /// Its new code.
    pub code: CodeSource,
    /// The most gas it may use.
    pub gas: Gas,
    /// Who asks, who must be the admin.
    pub sender: Address,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended. Unless `Ok`, it changed nothing.
    pub code: ResultCode,
    /// What it returned, or what it reverted with; else empty.
    pub data: Vec<u8>,
    /// Gas used, at most what was given.
    pub gas_used: Gas,
}
