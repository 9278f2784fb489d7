//! Know who signs which block: the sets that the state at the tip names, for an engine that must not wait.

use std::sync::Arc;

use kumiki_executor::validators_at;
use kumiki_protocol::{Height, Parameters, ValidatorSet};
use kumiki_state::StateReader;

use crate::Fatal;

/// The sets of two epochs: the newest whose set is fixed, and the one before, which in the last blocks of an epoch
/// still signs.
#[derive(Debug, Clone)]
pub struct KnownValidators {
    parameters: Parameters,
    newest_epoch: u64,
    newest: Arc<ValidatorSet>,
    previous: Option<Arc<ValidatorSet>>,
}

impl KnownValidators {
    /// What `state`, after the block at `height`, names.
    pub(crate) fn read(
        parameters: Parameters,
        height: Height,
        state: &dyn StateReader,
    ) -> Result<Self, Fatal> {
        let set_of = |epoch: u64| {
            validators_at(state, &parameters, height, parameters.first_height(epoch))
                .map_err(|source| Fatal::Execution { height, source })
        };
        let newest_epoch = parameters.validators_epoch(height);
        let newest = set_of(newest_epoch)?.ok_or(Fatal::NoValidators { height })?;
        let previous = match newest_epoch.checked_sub(1) {
            Some(epoch) => set_of(epoch)?,
            None => None,
        };
        Ok(Self {
            parameters,
            newest_epoch,
            newest: Arc::new(newest),
            previous: previous.map(Arc::new),
        })
    }

    /// Whether the state after the block at `height` names other sets than these.
    pub(crate) fn is_outdated(&self, height: Height) -> bool {
        self.parameters.validators_epoch(height) != self.newest_epoch
    }

    /// The set that signs the block at `height`, if it is one of these.
    #[must_use]
    pub fn at(&self, height: Height) -> Option<Arc<ValidatorSet>> {
        let epoch = self.parameters.epoch_of(height);
        if epoch == self.newest_epoch {
            Some(Arc::clone(&self.newest))
        } else if epoch.checked_add(1) == Some(self.newest_epoch) {
            self.previous.clone()
        } else {
            None
        }
    }
}
