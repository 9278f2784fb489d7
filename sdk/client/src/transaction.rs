//! Build transactions with the right nonce, gas and expiry, sign them, and follow them to a certain end.

use std::time::Duration;

use kumiki_protocol::{
    Action, Address, Amount, Encode as _, Gas, Height, Nonce, PublicKey, SecretKey, Transaction,
    TransactionBody, TransactionHash,
};
use kumiki_rpc_api::methods::{
    RpcApiClient as _, SimulationApiClient as _, TransactionApiClient as _,
};
use kumiki_rpc_api::{
    Bytes, Submitted, TransactionReceipt, TransactionSimulation, TransactionState,
};
use kumiki_wallet::dev_account;

use crate::error::is_unsent;
use crate::{Client, ClientError};

#[cfg(test)]
mod tests;

/// Blocks that a transaction may wait before its fate is sealed.
const VALID_FOR: Height = 1_000;
/// How long one request waits for a receipt, in milliseconds.
const WAIT_MS: u64 = 20_000;
/// Time between tries when the node cannot answer.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// What a transaction should do; what is left out is found out.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The steps.
    pub actions: Vec<Action>,
    /// The most gas; by default what a simulation suggests.
    pub gas_limit: Option<Gas>,
    /// Base units per unit of gas; by default what the node suggests.
    pub gas_price: Option<u64>,
    /// By default the next one, transactions that wait in the node counted.
    pub nonce: Option<Nonce>,
}

/// A transaction that was simulated and waits for its signature.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What to sign.
    pub body: TransactionBody,
    /// What it would come to on top of the head.
    pub simulation: TransactionSimulation,
}

impl Draft {
    /// A draft of these steps.
    #[must_use]
    pub const fn new(actions: Vec<Action>) -> Self {
        Self {
            actions,
            gas_limit: None,
            gas_price: None,
            nonce: None,
        }
    }

    /// A transfer of native tokens, in base units.
    #[must_use]
    pub fn transfer(to: Address, amount: Amount) -> Self {
        Self::new(vec![Action::Transfer { to, amount }])
    }
}

impl Client {
    /// Fills in nonce, price and expiry, simulates, and sets the gas limit that the simulation suggests.
    ///
    /// The simulation may show that the transaction would fail; nothing is sent here.
    ///
    /// # Errors
    /// `CannotPay`, `Api` when the node refuses to simulate, `Unreachable`, `Protocol`.
    pub async fn prepare(
        &self,
        draft: &Draft,
        sender: &PublicKey,
    ) -> Result<Prepared, ClientError> {
        let address = Address::of_account(sender);
        let nonce = match draft.nonce {
            Some(nonce) => nonce,
            None => self.next_nonce(address).await?.nonce,
        };
        let gas_price = match draft.gas_price {
            Some(price) => price,
            None => self.suggested_gas_price().await?,
        };
        let info = self.info().await?;
        let mut body = TransactionBody {
            version: TransactionBody::current_version(),
            genesis_hash: self.genesis_hash(),
            sender: *sender,
            nonce,
            gas_limit: 0,
            gas_price,
            valid_until: info.head.height.saturating_add(VALID_FOR),
            actions: draft.actions.clone(),
        };
        body.gas_limit = match draft.gas_limit {
            Some(limit) => limit,
            None => {
                self.affordable_gas(&body, info.parameters.block_gas_max)
                    .await?
            }
        };
        let simulation = self.simulate(&body).await?;
        if draft.gas_limit.is_none() {
            body.gas_limit = simulation.suggested_gas_limit.min(body.gas_limit);
        }
        Ok(Prepared { body, simulation })
    }

    /// What the node suggests to pay. A price that no transaction can hold is an error, not the highest price.
    async fn suggested_gas_price(&self) -> Result<u64, ClientError> {
        let price = self.fee_price().await?.gas_price.0;
        u64::try_from(price).map_err(|_too_large| ClientError::Protocol {
            url: self.url.clone(),
            reason: format!("it asks for a gas price of {price}"),
        })
    }

    /// The most gas that node and block allow and that the sender can pay.
    async fn affordable_gas(
        &self,
        body: &TransactionBody,
        block_gas_max: Gas,
    ) -> Result<Gas, ClientError> {
        let limits = self
            .http
            .limits()
            .await
            .map_err(|error| self.failed(error))?;
        let balance = self.account(body.sender_address(), None).await?.balance.0;
        let values = body.value().unwrap_or(Amount::MAX);
        if balance.saturating_sub(values) < Amount::from(body.gas_price.max(1)) {
            return Err(ClientError::CannotPay {
                address: body.sender_address(),
                balance,
                value: values,
            });
        }
        let payable = balance.saturating_sub(values) / Amount::from(body.gas_price.max(1));
        let payable = Gas::try_from(payable).unwrap_or(Gas::MAX);
        Ok(limits.simulation_gas.min(block_gas_max).min(payable))
    }

