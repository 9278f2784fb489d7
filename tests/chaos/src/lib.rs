//! Put a local network of real processes under load and faults, and hold it to its promises over RPC.
//!
//! Nodes are started, killed, paused and cut off with the `kumiki` program, as a user would; clients hand transfers in
//! over RPC and take a transaction as acknowledged when a node says that it is final. The [`check()`] at the end reads
//! every block of every node.

pub mod attacker;
mod check;
mod cluster;
mod durable_files;
mod hostile;
mod load;
mod lone_node;
mod net;
mod newcomer;
mod nodes;
mod process;
pub mod rpc_attack;
mod rpc_honest;
mod rpc_run;
mod run;
mod small_disk;
mod strike;
mod tool;
mod turnover;
mod wires;
mod world;

pub use check::{Opening, Promise, check, opening};
pub use cluster::Cluster;
pub use durable_files::{chain_file, vote_journals};
pub use hostile::{HostilePlan, HostileReport, hostile};
pub use load::{Acknowledged, Load, Read};
pub use lone_node::LoneNode;
pub use net::Net;
pub use newcomer::{By, Newcomer};
pub use nodes::Nodes;
pub use process::Process;
pub use rpc_honest::{Honest, Seen};
pub use rpc_run::{RpcPlan, RpcReport, RpcRow, Window, attack_rpc};
pub use run::{Faults, Plan, Report, run};
pub use small_disk::SmallDisk;
pub use strike::{Hit, Strike};
pub use turnover::{TurnoverPlan, TurnoverReport, turnover};
pub use world::{World, enter};
