//! Record what the calls of one transaction did, within bounds. It changes no result.

use kumiki_protocol::{Address, Amount, Gas, Hash, ResultCode};

use crate::vm::Invocation;
use crate::{Entry, Outcome};

/// Most calls kept.
const CALLS_MAX: usize = 1_024;
/// Most steps kept of all calls together.
const STEPS_MAX: usize = 8_192;
/// Most bytes kept of inputs, keys, values, data.
const BYTES_MAX: usize = 512 << 10;
/// Most bytes kept of one of them.
const CUT_BYTES_MAX: usize = 256;

/// The beginning of some bytes, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// At most the first 256.
    pub bytes: Vec<u8>,
    /// Of how many.
    pub len: usize,
}

impl Cut {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.get(..CUT_BYTES_MAX).unwrap_or(bytes).to_vec(),
            len: bytes.len(),
        }
    }
}

/// One thing that a call did. What it did is undone where the call, or one above it, fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Called, deployed or upgraded: position in [`Trace::calls`].
    Call(usize),
    /// Read an entry of its storage.
    Read {
        /// The key.
        key: Cut,
        /// What was there.
        value: Option<Cut>,
    },
    /// Asked whether an entry is there.
    Has {
        /// The key.
        key: Cut,
        /// Whether it is.
        found: bool,
    },
    /// Wrote an entry, or removed it.
    Write {
        /// The key.
        key: Cut,
        /// What was there before.
        before: Option<Cut>,
        /// What is there after.
        after: Option<Cut>,
    },
    /// Read entries in the order of their keys.
    Scan {
        /// What their keys begin with.
        prefix: Cut,
        /// How many it was given.
        entries: u32,
    },
    /// Emitted an event.
    Event {
        /// Its topics.
        topics: Vec<Hash>,
        /// Its data.
        data: Cut,
    },
    /// Sent native tokens.
    Transfer {
        /// To whom.
        to: Address,
        /// How many base units.
        amount: Amount,
        /// Whether they moved.
        code: ResultCode,
    },
}

/// One call of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedCall {
    /// Which export ran.
    pub entry: Entry,
    /// Who called.
    pub caller: Address,
    /// The contract.
    pub contract: Address,
    /// Hash of its code; absent where the call did not come to run.
    pub code_hash: Option<Hash>,
    /// Selector and arguments.
    pub input: Cut,
    /// Native tokens sent along.
    pub value: Amount,
    /// The most gas it might use.
    pub gas_limit: Gas,
    /// Gas it used, with the calls it made.
    pub gas_used: Gas,
    /// Gas that the calls it made used.
    pub inner_gas_used: Gas,
    /// How it ended.
    pub code: ResultCode,
    /// What it returned or reverted with.
    pub data: Cut,
    /// What it did, in order.
    pub steps: Vec<Step>,
}

/// One action of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracedAction {
    /// Gas it used in all.
    pub gas_used: Gas,
    /// How much of that the receipt's copy of its output cost.
    pub output_gas: Gas,
    /// The call it made, if it made one: position in [`Trace::calls`].
    pub call: Option<usize>,
}

/// What the calls of one transaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The actions that were begun, in order. Who executes transactions writes them.
    pub actions: Vec<TracedAction>,
    /// Every call, in the order of their beginnings.
    pub calls: Vec<TracedCall>,
    /// Calls and steps that are left out because there were too many.
    pub left_out: u64,
    /// The calls that run; `None` for one that is left out.
    open: Vec<Option<usize>>,
    steps: usize,
    bytes: usize,
}

impl Trace {
    pub(crate) fn enter(&mut self, call: &Invocation, code_hash: Option<Hash>, gas_limit: Gas) {
        let index = self.calls.len();
        let step = Step::Call(index);
        let kept = index < CALLS_MAX && (self.open.is_empty() || self.push(step, 0));
        if !kept {
            self.left_out += 1;
        }
        self.open.push(kept.then_some(index));
        if kept {
            let input = Cut::of(&call.input);
            self.bytes += input.bytes.len();
            self.calls.push(TracedCall {
                entry: call.entry,
                caller: call.caller,
                contract: call.contract,
                code_hash,
                input,
                value: call.value,
                gas_limit,
                gas_used: 0,
                inner_gas_used: 0,
                code: ResultCode::Ok,
                data: Cut::of(&[]),
                steps: Vec::new(),
            });
        }
    }

    pub(crate) fn leave(&mut self, outcome: &Outcome) {
        if let Some(call) = self
            .open
            .pop()
            .flatten()
            .and_then(|it| self.calls.get_mut(it))
        {
            call.gas_used = outcome.gas_used;
            call.code = outcome.code;
            call.data = Cut::of(&outcome.data);
            self.bytes += call.data.bytes.len();
        }
        if let Some(caller) = self.innermost() {
            caller.inner_gas_used += outcome.gas_used;
        }
    }

    /// Records a step of the innermost call.
    pub(crate) fn step(&mut self, step: impl FnOnce() -> Step) {
        let step = step();
        let bytes = step.bytes();
        if !self.push(step, bytes) {
            self.left_out += 1;
        }
    }

    fn push(&mut self, step: Step, bytes: usize) -> bool {
        if self.steps >= STEPS_MAX || self.bytes + bytes > BYTES_MAX {
            return false;
        }
        let Some(call) = self.innermost() else {
            return false;
        };
        call.steps.push(step);
        self.steps += 1;
        self.bytes += bytes;
        true
    }

    fn innermost(&mut self) -> Option<&mut TracedCall> {
        let index = (*self.open.last()?)?;
        self.calls.get_mut(index)
    }
}

impl Step {
    fn bytes(&self) -> usize {
        let of = |cut: &Option<Cut>| cut.as_ref().map_or(0, |cut| cut.bytes.len());
        match self {
            Self::Call(_) | Self::Transfer { .. } => 0,
            Self::Read { key, value } => key.bytes.len() + of(value),
            Self::Has { key, .. } => key.bytes.len(),
            Self::Write { key, before, after } => key.bytes.len() + of(before) + of(after),
            Self::Scan { prefix, .. } => prefix.bytes.len(),
            Self::Event { topics, data } => topics.len() * 32 + data.bytes.len(),
        }
    }
}
