//! Describe the first state of a chain and the parameters that every node must share.

use parity_scale_codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::published_key::{published_addresses, published_keys};
use crate::{
    Address, Amount, Gas, Hash, Height, PublicKey, VALIDATORS_CONTRACT, ValidatorSet, limits,
    sha3_256,
};

const DOMAIN: &[u8] = b"kumiki/genesis/v1";

/// What a chain is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChainKind {
    /// For one developer: published keys hold funds, `dev_*` methods exist, nothing has value.
    #[codec(index = 0)]
    Dev,
    /// For everybody else: published keys are refused.
    #[codec(index = 1)]
    Live,
}

/// An account that exists from the start.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// Whose.
    pub address: Address,
    /// Native tokens in base units.
    #[serde(with = "decimal")]
    pub balance: Amount,
}

/// What the protocol leaves to each chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Blocks between a block and the header that holds its result: 0 on a solo chain.
    pub execution_lag: u8,
    /// Blocks of one epoch: the validators of an epoch sign all its blocks. Epoch e has the heights from e times this
    /// on; genesis counts as the first block of epoch 0.
    pub epoch_blocks: u32,
    /// What a validator puts down for its seat, in base units. Those of genesis have it from the start, minted beside
    /// the accounts.
    #[serde(with = "decimal")]
    pub validator_stake: Amount,
    /// The least that a transaction may pay for a unit of gas, in base units.
    pub gas_price_min: u64,
    /// The most gas that the transactions of one block may ask for together.
    pub block_gas_max: Gas,
    /// The most bytes that the transactions of one block may have together.
    pub block_bytes_max: u32,
}

/// The first state of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// A name for people, 1 to 32 of `a-z0-9-`.
    pub chain_id: String,
    /// What the chain is for.
    pub kind: ChainKind,
    /// Time of the genesis block, in milliseconds since 1970.
    pub time_ms: u64,
    /// The scheme of certificates: `ed25519`.
    pub certificate_scheme: String,
    /// The first validators.
    pub validators: Vec<PublicKey>,
    /// The first accounts.
    pub accounts: Vec<GenesisAccount>,
    /// What the protocol leaves to each chain.
    pub parameters: Parameters,
}

/// Why a genesis starts no chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The chain id is empty, too long or has other characters.
    #[error("chain_id '{found}' must be 1 to 32 of a-z, 0-9 and '-'")]
    ChainId {
        /// The chain id.
        found: String,
    },
    /// The scheme is unknown.
    #[error("certificate_scheme '{found}' is unknown, expected 'ed25519'")]
    Scheme {
        /// The scheme.
        found: String,
    },
    /// There is no validator, too many, or one twice.
    #[error("validators must be 1 to {max} different keys", max = limits::VALIDATORS_MAX)]
    Validators,
    /// A validator's key is none that a validator can have.
    #[error("validator {key} is no ed25519 key, or one that anybody can sign for")]
    ValidatorKey {
        /// The key.
        key: PublicKey,
    },
    /// There are too many accounts, one twice, or one that is the protocol's own.
    #[error("accounts must be at most {max} different addresses, none of a system contract", max = limits::GENESIS_ACCOUNTS_MAX)]
    Accounts,
    /// A live chain would give a seat or funds to a key that everybody knows.
    #[error(
        "{holder} belongs to a published key of dev chains: anyone could use it, so it has no seat and no funds on a live chain"
    )]
    Published {
        /// The validator's key, or the account's address.
        holder: String,
    },
    /// Balances and stakes do not fit 128 bits together.
    #[error("balances and stakes together exceed 2^128 - 1")]
    Supply,
    /// A parameter is zero or out of range.
    #[error("parameter {name} is out of range")]
    Parameter {
        /// Its name.
        name: &'static str,
    },
}

impl Parameters {
    /// The epoch that the block at `height` belongs to.
    #[must_use]
    pub fn epoch_of(&self, height: Height) -> u64 {
        height / u64::from(self.epoch_blocks.max(1))
    }

    /// The height of the first block of `epoch`.
    #[must_use]
    pub fn first_height(&self, epoch: u64) -> Height {
        epoch.saturating_mul(u64::from(self.epoch_blocks))
    }

    /// The height of the last block of `epoch`.
    #[must_use]
    pub fn last_height(&self, epoch: u64) -> Height {
        self.first_height(epoch.saturating_add(1)).saturating_sub(1)
    }

