//! Let the chain back the engine's archives of what is decided.
//!
//! The engine puts each decided block and certificate into an archive before it hands them out, and the chain commits
//! both durably before it acknowledges them. Once is enough: these archives are never synced. What a power cut takes
//! from their end is put back from the chain when they are opened; what the chain had not stored comes again with the
//! next finalization, out of the engine's caches, which are synced before a vote leaves, or from peers. So an archive
//! can also forget what is old, and still answer for it.

use std::sync::Arc;

use commonware_consensus::marshal::store::{Blocks, Certificates};
use commonware_consensus::simplex::types::Finalization as EngineFinalization;
use commonware_consensus::types::Height as EngineHeight;
use commonware_runtime::Handle;
use commonware_storage::archive::{Error, Identifier, prunable};
use commonware_storage::translator::EightCap;
use kumiki_protocol::{Hash, Height};

use super::NEAR_HEIGHTS;
use crate::Application;
use crate::simplex::Environment;
use crate::simplex::block::{Digest, OrderedBlock, digest_of};
use crate::simplex::scheme::{Scheme, finalization};

pub(super) type Finalization = EngineFinalization<Scheme, Digest>;
pub(super) type Archive<E, V> = prunable::Archive<EightCap, E, Digest, V>;

/// An archive of what is new, and the chain for what is old.
pub(crate) struct Backed<T, A> {
    near: T,
    chain: Arc<A>,
}

/// The heights up to the chain's newest block that an archive ending at `last` lacks, as far as it would keep them.
fn lacking<A: Application>(
    chain: &A,
    last: Option<EngineHeight>,
) -> std::ops::RangeInclusive<Height> {
    let tip = chain.tip().height;
    let kept = tip.saturating_sub(NEAR_HEIGHTS);
    last.map_or(kept, |last| kept.max(last.get().saturating_add(1)))..=tip
}

/// The height of what is asked for, if it may be on the chain.
fn height_of<A: Application>(chain: &A, id: &Identifier<'_, Digest>) -> Option<Height> {
    match id {
        Identifier::Index(height) => Some(*height),
        Identifier::Key(digest) => chain.height_of(&Hash(digest.0)),
    }
}

/// The identifier again, which the engine's type does not copy.
const fn same<'a>(id: &Identifier<'a, Digest>) -> Identifier<'a, Digest> {
    match id {
        Identifier::Index(height) => Identifier::Index(*height),
        Identifier::Key(digest) => Identifier::Key(digest),
    }
}

fn chain_block<A: Application>(chain: &A, height: Height) -> Option<Arc<OrderedBlock>> {
    let decided = chain.decided(height)?;
    Some(Arc::new(OrderedBlock::new(decided.block)))
}

fn chain_certificate<A: Application>(chain: &A, height: Height) -> Option<Finalization> {
    let certificate = chain.decided(height)?.certificate?;
    finalization(&certificate, &*chain.validators(height)?)
}

impl<E: Environment, A: Application> Backed<Archive<E, Arc<OrderedBlock>>, A> {
    pub(super) async fn blocks(
        mut near: Archive<E, Arc<OrderedBlock>>,
        chain: Arc<A>,
    ) -> Result<Self, Error> {
        for height in lacking(&*chain, near.last_index()) {
            if let Some(block) = chain_block(&*chain, height) {
                let digest = digest_of(&block.block().hash());
                near = near.put(digest, &block).await?;
            }
        }
        Ok(Self { near, chain })
    }
}

impl<E: Environment, A: Application> Backed<Archive<E, Finalization>, A> {
    pub(super) async fn certificates(
        mut near: Archive<E, Finalization>,
        chain: Arc<A>,
    ) -> Result<Self, Error> {
        for height in lacking(&*chain, near.last_index()) {
            if let Some(certificate) = chain_certificate(&*chain, height) {
                let digest = certificate.proposal.payload;
                let height = EngineHeight::new(height);
                near = near.put(height, digest, &certificate).await?;
            }
        }
        Ok(Self { near, chain })
    }
}

impl<E: Environment, A: Application> Blocks for Backed<Archive<E, Arc<OrderedBlock>>, A> {
    type Block = Arc<OrderedBlock>;
    type Error = Error;

    async fn put(mut self, digest: Digest, block: &Self::Block) -> Result<Self, Error> {
        self.near = self.near.put(digest, block).await?;
        Ok(self)
    }

    async fn sync(self) -> Result<Self, Error> {
        Ok(self)
    }

    async fn start_sync(self) -> Result<(Self, Handle<()>), Error> {
        Ok((self, Handle::ready(Ok(()))))
    }

    async fn get(&self, id: Identifier<'_, Digest>) -> Result<Option<Self::Block>, Error> {
        let near = self.near.get(same(&id)).await?;
        Ok(near.or_else(|| chain_block(&*self.chain, height_of(&*self.chain, &id)?)))
    }

    async fn prune(mut self, min: EngineHeight) -> Result<Self, Error> {
        self.near = Blocks::prune(self.near, min).await?;
        Ok(self)
    }

    fn missing_items(&self, start: EngineHeight, max: usize) -> Vec<EngineHeight> {
        self.near.missing_items(start, max)
    }

    fn next_gap(&self, value: EngineHeight) -> (Option<EngineHeight>, Option<EngineHeight>) {
        self.near.next_gap(value)
    }

    fn last_index(&self) -> Option<EngineHeight> {
        self.near.last_index()
    }
}

impl<E: Environment, A: Application> Certificates for Backed<Archive<E, Finalization>, A> {
    type BlockDigest = Digest;
    type Commitment = Digest;
    type Scheme = Scheme;
    type Error = Error;

    async fn put(
        mut self,
        height: EngineHeight,
        digest: Digest,
        certificate: &Finalization,
    ) -> Result<Self, Error> {
        self.near = self.near.put(height, digest, certificate).await?;
        Ok(self)
    }

    async fn sync(self) -> Result<Self, Error> {
        Ok(self)
    }

    async fn start_sync(self) -> Result<(Self, Handle<()>), Error> {
        Ok((self, Handle::ready(Ok(()))))
    }

    async fn get(&self, id: Identifier<'_, Digest>) -> Result<Option<Finalization>, Error> {
        let near = self.near.get(same(&id)).await?;
        Ok(near.or_else(|| chain_certificate(&*self.chain, height_of(&*self.chain, &id)?)))
    }

    async fn has(&self, height: EngineHeight) -> Result<bool, Error> {
        self.near.has(height).await
    }

    async fn prune(mut self, min: EngineHeight) -> Result<Self, Error> {
        self.near = Certificates::prune(self.near, min).await?;
        Ok(self)
    }

    fn last_index(&self) -> Option<EngineHeight> {
        self.near.last_index()
    }

    fn ranges_from(
        &self,
        from: EngineHeight,
    ) -> impl Iterator<Item = (EngineHeight, EngineHeight)> {
        self.near.ranges_from(from)
    }
}
