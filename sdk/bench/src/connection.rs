//! Keep one HTTP connection open and send requests over it, with as little work as possible on this side.
//!
//! One request is under way at a time, and its answer is read before the next is written, so neither side ever waits
//! for the other to read. A node closes a connection on which no request comes for `headerTimeoutMs` of `rpc_limits`;
//! the next request then opens another.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// More than any answer to a batch this crate sends.
const BODY_BYTES_MAX: usize = 32 << 20;
/// More than any line of an answer's head.
const LINE_BYTES_MAX: u64 = 16 << 10;

/// Why a request had no answer.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The URL is not one of `http://host:port`.
    #[error("'{url}' is not http://HOST:PORT")]
    Url {
        /// The URL.
        url: String,
    },
    /// The socket failed.
    #[error("the connection to {address} failed: {source}")]
    Socket {
        /// Where to.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The node closed the connection and answered nothing.
    #[error("{address} closed the connection without an answer")]
    Closed {
        /// Where to.
        address: String,
    },
    /// There was no whole answer in time.
    #[error("{address} did not answer within {seconds} s")]
    Silent {
        /// Where to.
        address: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The answer is not what an HTTP server sends.
    #[error("the answer of {address} is not understood: {found}")]
    Answer {
        /// Where from.
        address: String,
        /// What came.
        found: String,
    },
}

/// A keep-alive HTTP connection.
pub(crate) struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
    patience: Duration,
    /// Whether a request was answered on this stream.
    proven: bool,
}

impl Connection {
    /// Connects to the node at `url`, which may take `patience` for that and for each answer.
    pub(crate) async fn open(url: &str, patience: Duration) -> Result<Self, ConnectionError> {
        let address = url
            .strip_prefix("http://")
            .map(|rest| rest.trim_end_matches('/').to_owned())
            .filter(|rest| rest.contains(':') && !rest.contains('/'))
            .ok_or_else(|| ConnectionError::Url {
                url: url.to_owned(),
            })?;
        let stream = connect(&address, patience).await?;
        Ok(Self {
            address,
            stream,
            patience,
            proven: false,
        })
    }

    /// Posts a JSON body and returns the answer's.
    pub(crate) async fn post(&mut self, body: &str) -> Result<Vec<u8>, ConnectionError> {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.exchange(&[head.as_bytes(), body.as_bytes()]).await
    }

    /// Gets a page as text.
    pub(crate) async fn get(&mut self, path: &str) -> Result<String, ConnectionError> {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        let body = self.exchange(&[head.as_bytes()]).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Sends a request, once more over a new connection if this one has been closed since the last answer: every
    /// request of this crate may come twice.
    async fn exchange(&mut self, parts: &[&[u8]]) -> Result<Vec<u8>, ConnectionError> {
        let request = parts.concat();
        let first = self.exchange_in_time(&request).await;
        match first {
            Err(ConnectionError::Closed { .. } | ConnectionError::Socket { .. }) if self.proven => {
                self.stream = connect(&self.address, self.patience).await?;
                self.proven = false;
                self.exchange_in_time(&request).await
            }
            other => other,
        }
    }

    async fn exchange_in_time(&mut self, request: &[u8]) -> Result<Vec<u8>, ConnectionError> {
        let patience = self.patience;
        let answer = timeout(patience, self.exchange_once(request)).await;
        let answer = answer.unwrap_or_else(|_elapsed| Err(silent(&self.address, patience)))?;
        self.proven = true;
        Ok(answer)
    }

    async fn exchange_once(&mut self, request: &[u8]) -> Result<Vec<u8>, ConnectionError> {
        let written = self.stream.get_mut().write_all(request).await;
        written.map_err(|source| self.failed(source))?;
        let status = self.line().await?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let line = self.line().await?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse::<usize>().ok();
            }
            chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        let body = match length {
            Some(length) => self.bytes(length).await?,
            None if chunked => self.chunks().await?,
            None => return Err(self.answer("neither content-length nor chunks")),
        };
        if !status.contains(" 200 ") {
            let found = format!("{status}: {}", String::from_utf8_lossy(&body));
            return Err(self.answer(&found));
        }
        Ok(body)
    }

