//! Hash and verify for the contract that runs.

use kumiki_protocol::{PublicKey, Signature, sha2_256, sha3_256};

use super::{Ended, Frame, count};
use crate::gas;

#[expect(
    clippy::missing_errors_doc,
    reason = "all methods have the one error that is documented on `Frame`"
)]
impl Frame {
    /// The SHA3-256 of `bytes`.
    pub fn sha3_256(&mut self, bytes: &[u8]) -> Result<[u8; 32], Ended> {
        self.charge(gas::HASH + count(bytes.len()) * gas::HASH_SHA3_PER_BYTE)?;
        Ok(sha3_256(&[bytes]).0)
    }

    /// The Keccak-256 of `bytes`.
    pub fn keccak_256(&mut self, bytes: &[u8]) -> Result<[u8; 32], Ended> {
        self.charge(gas::HASH + count(bytes.len()) * gas::HASH_SHA3_PER_BYTE)?;
        Ok(<sha3::Keccak256 as sha3::Digest>::digest(bytes).into())
    }

    /// The SHA-256 of `bytes`.
    pub fn sha2_256(&mut self, bytes: &[u8]) -> Result<[u8; 32], Ended> {
        self.charge(gas::HASH + count(bytes.len()) * gas::HASH_PER_BYTE)?;
        Ok(sha2_256(&[bytes]).0)
    }

    /// The BLAKE2b-256 of `bytes`.
    pub fn blake2b_256(&mut self, bytes: &[u8]) -> Result<[u8; 32], Ended> {
        self.charge(gas::HASH + count(bytes.len()) * gas::HASH_PER_BYTE)?;
        Ok(<blake2::Blake2b256 as blake2::Digest>::digest(bytes).into())
    }

    /// Whether an ed25519 signature of `bytes` verifies (ZIP-215).
    pub fn ed25519_verify(
        &mut self,
        key: &[u8; 32],
        signature: &[u8; 64],
        bytes: &[u8],
    ) -> Result<bool, Ended> {
        self.charge(gas::ED25519_VERIFY + count(bytes.len()) * gas::HASH_PER_BYTE)?;
        Ok(PublicKey(*key)
            .verify(bytes, &Signature(*signature))
            .is_ok())
    }

    /// The public key that made a secp256k1 signature (r, s, recovery id 0 to 3) of a hash, if there is one.
    /// Signatures with a high s are recovered too, as elsewhere; who stores signatures must refuse them himself.
    pub fn secp256k1_recover(
        &mut self,
        hash: &[u8; 32],
        signature: &[u8; 65],
    ) -> Result<Option<[u8; 64]>, Ended> {
        self.charge(gas::SECP256K1_RECOVER)?;
        Ok(recover(hash, signature))
    }
}

fn recover(hash: &[u8; 32], signature: &[u8; 65]) -> Option<[u8; 64]> {
    let (scalars, id) = signature.split_at_checked(64)?;
    let id = k256::ecdsa::RecoveryId::from_byte(*id.first()?)?;
    let signature = k256::ecdsa::Signature::from_slice(scalars).ok()?;
    let key = k256::ecdsa::VerifyingKey::recover_from_prehash(hash, &signature, id).ok()?;
    let point = key.to_sec1_point(false);
    point.as_bytes().get(1..)?.try_into().ok()
}
