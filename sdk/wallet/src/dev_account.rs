//! Publish the accounts that hold funds on every dev chain, and refuse them on every other.
//!
//! Anyone can spend from these: the seed of `name` is SHA3-256 over `kumiki/dev-account/v1/` and `name`.

use kumiki_protocol::{
    Address, ChainKind, DEV_ACCOUNT_NAMES, PublicKey, SecretKey, dev_account_key,
};

/// The names of the published accounts; the first is the one that tools use unless told otherwise.
pub const NAMES: [&str; 6] = DEV_ACCOUNT_NAMES;

/// A published account.
#[derive(Clone, Debug)]
pub struct DevAccount {
    /// Its name, one of [`NAMES`].
    pub name: &'static str,
    /// Its address.
    pub address: Address,
    /// Its key, which is no secret.
    pub key: SecretKey,
}

/// A published key was about to be used where it would give funds away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{name}' is a published dev account: anyone can spend from it, so it is refused off dev chains"
)]
pub struct DevKeyRefused {
    /// The account's name.
    pub name: &'static str,
}

/// Every published account, in the order of [`NAMES`].
#[must_use]
pub fn all() -> Vec<DevAccount> {
    NAMES.iter().map(|name| account(name)).collect()
}

/// The published account called `name`.
#[must_use]
pub fn find(name: &str) -> Option<DevAccount> {
    NAMES
        .iter()
        .find(|one| **one == name)
        .map(|one| account(one))
}

/// Checks that `key` may sign on a chain of this kind.
///
/// # Errors
/// `DevKeyRefused` when it is published and the chain is no dev chain.
pub fn check_allowed(key: &PublicKey, kind: ChainKind) -> Result<(), DevKeyRefused> {
    if kind == ChainKind::Dev {
        return Ok(());
    }
    match published_name(key) {
        Some(name) => Err(DevKeyRefused { name }),
        None => Ok(()),
    }
}

/// The name of the published account that has `key`, if one has.
#[must_use]
pub fn published_name(key: &PublicKey) -> Option<&'static str> {
    all()
        .into_iter()
        .find(|one| one.key.public_key() == *key)
        .map(|one| one.name)
}

fn account(name: &'static str) -> DevAccount {
    let key = dev_account_key(name);
    DevAccount {
        name,
        address: Address::of_account(&key.public_key()),
        key,
    }
}

#[cfg(test)]
mod tests {
    use kumiki_protocol::sha3_256;

    use super::*;

    #[test]
    fn published_keys_are_refused_off_dev_chains_only() {
        let alice = find("alice").unwrap().key.public_key();
        let own = SecretKey::from_seed([9; 32]).public_key();
        assert_eq!(
            check_allowed(&alice, ChainKind::Live),
            Err(DevKeyRefused { name: "alice" })
        );
        assert_eq!(check_allowed(&alice, ChainKind::Dev), Ok(()));
        assert_eq!(check_allowed(&own, ChainKind::Live), Ok(()));
    }

    #[test]
    fn published_addresses_never_change() {
        let alice = find("alice").unwrap();
        assert_eq!(
            alice.key.to_seed(),
            sha3_256(&[b"kumiki/dev-account/v1/alice"]).0
        );
        assert_eq!(alice.address, Address::of_account(&alice.key.public_key()));
        assert_eq!(all().len(), NAMES.len());
    }
}
