//! Pass connections between nodes on, and hold up what the faults say.
//!
//! Each node knows each other node only under a port of this process, so every connection is known by the node that
//! opened it and the node it leads to. A cut connection stays open and carries nothing, as where a cable is pulled:
//! what was sent waits, and arrives when the cut is healed, unless a node has given up before.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::Localnet;
use super::faults::{DONE, Faults};
use crate::failure::{Exit, Failure, Outcome};

/// What is read at a time; the unit that a loss hits.
const PIECE_BYTES: usize = 16 << 10;
/// Pieces under way in one direction.
const PIECES: usize = 256;
/// A lost piece is noticed and sent again after this long.
const RESEND: Duration = Duration::from_millis(200);
/// Faults of a network of the largest size.
const CONTROL_BYTES_MAX: u64 = 64 << 10;

/// A way between two nodes.
#[derive(Clone)]
struct Link {
    from: usize,
    to: usize,
    faults: watch::Receiver<Faults>,
}

impl Link {
    fn back(&self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            faults: self.faults.clone(),
        }
    }

    fn is_cut(&self) -> bool {
        self.faults.borrow().cut(self.from, self.to)
    }

    /// Waits until something goes this way.
    async fn open(&mut self) {
        let (from, to) = (self.from, self.to);
        let open = self
            .faults
            .wait_for(|faults| !faults.cut(from, to))
            .await
            .is_ok();
        if !open {
            // The relay ends, and all its connections with it.
            std::future::pending::<()>().await;
        }
    }

    /// When a piece that was sent now is there.
    fn due(&self) -> Instant {
        let faults = self.faults.borrow();
        let percent = faults.loss_percent(self.from, self.to);
        let lost = percent > 0 && random() % 100 < u64::from(percent);
        let resend = if lost { RESEND } else { Duration::ZERO };
        Instant::now() + faults.delay(self.from, self.to) + resend
    }
}

/// Relays until `stop` is ready.
pub(crate) async fn run(network: &Localnet, stop: impl Future<Output = ()>) -> Outcome<()> {
    let (sender, faults) = watch::channel(network.faults());
    for from in network.nodes() {
        for to in network.nodes().filter(|to| *to != from) {
            let listener = bind(network.layout.link_port(from, to)).await?;
            let link = Link {
                from,
                to,
                faults: faults.clone(),
            };
            tokio::spawn(accept(listener, link, network.layout.p2p_port(to)));
        }
    }
    let control = bind(network.layout.control_port()).await?;
    tokio::select! {
        () = obey(&control, &sender) => {}
        () = stop => {}
    }
    Ok(())
}

async fn bind(port: u16) -> Outcome<TcpListener> {
    let address = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(
            Exit::System,
            "portInUse",
            format!("port {port} cannot be listened on"),
        )
        .at(format!("127.0.0.1:{port}"))
        .expected("a free port")
        .found(error.to_string())
        .next("kumiki localnet down --wipe && kumiki localnet up --base-port 0")
    })
}

/// Takes faults, a line of JSON for each connection.
async fn obey(control: &TcpListener, faults: &watch::Sender<Faults>) {
    loop {
        let Ok((stream, _)) = control.accept().await else {
            tokio::time::sleep(RESEND).await;
            continue;
        };
        // One after the other: the last one that was told is the one that holds.
        let told = tokio::time::timeout(Duration::from_secs(1), take(stream, faults)).await;
        if let Ok(Err(error)) = told {
            eprintln!("relay: {error}");
        }
    }
}

async fn take(stream: TcpStream, faults: &watch::Sender<Faults>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    (&mut stream)
        .take(CONTROL_BYTES_MAX)
        .read_line(&mut line)
        .await?;
    let answer = match serde_json::from_str(&line) {
        Ok(told) => {
            faults.send_replace(told);
            DONE.to_owned()
        }
        Err(error) => error.to_string(),
    };
    stream
        .get_mut()
        .write_all(format!("{answer}\n").as_bytes())
        .await
}

async fn accept(listener: TcpListener, link: Link, target: u16) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let link = link.clone();
                tokio::spawn(async move {
                    // A connection that breaks is one of many; the node dials again.
                    let _broken = pass(stream, link, target).await;
                });
            }
            Err(_full) => tokio::time::sleep(RESEND).await,
        }
    }
}

async fn pass(mut near: TcpStream, mut link: Link, target: u16) -> io::Result<()> {
    near.set_nodelay(true)?;
    let Some(early) = hold(&mut near, &mut link).await? else {
        return Ok(());
    };
    let mut far = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await?;
    far.set_nodelay(true)?;
    far.write_all(&early).await?;
    let (near_read, near_write) = near.split();
    let (far_read, far_write) = far.split();
    let back = link.back();
    tokio::try_join!(
        carry(near_read, far_write, link),
        carry(far_read, near_write, back)
    )?;
    Ok(())
}

/// Waits until the way is open, and hands back what was sent meanwhile; nothing where the node has given up. Were it
/// connected then, the other node would count a failed handshake.
async fn hold(near: &mut TcpStream, link: &mut Link) -> io::Result<Option<Vec<u8>>> {
    let mut early = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    while link.is_cut() {
        tokio::select! {
            () = link.open() => {}
            read = near.read(&mut piece), if early.len() < PIECE_BYTES * PIECES => match read? {
                0 => return Ok(None),
                length => early.extend_from_slice(piece.get(..length).unwrap_or_default()),
            },
        }
    }
    Ok(Some(early))
}

/// Carries bytes one way, each piece when it is due, until the sender ends.
async fn carry(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    link: Link,
) -> io::Result<()> {
    let (sender, pieces) = mpsc::channel(PIECES);
    let reading = read_pieces(from, sender, link.clone());
    tokio::try_join!(reading, write_pieces(to, pieces, link))?;
    Ok(())
}

type Piece = (Instant, Vec<u8>);

async fn read_pieces(
    mut from: impl AsyncRead + Unpin,
    pieces: mpsc::Sender<Piece>,
    link: Link,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        // A node that was killed is as silent behind a cut as one that ended its connections.
        let length = from.read(&mut buffer).await.unwrap_or(0);
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        if length == 0 || pieces.send((link.due(), bytes)).await.is_err() {
            return Ok(());
        }
    }
}

async fn write_pieces(
    mut to: impl AsyncWrite + Unpin,
    mut pieces: mpsc::Receiver<Piece>,
    mut link: Link,
) -> io::Result<()> {
    while let Some((due, bytes)) = pieces.recv().await {
        sleep_until(due).await;
        link.open().await;
        to.write_all(&bytes).await?;
    }
    // The end of a connection is held up like all else.
    link.open().await;
    to.shutdown().await
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
