//! Read state that the node proves: certificate, header, tree path. A lying node is found out.

use kumiki_protocol::{
    Address, Hash, Header, Height, PublicKey, ValidatorSet, decode_bounded, state_key,
};
use kumiki_rpc_api::{Bytes, SignedHeader, StateProof};
use kumiki_state::{Proof, proof};

use crate::{Client, ClientError};

/// Above the longest path that a key of the protocol can have.
const PROOF_BYTES_MAX: usize = 64 * 1024;

/// What a proof is checked against: the chain and who decides its blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofAnchor {
    /// The chain.
    pub genesis_hash: Hash,
    /// Its validators.
    pub validators: ValidatorSet,
}

/// A value that is proven to be (or not to be) under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The key in the state tree.
    pub key: Vec<u8>,
    /// What is under it; `None` is proven absence.
    pub value: Option<Vec<u8>>,
    /// The height after which this holds.
    pub height: Height,
    /// The root that the certificate commits to.
    pub state_root: Hash,
    /// Hash of the header that the certificate signs.
    pub block_hash: Hash,
    /// Valid signatures in the certificate.
    pub signatures: usize,
}

impl ProofAnchor {
    /// An anchor of the chain with this genesis hash and these validators.
    ///
    /// # Errors
    /// `Unproven` when the keys are no validator set.
    pub fn new(genesis_hash: Hash, validators: Vec<PublicKey>) -> Result<Self, ClientError> {
        let validators = ValidatorSet::new(validators)
            .ok_or_else(|| unproven("the validators are no set of different keys"))?;
        Ok(Self {
            genesis_hash,
            validators,
        })
    }

    /// Checks that `answer` proves what is under `key`.
    ///
    /// # Errors
    /// `Unproven` with the first thing that does not hold.
    pub fn check(&self, key: &[u8], answer: &StateProof) -> Result<Proven, ClientError> {
        let header = self.check_header(&answer.signed_header)?;
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
        proof::verify(&executed.state_root, key, value.as_deref(), &tree_proof)
            .map_err(|_mismatch| unproven("the tree path does not lead to the state root"))?;
        Ok(Proven {
            key: key.to_vec(),
            value,
            height: executed.height,
            state_root: executed.state_root,
            block_hash: header.hash(),
            signatures: answer
                .signed_header
                .certificate
                .as_ref()
                .map_or(0, |certificate| certificate.signatures.len()),
        })
    }

    /// The header, if a quorum of the validators decided it.
    fn check_header(&self, signed: &SignedHeader) -> Result<Header, ClientError> {
        let header = Header::from(&signed.header);
        if header.genesis_hash != self.genesis_hash {
            return Err(unproven(format!(
                "the header is of chain {}, expected {}",
                header.genesis_hash, self.genesis_hash
            )));
        }
        let certificate = signed
            .certificate
            .as_ref()
            .ok_or_else(|| unproven("the header has no certificate"))?
            .to_certificate()
            .ok_or_else(|| unproven("the certificate is malformed"))?;
        if certificate.proposal.block != header.hash() {
            return Err(unproven("the certificate is for another header"));
        }
        certificate
            .verify(&self.genesis_hash, &self.validators)
            .map_err(|error| unproven(format!("the certificate does not verify: {error}")))?;
        Ok(header)
    }
}

impl Client {
    /// The anchor that the node itself names. It shows that answers agree with each other; who does not trust the
    /// node takes the validators from elsewhere.
    ///
    /// # Errors
    /// `Unreachable`, `Protocol`, `Unproven`.
    pub async fn proof_anchor(&self) -> Result<ProofAnchor, ClientError> {
        let info = self.info().await?;
        ProofAnchor::new(self.genesis_hash(), info.validators)
    }

    /// What is under `key` (of the state, or of `contract`'s storage), checked against `anchor`. Without `at`, the
    /// node chooses the height; `Proven` names it, and nothing shows that it is the newest.
    ///
    /// # Errors
    /// `Unproven` when the answer does not prove it; `Api`, `Unreachable`, `Protocol`.
    pub async fn proven_state(
        &self,
        anchor: &ProofAnchor,
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
        let proven = anchor.check(&full_key, &answer)?;
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
}

fn unproven(reason: impl Into<String>) -> ClientError {
    ClientError::Unproven {
        reason: reason.into(),
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
        let anchor = client.proof_anchor().await.unwrap();
        let key = state_key::account(&account(9).address);
        let (proven, _) = client
            .proven_state(&anchor, &key, None, Some(1))
            .await
            .unwrap();
        assert_eq!(proven.height, 1);

        let foreign = ProofAnchor {
            genesis_hash: Hash::ZERO,
            ..anchor.clone()
        };
        let refused = client.proven_state(&foreign, &key, None, Some(1)).await;
        assert!(
            matches!(refused, Err(ClientError::Unproven { .. })),
            "{refused:?}"
        );

        // The node proves, truly, what was there at another time than asked for.
        proxy.rewrite(r#""at":2"#, r#""at":1"#);
        let refused = client.proven_state(&anchor, &key, None, Some(2)).await;
        assert!(
            matches!(refused, Err(ClientError::Unproven { .. })),
            "{refused:?}"
        );
    }
}
