//! Order blocks: the seam between an ordering engine and the chain it orders, and the engines behind it.
//!
//! [`Application`] is all that an engine knows of the chain. [`Solo`] is the engine of a chain with one
//! validator; an engine for many validators is a second user of the same seam. Nothing here executes a
//! contract, reads a clock of its own or touches a disk.

mod application;
pub mod simplex;
mod solo;

pub use application::{Application, BuildRequest, CheckRequest, Decided, Pending, Tip};
pub use solo::{ChainTime, Clock, Ended, Order, Sealing, Solo, TIME_MAX_MS, Warp};
