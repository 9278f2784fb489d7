//! Show the node's place in the network to RPC callers, a moment old.

use std::time::Duration;

use kumiki_network::{Direction, Network, PeerInfo, peer_key_of};
use kumiki_protocol::PublicKey;
use kumiki_rpc::NetworkView;
use kumiki_rpc_api::{Decimal, PeerView};
use tokio::sync::watch;

/// How old the picture may be.
const INTERVAL: Duration = Duration::from_millis(500);

/// Keeps `view` up to date until the network or every reader is gone.
pub(crate) async fn show(network: Network, view: watch::Sender<NetworkView>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Ok(peers) = network.peers().await else {
            return;
        };
        let picture = NetworkView {
            peer_id: Some(network.local_peer_id().to_string()),
            listen_addresses: network
                .listen_addresses()
                .iter()
                .map(ToString::to_string)
                .collect(),
            peers: peers.iter().filter_map(peer_view).collect(),
        };
        if view.send(picture).is_err() {
            return;
        }
    }
}

fn peer_view(peer: &PeerInfo) -> Option<PeerView> {
    let mut key = [0; 32];
    key.copy_from_slice(peer_key_of(&peer.peer_id)?.as_ref());
    Some(PeerView {
        key: PublicKey(key),
        peer_id: peer.peer_id.to_string(),
        addresses: peer.addresses.iter().map(ToString::to_string).collect(),
        inbound: peer.direction == Direction::In,
        validator: peer.tracked,
        score: peer.score,
        agent: peer.agent.clone(),
        rtt_ms: peer.rtt.map(|rtt| rtt.as_secs_f64() * 1_000.0),
        bytes_received: Decimal(peer.bytes_received.into()),
        bytes_sent: Decimal(peer.bytes_sent.into()),
    })
}
