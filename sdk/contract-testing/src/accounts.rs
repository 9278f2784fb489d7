//! Make the accounts of a test chain, and the genesis in which they hold funds.

use kumiki_contract::{Address, Balance};
use kumiki_protocol::{ChainKind, Genesis, GenesisAccount, Parameters, SecretKey, sha3_256};

/// How many accounts a test chain has.
const ACCOUNTS: u8 = 10;
/// What each holds at first, in base units.
const ACCOUNT_BALANCE: Balance = 1_000_000_000_000_000_000;
/// The most gas one message may use: the limit of a block.
pub(crate) const GAS_LIMIT: u64 = 1_000_000_000;
/// Time of the first block; a fixed one, so that tests repeat.
pub(crate) const START_MS: u64 = 1_800_000_000_000;
/// Time from one block to the next.
pub(crate) const BLOCK_MS: u64 = 1_000;

/// An account of the test chain.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its address.
    pub address: Address,
    pub(crate) key: SecretKey,
}

impl Account {
    fn new(number: u8) -> Self {
        let key = SecretKey::from_seed(sha3_256(&[b"kumiki/test-account", &[number]]).0);
        let address = kumiki_protocol::Address::of_account(&key.public_key());
        Self {
            address: Address(address.0),
            key,
        }
    }

    /// The account's ed25519 signature of a message, for contracts that verify signatures.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).0
    }

    /// The account's ed25519 public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.key.public_key().0
    }
}

/// The accounts, in order.
pub(crate) fn all() -> Vec<Account> {
    (0..ACCOUNTS).map(Account::new).collect()
}

pub(crate) fn proposer() -> SecretKey {
    SecretKey::from_seed([0xee; 32])
}

pub(crate) fn genesis(accounts: &[Account]) -> Genesis {
    Genesis {
        chain_id: "test".to_owned(),
        kind: ChainKind::Dev,
        time_ms: START_MS - BLOCK_MS,
        certificate_scheme: "ed25519".to_owned(),
        validators: vec![proposer().public_key()],
        accounts: accounts
            .iter()
            .map(|account| GenesisAccount {
                address: kumiki_protocol::Address(account.address.0),
                balance: ACCOUNT_BALANCE,
            })
            .collect(),
        parameters: Parameters {
            execution_lag: 0,
            epoch_blocks: u32::MAX,
            validator_stake: 1,
            gas_price_min: 0,
            block_gas_max: GAS_LIMIT,
            block_bytes_max: 4 << 20,
        },
    }
}
