//! Turn keys into peer ids and back: a peer id holds the whole ed25519 key.

use bytes::Bytes;
use commonware_codec::DecodeExt as _;
use commonware_cryptography::ed25519;
use kumiki_protocol::SecretKey;
use libp2p::PeerId;
use libp2p::identity::{self, Keypair};

use crate::NetworkError;

/// A peer's key, in the type that consensus knows.
pub type PeerKey = ed25519::PublicKey;

/// Multihash code of "the digest is the data itself".
const IDENTITY_HASH: u64 = 0;

/// libp2p's form of `key`.
pub(crate) fn keypair(key: &SecretKey) -> Result<Keypair, NetworkError> {
    Keypair::ed25519_from_bytes(key.to_seed()).map_err(|error| NetworkError::Key(error.to_string()))
}

/// The ed25519 key that `peer` is; none for a peer with another kind of key.
#[must_use]
pub fn peer_key_of(peer: &PeerId) -> Option<PeerKey> {
    let hash = peer.as_ref();
    if hash.code() != IDENTITY_HASH {
        return None;
    }
    let key = identity::PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    let key = key.try_into_ed25519().ok()?;
    PeerKey::decode(Bytes::copy_from_slice(&key.to_bytes())).ok()
}

/// The peer id of the node that holds `key`; none when `key` is not a point of the curve as libp2p checks it.
#[must_use]
pub fn peer_id_of(key: &PeerKey) -> Option<PeerId> {
    let key = identity::ed25519::PublicKey::try_from_bytes(key.as_ref()).ok()?;
    Some(identity::PublicKey::from(key).to_peer_id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_holds_the_key_of_the_node() {
        let secret = SecretKey::from_seed([7; 32]);
        let peer = keypair(&secret).expect("a key").public().to_peer_id();
        let key = peer_key_of(&peer).expect("an ed25519 key");
        assert_eq!(key.as_ref(), secret.public_key().0);
        assert_eq!(peer_id_of(&key), Some(peer));
    }
}
