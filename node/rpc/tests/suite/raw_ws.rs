//! Speaks to a WebSocket by hand, so that a test decides when it reads.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::live_node::LiveNode;

/// A connection.
pub(crate) struct RawWs {
    pub(crate) socket: TcpStream,
}

impl RawWs {
    pub(crate) async fn open(node: &LiveNode) -> Self {
        Self::upgrade(TcpStream::connect(node.address()).await.unwrap()).await
    }

    /// A connection whose system takes little for a client that does not read.
    pub(crate) async fn open_narrow(node: &LiveNode) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 << 10).unwrap();
        Self::upgrade(socket.connect(node.address()).await.unwrap()).await
    }

    async fn upgrade(mut socket: TcpStream) -> Self {
        let upgrade = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        socket.write_all(upgrade.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101"));
        Self { socket }
    }

    pub(crate) async fn send(&mut self, text: &str) -> std::io::Result<()> {
        self.socket.write_all(&frame(text)).await
    }

    /// The next message, pings passed over.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let opcode = self.socket.read_u8().await.unwrap() & 0x0f;
            let length = match self.socket.read_u8().await.unwrap() {
                126 => u64::from(self.socket.read_u16().await.unwrap()),
                127 => self.socket.read_u64().await.unwrap(),
                short => short.into(),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.socket.read_exact(&mut payload).await.unwrap();
            match opcode {
                1 => return serde_json::from_slice(&payload).unwrap(),
                9 => {}
                other => panic!("a frame of kind {other}"),
            }
        }
    }
}

/// A text frame, masked with zeros.
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        short @ 0..=125 => frame.push(0x80 | u8::try_from(short).unwrap()),
        long => {
            frame.push(0x80 | 127);
            frame.extend(u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}
