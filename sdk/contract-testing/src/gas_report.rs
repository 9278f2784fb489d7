//! Count the gas of every message that a test sent.

use std::collections::BTreeMap;
use std::fmt;

/// The gas of one kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageGas {
    /// How many were sent.
    pub count: u64,
    /// The least that one used.
    pub min: u64,
    /// The most that one used.
    pub max: u64,
}

/// Gas by message, `Contract.message`; a transaction's own costs (base, signature, bytes) are included. Native
/// contracts pay only for host functions, so measure on Wasm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GasReport {
    /// By name.
    pub messages: BTreeMap<&'static str, MessageGas>,
    /// Each message in the order in which they were sent.
    pub(crate) sent: Vec<(&'static str, u64)>,
}

impl GasReport {
    pub(crate) fn add(&mut self, message: &'static str, gas: u64) {
        let entry = self.messages.entry(message).or_insert(MessageGas {
            count: 0,
            min: gas,
            max: gas,
        });
        entry.count += 1;
        entry.min = entry.min.min(gas);
        entry.max = entry.max.max(gas);
        self.sent.push((message, gas));
    }
}

impl fmt::Display for GasReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<40} {:>6} {:>12} {:>12}",
            "message", "count", "min gas", "max gas"
        )?;
        for (name, gas) in &self.messages {
            writeln!(
                f,
                "{name:<40} {:>6} {:>12} {:>12}",
                gas.count, gas.min, gas.max
            )?;
        }
        Ok(())
    }
}
