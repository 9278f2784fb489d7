//! Make a genesis and blocks that follow each other, with certificates, without executing anything.

use kumiki_protocol::{
    Amount, Block, Certificate, ChainKind, ExecutedState, Genesis, GenesisAccount, Hash, Header,
    Height, PROTOCOL_VERSION, Parameters, Proposal, Receipt, SecretKey, Transaction, ValidatorSet,
};

use crate::{account, validator};

/// What test accounts 0 to 9 hold in [`genesis`], in base units.
pub const CHAIN_BALANCE: Amount = 1_000_000_000_000_000_000;
/// What a seat costs in [`genesis`], in base units.
pub const VALIDATOR_STAKE: Amount = 1_000_000_000_000;
/// Time of the genesis block: 2026-01-01, in milliseconds since 1970.
pub const GENESIS_TIME_MS: u64 = 1_767_225_600_000;

/// A dev chain with one validator ([`validator`] 0) and ten accounts.
#[must_use]
pub fn genesis() -> Genesis {
    Genesis {
        chain_id: "kumiki-test".to_owned(),
        kind: ChainKind::Dev,
        time_ms: GENESIS_TIME_MS,
        certificate_scheme: "ed25519".to_owned(),
        validators: vec![validator(0).public_key()],
        accounts: (0..10)
            .map(|number| GenesisAccount {
                address: account(number).address,
                balance: CHAIN_BALANCE,
            })
            .collect(),
        parameters: Parameters {
            execution_lag: 0,
            epoch_blocks: u32::MAX,
            validator_stake: VALIDATOR_STAKE,
            gas_price_min: 1,
            block_gas_max: 10_000_000_000,
            block_bytes_max: 8 << 20,
        },
    }
}

/// The result of a block after which nothing is known of the next validators.
#[must_use]
pub fn executed(
    height: Height,
    (state_root, state_entries): (Hash, u64),
    receipts: &[Receipt],
) -> ExecutedState {
    ExecutedState {
        height,
        state_root,
        state_entries,
        receipts_root: Receipt::root(receipts),
        next_validators_hash: Hash::ZERO,
    }
}

/// Blocks that follow each other, each decided by every validator of the genesis.
#[derive(Debug)]
pub struct Chain {
    genesis_hash: Hash,
    validators: ValidatorSet,
    keys: Vec<SecretKey>,
    tip: Header,
}

impl Chain {
    /// A chain at height 0 whose genesis block claims `executed`. `keys` are the validators'.
    ///
    /// # Panics
    /// When `genesis` has no valid validator set.
    #[must_use]
    pub fn new(genesis: &Genesis, keys: Vec<SecretKey>, executed: ExecutedState) -> (Self, Block) {
        let validators = genesis
            .validator_set()
            .expect("a test's genesis has validators");
        let header = Header {
            version: PROTOCOL_VERSION,
            genesis_hash: genesis.hash(),
            height: 0,
            parent: Hash::ZERO,
            time_ms: genesis.time_ms,
            proposer: genesis.validators[0],
            transactions_root: Block::transactions_root(&[]),
            transactions_count: 0,
            executed,
        };
        let chain = Self {
            genesis_hash: genesis.hash(),
            validators,
            keys,
            tip: header.clone(),
        };
        let block = Block {
            header,
            transactions: Vec::new(),
        };
        (chain, block)
    }

    /// Goes on from `tip`, a block of this chain.
    pub fn rewind(&mut self, tip: Header) {
        self.tip = tip;
    }

    /// The next block, one second after the last, with its certificate.
    ///
    /// # Panics
    /// When there are more transactions than a header can count.
    pub fn append(
        &mut self,
        transactions: Vec<Transaction>,
        executed: ExecutedState,
    ) -> (Block, Certificate) {
        let count = u32::try_from(transactions.len()).expect("tests make small blocks");
        let header = Header {
            height: self.tip.height + 1,
            parent: self.tip.hash(),
            time_ms: self.tip.time_ms + 1_000,
            transactions_root: Block::transactions_root(&transactions),
            transactions_count: count,
            executed,
            ..self.tip.clone()
        };
        self.tip = header.clone();
        let signers: Vec<&SecretKey> = self.keys.iter().collect();
        let certificate = Certificate::sign(
            &self.genesis_hash,
            Proposal::solo(header.height, header.hash()),
            &self.validators,
            &signers,
        );
        (
            Block {
                header,
                transactions,
            },
            certificate,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Draft;

    fn claimed(height: u64) -> ExecutedState {
        ExecutedState {
            height,
            state_root: Hash([1; 32]),
            state_entries: 1,
            receipts_root: Hash::ZERO,
            next_validators_hash: Hash::ZERO,
        }
    }

    #[test]
    fn chains_made_for_tests_obey_the_protocol() {
        let genesis = genesis();
        assert_eq!(genesis.check(), Ok(()));
        let (mut chain, first) = Chain::new(&genesis, vec![validator(0)], claimed(0));
        let transaction = Draft::new(&genesis, &account(0), 0)
            .transfer(&account(1).address, 5)
            .sign();
        assert!(transaction.verify_signature().is_ok());
        let (block, certificate) = chain.append(vec![transaction], claimed(1));
        assert_eq!(block.header.parent, first.hash());
        let validators = genesis.validator_set().unwrap();
        assert_eq!(certificate.verify(&genesis.hash(), &validators), Ok(()));
        let bytes = kumiki_protocol::Encode::encode(&block);
        assert_eq!(Block::decode_checked(&bytes, bytes.len()), Ok(block));
    }
}
