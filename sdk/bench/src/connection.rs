//! Keep one HTTP connection open and send requests over it, with as little work as possible on this side.

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// More than any answer to a batch this crate sends.
const BODY_BYTES_MAX: usize = 32 << 20;

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
}

impl Connection {
    pub(crate) async fn open(url: &str) -> Result<Self, ConnectionError> {
        let address = url
            .strip_prefix("http://")
            .map(|rest| rest.trim_end_matches('/').to_owned())
            .filter(|rest| rest.contains(':') && !rest.contains('/'))
            .ok_or_else(|| ConnectionError::Url {
                url: url.to_owned(),
            })?;
        let stream = TcpStream::connect(&address).await;
        let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        match stream {
            Ok(stream) => Ok(Self {
                address,
                stream: BufReader::new(stream),
            }),
            Err(source) => Err(ConnectionError::Socket { address, source }),
        }
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

    async fn exchange(&mut self, parts: &[&[u8]]) -> Result<Vec<u8>, ConnectionError> {
        let request = parts.concat();
        let written = self.stream.get_mut().write_all(&request).await;
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
        let read = self.stream.read_line(&mut line).await;
        let read = read.map_err(|source| self.failed(source))?;
        if read == 0 {
            return Err(self.answer("the node closed the connection"));
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
