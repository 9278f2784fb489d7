//! Write proofs in the form of ICS23, for verifiers that know no other.
//!
//! The encoding is the protobuf message `CommitmentProof` of ICS23; its specification for this tree is in
//! `docs/spec/state.md`. ICS23 knows neither empty keys nor empty values: there is no such proof of those.

use std::ops::{Bound, ControlFlow};

use crate::proof::Proof;
use crate::{ScanDirection, StateError, StateReader, Tree, key_bits};

const SHA_256: u64 = 1;
const VAR_PROTO: u64 = 1;

impl Tree {
    /// The ICS23 `CommitmentProof` that `key` is there with its value, or that it lies between two neighbours.
    /// `None` where ICS23 has no such proof: no entry at all, or an empty key or value involved.
    ///
    /// # Errors
    /// `StateError` when `reader` fails or does not hold what this tree commits to.
    pub fn prove_ics23(
        &self,
        key: &[u8],
        reader: &dyn StateReader,
    ) -> Result<Option<Vec<u8>>, StateError> {
        if let Some(value) = reader.get(key)? {
            let existence = self.existence(key, &value, reader)?;
            return Ok(existence.map(|message| nested(1, &message)));
        }
        let lower = (Bound::Unbounded, Bound::Excluded(key));
        let upper = (Bound::Excluded(key), Bound::Unbounded);
        let left = self.neighbour(lower, ScanDirection::Descending, reader)?;
        let right = self.neighbour(upper, ScanDirection::Ascending, reader)?;
        let (Ok(left), Ok(right)) = (left, right) else {
            return Ok(None);
        };
        if key.is_empty() || (left.is_none() && right.is_none()) {
            return Ok(None);
        }
        let mut message = bytes(1, key);
        message.extend(left.iter().flat_map(|one| nested(2, one)));
        message.extend(right.iter().flat_map(|one| nested(3, one)));
        Ok(Some(nested(2, &message)))
    }

    /// The existence proof of the nearest entry: `Ok(None)` without one, `Err` where ICS23 cannot show it.
    fn neighbour(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        reader: &dyn StateReader,
    ) -> Result<Result<Option<Vec<u8>>, ()>, StateError> {
        let mut nearest = None;
        reader.scan(range, direction, &mut |key, value| {
            nearest = Some((key.to_vec(), value.to_vec()));
            ControlFlow::Break(())
        })?;
        match nearest {
            None => Ok(Ok(None)),
            Some((key, value)) => Ok(self.existence(&key, &value, reader)?.map(Some).ok_or(())),
        }
    }

    fn existence(
        &self,
        key: &[u8],
        value: &[u8],
        reader: &dyn StateReader,
    ) -> Result<Option<Vec<u8>>, StateError> {
        if key.is_empty() || value.is_empty() {
            return Ok(None);
        }
        let proof = self.prove(key, reader)?;
        Ok(Some(existence_message(key, value, &proof)))
    }
}

fn existence_message(key: &[u8], value: &[u8], proof: &Proof) -> Vec<u8> {
    let mut leaf = number(1, SHA_256);
    leaf.extend(number(3, SHA_256));
    leaf.extend(number(4, VAR_PROTO));
    leaf.extend(bytes(5, &[0]));
    let mut message = bytes(1, key);
    message.extend(bytes(2, value));
    message.extend(nested(3, &leaf));
    for step in proof.path.iter().rev() {
        let mut prefix = vec![1];
        prefix.extend(step.bit.to_be_bytes());
        let mut inner = number(1, SHA_256);
        if key_bits::bit(key, step.bit) {
            prefix.extend(step.sibling.0);
            inner.extend(bytes(2, &prefix));
        } else {
            inner.extend(bytes(2, &prefix));
            inner.extend(bytes(3, &step.sibling.0));
        }
        message.extend(nested(4, &inner));
    }
    message
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

fn number(field: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(field << 3, &mut out);
    varint(value, &mut out);
    out
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(field << 3 | 2, &mut out);
    varint(u64::try_from(value.len()).unwrap_or(u64::MAX), &mut out);
    out.extend_from_slice(value);
    out
}

fn nested(field: u64, message: &[u8]) -> Vec<u8> {
    bytes(field, message)
}

#[cfg(test)]
mod tests;
