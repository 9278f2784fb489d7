//! Keep contracts that mean harm, with how each must end, and the chains that run them on every engine.

pub mod case;
pub mod cases;
pub mod chain;
pub mod corpus;
pub mod disk_chain;
pub mod gas_search;
mod observe;
pub mod processor_time;
pub mod smith;
pub mod wat;

pub use case::{Case, End};
pub use chain::{Chain, Node};
