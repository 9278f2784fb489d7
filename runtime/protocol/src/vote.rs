//! Lay out what validators sign: votes on proposals, byte for byte as the ordering engine encodes them.
//!
//! The engine is Commonware's Simplex (`commonware-consensus` 2026.10). It signs a namespace, prefixed with its
//! length as a varint, followed by the encoded subject; numbers are LEB128 varints. `node/consensus` holds this
//! file to the engine by test.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the SCALE derive takes variant numbers from usize"
)]

use parity_scale_codec::{Decode, Encode, MaxEncodedLen};

use crate::{Hash, Height};

const NAMESPACE: &[u8] = b"kumiki/vote/v1";

/// A block that a leader proposes for one view, by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub struct Proposal {
    /// The epoch whose validators vote.
    pub epoch: u64,
    /// The round within the epoch, from 1.
    pub view: u64,
    /// The view of the block it builds on; 0 for the last block of the epoch before.
    pub parent_view: u64,
    /// Hash of the block.
    pub block: Hash,
}

/// What one validator says about one view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub enum Vote {
    /// The proposal is sound. At most one per view.
    #[codec(index = 0)]
    Notarize(Proposal),
    /// The view is over without a block. Never beside `Finalize` for the same view.
    #[codec(index = 1)]
    Nullify {
        /// The epoch.
        epoch: u64,
        /// The round within it.
        view: u64,
    },
    /// The proposal is notarized and is the only one of its view that this validator knows. At most one per view.
    #[codec(index = 2)]
    Finalize(Proposal),
}

impl Proposal {
    /// The proposal of a chain with one validator, which counts views by heights and never changes its epoch.
    #[must_use]
    pub const fn solo(height: Height, block: Hash) -> Self {
        Self {
            epoch: 0,
            view: height,
            parent_view: height.saturating_sub(1),
            block,
        }
    }

    fn encode_wire(&self, bytes: &mut Vec<u8>) {
        varint(self.epoch, bytes);
        varint(self.view, bytes);
        varint(self.parent_view, bytes);
        bytes.extend_from_slice(&self.block.0);
    }
}

impl Vote {
    /// What the engine is given to keep one chain's votes apart from all other signatures.
    #[must_use]
    pub fn namespace(genesis_hash: &Hash) -> Vec<u8> {
        [NAMESPACE, &genesis_hash.0].concat()
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn sign_bytes(&self, genesis_hash: &Hash) -> Vec<u8> {
        let suffix: &[u8] = match self {
            Self::Notarize(_) => b"_NOTARIZE",
            Self::Nullify { .. } => b"_NULLIFY",
            Self::Finalize(_) => b"_FINALIZE",
        };
        let namespace = [&Self::namespace(genesis_hash), suffix].concat();
        let mut bytes = Vec::with_capacity(128);
        varint(
            u64::try_from(namespace.len()).unwrap_or(u64::MAX),
            &mut bytes,
        );
        bytes.extend_from_slice(&namespace);
        match self {
            Self::Notarize(proposal) | Self::Finalize(proposal) => proposal.encode_wire(&mut bytes),
            Self::Nullify { epoch, view } => {
                varint(*epoch, &mut bytes);
                varint(*view, &mut bytes);
            }
        }
        bytes
    }
}

/// Unsigned LEB128: seven bits per byte, the lowest first, the high bit set on all but the last.
fn varint(mut value: u64, bytes: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}
