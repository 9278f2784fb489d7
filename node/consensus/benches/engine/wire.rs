//! Connect the validators of a bench with the engine's own network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::{ChaCha20Poly1305, ed25519};
use commonware_p2p::authenticated::lookup::{self, Network};
use commonware_p2p::{Address, AddressableManager as _};
use commonware_runtime::{Quota, Supervisor as _, tokio};
use commonware_stream::{
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::ordered::Map;
use kumiki_consensus::simplex::{PeerKey, peer_key};
use kumiki_protocol::SecretKey;

const MESSAGE_BYTES_MAX: u32 = 4 << 20;
/// More than a validator sends; the network keeps room for as many.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(8_192).expect("not zero");
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");

/// The network's own handle to know peers by and to shun them.
pub(crate) type Oracle = lookup::Oracle<PeerKey>;
pub(crate) type Sender = lookup::Sender<PeerKey, tokio::Context>;
pub(crate) type Receiver = lookup::Receiver<PeerKey>;

/// Joins validator `own` of `keys` to the others, with `COUNT` channels.
pub(crate) fn join<const COUNT: usize>(
    env: &tokio::Context,
    keys: &[SecretKey],
    own: usize,
) -> (Oracle, [(Sender, Receiver); COUNT]) {
    let signer = ed25519::PrivateKey::decode(Copying(&keys[own].to_seed())).unwrap();
    let handshake = Cups::<_, ChaCha20Poly1305>::new(
        Sake {
            signer,
            synchrony_bound: Duration::from_secs(5),
            max_handshake_age: Duration::from_secs(10),
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    let addresses: Vec<SocketAddr> = (0..keys.len()).map(address).collect();
    let peers = NonZeroUsize::new(keys.len()).unwrap();
    let mut config = lookup::Config::local(
        handshake,
        b"kumiki-bench",
        addresses[own],
        peers,
        MESSAGE_BYTES_MAX,
        CAPACITY,
    );
    config.allowed_handshake_rate_per_ip = Quota::per_second(PER_SECOND);
    let (mut network, mut oracle) = Network::new(env.child("network"), config);
    let known: Map<PeerKey, Address> = keys
        .iter()
        .map(|key| peer_key(&key.public_key()).unwrap())
        .zip(addresses.into_iter().map(Address::from))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    oracle.track(0, known);
    let channels = std::array::from_fn(|channel| {
        let channel = u64::try_from(channel).unwrap();
        network.register(channel, Quota::per_second(PER_SECOND))
    });
    network.start();
    (oracle, channels)
}

/// Below the ports that systems give to outgoing connections.
fn address(validator: usize) -> SocketAddr {
    let port = 21_700 + u16::try_from(validator).unwrap();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
