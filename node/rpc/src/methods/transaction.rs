//! Take transactions in, and answer what became of them.

use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::{RpcResult, async_trait};
use jsonrpsee::{Extensions, Methods};
use kumiki_mempool::{Refusal, Removal};
use kumiki_protocol::{DecodeError, Encode, Height, Receipt, Transaction, TransactionHash, merkle};
use kumiki_rpc_api::methods::TransactionApiServer;
use kumiki_rpc_api::{
    ApiError, Bytes, ErrorCode, ReceiptProof, ReceiptView, SubmitStatus, Submitted,
    TransactionReceipt, TransactionState, TransactionStatus, TransactionView,
};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Node, Rpc, fault, lost};
use crate::connections::Connection;
use crate::text::plain;

/// How often one who waits looks whether the transaction has left the pool without a block.
const REMOVAL_CHECK: Duration = Duration::from_millis(250);

impl Node {
    async fn take_in(&self, encoded: Bytes) -> Result<Submitted, ApiError> {
        let transaction = decode(&encoded)?;
        // While it is verified and waited for, the pool has it.
        drop(encoded);
        let hash = transaction.hash();
        match self.context.mempool.submit(transaction).await {
            Ok(hash) => Ok(Submitted {
                hash,
                status: SubmitStatus::Pending,
            }),
            // A retry of what a block has already is no mistake.
            Err(Refusal::NonceTooLow { .. } | Refusal::Expired { .. })
                if self.location(&hash)?.is_some() =>
            {
                Ok(Submitted {
                    hash,
                    status: SubmitStatus::Final,
                })
            }
            Err(refusal) => Err(refused(&refusal).about(hash)),
        }
    }

    fn final_receipt(
        &self,
        hash: &TransactionHash,
        with_proof: bool,
    ) -> Result<TransactionReceipt, ApiError> {
        self.at_final_location(hash, |place| self.receipt_at(hash, place, with_proof))
    }

    fn receipt_at(
        &self,
        hash: &TransactionHash,
        (height, index): (Height, u32),
        with_proof: bool,
    ) -> Result<Found<TransactionReceipt>, ApiError> {
        let receipt = self.context.storage.receipt(height, index);
        let receipt = receipt.map_err(|error| fault(&error))?;
        let Some(receipt) = receipt.filter(|receipt| receipt.transaction == *hash) else {
            return Ok(Err("receipt"));
        };
        let proof = if with_proof {
            match self.prove_receipt(&receipt, height, index)? {
                Ok(proof) => Some(proof),
                Err(what) => return Ok(Err(what)),
            }
        } else {
            None
        };
        Ok(Ok(TransactionReceipt {
            receipt: ReceiptView::new(&receipt, Some((height, index))),
            height,
            index,
            block_hash: self.header(height)?.hash(),
            proof,
        }))
    }

    fn prove_receipt(
        &self,
        receipt: &Receipt,
        height: Height,
        index: u32,
    ) -> Result<Found<ReceiptProof>, ApiError> {
        let (signed_header, descendants) = self.committing_header(height)?;
        let receipts = self.context.storage.receipts(height);
        let Some(receipts) = receipts.map_err(|error| fault(&error))? else {
            return Ok(Err("receipts"));
        };
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let leaves: Vec<Vec<u8>> = receipts.iter().map(Encode::encode).collect();
        let proof = merkle::prove(&leaves, place).filter(|_| receipts.get(place) == Some(receipt));
        let Some(proof) = proof else {
            return Ok(Err("receipt in its list"));
        };
        Ok(Ok(ReceiptProof {
            receipt: Bytes(receipt.encode()),
            proof: Bytes(proof.encode()),
            signed_header,
            descendants,
        }))
    }

    /// Why a transaction that was taken in will not be executed, if that is so.
    fn dropped(&self, hash: &TransactionHash) -> Option<ApiError> {
        let (code, detail) = match self.context.mempool.removal(hash)? {
            // Its own block may be the one that used it; if not, `Replaced` says what happened.
            Removal::NonceUsed => (ErrorCode::Replaced, "another transaction used its nonce"),
            Removal::Replaced => (ErrorCode::Replaced, "it was replaced while it waited"),
            Removal::Expired => (ErrorCode::Expired, "the head passed its valid_until"),
            Removal::Evicted => (ErrorCode::PoolFull, "others that pay more needed the room"),
            Removal::Rewound => (
                ErrorCode::ChainRewound,
                "the chain was taken back to an earlier block while it waited",
            ),
            Removal::Rejected(rejection) => (
                rejection.into(),
                "it could not be executed when its turn came",
            ),
        };
        Some(ApiError::new(code, detail).about(*hash))
    }

