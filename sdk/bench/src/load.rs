//! Sign the load ahead of time and send it in batches, nonces in order on each connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kumiki_protocol::{
    Action, Encode as _, Gas, Hash, Height, Nonce, SecretKey, Transaction, TransactionBody,
};
use serde_json::Value;

use crate::ConnectionError;
use crate::connection::Connection;

/// How long a connection waits after a refusal.
const PAUSE: Duration = Duration::from_millis(5);

/// What all transactions of a load have in common.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) genesis_hash: Hash,
    pub(crate) gas_limit: Gas,
    pub(crate) gas_price: u64,
    pub(crate) valid_until: Height,
}

impl Terms {
    pub(crate) fn sign(&self, key: &SecretKey, nonce: Nonce, action: Action) -> Transaction {
        TransactionBody {
            version: TransactionBody::current_version(),
            genesis_hash: self.genesis_hash,
            sender: key.public_key(),
            nonce,
            gas_limit: self.gas_limit,
            gas_price: self.gas_price,
            valid_until: self.valid_until,
            actions: vec![action],
        }
        .sign(key)
    }
}

/// The signed transactions of one connection, in the order in which they are sent.
pub(crate) type Lane = Vec<Vec<u8>>;

/// Signs `count` transactions round and round `senders`, whose nonces start at 0.
pub(crate) fn sign_lane(
    terms: &Terms,
    senders: &[SecretKey],
    count: usize,
    action: impl Fn(usize) -> Action,
) -> Lane {
    let mut lane = Vec::with_capacity(count);
    let mut nonce = 0;
    while lane.len() < count {
        for (index, key) in senders.iter().enumerate() {
            lane.push(terms.sign(key, nonce, action(index)).encode());
        }
        nonce += 1;
    }
    lane
}

/// How a connection sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Transactions in a batch.
    pub(crate) batch: usize,
    /// Transactions per second at most.
    pub(crate) per_second: usize,
    /// How long an answer may take.
    pub(crate) patience: Duration,
}

/// Sends a lane until it ends or `stop` is set; returns how many batches were refused in part.
pub(crate) async fn send_lane(
    url: String,
    lane: Arc<Lane>,
    pace: Pace,
    stop: Arc<AtomicBool>,
) -> Result<u64, ConnectionError> {
    let mut connection = Connection::open(&url, pace.patience).await?;
    let batch = pace.batch.max(1);
    let per_batch = Duration::from_secs(1).mul_f64(batch as f64 / pace.per_second.max(1) as f64);
    let mut ticks = tokio::time::interval(per_batch.max(Duration::from_micros(1)));
    // A node that was slow for a moment is offered what it missed.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut refusals = 0;
    for transactions in lane.chunks(batch) {
        ticks.tick().await;
        let body = batch_body(transactions);
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(refusals);
            }
            let answer = connection.post(&body).await?;
            if !is_refused(&answer) {
                break;
            }
            // Sending all of them again is harmless: those that are in already stay in.
            refusals += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(refusals)
}

fn batch_body(transactions: &[Vec<u8>]) -> String {
    let mut body = String::with_capacity(transactions.len() * 640);
    body.push('[');
    for (id, transaction) in transactions.iter().enumerate() {
        if id > 0 {
            body.push(',');
        }
        body.push_str(r#"{"jsonrpc":"2.0","id":"#);
        body.push_str(&id.to_string());
        body.push_str(r#","method":"tx_submit","params":{"transaction":"0x"#);
        body.push_str(&hex::encode(transaction));
        body.push_str(r#""}}"#);
    }
    body.push(']');
    body
}

/// Whether one of a batch was refused for a reason that may pass. One that a block has already is no refusal:
/// it was sent again after another of its batch was refused.
fn is_refused(answer: &[u8]) -> bool {
    // No answer to `tx_submit` holds this text unless it is an error; parsing each would cost more than the rest.
    let has_error = answer.windows(8).any(|part| part == br#""error":"#);
    if !has_error {
        return false;
    }
    let Ok(Value::Array(answers)) = serde_json::from_slice::<Value>(answer) else {
        return true;
    };
    answers.iter().any(|one| {
        one.get("error")
            .is_some_and(|error| error["data"]["name"] != "nonceTooLow")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_goes_round_its_senders_with_rising_nonces() {
        let terms = Terms {
            genesis_hash: Hash::ZERO,
            gas_limit: 1,
            gas_price: 1,
            valid_until: 1,
        };
        let senders = [1, 2].map(|seed| SecretKey::from_seed([seed; 32]));
        let to = kumiki_protocol::Address(Hash::ZERO.0);
        let lane = sign_lane(&terms, &senders, 4, |_| Action::Transfer { to, amount: 1 });
        let order: Vec<_> = lane
            .iter()
            .map(|bytes| {
                let one = Transaction::decode_checked(bytes).unwrap();
                assert!(one.verify_signature().is_ok());
                (one.body.sender == senders[1].public_key(), one.body.nonce)
            })
            .collect();
        assert_eq!(order, [(false, 0), (true, 0), (false, 1), (true, 1)]);
        let body: Value = serde_json::from_str(&batch_body(&lane)).unwrap();
        assert_eq!(
            body[3]["params"]["transaction"],
            format!("0x{}", hex::encode(&lane[3]))
        );
    }

    #[test]
    fn only_refusals_that_may_pass_are_sent_again() {
        assert!(!is_refused(
            br#"[{"jsonrpc":"2.0","id":0,"result":{"hash":"0x00"}}]"#
        ));
        let executed = br#"[{"id":0,"error":{"code":2004,"data":{"name":"nonceTooLow"}}}]"#;
        assert!(!is_refused(executed));
        assert!(is_refused(
            br#"[{"id":0,"error":{"code":2013,"data":{"name":"poolFull"}}}]"#
        ));
        assert!(is_refused(br#"{"error":{"code":1}}"#));
    }
}
