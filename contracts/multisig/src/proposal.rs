//! Say what a wallet can do, and what owners make of it.

use kumiki_contract::prelude::*;

/// Who owns the wallet.
#[data]
pub struct Owners {
    /// Each once.
    pub addresses: Vec<Address>,
    /// How many of them it takes.
    pub threshold: u32,
}

/// What the wallet can do.
#[data]
pub enum Action {
    /// Sends native tokens.
    Transfer {
        /// To whom.
        to: Address,
        /// Base units.
        amount: Balance,
    },
    /// Calls another contract.
    Call {
        /// Which.
        contract: Address,
        /// Selector and SCALE arguments.
        input: Vec<u8>,
        /// Base units that go along.
        amount: Balance,
    },
    /// Changes who owns the wallet. There is no other way.
    SetOwners {
        /// All owners from then on.
        owners: Owners,
    },
}

/// Something that an owner wants done.
#[data]
pub struct Proposal {
    /// What.
    pub action: Action,
    /// Owners who want it done.
    pub confirmed_by: Vec<Address>,
    /// From this block time on it cannot be confirmed or executed.
    pub expires_ms: u64,
    /// Which owners it was proposed to.
    pub generation: u64,
    /// Whether it was done.
    pub executed: bool,
}