    /// Looks up one row of the store at each head: too little to hand to another thread.
    async fn await_final(
        &self,
        hash: TransactionHash,
        deadline: Instant,
    ) -> Result<(Height, u32), ApiError> {
        let mut heads = self.context.heads.clone();
        loop {
            heads.borrow_and_update();
            // Read before the location: a removal seen here is older than the location read below.
            let dropped = self.dropped(&hash);
            if let Some(location) = self.location(&hash)? {
                return Ok(location);
            }
            if let Some(error) = dropped.filter(|_| !self.context.mempool.contains(&hash)) {
                return Err(error);
            }
            let look_again = sleep_until((Instant::now() + REMOVAL_CHECK).min(deadline));
            let changed = tokio::select! {
                changed = heads.changed() => changed.is_ok(),
                () = look_again => true,
            };
            if !changed {
                let detail = "the node stopped before the transaction was final";
                return Err(ApiError::new(ErrorCode::NotReady, detail).about(hash));
            }
            if Instant::now() >= deadline && self.location(&hash)?.is_none() {
                let detail = "the transaction was not final in time; it may still become so";
                return Err(ApiError::new(ErrorCode::WaitTimedOut, detail).about(hash));
            }
        }
    }
}

impl Rpc {
    /// Takes a transaction in and waits, until `deadline`, until it is final.
    pub(super) async fn submit_until(
        &self,
        deadline: Instant,
        transaction: Bytes,
    ) -> Result<TransactionReceipt, ApiError> {
        let hash = match timeout_at(deadline, self.take_in(transaction)).await {
            Ok(taken) => taken?.hash,
            Err(_elapsed) => {
                let detail = "the time was over before the transaction was taken in";
                return Err(ApiError::new(ErrorCode::WaitTimedOut, detail));
            }
        };
        self.await_final(hash, deadline).await?;
        self.read(&self.reads, move |node| node.final_receipt(&hash, false))
            .await
    }
}

/// What was looked for at a place in a block, or what of it the store lacks there.
pub(super) type Found<T> = Result<T, &'static str>;

/// The methods about transactions.
pub(super) fn methods(rpc: Rpc) -> Methods {
    const WAIT: &str = "tx_submitAndWait";

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct SubmitAndWait {
        transaction: Bytes,
        #[serde(default)]
        timeout_ms: Option<u64>,
    }

    let mut module = TransactionApiServer::into_rpc(rpc);
    // As generated, it would keep the text of the transaction, which can have more than a megabyte, for as long as
    // it waits. This one has read it when the waiting begins.
    module.remove_method(WAIT);
    module
        .register_async_method(WAIT, |params, rpc, extensions| {
            let wanted = params.parse::<SubmitAndWait>();
            async move {
                let SubmitAndWait {
                    transaction,
                    timeout_ms,
                } = wanted?;
                rpc.submit_and_wait(&extensions, transaction, timeout_ms)
                    .await
            }
        })
        .expect("the name was just freed");
    module.into()
}

#[async_trait]
impl TransactionApiServer for Rpc {
    async fn submit(&self, transaction: Bytes) -> RpcResult<Submitted> {
        Ok(self.take_in(transaction).await?)
    }

    async fn submit_and_wait(
        &self,
        extensions: &Extensions,
        transaction: Bytes,
        timeout_ms: Option<u64>,
    ) -> RpcResult<TransactionReceipt> {
        let caller = extensions.get::<Arc<Connection>>();
        let ip = caller.ok_or_else(|| lost("the connection of a call"))?.ip();
        let _place = self.waiters.enter(ip).ok_or_else(|| {
            let limits = &self.limits;
            let detail = format!(
                "{} requests wait already, or {} from this address",
                limits.waiters, limits.waiters_per_ip
            );
            ApiError::new(ErrorCode::WaitersTooMany, detail)
        })?;
        let wait_ms = timeout_ms.unwrap_or(u64::MAX).min(self.limits.wait_ms);
        let deadline = Instant::now() + Duration::from_millis(wait_ms);
        Ok(self.submit_until(deadline, transaction).await?)
    }

