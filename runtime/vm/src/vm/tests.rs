//! Hold the claims of calls: the same contracts under both engines, in lockstep.

mod abi;
mod cache;
mod calls;
mod deploy;
mod encodings;
mod exhaustion;
mod faults;
mod harness;
mod unpaid;
