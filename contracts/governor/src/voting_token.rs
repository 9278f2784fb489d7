//! Hold what voters lock, and know the token by the messages that move it.

use kumiki_contract::prelude::*;

/// Tokens of one voter.
#[data]
pub struct Lock {
    /// Base units.
    pub amount: Balance,
    /// Until when they stay: the end of the last vote that they took part in.
    pub until_ms: u64,
}

/// What of the token is used here.
#[contract_ref]
pub trait Token {
    /// Moves the caller's tokens.
    fn transfer(&mut self, to: Address, amount: Balance) -> Result<(), TokenError>;
    /// Moves tokens that the caller may spend.
    fn transfer_from(
        &mut self,
        from: Address,
        to: Address,
        amount: Balance,
    ) -> Result<(), TokenError>;
}

/// Why the token refuses, as far as it does here.
#[data]
pub enum TokenError {
    /// The payer holds too little.
    InsufficientBalance {
        /// What the payer holds.
        available: Balance,
    },
    /// The governor may spend less.
    InsufficientAllowance {
        /// What it may spend.
        available: Balance,
    },
}