    fn transaction(
        &self,
        hash: TransactionHash,
        valid_until: Option<Height>,
        encoded: Option<bool>,
    ) -> RpcResult<TransactionStatus> {
        // The head first: what is in no block up to it by then is in none up to it at all.
        let head = self.head().height;
        let waiting = self.context.mempool.get(&hash);
        let removal = self.context.mempool.removal(&hash);
        let show = |transaction: &Transaction| {
            let mut view = TransactionView::from(transaction);
            view.encoded = encoded
                .unwrap_or(false)
                .then(|| Bytes(transaction.encode()));
            view
        };
        let location = self.location(&hash)?;
        let (status, transaction) = match (location, waiting) {
            (Some((height, index)), _) => {
                let block = self.context.storage.block(height);
                let block = block.map_err(|error| fault(&error))?;
                let position = usize::try_from(index).unwrap_or(usize::MAX);
                let found = block
                    .as_ref()
                    .and_then(|block| block.transactions.get(position));
                (TransactionState::Final, found.map(show))
            }
            (None, _) if valid_until.is_some_and(|until| until < head) => {
                (TransactionState::Expired, None)
            }
            (None, Some(transaction)) => (TransactionState::Pending, Some(show(&transaction))),
            (None, None) if removal == Some(Removal::Expired) => (TransactionState::Expired, None),
            (None, None) => (TransactionState::Unknown, None),
        };
        Ok(TransactionStatus {
            hash,
            status,
            height: location.map(|(height, _)| height),
            index: location.map(|(_, index)| index),
            transaction,
            head,
        })
    }

    fn receipt(&self, hash: TransactionHash, proof: Option<bool>) -> RpcResult<TransactionReceipt> {
        Ok(self.final_receipt(&hash, proof.unwrap_or(false))?)
    }
}

impl Node {
    /// What `answer` finds out about a transaction from the place that it has in a block. On a chain for development that
    /// block may be taken back meanwhile: then the place is looked up again, and nothing is missing from the store.
    pub(super) fn at_final_location<T>(
        &self,
        hash: &TransactionHash,
        answer: impl Fn((Height, u32)) -> Result<Found<T>, ApiError>,
    ) -> Result<T, ApiError> {
        let mut place = self.final_location(hash)?;
        loop {
            let what = match answer(place)? {
                Ok(found) => return Ok(found),
                Err(what) => what,
            };
            let now = self.final_location(hash)?;
            if now == place {
                return Err(lost(what));
            }
            place = now;
        }
    }

    /// Where a transaction is; that it is in a block is expected.
    fn final_location(&self, hash: &TransactionHash) -> Result<(Height, u32), ApiError> {
        if let Some(location) = self.location(hash)? {
            return Ok(location);
        }
        let (code, detail) = if self.context.mempool.contains(hash) {
            (ErrorCode::TransactionPending, "it waits for a block")
        } else {
            (
                ErrorCode::TransactionUnknown,
                "no block and no waiting transaction has this hash",
            )
        };
        Err(ApiError::new(code, detail).about(*hash))
    }
}

fn decode(encoded: &Bytes) -> Result<Transaction, ApiError> {
    Transaction::decode_checked(&encoded.0).map_err(|error| {
        let code = match error {
            DecodeError::TooLong { .. } => ErrorCode::TooLarge,
            DecodeError::Malformed { .. } => ErrorCode::Malformed,
        };
        ApiError::new(code, plain(&error.to_string()))
    })
}

/// The refusal's code is in the same table, by test.
fn refused(refusal: &Refusal) -> ApiError {
    let code = ErrorCode::from_number(refusal.code()).unwrap_or(ErrorCode::Unavailable);
    let detail = match refusal {
        Refusal::Unavailable { reason } => {
            tracing::warn!(%reason, "transaction not taken in");
            "the node takes nothing in".to_owned()
        }
        other => plain(&other.to_string()),
    };
    ApiError::new(code, detail)
}
