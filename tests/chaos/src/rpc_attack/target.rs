//! Know the node that is attacked, and the dearest things that can be asked of it.

use std::net::SocketAddr;
use std::sync::Arc;

use kumiki_protocol::{Address, Height, TransactionHash};

use super::{Message, messages};

/// A node, and what was laid out on its chain for attackers.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it answers.
    pub rpc: SocketAddr,
    /// A contract whose view never ends and which has much in its storage.
    pub contract: Address,
    /// A transaction that took much work.
    pub transaction: TransactionHash,
    /// The block with most bytes.
    pub height: Height,
    /// Messages that mean harm by what is in them.
    pub messages: Arc<Vec<Message>>,
}

impl Target {
    /// As arguments of a program, and back by [`Self::parse`].
    #[must_use]
    pub fn arguments(&self) -> [String; 4] {
        [
            self.rpc.to_string(),
            self.contract.to_string(),
            self.transaction.to_string(),
            self.height.to_string(),
        ]
    }

    /// Reads what [`Self::arguments`] wrote.
    #[must_use]
    pub fn parse(arguments: &[String]) -> Option<Self> {
        let [rpc, contract, transaction, height] = arguments else {
            return None;
        };
        Some(Self {
            rpc: rpc.parse().ok()?,
            contract: contract.parse().ok()?,
            transaction: transaction.parse().ok()?,
            height: height.parse().ok()?,
            messages: Arc::new(messages(contract)),
        })
    }

    /// The call with the largest answer.
    pub(super) fn largest(&self) -> String {
        let height = self.height;
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"chain_getBlock","params":{{"height":{height},"transactions":"full"}}}}"#
        )
    }

    /// The dearest calls, one of each kind.
    pub(super) fn dearest(&self) -> Vec<String> {
        let (contract, transaction, height) = (self.contract, self.transaction, self.height);
        let calls = [
            // A view without end, up to the most gas.
            (
                "sim_call",
                format!(r#"{{"contract":"{contract}","input":"0x00"}}"#),
            ),
            ("debug_traceTx", format!(r#"{{"hash":"{transaction}"}}"#)),
            (
                "state_getPrefix",
                format!(r#"{{"contract":"{contract}","prefix":"0x","limit":256}}"#),
            ),
            // An old state is made from all that changed since.
            (
                "state_getPrefix",
                format!(r#"{{"contract":"{contract}","prefix":"0x","limit":256,"at":{height}}}"#),
            ),
            (
                "state_getProof",
                format!(r#"{{"contract":"{contract}","key":"0x0001","at":{height}}}"#),
            ),
            // No event has this topic, so all are looked at.
            (
                "events_query",
                format!(
                    r#"{{"filter":{{"topics":[null,"0x{:064x}"]}},"limit":256}}"#,
                    1
                ),
            ),
            ("events_query", r#"{"from":1,"limit":256}"#.to_owned()),
            (
                "tx_getReceipt",
                format!(r#"{{"hash":"{transaction}","proof":true}}"#),
            ),
            ("contract_getCode", format!(r#"{{"address":"{contract}"}}"#)),
            ("rpc.discover", "{}".to_owned()),
        ];
        let call = |(method, params): (&str, String)| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
        };
        calls.into_iter().map(call).collect()
    }
}
