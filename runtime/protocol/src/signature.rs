//! Sign and verify with ed25519 under ZIP-215 rules, one verdict in single and batch verification.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use parity_scale_codec::{Decode, Encode, MaxEncodedLen};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Hash, sha2_256};

/// An ed25519 public key, shown as `0x` and 64 hex digits. Any 32 bytes decode; verification judges them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, MaxEncodedLen)]
pub struct PublicKey(pub [u8; 32]);

/// An ed25519 signature: R and s.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, MaxEncodedLen)]
pub struct Signature(pub [u8; 64]);

/// An ed25519 secret key. Its `Debug` never shows the secret.
#[derive(Clone)]
pub struct SecretKey(ed25519_zebra::SigningKey);

/// The signature does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not match the key and the message")]
pub struct SignatureError;

/// One signature to verify in a batch.
#[derive(Debug, Clone, Copy)]
pub struct SignatureItem<'a> {
    /// Who is said to have signed.
    pub key: &'a PublicKey,
    /// What was signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a Signature,
}

impl PublicKey {
    /// Whether the bytes are a point of the curve; nothing verifies under any others.
    #[must_use]
    pub fn is_point(&self) -> bool {
        ed25519_zebra::VerificationKey::try_from(self.0).is_ok()
    }

    /// Verifies `signature` over `message` (ZIP-215).
    ///
    /// # Errors
    /// `SignatureError` when it does not verify, whatever the reason.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let key = ed25519_zebra::VerificationKey::try_from(self.0)
            .map_err(|_not_a_point| SignatureError)?;
        key.verify(&ed25519_zebra::Signature::from(signature.0), message)
            .map_err(|_mismatch| SignatureError)
    }
}

impl SecretKey {
    /// The key whose 32-byte seed (RFC 8032) is `seed`.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ed25519_zebra::SigningKey::from(seed))
    }

    /// The 32-byte seed, for a keystore to encrypt. Do not print or log it.
    #[must_use]
    pub fn to_seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        seed.copy_from_slice(self.0.as_ref());
        seed
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(ed25519_zebra::VerificationKey::from(&self.0).into())
    }

    /// Signs `message`; the same message always gives the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).into())
    }
}

/// Verifies many signatures in about half the time of one by one.
///
/// Verdicts equal those of [`PublicKey::verify`]: ZIP-215 is the rule set under which batch and single
/// verification cannot differ. The batch equation is a sum with coefficients of 128 bits, which whoever made the
/// signatures must not be able to choose. They are hashes of all keys, messages and signatures of the batch (the
/// Fiat-Shamir transform), so no randomness is asked of the system, and a forgery takes 2^128 hashes.
#[derive(Debug, Default)]
pub struct BatchVerifier;

impl BatchVerifier {
    /// The indices of the items that do not verify, in order.
    #[must_use]
    pub fn find_invalid(items: &[SignatureItem<'_>]) -> Vec<usize> {
        if items.len() >= 4 && Self::all_valid(items) {
            return Vec::new();
        }
        let mut invalid = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if item.key.verify(item.message, item.signature).is_err() {
                invalid.push(index);
            }
        }
        invalid
    }

    fn all_valid(items: &[SignatureItem<'_>]) -> bool {
        let mut batch = ed25519_zebra::batch::Verifier::new();
        for item in items {
            let key = ed25519_zebra::VerificationKeyBytes::from(item.key.0);
            let signature = ed25519_zebra::Signature::from(item.signature.0);
            batch.queue((key, signature, item.message));
        }
        batch.verify(Coefficients::of(items)).is_ok()
    }
}

/// Numbers that follow from the items of a batch, and from nothing else.
struct Coefficients {
    seed: Hash,
    count: u64,
}

impl Coefficients {
    fn of(items: &[SignatureItem<'_>]) -> Self {
        let mut parts: Vec<u8> = b"kumiki/batch/v1".to_vec();
        for item in items {
            parts.extend_from_slice(&item.key.0);
            parts.extend_from_slice(&item.signature.0);
            parts.extend_from_slice(&sha2_256(&[item.message]).0);
        }
        Self {
            seed: sha2_256(&[&parts]),
            count: 0,
        }
    }

    fn next(&mut self) -> [u8; 32] {
        self.count += 1;
        sha2_256(&[&self.seed.0, &self.count.to_le_bytes()]).0
    }
}

impl rand_core::TryRng for Coefficients {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.next();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let [a, b, c, d, e, f, g, h, ..] = self.next();
        Ok(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for part in target.chunks_mut(32) {
            for (byte, next) in part.iter_mut().zip(self.next()) {
                *byte = next;
            }
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Coefficients {}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public_key())
    }
}

impl FromStr for PublicKey {
    type Err = crate::HashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<crate::Hash>().map(|bytes| Self(bytes.0))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
