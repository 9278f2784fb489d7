//! Put proofs of double votes on chain, from the account of this node's key.

use std::sync::Arc;

use kumiki_mempool::SharedMempool;
use kumiki_protocol::{
    Address, Encode as _, Evidence, Genesis, SecretKey, Transaction, TransactionBody,
    ValidatorsCall,
};

use crate::EvidenceQueue;

/// How long a report stays valid, in blocks.
const VALID_BLOCKS: u64 = 1_000;
/// Gas that a report may use; its call has a fixed price below this.
const GAS_LIMIT: u64 = 10_000_000;

/// Reports what this node has seen.
pub(crate) struct Reports {
    key: SecretKey,
    genesis: Arc<Genesis>,
    mempool: Arc<SharedMempool>,
}

impl Reports {
    pub(crate) const fn new(
        key: SecretKey,
        genesis: Arc<Genesis>,
        mempool: Arc<SharedMempool>,
    ) -> Self {
        Self {
            key,
            genesis,
            mempool,
        }
    }

    /// Reports each proof once. Every node that saw it does; the first report counts and costs the others a fee, so
    /// a node only reports what others have not put on chain when it comes to it.
    pub(crate) async fn run(self, mut seen: EvidenceQueue) {
        while let Some(evidence) = seen.recv().await {
            let transaction = match self.report(&evidence) {
                Ok(transaction) => transaction,
                Err(error) => {
                    tracing::error!(%error, "the double vote is not reported");
                    continue;
                }
            };
            match self.mempool.submit(transaction).await {
                Ok(hash) => tracing::warn!(transaction = %hash, "reported a double vote"),
                // Fees of blocks that it proposed are usually there; where not, somebody else may report it.
                Err(refusal) => tracing::error!(
                    %refusal,
                    evidence = hex::encode(evidence.encode()),
                    "the double vote could not be reported from this node's account; anybody may report it"
                ),
            }
        }
    }

    fn report(&self, evidence: &Evidence) -> Result<Transaction, kumiki_state::StateError> {
        let sender = self.key.public_key();
        let nonce = self.mempool.next_nonce(&Address::of_account(&sender))?;
        let parameters = &self.genesis.parameters;
        let body = TransactionBody {
            version: TransactionBody::current_version(),
            genesis_hash: self.genesis.hash(),
            sender,
            nonce,
            gas_limit: GAS_LIMIT.min(parameters.block_gas_max),
            gas_price: parameters.gas_price_min,
            valid_until: self.mempool.height().saturating_add(VALID_BLOCKS),
            actions: vec![ValidatorsCall::Report(*evidence).action(parameters.validator_stake)],
        };
        let signature = self.key.sign(&body.sign_bytes());
        Ok(Transaction { body, signature })
    }
}
