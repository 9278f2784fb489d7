//! Hold the claims of calls: the same contracts under both engines, in lockstep.

mod abi;
mod calls;
mod deploy;
mod exhaustion;
mod faults;
mod harness;
