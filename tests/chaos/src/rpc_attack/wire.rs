//! Speak to an RPC port by hand, so that the manners of no client library are in an attacker's way.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// More than any head of an answer.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// What a client's system takes for one that does not read.
const NARROW_BYTES: u32 = 16 << 10;
const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A raw connection.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    /// What was read beyond the answer before.
    rest: Vec<u8>,
    host: String,
}

/// An answer to a request over HTTP.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// How much of an answer the system takes from the node before the client reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    Usual,
    Narrow,
}

impl Wire {
    /// Connects from the loopback address that ends with `from`.
    pub(super) async fn open(to: SocketAddr, from: u8, window: Window) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, from], 0).into())?;
        if window == Window::Narrow {
            socket.set_recv_buffer_size(NARROW_BYTES)?;
        }
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            rest: Vec::new(),
            host: to.to_string(),
        })
    }

    /// A WebSocket.
    pub(super) async fn open_websocket(
        to: SocketAddr,
        from: u8,
        window: Window,
    ) -> io::Result<Self> {
        let mut wire = Self::open(to, from, window).await?;
        let request = format!("GET / HTTP/1.1\r\nhost: {}\r\n{UPGRADE}\r\n", wire.host);
        wire.send(request.as_bytes()).await?;
        match wire.head().await? {
            (101, _) => Ok(wire),
            (status, _) => Err(io::Error::other(status.to_string())),
        }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Posts a body and reads the answer.
    pub(super) async fn post(&mut self, body: &[u8]) -> io::Result<Answer> {
        self.send(&post(&self.host, body)).await?;
        self.answer().await
    }

    pub(super) async fn answer(&mut self) -> io::Result<Answer> {
        let (status, length) = self.head().await?;
        while self.rest.len() < length {
            self.more().await?;
        }
        let body = self.rest.drain(..length).collect();
        Ok(Answer { status, body })
    }

    /// Status and length of the body.
    async fn head(&mut self) -> io::Result<(u16, usize)> {
        let end = loop {
            if let Some(end) = self.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if self.rest.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("a head without end"));
            }
            self.more().await?;
        };
        let head: Vec<u8> = self.rest.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
        let length = head.lines().find_map(|line| {
            let value = line.strip_prefix("content-length:")?;
            value.trim().parse().ok()
        });
        let status = status.ok_or_else(|| io::Error::other("no status"))?;
        Ok((status, length.unwrap_or(0)))
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.rest).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The next text message of a WebSocket; pings are passed over.
    pub(super) async fn message(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let mut start = [0; 2];
            self.take(&mut start).await?;
            let [opcode, short] = start;
            let length = match short & 0x7f {
                126 => {
                    let mut bytes = [0; 2];
                    self.take(&mut bytes).await?;
                    u64::from(u16::from_be_bytes(bytes))
                }
                127 => {
                    let mut bytes = [0; 8];
                    self.take(&mut bytes).await?;
                    u64::from_be_bytes(bytes)
                }
                short => short.into(),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap_or(0)];
            self.take(&mut payload).await?;
            match opcode & 0x0f {
                8 => return Err(io::ErrorKind::UnexpectedEof.into()),
                1 => return Ok(payload),
                _ => {}
            }
        }
    }

    async fn take(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        while self.rest.len() < bytes.len() {
            self.more().await?;
        }
        let length = bytes.len();
        let taken = self.rest.drain(..length);
        for (to, from) in bytes.iter_mut().zip(taken) {
            *to = from;
        }
        Ok(())
    }

    /// Returns when the node has closed the connection; what it sends meanwhile is thrown away.
    pub(super) async fn closed(&mut self) -> io::Result<()> {
        let mut scrap = [0; 4096];
        while self.stream.read(&mut scrap).await? > 0 {}
        Ok(())
    }
}

/// A whole request.
pub(super) fn post(host: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A masked text message of a WebSocket.
pub(super) fn text_frame(payload: &[u8]) -> Vec<u8> {
    let length = u64::try_from(payload.len()).unwrap_or(u64::MAX);
    [&frame_head(0x81, length)[..], payload].concat()
}

/// The head of a frame that says it has `length` bytes, masked with zeros.
pub(super) fn frame_head(first: u8, length: u64) -> [u8; 14] {
    let mut head = [0; 14];
    head[0] = first;
    head[1] = 0x80 | 127;
    head[2..10].copy_from_slice(&length.to_be_bytes());
    head
}
