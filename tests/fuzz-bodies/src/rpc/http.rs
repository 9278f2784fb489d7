//! Speak the least of HTTP that a caller needs: one connection that is kept, and answers that say how long they are.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// More than any answer takes; a node that takes longer hangs.
const ANSWER_MAX: Duration = Duration::from_secs(100);

/// A caller's side of the connection.
pub(super) struct Http {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Http {
    pub(super) const fn to(address: SocketAddr) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    /// The status and body that a message is answered with.
    ///
    /// # Panics
    /// When there is none.
    pub(super) fn post(&mut self, message: &[u8]) -> (u16, Vec<u8>) {
        // A connection that was idle for long may have been closed meanwhile, a new one not.
        let kept = self
            .connection
            .take()
            .and_then(|kept| self.exchange(kept, message).ok());
        kept.unwrap_or_else(|| {
            let fresh = self.connect().expect("a node that takes connections");
            self.exchange(fresh, message).expect("a node that answers")
        })
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(BufReader::new(stream))
    }

    fn exchange(
        &mut self,
        mut connection: BufReader<TcpStream>,
        message: &[u8],
    ) -> io::Result<(u16, Vec<u8>)> {
        let mut request = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            message.len()
        )
        .into_bytes();
        request.extend(message);
        connection.get_mut().write_all(&request)?;
        let malformed = || io::Error::from(io::ErrorKind::InvalidData);
        let mut line = String::new();
        connection.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(malformed)?;
        let mut length = None;
        loop {
            line.clear();
            connection.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok();
            }
        }
        let mut body = vec![0; length.ok_or_else(malformed)?];
        connection.read_exact(&mut body)?;
        self.connection = Some(connection);
        Ok((status, body))
    }
}
