//! Describe a transaction: an atomic list of actions, signed once.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the SCALE derive takes variant numbers from usize"
)]

use parity_scale_codec::{Decode, Encode};

use crate::{
    Address, Amount, ChainKind, DecodeError, Gas, Hash, Height, Nonce, PublicKey, SecretKey,
    Signature, SignatureError, decode_bounded, limits, sha3_256,
};

/// The id of a transaction: SHA3-256 over its signed bytes, so that no second signature makes a second id.
pub type TransactionHash = Hash;

const SIGN_DOMAIN: &[u8] = b"kumiki/transaction/v1";
/// The only `TransactionBody::version` there is.
const VERSION: u8 = 1;

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Action {
    /// Moves native tokens.
    #[codec(index = 0)]
    Transfer {
        /// Who receives them.
        to: Address,
        /// How many, in base units.
        amount: Amount,
    },
    /// Calls a contract.
    #[codec(index = 1)]
    Call {
        /// The contract.
        contract: Address,
        /// Selector and SCALE arguments.
        input: Vec<u8>,
        /// Native tokens sent along, in base units.
        value: Amount,
    },
    /// Stores code where it is new, makes a contract from it and runs its `init`.
    #[codec(index = 2)]
    Deploy {
        /// The Wasm.
        code: Vec<u8>,
        /// Makes addresses differ that would otherwise be equal.
        salt: [u8; 32],
        /// SCALE arguments of `init`.
        input: Vec<u8>,
        /// Native tokens sent along, in base units.
        value: Amount,
        /// Who may upgrade the contract; nobody if `None`.
        admin: Option<Address>,
    },
    /// Gives a contract new code and runs the new code's `migrate`. Only for the contract's admin.
    #[codec(index = 3)]
    Upgrade {
        /// The contract.
        contract: Address,
        /// The new Wasm.
        code: Vec<u8>,
        /// SCALE arguments of `migrate`.
        input: Vec<u8>,
    },
    /// Gives a contract new code and runs nothing: for code that reads what is stored as it is. Only for the
    /// contract's admin.
    #[codec(index = 4)]
    ReplaceCode {
        /// The contract.
        contract: Address,
        /// The new Wasm.
        code: Vec<u8>,
    },
    /// Sets what an account holds. Only on a chain for development.
    #[codec(index = 128)]
    SetBalance {
        /// The account, or contract.
        account: Address,
        /// What it holds from now on, in base units.
        balance: Amount,
    },
    /// Has the steps after this one taken by an account that did not sign; the fee stays the signer's. Only on a chain
    /// for development.
    #[codec(index = 129)]
    Impersonate {
        /// The account, or contract.
        account: Address,
    },
}

/// What a sender signs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TransactionBody {
    /// Format of this structure, 1.
    pub version: u8,
    /// The chain this is meant for; a signature for one chain is void on every other.
    pub genesis_hash: Hash,
    /// The signer; the sending account is [`Address::of_account`] of it.
    pub sender: PublicKey,
    /// How many transactions of the sender were executed before this one.
    pub nonce: Nonce,
    /// The most gas this may use. `gas_limit * gas_price` is the fee cap, reserved before execution.
    pub gas_limit: Gas,
    /// Base units paid for each unit of gas used.
    pub gas_price: u64,
    /// The last height at which this may be executed. After it, the answer is certain: it never will be.
    pub valid_until: Height,
    /// The steps, all or none of which happen.
    pub actions: Vec<Action>,
}

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Transaction {
    /// What was signed.
    pub body: TransactionBody,
    /// The sender's signature over [`TransactionBody::sign_bytes`].
    pub signature: Signature,
}

/// Why a transaction can be executed in no state of no chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The version is unknown.
    #[error("transaction version {found}, this chain knows {VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// The nonce, gas limit or `valid_until` is larger than JSON numbers are exact for.
    #[error("{field} is {found}, at most {max} is allowed", max = limits::JSON_INTEGER_MAX)]
    NumberTooLarge {
        /// Which of them.
        field: &'static str,
        /// Its value.
        found: u64,
    },
    /// There is no action.
    #[error("the transaction has no action")]
    NoAction,
    /// There are too many actions.
    #[error("{found} actions, at most {max} are allowed", max = limits::ACTIONS_MAX)]
    TooManyActions {
        /// How many there are.
        found: usize,
    },
    /// A call's, deploy's or upgrade's input is too long.
    #[error("action {action}: {found} bytes of input, at most {max} are allowed", max = limits::CALL_DATA_BYTES_MAX)]
    InputTooLong {
        /// Position of the action.
        action: usize,
        /// How many bytes it has.
        found: usize,
    },
    /// The code of a deploy, upgrade or replacement is too long.
    #[error("action {action}: {found} bytes of code, at most {max} are allowed", max = limits::CODE_BYTES_MAX)]
    CodeTooLong {
        /// Position of the action.
        action: usize,
        /// How many bytes it has.
        found: usize,
    },
    /// A balance is set so high that sums of balances could leave their range.
    #[error("action {action}: a balance of at most {max} base units can be set", max = limits::SET_BALANCE_MAX)]
    BalanceTooLarge {
        /// Position of the action.
        action: usize,
    },
    /// An action is one for development, and the chain is not.
    #[error("action {action} is allowed on a chain for development only")]
    DevelopmentOnly {
        /// Position of the action.
        action: usize,
    },
}

impl TransactionBody {
    /// The account that sends and pays.
    #[must_use]
    pub fn sender_address(&self) -> Address {
        Address::of_account(&self.sender)
    }

    /// The bytes a sender signs: the domain, then the SCALE encoding of this body.
    #[must_use]
    pub fn sign_bytes(&self) -> Vec<u8> {
        let mut bytes = SIGN_DOMAIN.to_vec();
        self.encode_to(&mut bytes);
        bytes
    }

