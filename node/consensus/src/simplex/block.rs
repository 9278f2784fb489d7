//! Show our blocks to the engine: digest, height, parent, and the bytes that travel and are stored.

use std::sync::Arc;

use bytes::{BufMut, Bytes};
use commonware_codec::{Buf, EncodeSize, Error, Read, Write};
use commonware_consensus::types::Height as EngineHeight;
use commonware_consensus::{BoundedBlock, Heightable};
use commonware_cryptography::{Digested, Digestible};
use kumiki_protocol::{Block, Encode as _, Hash};

/// A block hash as the engine carries it. It hashes nothing: 32 bytes are 32 bytes.
pub type Digest = commonware_cryptography::sha256::Digest;

/// Bytes around a block's own encoding: its length.
const LENGTH_BYTES: usize = 4;

/// A block with its encoding, which is sent and stored several times.
#[derive(Clone, Debug)]
pub struct OrderedBlock {
    block: Arc<Block>,
    encoded: Bytes,
    hash: Hash,
}

impl OrderedBlock {
    /// A block of our own making.
    #[must_use]
    pub fn new(block: Arc<Block>) -> Self {
        Self {
            hash: block.hash(),
            encoded: block.encode().into(),
            block,
        }
    }

    /// The same with its digest at hand.
    #[must_use]
    pub fn digested(block: Arc<Block>) -> Digested<Self> {
        let ordered = Self::new(block);
        let digest = digest_of(&ordered.hash);
        Digested::precomputed(ordered, digest)
    }

    /// The block.
    #[must_use]
    pub const fn block(&self) -> &Arc<Block> {
        &self.block
    }
}

/// The engine's form of a hash.
#[must_use]
pub const fn digest_of(hash: &Hash) -> Digest {
    commonware_cryptography::sha256::Digest(hash.0)
}

impl Write for OrderedBlock {
    fn write(&self, buf: &mut impl BufMut) {
        let length = u32::try_from(self.encoded.len()).unwrap_or(u32::MAX);
        buf.put_u32_le(length);
        buf.put_slice(&self.encoded);
    }
}

impl EncodeSize for OrderedBlock {
    fn encode_size(&self) -> usize {
        LENGTH_BYTES + self.encoded.len()
    }
}

/// The configuration is the most bytes that an encoded block may have.
impl Read for OrderedBlock {
    type Cfg = usize;

    fn read_cfg(buf: &mut impl Buf, bytes_max: &usize) -> Result<Self, Error> {
        if buf.remaining() < LENGTH_BYTES {
            return Err(Error::EndOfBuffer);
        }
        let length = usize::try_from(buf.get_u32_le()).unwrap_or(usize::MAX);
        if length > *bytes_max {
            return Err(Error::InvalidLength(length));
        }
        if buf.remaining() < length {
            return Err(Error::EndOfBuffer);
        }
        let encoded = buf.copy_to_bytes(length);
        // Checks that the header commits to the transactions: the digest is the header's, so a block that passed
        // without this could have any.
        let block = Block::decode_checked(&encoded, *bytes_max)
            .map_err(|_malformed| Error::Invalid("Block", "malformed"))?;
        Ok(Self {
            hash: block.hash(),
            block: Arc::new(block),
            encoded,
        })
    }
}

impl Digestible for OrderedBlock {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        digest_of(&self.hash)
    }
}

impl Heightable for OrderedBlock {
    fn height(&self) -> EngineHeight {
        EngineHeight::new(self.block.header.height)
    }
}

impl commonware_consensus::Block for OrderedBlock {
    fn parent(&self) -> Digest {
        digest_of(&self.block.header.parent)
    }
}

impl BoundedBlock for OrderedBlock {
    fn max_encode_size(bytes_max: &usize) -> usize {
        bytes_max.saturating_add(LENGTH_BYTES)
    }
}
