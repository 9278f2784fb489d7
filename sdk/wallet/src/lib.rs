//! Keep signing keys: encrypted on disk, or published for dev chains and refused everywhere else.

pub mod dev_account;
mod keystore;
mod node_key;
mod passphrase;
mod private_file;
mod sealed_key;

pub use dev_account::{DevAccount, DevKeyRefused};
pub use keystore::{AccountSummary, Keystore, KeystoreError, check_account_name};
pub use node_key::{NodeKeyError, create_node_key, read_node_key};
pub use passphrase::Passphrase;
pub use private_file::{PrivateFileError, create_folder, write_new};
pub use sealed_key::SealError;