    /// The epoch whose validators the state after the block at `height` names under
    /// [`crate::state_key::validators`].
    #[must_use]
    pub fn validators_epoch(&self, height: Height) -> u64 {
        self.epoch_of(
            height
                .saturating_add(u64::from(self.execution_lag))
                .saturating_add(1),
        )
    }

    /// The height after whose block the state names the validators of the block at `height` under
    /// [`crate::state_key::validators`].
    #[must_use]
    pub fn validators_height(&self, height: Height) -> Height {
        height.saturating_sub(u64::from(self.execution_lag).saturating_add(1))
    }

    /// The epoch whose validators the block at `height` fixes as its last step, if it is one that does.
    #[must_use]
    pub fn fixes_validators_of(&self, height: Height) -> Option<u64> {
        let epoch = self.validators_epoch(height);
        let before = self.validators_epoch(height.checked_sub(1)?);
        (epoch != before).then_some(epoch)
    }
}

impl Genesis {
    /// What every transaction and header names the chain by.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha3_256(&[DOMAIN, &self.encode()])
    }

    /// The first validator set; `None` only where [`Self::check`] fails.
    #[must_use]
    pub fn validator_set(&self) -> Option<ValidatorSet> {
        ValidatorSet::new(self.validators.clone())
    }

    /// The stakes of the first validators together; `None` where they exceed 128 bits.
    #[must_use]
    pub fn stakes(&self) -> Option<Amount> {
        let count = Amount::try_from(self.validators.len()).ok()?;
        self.parameters.validator_stake.checked_mul(count)
    }

    /// Checks that this can start a chain.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), GenesisError> {
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let length = self.chain_id.len();
        if length == 0 || length > limits::CHAIN_ID_BYTES_MAX || !self.chain_id.bytes().all(named) {
            return Err(GenesisError::ChainId {
                found: self.chain_id.clone(),
            });
        }
        if self.certificate_scheme != "ed25519" {
            return Err(GenesisError::Scheme {
                found: self.certificate_scheme.clone(),
            });
        }
        self.validator_set().ok_or(GenesisError::Validators)?;
        if let Some(key) = self.validators.iter().find(|key| !key.is_validator_key()) {
            return Err(GenesisError::ValidatorKey { key: *key });
        }
        self.check_accounts()?;
        self.check_published()?;
        let parameters = &self.parameters;
        let in_range = [
            ("execution_lag", parameters.execution_lag <= 16),
            (
                "epoch_blocks",
                parameters.epoch_blocks
                    >= limits::EPOCH_BLOCKS_MIN.max(2 * u32::from(parameters.execution_lag)),
            ),
            ("validator_stake", parameters.validator_stake > 0),
            ("gas_price_min", parameters.gas_price_min > 0),
            (
                "block_gas_max",
                (10_000_000..=limits::BLOCK_GAS_MAX).contains(&parameters.block_gas_max),
            ),
            (
                "block_bytes_max",
                (1 << 20..=64 << 20).contains(&parameters.block_bytes_max),
            ),
        ];
        match in_range.iter().find(|(_, holds)| !holds) {
            Some((name, _)) => Err(GenesisError::Parameter { name }),
            None => Ok(()),
        }
    }

    fn check_published(&self) -> Result<(), GenesisError> {
        if self.kind == ChainKind::Dev {
            return Ok(());
        }
        let keys = published_keys();
        let validator = self.validators.iter().find(|key| keys.contains(key));
        let addresses = published_addresses();
        let mut accounts = self.accounts.iter().map(|one| one.address);
        let account = accounts.find(|address| addresses.contains(address));
        let holder = validator.map(ToString::to_string);
        match holder.or_else(|| account.map(|address| address.to_string())) {
            Some(holder) => Err(GenesisError::Published { holder }),
            None => Ok(()),
        }
    }

    fn check_accounts(&self) -> Result<(), GenesisError> {
        let mut addresses: Vec<&Address> = self.accounts.iter().map(|one| &one.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.len() != self.accounts.len()
            || self.accounts.len() > limits::GENESIS_ACCOUNTS_MAX
            || addresses.contains(&&VALIDATORS_CONTRACT)
        {
            return Err(GenesisError::Accounts);
        }
        let stakes = self.stakes().ok_or(GenesisError::Supply)?;
        self.accounts
            .iter()
            .try_fold(stakes, |sum, one| sum.checked_add(one.balance))
            .map(|_supply| ())
            .ok_or(GenesisError::Supply)
    }
}

/// Amounts in JSON are decimal strings: they exceed 2^53.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        amount: &u128,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(amount)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
