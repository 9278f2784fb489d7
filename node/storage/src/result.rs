//! Hold what is to be written of a block against what its header and its certificate commit to.

use kumiki_protocol::{Block, Certificate, Hash, Receipt};

use crate::{Prepared, StorageError};

/// Refuses a block whose parts are not those of its header. `earlier` is the stored state root and entry count of the
/// height whose result the header holds, where that is an earlier one and is known.
///
/// # Errors
/// `WrongResult`.
pub(crate) fn check_result(
    block: &Block,
    certificate: Option<&Certificate>,
    receipts: &[Receipt],
    prepared: &Prepared,
    earlier: Option<(Hash, u64)>,
) -> Result<(), StorageError> {
    let header = &block.header;
    let executed = &header.executed;
    let count = usize::try_from(header.transactions_count).ok();
    let other_transactions = count != Some(block.transactions.len())
        || header.transactions_root != Block::transactions_root(&block.transactions);
    let own_result = executed.height == header.height;
    let state = if own_result {
        Some((prepared.state_root, prepared.state_entries))
    } else {
        earlier
    };
    let other_state =
        state.is_some_and(|state| state != (executed.state_root, executed.state_entries));
    let other_receipts = receipts.len() != block.transactions.len()
        || own_result && executed.receipts_root != Receipt::root(receipts);
    let other_block =
        certificate.is_some_and(|certificate| certificate.proposal.block != block.hash());
    if other_transactions || other_state || other_receipts || other_block {
        return Err(StorageError::WrongResult {
            height: header.height,
        });
    }
    Ok(())
}