    /// What `body` would come to on top of the head. Nothing is sent.
    ///
    /// # Errors
    /// `Api`, `Unreachable`, `Protocol`.
    pub async fn simulate(
        &self,
        body: &TransactionBody,
    ) -> Result<TransactionSimulation, ClientError> {
        self.http
            .simulate_transaction(Bytes(body.encode()))
            .await
            .map_err(|error| self.failed(error))
    }

    /// Signs `body`; published keys only for a dev chain.
    ///
    /// # Errors
    /// `PublishedKey`.
    pub fn sign(&self, body: TransactionBody, key: &SecretKey) -> Result<Transaction, ClientError> {
        dev_account::check_allowed(&key.public_key(), self.kind())?;
        Ok(body.sign(key))
    }

    /// Hands in a transaction without waiting for its execution. Handing it in again is harmless.
    ///
    /// # Errors
    /// `Api` with the reason when the node refuses it.
    pub async fn submit(&self, transaction: &Transaction) -> Result<Submitted, ClientError> {
        self.http
            .submit(Bytes(transaction.encode()))
            .await
            .map_err(|error| self.failed(error))
    }

    /// Signs `body`, hands it in and waits until it is executed and on the node's disk.
    ///
    /// # Errors
    /// As [`Self::submit_and_wait`], and `PublishedKey`.
    pub async fn send(
        &self,
        body: TransactionBody,
        key: &SecretKey,
    ) -> Result<TransactionReceipt, ClientError> {
        self.submit_and_wait(&self.sign(body, key)?).await
    }

    /// Hands a transaction in and waits until it is executed and on the node's disk, through lost connections
    /// and restarts of the node, until its fate is certain.
    ///
    /// # Errors
    /// `Unreachable` when nothing was handed in, because no node answers. `Api` when the node refuses it for good and
    /// does not hold it: at first sight, or later because its nonce is used, it was replaced, or the node's chain is
    /// another one now. `Expired` when it can never be executed any more. `Protocol` when the answer is about another
    /// transaction.
    pub async fn submit_and_wait(
        &self,
        transaction: &Transaction,
    ) -> Result<TransactionReceipt, ClientError> {
        let hash = transaction.hash();
        let bytes = Bytes(transaction.encode());
        let mut handed_in = false;
        loop {
            let answer = self
                .http
                .submit_and_wait(bytes.clone(), Some(WAIT_MS))
                .await;
            let failure = match answer {
                Ok(receipt) => return self.checked(receipt, hash),
                Err(failure) => failure,
            };
            let unsent = is_unsent(&failure);
            let error = self.failed(failure);
            // Whoever has handed in nothing yet should hear at once that nobody is there, or what is wrong. A
            // connection lost later than that may have carried the transaction.
            if !handed_in && (unsent || !error.can_retry()) {
                return Err(error);
            }
            handed_in = true;
            let refusal = (!error.can_retry()).then_some(error);
            if let Some(receipt) = self.certain_end(transaction, refusal).await? {
                return Ok(receipt);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// The receipt if the transaction is final; `Expired` if it can never be; `refusal`, which will not pass, if the
    /// node does not hold the transaction; `None` if it may still be executed.
    async fn certain_end(
        &self,
        transaction: &Transaction,
        refusal: Option<ClientError>,
    ) -> Result<Option<TransactionReceipt>, ClientError> {
        let hash = transaction.hash();
        let valid_until = transaction.body.valid_until;
        let answer = match self.transaction(hash, Some(valid_until)).await {
            Ok(answer) => answer,
            Err(error) if error.can_retry() => return Ok(None),
            Err(error) => return Err(error),
        };
        match (answer.status, refusal) {
            (TransactionState::Final, _) => match self.receipt(hash).await {
                Ok(receipt) => self.checked(receipt, hash).map(Some),
                Err(error) if error.can_retry() => Ok(None),
                Err(error) => Err(error),
            },
            // The pool has not caught up with the block yet that made the node refuse it.
            (TransactionState::Pending, _) => Ok(None),
            // Waiting for the head to pass `valid_until` is no way out: a chain may make no more blocks.
            (TransactionState::Unknown | TransactionState::Expired, Some(refusal)) => Err(refusal),
            (TransactionState::Unknown, None) => Ok(None),
            (TransactionState::Expired, None) => {
                // Another chain's head says nothing about this transaction.
                self.check_chain().await?;
                Err(ClientError::Expired { hash })
            }
        }
    }

    /// `receipt`, if it is that of the transaction asked about.
    fn checked(
        &self,
        receipt: TransactionReceipt,
        hash: TransactionHash,
    ) -> Result<TransactionReceipt, ClientError> {
        let found = receipt.receipt.transaction;
        if found == hash {
            return Ok(receipt);
        }
        Err(ClientError::Protocol {
            url: self.url.clone(),
            reason: format!("asked for the receipt of {hash}, it sent that of {found}"),
        })
    }
}
