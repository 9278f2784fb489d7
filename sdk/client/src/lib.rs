//! Talk to a node: build, sign and follow transactions, read state with and without proofs, follow events.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use kumiki_client::{Client, Draft};
//! let client = Client::connect("http://127.0.0.1:8650", None).await?;
//! let alice = kumiki_wallet::dev_account::find("alice").ok_or("published")?;
//! let bob = kumiki_wallet::dev_account::find("bob").ok_or("published")?;
//! let draft = Draft::transfer(bob.address, 1_000_000_000);
//! let body = client.prepare(&draft, &alice.key.public_key()).await?.body;
//! let receipt = client.send(body, &alice.key).await?;
//! println!("final at height {}", receipt.height);
//! # Ok(()) }
//! ```

pub mod abi;
mod anchor;
mod client;
mod error;
mod events;
mod proof;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod test_node;
mod transaction;

pub use anchor::ProofAnchor;
pub use client::Client;
pub use error::ClientError;
pub use events::{EventStart, EventStream};
pub use kumiki_rpc_api as rpc_api;
pub use proof::Proven;
pub use transaction::{Draft, Prepared};
