//! Bound what a function asks of an optimising compiler beyond its size.
//!
//! Where control flow meets, a compiler merges every value that is alive, and a loop does so once more for each
//! loop around it. So time grows with values times meeting places, which bytes and blocks alone do not show: 100
//! nested loops over 500 locals are 4 KB and took 14 s. With the branches of one function alone both time and memory
//! grow faster than their number: 10,000 indirect calls are 50 KB and took 250 MB and most of a second.

use wasmparser::Operator;

use super::{FunctionFrame, InvalidCode, limits};

/// Branches that an engine makes of `call_indirect`: index, presence, type and a first use of the entry.
const BRANCHES_OF_INDIRECT_CALL: u64 = 4;
/// Branches of what is charged by its size: the charge's own, and a call of the engine with its bounds.
const BRANCHES_OF_BULK: u64 = 3;
/// Branches of a table access: bounds, and a first use of the entry.
const BRANCHES_OF_TABLE_ACCESS: u64 = 2;

/// The control flow of a function, operator by operator.
#[derive(Debug, Default)]
pub(super) struct Complexity {
    /// Blocks opened and branches taken, by contract or engine, which each are paid for.
    blocks: u64,
    /// Places where values meet: blocks, branch edges, and loops by their depth.
    meetings: u64,
    /// Open blocks; true for loops.
    open: Vec<bool>,
    loop_depth: u64,
}

impl Complexity {
    pub(super) fn note(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Loop { .. } => {
                self.loop_depth += 1;
                self.blocks += 1;
                self.meetings += self.loop_depth;
                self.open.push(true);
            }
            Operator::Block { .. } | Operator::If { .. } => {
                self.blocks += 1;
                self.meetings += 1;
                self.open.push(false);
            }
            Operator::End => self.close(),
            Operator::Br { .. } | Operator::BrIf { .. } => {
                self.blocks += 1;
                self.meetings += 1;
            }
            Operator::BrTable { targets } => {
                self.blocks += 1 + u64::from(targets.len()) / 8;
                self.meetings += 1 + u64::from(targets.len());
            }
            Operator::CallIndirect { .. } => self.blocks += BRANCHES_OF_INDIRECT_CALL,
            Operator::MemoryGrow { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. } => self.blocks += BRANCHES_OF_BULK,
            Operator::TableGet { .. } | Operator::TableSet { .. } => {
                self.blocks += BRANCHES_OF_TABLE_ACCESS;
            }
            _ => {}
        }
    }

    /// The last `end` closes the function, which is not among the open blocks.
    fn close(&mut self) {
        let is_loop = self.open.pop().unwrap_or(false);
        self.loop_depth -= u64::from(is_loop);
    }

    pub(super) const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Values that may be alive, times places where they meet.
    pub(super) fn of(&self, frame: &FunctionFrame) -> u64 {
        let values = u64::from(frame.params)
            .saturating_add(u64::from(frame.locals))
            .saturating_add(u64::from(frame.operands_max));
        values.saturating_mul(self.meetings)
    }

    pub(super) fn check(&self, frame: &FunctionFrame) -> Result<(), InvalidCode> {
        limits::check(
            "complexity of a function (values times branches and loops)",
            self.of(frame),
            limits::COMPLEXITY_MAX,
        )
        .and_then(|()| {
            limits::check(
                "branches in a function (blocks, branches, indirect calls, bulk operations)",
                self.blocks,
                limits::BRANCHES_MAX,
            )
        })
        .map_err(|mut error| {
            error
                .message
                .push_str(": split the function, or keep the compiler from inlining into it");
            error
        })
    }
}
