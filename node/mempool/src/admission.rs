//! Check a submitted transaction, cheapest check first: form, chain, prices, heights; then account; then signature.

use std::sync::Arc;

use kumiki_protocol::{
    AccountRecord, Amount, ChainKind, Decode, Encode, Gas, Hash, Height, Transaction,
    TransactionBody, limits, sha3_256, state_key,
};
use kumiki_state::{StateError, StateReader};

use crate::{Candidate, Refusal};

/// What admission needs to know of the chain, constant over its life.
#[derive(Debug, Clone)]
pub struct ChainRules {
    /// Hash of the genesis.
    pub genesis_hash: Hash,
    /// What the chain is for.
    pub kind: ChainKind,
    /// The least gas price, in base units.
    pub gas_price_min: u64,
    /// The most gas that the transactions of a block may ask for together.
    pub block_gas_max: Gas,
    /// The most bytes of the transactions of a block.
    pub block_bytes_max: usize,
    /// Gas that every transaction uses.
    pub transaction_gas: Gas,
    /// Gas that every byte of a transaction uses on top.
    pub transaction_gas_per_byte: Gas,
}

/// A candidate with the bytes its signature is over.
pub(crate) struct Unverified {
    pub(crate) candidate: Candidate,
    pub(crate) sign_bytes: Vec<u8>,
}

impl ChainRules {
    /// Checks what needs no account and no signature, and computes hash, size and cost.
    pub(crate) fn check(
        &self,
        transaction: Transaction,
        next_height: Height,
    ) -> Result<Unverified, Refusal> {
        let body = &transaction.body;
        body.check_form()?;
        body.check_kind(self.kind)?;
        if body.genesis_hash != self.genesis_hash {
            return Err(Refusal::WrongChain {
                expected: self.genesis_hash,
                found: body.genesis_hash,
            });
        }
        if body.gas_price < self.gas_price_min {
            return Err(Refusal::GasPriceTooLow {
                found: body.gas_price,
                minimum: self.gas_price_min,
            });
        }
        let size = transaction.encoded_size();
        let maximum = self.block_bytes_max.min(limits::TRANSACTION_BYTES_MAX);
        if size > maximum {
            return Err(Refusal::TooLarge {
                found: size,
                maximum,
            });
        }
        self.check_gas_limit(body, size)?;
        check_valid_until(body.valid_until, next_height)?;
        let sign_bytes = body.sign_bytes();
        let hash = sha3_256(&[&sign_bytes]);
        let sender = body.sender_address();
        let value = body.value().unwrap_or(Amount::MAX);
        let cost = body.fee_cap().saturating_add(value);
        Ok(Unverified {
            candidate: Candidate {
                transaction: Arc::new(transaction),
                hash,
                sender,
                size,
                cost,
            },
            sign_bytes,
        })
    }

    fn check_gas_limit(&self, body: &TransactionBody, size: usize) -> Result<(), Refusal> {
        let found = body.gas_limit;
        let bytes = u64::try_from(size).unwrap_or(u64::MAX);
        let minimum = self
            .transaction_gas_per_byte
            .saturating_mul(bytes)
            .saturating_add(self.transaction_gas);
        let maximum = match body.code_gas() {
            0 => self.block_gas_max,
            _ => self.block_gas_max.min(limits::BLOCK_CODE_GAS_MAX),
        };
        if found < minimum || found > maximum {
            return Err(Refusal::GasLimitOutOfRange {
                found,
                minimum,
                maximum,
            });
        }
        Ok(())
    }
}

fn check_valid_until(valid_until: Height, next_height: Height) -> Result<(), Refusal> {
    if valid_until < next_height {
        return Err(Refusal::Expired {
            valid_until,
            next_height,
        });
    }
    // The same bound the executor applies at `next_height`.
    let maximum = next_height.saturating_add(limits::VALID_UNTIL_WINDOW_MAX);
    if valid_until > maximum {
        return Err(Refusal::ValidUntilTooFar {
            valid_until,
            maximum,
        });
    }
    Ok(())
}

/// The account record of `address`; all zeros where there is none.
pub(crate) fn read_account(
    state: &dyn StateReader,
    address: &kumiki_protocol::Address,
) -> Result<AccountRecord, StateError> {
    let Some(bytes) = state.get(&state_key::account(address))? else {
        return Ok(AccountRecord::default());
    };
    AccountRecord::decode(&mut bytes.as_slice()).map_err(|error| StateError {
        reason: format!("account record of {address}: {error}"),
    })
}
