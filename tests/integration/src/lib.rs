//! Drive the `kumiki` program and a running chain from outside, as a user does.
//!
//! Nothing here links the product: only processes, files and sockets.

pub mod localnet;
pub mod program;
pub mod walkthrough;
