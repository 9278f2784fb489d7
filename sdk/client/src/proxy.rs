//! Stand between a client and a node in tests: lose, freeze, redirect or change what passes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to the connections that are open when it is said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pass,
    Cut,
    /// They stay open, and nothing passes any more.
    Freeze,
}

#[derive(Default)]
struct Plan {
    target: Option<SocketAddr>,
    lose_request: bool,
    lose_answer: bool,
    rewrite: Option<(Vec<u8>, Vec<u8>)>,
}

/// A TCP proxy.
pub(crate) struct Proxy {
    address: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    /// One for the connections up to now; a new one for those that follow.
    fate: Arc<Mutex<watch::Sender<Fate>>>,
}

impl Proxy {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            plan: Arc::default(),
            fate: Arc::new(Mutex::new(watch::Sender::new(Fate::Pass))),
        };
        proxy.redirect(target);
        let (plan, fate) = (Arc::clone(&proxy.plan), Arc::clone(&proxy.fate));
        tokio::spawn(async move {
            loop {
                let (client, _from) = listener.accept().await.unwrap();
                let fate = fate.lock().unwrap().subscribe();
                let target = plan.lock().unwrap().target.unwrap();
                tokio::spawn(pass(client, target, Arc::clone(&plan), fate));
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Leads new connections to `target`.
    pub(crate) fn redirect(&self, target: SocketAddr) {
        self.plan.lock().unwrap().target = Some(target);
    }

    /// Cuts the connection on which the next request comes, before the node gets it.
    pub(crate) fn lose_next_request(&self) {
        self.plan.lock().unwrap().lose_request = true;
    }

    /// Cuts the connection on which the node answers next, before the client gets it.
    pub(crate) fn lose_next_answer(&self) {
        self.plan.lock().unwrap().lose_answer = true;
    }

    /// Replaces text in both directions with other text of the same length.
    pub(crate) fn rewrite(&self, from: &str, to: &str) {
        assert_eq!(from.len(), to.len());
        self.plan.lock().unwrap().rewrite = Some((from.into(), to.into()));
    }

    /// Lets everything pass as it is again.
    pub(crate) fn rewrite_nothing(&self) {
        self.plan.lock().unwrap().rewrite = None;
    }

    /// Cuts all connections there are.
    pub(crate) fn cut(&self) {
        self.decide(Fate::Cut);
    }

    /// Lets nothing pass on the connections there are, and leaves them open.
    pub(crate) fn freeze(&self) {
        self.decide(Fate::Freeze);
    }

    fn decide(&self, fate: Fate) {
        let before = std::mem::replace(
            &mut *self.fate.lock().unwrap(),
            watch::Sender::new(Fate::Pass),
        );
        before.send_replace(fate);
    }
}

async fn pass(
    client: TcpStream,
    target: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    mut fate: watch::Receiver<Fate>,
) {
    let Ok(node) = TcpStream::connect(target).await else {
        return;
    };
    let (mut client_read, mut client_write) = client.into_split();
    let (mut node_read, mut node_write) = node.into_split();
    let lose_request = |plan: &mut Plan| std::mem::take(&mut plan.lose_request);
    let lose_answer = |plan: &mut Plan| std::mem::take(&mut plan.lose_answer);
    // Whatever ends first drops both sockets, unless they are to stay as they are.
    let frozen = tokio::select! {
        () = copy(&mut client_read, &mut node_write, &plan, lose_request) => false,
        () = copy(&mut node_read, &mut client_write, &plan, lose_answer) => false,
        decided = fate.wait_for(|fate| *fate != Fate::Pass) => {
            decided.is_ok_and(|fate| *fate == Fate::Freeze)
        }
    };
    if frozen {
        std::future::pending::<()>().await;
    }
}

/// Copies until the connection ends or `lose` says that it ends here.
async fn copy(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    plan: &Mutex<Plan>,
    lose: impl Fn(&mut Plan) -> bool,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = {
            let mut plan = plan.lock().unwrap();
            if lose(&mut plan) {
                return;
            }
            rewritten(&buffer[..count], plan.rewrite.as_ref())
        };
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

fn rewritten(bytes: &[u8], rewrite: Option<&(Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let Some((from, to)) = rewrite else {
        return bytes;
    };
    for start in 0..=bytes.len().saturating_sub(from.len()) {
        if bytes[start..].starts_with(from) {
            bytes[start..start + from.len()].copy_from_slice(to);
        }
    }
    bytes
}
