//! Say what keeps a network from starting or from doing as told.

use std::io;
use std::path::PathBuf;

use libp2p::Multiaddr;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The key is not an ed25519 key that libp2p takes.
    #[error("the network key is not usable: {0}")]
    Key(String),
    /// Two channels or topics share a name, or a name or limit is not allowed.
    #[error("{what} `{name}`: {problem}")]
    Spec {
        /// `channel` or `topic`.
        what: &'static str,
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A part of the swarm refused its configuration.
    #[error("{part} could not be set up: {problem}")]
    Setup {
        /// Which part.
        part: &'static str,
        /// Its words.
        problem: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {problem}; is the port taken by another node?")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What the system says.
        problem: String,
    },
    /// The file of known peers cannot be read.
    #[error("cannot read the known peers in {}: {source}; remove the file to start without them", path.display())]
    KnownPeers {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// An address cannot be dialled.
    #[error("cannot dial {address}: {problem}")]
    Dial {
        /// The address.
        address: Multiaddr,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The network was shut down.
    #[error("the network has been shut down")]
    Closed,
}