    async fn chunks(&mut self) -> Result<Vec<u8>, ConnectionError> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = usize::from_str_radix(line.trim(), 16)
                .map_err(|_not_hex| self.answer("a chunk without size"))?;
            let chunk = self.bytes(size).await?;
            self.line().await?;
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend(chunk);
            if body.len() > BODY_BYTES_MAX {
                return Err(self.answer("too many bytes"));
            }
        }
    }

    async fn bytes(&mut self, length: usize) -> Result<Vec<u8>, ConnectionError> {
        if length > BODY_BYTES_MAX {
            return Err(self.answer("too many bytes"));
        }
        let mut body = vec![0; length];
        let read = self.stream.read_exact(&mut body).await;
        read.map_err(|source| self.failed(source))?;
        Ok(body)
    }

    async fn line(&mut self) -> Result<String, ConnectionError> {
        let mut line = String::new();
        let read = (&mut self.stream)
            .take(LINE_BYTES_MAX)
            .read_line(&mut line)
            .await;
        let read = read.map_err(|source| self.failed(source))?;
        if read == 0 {
            return Err(ConnectionError::Closed {
                address: self.address.clone(),
            });
        }
        Ok(line.trim_end().to_owned())
    }

    fn failed(&self, source: std::io::Error) -> ConnectionError {
        ConnectionError::Socket {
            address: self.address.clone(),
            source,
        }
    }

    fn answer(&self, found: &str) -> ConnectionError {
        ConnectionError::Answer {
            address: self.address.clone(),
            found: found.chars().take(300).collect(),
        }
    }
}

async fn connect(
    address: &str,
    patience: Duration,
) -> Result<BufReader<TcpStream>, ConnectionError> {
    let stream = timeout(patience, TcpStream::connect(address)).await;
    stream
        .map_err(|_elapsed| silent(address, patience))?
        .and_then(|stream| stream.set_nodelay(true).map(|()| BufReader::new(stream)))
        .map_err(|source| ConnectionError::Socket {
            address: address.to_owned(),
            source,
        })
}

fn silent(address: &str, patience: Duration) -> ConnectionError {
    ConnectionError::Silent {
        address: address.to_owned(),
        seconds: patience.as_secs(),
    }
}

#[cfg(test)]
mod tests {
    use kumiki_node::{Node, NodeConfig, dev_genesis};
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_connection_that_the_node_closed_while_it_was_quiet_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let genesis = dev_genesis(&[], 0, 1_700_000_000_000);
        let mut config = NodeConfig::dev(dir.path().to_owned(), genesis, 0);
        config.rpc.limits.header_timeout_ms = 1_000;
        let node = Node::start(config).await.unwrap();
        let url = format!("http://{}", node.rpc_address());
        let mut connection = Connection::open(&url, PATIENCE).await.unwrap();
        connection.get("/metrics").await.unwrap();
        let closed = connection.stream.fill_buf().await.unwrap();
        assert!(closed.is_empty());
        connection.get("/metrics").await.unwrap();
        node.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_node_that_never_answers_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut connection = Connection::open(&url, Duration::from_millis(50))
            .await
            .unwrap();
        let silent = connection.get("/metrics").await;
        assert!(
            matches!(silent, Err(ConnectionError::Silent { .. })),
            "{silent:?}"
        );
    }

    #[tokio::test]
    async fn a_node_that_closes_a_fresh_connection_is_not_asked_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut connection = Connection::open(&url, PATIENCE).await.unwrap();
        let (mut socket, _from) = listener.accept().await.unwrap();
        let closing = async move {
            // What was sent is read first, or the system would reset the connection instead of closing it.
            socket.read_exact(&mut [0; 4]).await.unwrap();
            drop(socket);
        };
        let (closed, ()) = tokio::join!(connection.get("/"), closing);
        assert!(closed.is_err());
    }
}
