//! Open the engine's stores of decided blocks and certificates.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;

use commonware_consensus::marshal::core::{Actor, Mailbox};
use commonware_consensus::marshal::standard::Standard;
use commonware_consensus::marshal::{self, Start};
use commonware_consensus::types::{FixedEpocher, Height as EngineHeight};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_storage::archive::prunable;
use commonware_storage::translator::EightCap;
use kumiki_protocol::{Height, limits};

use super::block::OrderedBlock;
use super::scheme::{Scheme, Schemes, finalization};
use super::{
    BUFFER_BYTES, Beginning, Environment, MAILBOX, SimplexConfig, VIEWS_KEPT, block_bytes_max,
};
use crate::Application;

/// Delivered blocks that may wait for the chain. More would only wait there.
const PENDING_BLOCKS: NonZeroUsize = NonZeroUsize::new(16).expect("not zero");
/// Heights fetched at a time by a node that lags.
const REPAIR_HEIGHTS: NonZeroUsize = NonZeroUsize::new(32).expect("not zero");
/// Blocks or certificates per file of an archive.
const ITEMS_PER_SECTION: NonZeroU64 = NonZeroU64::new(1_024).expect("not zero");
/// Views per file of what is cached until it is decided.
const VIEWS_PER_SECTION: NonZeroU64 = NonZeroU64::new(4_096).expect("not zero");
/// Heights below the newest that an archive keeps. What is older, the chain has.
const NEAR_HEIGHTS: Height = 4_096;

mod backed;

use backed::{Archive, Backed, Finalization};

type MarshalActor<E, A> = Actor<
    E,
    Standard<OrderedBlock>,
    Schemes,
    Backed<Archive<E, Finalization>, A>,
    Backed<Archive<E, Arc<OrderedBlock>>, A>,
    FixedEpocher,
    Sequential,
>;

/// Has the archives forget what is old, now and then.
pub(super) fn forget_old(marshal: &Mailbox<Scheme, Standard<OrderedBlock>>, stored: Height) {
    if stored.is_multiple_of(ITEMS_PER_SECTION.get()) {
        marshal.prune(EngineHeight::new(stored.saturating_sub(NEAR_HEIGHTS)));
    }
}

pub(crate) async fn open_marshal<E: Environment, A: Application>(
    env: &E,
    config: &SimplexConfig,
    chain: &Arc<A>,
    schemes: Schemes,
    epochs: FixedEpocher,
    pages: &CacheRef,
) -> (MarshalActor<E, A>, Mailbox<Scheme, Standard<OrderedBlock>>) {
    let block_bytes_max = block_bytes_max(&config.genesis);
    let certificates = prunable::Archive::init(
        env.child("certificate_archive"),
        archive(
            &format!("{}newest-certificates", config.partition_prefix),
            pages,
            limits::VALIDATORS_MAX,
        ),
    )
    .await
    .expect("the archive of certificates opens");
    let certificates = Backed::certificates(certificates, Arc::clone(chain))
        .await
        .expect("certificates can be put into their archive");
    let blocks = prunable::Archive::init(
        env.child("block_archive"),
        archive(
            &format!("{}newest-blocks", config.partition_prefix),
            pages,
            block_bytes_max,
        ),
    )
    .await
    .expect("the archive of blocks opens");
    let blocks = Backed::blocks(blocks, Arc::clone(chain))
        .await
        .expect("blocks can be put into their archive");
    let start = match &config.beginning {
        Beginning::Genesis(block) => Start::Genesis(OrderedBlock::digested(Arc::clone(block))),
        Beginning::Fetched {
            validators,
            certificate,
        } => Start::Floor(
            finalization(certificate, validators)
                .expect("the store has the certificate that it was restored with"),
        ),
    };
    let (actor, mailbox, _floor) = Actor::init(
        env.child("marshal"),
        certificates,
        blocks,
        marshal::Config {
            provider: schemes,
            epocher: epochs,
            start,
            partition_prefix: format!("{}marshal", config.partition_prefix),
            mailbox_size: MAILBOX,
            view_retention: VIEWS_KEPT,
            prunable_items_per_section: VIEWS_PER_SECTION,
            page_cache: pages.clone(),
            replay_buffer: BUFFER_BYTES,
            key_write_buffer: BUFFER_BYTES,
            value_write_buffer: BUFFER_BYTES,
            block_codec_config: block_bytes_max,
            max_repair: REPAIR_HEIGHTS,
            max_pending_acks: PENDING_BLOCKS,
            strategy: Sequential,
        },
    )
    .await;
    (actor, mailbox)
}

fn archive<C>(name: &str, pages: &CacheRef, codec_config: C) -> prunable::Config<EightCap, C> {
    prunable::Config {
        translator: EightCap,
        metadata_partition: format!("{name}-marks"),
        key_partition: format!("{name}-keys"),
        key_page_cache: pages.clone(),
        value_partition: format!("{name}-values"),
        compression: None,
        codec_config,
        items_per_section: ITEMS_PER_SECTION,
        key_write_buffer: BUFFER_BYTES,
        value_write_buffer: BUFFER_BYTES,
        replay_buffer: BUFFER_BYTES,
    }
}
