//! Take the newest blocks back, for the developer of a chain that nobody else relies on.

use std::sync::Arc;

use kumiki_consensus::Tip as OrderingTip;
use kumiki_mempool::ChainHead;
use kumiki_protocol::Height;
use kumiki_storage::{Snapshot, StorageError};

use super::{ChainExecutor, settled};
use crate::Fatal;
use crate::validators::KnownValidators;

impl ChainExecutor {
    /// Takes every block above `height` back, and what waits with them; answers with the tip and its time. `None`, and
    /// nothing changes, where the state at that height is not kept.
    pub(super) fn rewind(&mut self, height: Height) -> Result<Option<(OrderingTip, u64)>, Fatal> {
        let failed = |source| Fatal::Storage { height, source };
        let tip = match self.storage.rewind(height) {
            Ok(tip) => tip,
            Err(StorageError::HeightUnavailable { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        self.ahead.clear();
        self.settled = settled(&self.storage, tip.height, self.lag())?;
        self.tip = tip;
        self.state = Arc::new(self.storage.snapshot().map_err(failed)?);
        let known = KnownValidators::read(self.genesis.parameters, height, self.state.as_ref())?;
        self.validators.send_replace(known);
        // First the pool: whoever sees the head go back finds nothing waiting for a block that is gone.
        self.mempool.rewind(ChainHead {
            height,
            state: Arc::<Snapshot>::clone(&self.state),
        });
        self.heads.send_replace(tip);
        self.metrics
            .height
            .set(i64::try_from(height).unwrap_or(i64::MAX));
        tracing::info!(height, root = %tip.state_root, "blocks taken back");
        let ordering = OrderingTip {
            height,
            block_hash: tip.block_hash,
        };
        Ok(Some((ordering, tip.time_ms)))
    }
}
