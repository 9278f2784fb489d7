//! Build the transport: TCP with Noise and yamux, QUIC, DNS names, relayed connections.

use std::sync::Arc;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, Transport as _, dns, noise, quic, relay, tcp, yamux};

use crate::bandwidth::{Bandwidth, Metered, MeteredMuxer};
use crate::{NetworkConfig, NetworkError};

type PeerTransport = Boxed<(PeerId, StreamMuxerBox)>;

/// The transport, and the behaviour that belongs to relayed connections when they are on.
pub(crate) fn build(
    config: &NetworkConfig,
    keypair: &Keypair,
    bandwidth: &Arc<Bandwidth>,
) -> Result<(PeerTransport, Option<relay::client::Behaviour>), NetworkError> {
    let direct = match dns::tokio::Transport::system(direct_transport(config, keypair, bandwidth)?)
    {
        Ok(with_names) => with_names.boxed(),
        Err(error) => {
            tracing::warn!(%error, "the system's DNS settings cannot be read: only addresses with numbers are dialled");
            direct_transport(config, keypair, bandwidth)?
        }
    };
    if !config.relay_client {
        return Ok((direct, None));
    }
    let (relayed, behaviour) = relay::client::new(keypair.public().to_peer_id());
    // Relayed bytes go over a direct connection, which is where they meet the caps.
    let bandwidth = Arc::clone(bandwidth);
    let relayed = relayed
        .upgrade(Version::V1Lazy)
        .authenticate(noise_config(keypair)?)
        .multiplex(yamux::Config::default())
        .timeout(config.limits.handshake_timeout)
        .map(move |(peer, muxer), _| {
            let muxer = MeteredMuxer::new(muxer, None, bandwidth.peer(peer));
            (peer, StreamMuxerBox::new(muxer))
        });
    let both = direct
        .or_transport(relayed)
        .map(|either, _| either.into_inner());
    Ok((both.boxed(), Some(behaviour)))
}

fn noise_config(keypair: &Keypair) -> Result<noise::Config, NetworkError> {
    noise::Config::new(keypair).map_err(|error| NetworkError::Setup {
        part: "Noise",
        problem: error.to_string(),
    })
}

fn direct_transport(
    config: &NetworkConfig,
    keypair: &Keypair,
    bandwidth: &Arc<Bandwidth>,
) -> Result<PeerTransport, NetworkError> {
    let node = Arc::clone(bandwidth);
    let peers = Arc::clone(bandwidth);
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        // Below Noise, so that handshakes and framing count too.
        .map(move |socket, _| Metered::new(socket, Some(Arc::clone(&node)), None))
        .upgrade(Version::V1Lazy)
        .authenticate(noise_config(keypair)?)
        .multiplex(yamux::Config::default())
        .timeout(config.limits.handshake_timeout)
        .map(move |(peer, muxer), _| {
            let muxer = MeteredMuxer::new(muxer, None, peers.peer(peer));
            (peer, StreamMuxerBox::new(muxer))
        });
    if !config.quic {
        return Ok(tcp.boxed());
    }
    let bandwidth = Arc::clone(bandwidth);
    let quic =
        quic::tokio::Transport::new(quic::Config::new(keypair)).map(move |(peer, muxer), _| {
            // A UDP socket carries all connections: the streams are the first place to count one of them.
            let count = bandwidth.peer(peer);
            let muxer = MeteredMuxer::new(muxer, Some(Arc::clone(&bandwidth)), count);
            (peer, StreamMuxerBox::new(muxer))
        });
    let both = quic.or_transport(tcp).map(|either, _| either.into_inner());
    Ok(both.boxed())
}
