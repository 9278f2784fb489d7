//! Hold the claims of calls: the same contracts under every engine, in lockstep.

mod exhaustion;
mod harness;
