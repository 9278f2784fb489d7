//! Read state that the node proves: finality, header, tree path. A lying node is found out.

use kumiki_protocol::{Address, Hash, Height, ValidatorSet, decode_bounded, state_key};
use kumiki_rpc_api::{Bytes, StateProof};
use kumiki_state::{Proof, proof};

use crate::anchor::unproven;
use crate::{Client, ClientError, ProofAnchor};

/// Above the longest path that a key of the protocol can have.
const PROOF_BYTES_MAX: usize = 64 * 1024;

/// A value that is proven to be (or not to be) under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The key in the state tree.
    pub key: Vec<u8>,
    /// What is under it; `None` is proven absence.
    pub value: Option<Vec<u8>>,
    /// The height after which this holds.
    pub height: Height,
    /// The root that the header commits to.
    pub state_root: Hash,
    /// Hash of the header.
    pub block_hash: Hash,
    /// The epoch of the header.
    pub epoch: u64,
    /// The validators that decided it.
    pub validators: ValidatorSet,
    /// Their signatures in the certificate that decides it: its own, or that of a block after it.
    pub signatures: usize,
}

impl Client {
    /// What is under `key` (of the state, or of `contract`'s storage), checked against `anchor`. Without `at`, the
    /// node chooses the height; `Proven` names it, and nothing shows that it is the newest.
    ///
    /// # Errors
    /// `Unproven` when the answer does not prove it; as [`Client::validators_of`]; `Api`, `Unreachable`, `Protocol`.
    pub async fn proven_state(
        &self,
        anchor: &mut ProofAnchor,
        key: &[u8],
        contract: Option<Address>,
        at: Option<Height>,
    ) -> Result<(Proven, StateProof), ClientError> {
        let answer = self.state_proof(key.to_vec(), contract, at).await?;
        let full_key = match contract {
            Some(contract) => state_key::storage(&contract, key),
            None => key.to_vec(),
        };
        if answer.key != Bytes(full_key.clone()) {
            return Err(unproven("the answer is for another key"));
        }
        let proven = self.check(anchor, full_key, &answer).await?;
        // A true proof of another height answers another question: an old balance, say.
        if let Some(at) = at
            && proven.height != at
        {
            return Err(unproven(format!(
                "asked for the state after height {at}, the proof is of height {}",
                proven.height
            )));
        }
        Ok((proven, answer))
    }

    /// Checks that `answer` proves what is under `key`.
    async fn check(
        &self,
        anchor: &mut ProofAnchor,
        key: Vec<u8>,
        answer: &StateProof,
    ) -> Result<Proven, ClientError> {
        let finality = answer
            .signed_header
            .to_finality_proof(answer.descendants.as_ref())
            .ok_or_else(|| {
                unproven("neither the header nor one after it has a well formed certificate")
            })?;
        let (header, validators) = self.decided(anchor, &finality).await?;
        let executed = &header.executed;
        if executed.height != answer.height || executed.state_root != answer.state_root {
            return Err(unproven(format!(
                "the header commits to root {} after height {}, the answer is for root {} after height {}",
                executed.state_root, executed.height, answer.state_root, answer.height
            )));
        }
        let tree_proof = decode_bounded::<Proof>(&answer.proof.0, PROOF_BYTES_MAX)
            .map_err(|error| unproven(format!("the proof is {error}")))?;
        let value = answer.value.as_ref().map(|value| value.0.clone());
        proof::verify(&executed.state_root, &key, value.as_deref(), &tree_proof)
            .map_err(|_mismatch| unproven("the tree path does not lead to the state root"))?;
        Ok(Proven {
            key,
            value,
            height: executed.height,
            state_root: executed.state_root,
            block_hash: header.hash(),
            epoch: validators.epoch(),
            validators: validators.validators().clone(),
            signatures: finality.certificate.signatures.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use kumiki_testkit::account;

    use super::*;
    use crate::test_node::{AT_ONCE, TestNode};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_true_proof_of_another_height_or_chain_is_refused() {
        let node = TestNode::start(1_700_000_000_000, AT_ONCE).await;
        for nonce in 0..4 {
            node.execute(node.transfer(nonce, 1).sign()).await;
        }
        let (client, proxy) = node.behind_proxy().await;
        let mut anchor = client.proof_anchor().await.unwrap();
        let key = state_key::account(&account(9).address);
        let (proven, _) = client
            .proven_state(&mut anchor, &key, None, Some(1))
            .await
            .unwrap();
        assert_eq!(proven.height, 1);

        let mut other = node.genesis().clone();
        other.time_ms += 1;
        let mut foreign = ProofAnchor::of_genesis(&other).unwrap();
        let refused = client.proven_state(&mut foreign, &key, None, Some(1)).await;
        assert!(
            matches!(refused, Err(ClientError::Unproven { .. })),
            "{refused:?}"
        );

        // The node proves, truly, what was there at another time than asked for.
        proxy.rewrite(r#""at":2"#, r#""at":1"#);
        let refused = client.proven_state(&mut anchor, &key, None, Some(2)).await;
        assert!(
            matches!(refused, Err(ClientError::Unproven { .. })),
            "{refused:?}"
        );
    }
}
