//! Know the keys that everybody knows: they are for dev chains, and a live chain begins with none of them.

use crate::{Address, PublicKey, SecretKey, sha3_256};

const ACCOUNT_DOMAIN: &[u8] = b"kumiki/dev-account/v1/";
const VALIDATOR_SEED: &[u8] = b"kumiki/dev-validator/v1";

/// The names of the accounts that hold funds on every dev chain.
pub const DEV_ACCOUNT_NAMES: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];

/// The key of the dev account called `name`, which is no secret.
#[must_use]
pub fn dev_account_key(name: &str) -> SecretKey {
    SecretKey::from_seed(sha3_256(&[ACCOUNT_DOMAIN, name.as_bytes()]).0)
}

/// The key that seals every dev chain. It is published: a dev chain's certificates prove nothing to others.
#[must_use]
pub fn dev_validator_key() -> SecretKey {
    SecretKey::from_seed(sha3_256(&[VALIDATOR_SEED]).0)
}

/// All published keys.
pub(crate) fn published_keys() -> Vec<PublicKey> {
    let accounts = DEV_ACCOUNT_NAMES.iter().map(|name| dev_account_key(name));
    accounts
        .chain([dev_validator_key()])
        .map(|key| key.public_key())
        .collect()
}

/// The accounts of all published keys.
pub(crate) fn published_addresses() -> Vec<Address> {
    published_keys().iter().map(Address::of_account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChainKind, Genesis, GenesisAccount, GenesisError, Parameters};

    fn genesis(kind: ChainKind, validator: PublicKey, account: PublicKey) -> Genesis {
        Genesis {
            chain_id: "test".to_owned(),
            kind,
            time_ms: 0,
            certificate_scheme: "ed25519".to_owned(),
            validators: vec![validator],
            accounts: vec![GenesisAccount {
                address: Address::of_account(&account),
                balance: 1,
            }],
            parameters: Parameters {
                execution_lag: 0,
                epoch_blocks: u32::MAX,
                validator_stake: 1,
                gas_price_min: 1,
                block_gas_max: 1_000_000_000,
                block_bytes_max: 4 << 20,
            },
        }
    }

    #[test]
    fn a_live_chain_gives_published_keys_neither_seat_nor_funds() {
        let own = SecretKey::from_seed([9; 32]).public_key();
        let published = published_keys();
        assert_eq!(published.len(), 7);
        for key in published {
            for (validator, account) in [(key, own), (own, key)] {
                let live = genesis(ChainKind::Live, validator, account).check();
                assert!(
                    matches!(live, Err(GenesisError::Published { .. })),
                    "{live:?}"
                );
                assert_eq!(genesis(ChainKind::Dev, validator, account).check(), Ok(()));
            }
        }
        assert_eq!(genesis(ChainKind::Live, own, own).check(), Ok(()));
    }
}
