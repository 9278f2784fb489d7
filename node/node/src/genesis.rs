//! Make the genesis of a dev chain, and block 0 of any chain.

use kumiki_protocol::{
    Address, Amount, Block, ChainKind, ExecutedState, Genesis, GenesisAccount, Hash, Header,
    PROTOCOL_VERSION, Parameters, Receipt, ValidatorSet, dev_validator_key,
};
use kumiki_state::{EmptyState, StateChanges, Tree};
use kumiki_storage::StorageError;

/// The chain id of dev chains.
pub const DEV_CHAIN_ID: &str = "kumiki-dev";

/// What a seat costs on a dev chain: 1,000 KUMI, which published accounts have.
const VALIDATOR_STAKE: Amount = 1_000_000_000_000;

/// A dev chain that starts at `time_ms`, on which each of `accounts`, and the validator's, has `balance` base units.
///
/// The time is part of its identity: a transaction for one dev chain is void on the next.
#[must_use]
pub fn dev_genesis(accounts: &[Address], balance: Amount, time_ms: u64) -> Genesis {
    Genesis {
        chain_id: DEV_CHAIN_ID.to_owned(),
        kind: ChainKind::Dev,
        time_ms,
        certificate_scheme: "ed25519".to_owned(),
        validators: vec![dev_validator_key().public_key()],
        // The node signs what its developer asks it to do.
        accounts: accounts
            .iter()
            .copied()
            .chain([Address::of_account(&dev_validator_key().public_key())])
            .map(|address| GenesisAccount { address, balance })
            .collect(),
        parameters: Parameters {
            execution_lag: 0,
            epoch_blocks: u32::MAX,
            validator_stake: VALIDATOR_STAKE,
            gas_price_min: 1,
            // A gas is about a nanosecond at worst, so no block takes much longer than a second.
            block_gas_max: 1_000_000_000,
            block_bytes_max: 4 << 20,
        },
    }
}

/// Block 0 of the chain of `genesis`, whose first state is `changes`.
pub(crate) fn genesis_block(
    genesis: &Genesis,
    validators: &ValidatorSet,
    changes: &StateChanges,
) -> Result<Block, StorageError> {
    let state = Tree::empty().update(changes, &EmptyState)?;
    Ok(Block {
        header: Header {
            version: PROTOCOL_VERSION,
            genesis_hash: genesis.hash(),
            height: 0,
            parent: Hash::ZERO,
            time_ms: genesis.time_ms,
            proposer: validators.keys()[0],
            transactions_root: Block::transactions_root(&[]),
            transactions_count: 0,
            executed: ExecutedState {
                height: 0,
                state_root: state.root(),
                state_entries: state.entries(),
                receipts_root: Receipt::root(&[]),
                next_validators_hash: validators.hash(),
            },
        },
        transactions: Vec::new(),
    })
}
