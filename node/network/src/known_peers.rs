//! Keep the peers of this run in a file for the next one.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use libp2p::{Multiaddr, PeerId};
use serde::{Deserialize, Serialize};

use crate::NetworkError;
use crate::address_book::{ADDRESSES_MAX, PEERS_MAX};

/// A larger file is not ours.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct KnownPeers {
    peers: Vec<KnownPeer>,
}

#[derive(Serialize, Deserialize)]
struct KnownPeer {
    peer_id: String,
    addresses: Vec<Multiaddr>,
}

/// Reads the peers in `path`. A missing file holds none, and so does one that cannot be understood: it is only a help.
///
/// # Errors
/// When the file is there and cannot be read.
pub(crate) fn load(path: &Path) -> Result<Vec<(PeerId, Vec<Multiaddr>)>, NetworkError> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(NetworkError::KnownPeers {
                path: path.to_owned(),
                source,
            });
        }
    };
    let known: KnownPeers = match serde_json::from_slice(&text) {
        Ok(known) => known,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the file of known peers is damaged and not used");
            return Ok(Vec::new());
        }
    };
    let peers = known.peers.into_iter().take(PEERS_MAX);
    Ok(peers
        .filter_map(|mut known| {
            known.addresses.truncate(ADDRESSES_MAX);
            Some((known.peer_id.parse().ok()?, known.addresses))
        })
        .collect())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX)
        .read_to_end(&mut text)?;
    Ok(text)
}

/// Writes `peers` to `path`: the file is always the old one or the new one, whole.
pub(crate) fn store(path: &Path, peers: Vec<(PeerId, Vec<Multiaddr>)>) -> io::Result<()> {
    let known = KnownPeers {
        peers: peers
            .into_iter()
            .take(PEERS_MAX)
            .map(|(peer, addresses)| KnownPeer {
                peer_id: peer.to_string(),
                addresses,
            })
            .collect(),
    };
    let text = serde_json::to_vec_pretty(&known)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = File::create(&beside)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn stored_peers_come_back_and_damage_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.json");
        assert!(load(&path).unwrap().is_empty());
        let address: Multiaddr = "/ip4/8.8.8.8/tcp/1".parse().unwrap();
        let peers = vec![(PeerId::random(), vec![address])];
        store(&path, peers.clone()).unwrap();
        assert_eq!(load(&path).unwrap(), peers);
        fs::write(&path, "{").unwrap();
        assert!(load(&path).unwrap().is_empty());
    }
}
