//! Name an account or a contract by 32 bytes, shown as bech32m `kumi1…`.

use std::fmt;
use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use parity_scale_codec::{Decode, Encode, MaxEncodedLen};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Hash, PublicKey, sha3_256};

/// The human-readable part of every address.
const PREFIX: Hrp = Hrp::parse_unchecked("kumi");
const ACCOUNT_DOMAIN: &[u8] = b"kumiki/address/account/v1";
const CONTRACT_DOMAIN: &[u8] = b"kumiki/address/contract/v1";

/// The 32-byte name of an account or contract. Its one text form is lower-case bech32m.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, MaxEncodedLen,
)]
pub struct Address(pub [u8; 32]);

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The checksum, a character or the case is wrong.
    #[error("not a bech32m address (mistyped, or cut off)")]
    Malformed,
    /// It is bech32m with another prefix.
    #[error("the address starts with '{found}1', expected 'kumi1'")]
    Prefix {
        /// The prefix that was found.
        found: String,
    },
    /// It does not hold 32 bytes.
    #[error("the address holds {found} bytes, expected 32")]
    Length {
        /// How many bytes it holds.
        found: usize,
    },
}

impl Address {
    /// The address of the account that `key` controls.
    #[must_use]
    pub fn of_account(key: &PublicKey) -> Self {
        Self(sha3_256(&[ACCOUNT_DOMAIN, &key.0]).0)
    }

    /// The address of the contract that `deployer` makes from `code_hash` with `salt`.
    #[must_use]
    pub fn of_contract(deployer: &Self, salt: &[u8; 32], code_hash: &Hash) -> Self {
        Self(sha3_256(&[CONTRACT_DOMAIN, &deployer.0, salt, &code_hash.0]).0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_to_fmt::<Bech32m, _>(f, PREFIX, &self.0).map_err(|_too_long| fmt::Error)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > 90 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(AddressError::Malformed);
        }
        let parsed =
            CheckedHrpstring::new::<Bech32m>(text).map_err(|_invalid| AddressError::Malformed)?;
        if parsed.hrp() != PREFIX {
            return Err(AddressError::Prefix {
                found: parsed.hrp().to_string(),
            });
        }
        let bytes: Vec<u8> = parsed.byte_iter().collect();
        let length = bytes.len();
        let address = bytes
            .try_into()
            .map(Self)
            .map_err(|_bytes| AddressError::Length { found: length })?;
        // One spelling per address: padding bits and case variants are refused.
        if address.to_string() == text {
            Ok(address)
        } else {
            Err(AddressError::Malformed)
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_round_trips_and_has_one_spelling() {
        let address = Address([7; 32]);
        let text = address.to_string();
        assert!(text.starts_with("kumi1"));
        assert_eq!(text.parse(), Ok(address));
        assert_eq!(
            text.to_uppercase().parse::<Address>(),
            Err(AddressError::Malformed)
        );
        let mut mistyped = text.clone();
        let last = mistyped.pop().unwrap();
        mistyped.push(if last == 'q' { 'p' } else { 'q' });
        assert_eq!(mistyped.parse::<Address>(), Err(AddressError::Malformed));
    }

    #[test]
    fn foreign_prefix_is_named() {
        let foreign = bech32::encode::<Bech32m>(Hrp::parse("cosmos").unwrap(), &[1; 32]).unwrap();
        assert_eq!(
            foreign.parse::<Address>(),
            Err(AddressError::Prefix {
                found: "cosmos".to_owned()
            })
        );
    }
}