    /// The transaction's id.
    #[must_use]
    pub fn hash(&self) -> TransactionHash {
        sha3_256(&[&self.sign_bytes()])
    }

    /// The most that execution can cost, in base units, values sent along not counted.
    #[must_use]
    pub fn fee_cap(&self) -> Amount {
        Amount::from(self.gas_limit).saturating_mul(Amount::from(self.gas_price))
    }

    /// Signs this body. The key should be `sender`'s; nothing else verifies.
    #[must_use]
    pub fn sign(self, key: &SecretKey) -> Transaction {
        let signature = key.sign(&self.sign_bytes());
        Transaction {
            body: self,
            signature,
        }
    }

    /// Checks what can be checked without a state.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_form(&self) -> Result<(), FormError> {
        if self.version != VERSION {
            return Err(FormError::Version {
                found: self.version,
            });
        }
        let numbers = [
            ("nonce", self.nonce),
            ("gas_limit", self.gas_limit),
            ("valid_until", self.valid_until),
        ];
        for (field, found) in numbers {
            if found > limits::JSON_INTEGER_MAX {
                return Err(FormError::NumberTooLarge { field, found });
            }
        }
        if self.actions.is_empty() {
            return Err(FormError::NoAction);
        }
        if self.actions.len() > limits::ACTIONS_MAX {
            return Err(FormError::TooManyActions {
                found: self.actions.len(),
            });
        }
        for (index, action) in self.actions.iter().enumerate() {
            action.check_form(index)?;
        }
        Ok(())
    }

    /// Checks that a chain of this kind knows all actions.
    ///
    /// # Errors
    /// `DevelopmentOnly`.
    pub fn check_kind(&self, kind: ChainKind) -> Result<(), FormError> {
        let for_development = |action: &Action| {
            matches!(
                action,
                Action::SetBalance { .. } | Action::Impersonate { .. }
            )
        };
        match self.actions.iter().position(for_development) {
            Some(action) if kind != ChainKind::Dev => Err(FormError::DevelopmentOnly { action }),
            _ => Ok(()),
        }
    }

    /// Native tokens that the actions move from the signer, in base units; `None` beyond what an amount can hold.
    #[must_use]
    pub fn value(&self) -> Option<Amount> {
        self.actions
            .iter()
            .take_while(|action| !matches!(action, Action::Impersonate { .. }))
            .try_fold(0, |sum: Amount, action| sum.checked_add(action.value()))
    }

    /// The Wasm that the actions bring along.
    pub fn codes(&self) -> impl Iterator<Item = &[u8]> {
        self.actions.iter().filter_map(Action::code)
    }

    /// Gas that this asks a block for as one that brings code ([`limits::BLOCK_CODE_GAS_MAX`]).
    #[must_use]
    pub fn code_gas(&self) -> Gas {
        match self.codes().next() {
            Some(_) => self.gas_limit,
            None => 0,
        }
    }

    /// The version that this crate writes.
    #[must_use]
    pub const fn current_version() -> u8 {
        VERSION
    }
}

impl Action {
    fn check_form(&self, index: usize) -> Result<(), FormError> {
        let input = match self {
            Self::SetBalance { balance, .. } if *balance > limits::SET_BALANCE_MAX => {
                return Err(FormError::BalanceTooLarge { action: index });
            }
            Self::Call { input, .. } | Self::Deploy { input, .. } | Self::Upgrade { input, .. } => {
                input.len()
            }
            Self::Transfer { .. }
            | Self::ReplaceCode { .. }
            | Self::SetBalance { .. }
            | Self::Impersonate { .. } => 0,
        };
        if input > limits::CALL_DATA_BYTES_MAX {
            return Err(FormError::InputTooLong {
                action: index,
                found: input,
            });
        }
        match self.code() {
            Some(code) if code.len() > limits::CODE_BYTES_MAX => Err(FormError::CodeTooLong {
                action: index,
                found: code.len(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn code(&self) -> Option<&[u8]> {
        match self {
            Self::Deploy { code, .. }
            | Self::Upgrade { code, .. }
            | Self::ReplaceCode { code, .. } => Some(code),
            Self::Transfer { .. }
            | Self::Call { .. }
            | Self::SetBalance { .. }
            | Self::Impersonate { .. } => None,
        }
    }

    /// Native tokens that this action moves from whoever takes the step, in base units.
    #[must_use]
    pub const fn value(&self) -> Amount {
        match self {
            Self::Transfer { amount, .. } => *amount,
            Self::Call { value, .. } | Self::Deploy { value, .. } => *value,
            Self::Upgrade { .. }
            | Self::ReplaceCode { .. }
            | Self::SetBalance { .. }
            | Self::Impersonate { .. } => 0,
        }
    }
}

impl Transaction {
    /// Decodes a transaction from outside and checks its form, not its signature.
    ///
    /// # Errors
    /// `DecodeError` when the bytes are too many, malformed or break a rule of form.
    pub fn decode_checked(bytes: &[u8]) -> Result<Self, DecodeError> {
        let transaction: Self = decode_bounded(bytes, limits::TRANSACTION_BYTES_MAX)?;
        transaction
            .body
            .check_form()
            .map_err(|error| DecodeError::Malformed {
                reason: error.to_string(),
            })?;
        Ok(transaction)
    }

    /// Verifies the signature.
    ///
    /// # Errors
    /// `SignatureError` when it is not `sender`'s signature over this body.
    pub fn verify_signature(&self) -> Result<(), SignatureError> {
        self.body
            .sender
            .verify(&self.body.sign_bytes(), &self.signature)
    }

    /// The transaction's id.
    #[must_use]
    pub fn hash(&self) -> TransactionHash {
        self.body.hash()
    }
}
