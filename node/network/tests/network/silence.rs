//! A connection on which nothing comes any more is given up, however much is under way on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use commonware_p2p::{Manager as _, Recipients, Sender as _};
use commonware_utils::ordered::Set;
use libp2p::multiaddr::Protocol;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::node::{Node, VOTE_BYTES_MAX, channel, passive, until};

/// With a window of 256 KiB each, they fill all that the system holds for a connection: not even a goodbye fits.
const CHANNELS: usize = 48;

/// Passes connections on to `port`. Once `frozen`, the first one carries nothing more and stays open.
async fn pass(
    listener: TcpListener,
    port: u16,
    frozen: watch::Receiver<bool>,
    taken: Arc<AtomicU32>,
) {
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let first = taken.fetch_add(1, Ordering::Relaxed) == 0;
        let mut frozen = frozen.clone();
        tokio::spawn(async move {
            let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::select! {
                _ended = copy_bidirectional(&mut near, &mut far) => return,
                _frozen = frozen.wait_for(|frozen| *frozen), if first => {}
            }
            std::future::pending::<()>().await;
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_is_dialled_again_when_its_connection_is_dead_and_full() {
    let channels = || {
        (0..CHANNELS)
            .map(|number| channel(&number.to_string()))
            .collect()
    };
    let mut a = Node::with_channels(passive(1), channels());
    let b = Node::with_channels(passive(2), channels());
    let port = b.address().await.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = listener.local_addr().unwrap().port();
    let (freeze, frozen) = watch::channel(false);
    let taken = Arc::new(AtomicU32::new(0));
    tokio::spawn(pass(listener, port.unwrap(), frozen, Arc::clone(&taken)));
    let id = b.network.local_peer_id();
    let address = format!("/ip4/127.0.0.1/tcp/{between}/p2p/{id}");
    a.network.oracle().track(0, Set::from_iter_dedup([b.key()]));
    a.network.dial(address.parse().unwrap()).unwrap();
    a.met(&b).await;
    freeze.send_replace(true);
    let filler = vec![0; VOTE_BYTES_MAX as usize];
    until("it is dialled again", async || {
        for channel in &mut a.channels {
            let to = Recipients::One(b.key());
            channel.sender.send(to, filler.clone(), false);
        }
        taken.load(Ordering::Relaxed) >= 2
    })
    .await;
    a.met(&b).await;
}
