//! Read the messages of a WebSocket as they come: what a message says of its size makes this node hold nothing.

use soketto::Parsing;
use soketto::base::{Codec, Header, OpCode};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::memory::{Full, Room};

/// Read from the socket at a time.
const PIECE_BYTES: usize = 16 << 10;
/// What is read of a frame that is too large and thrown away, so that its sender reads why.
const DISCARDED_BYTES_MAX: usize = 32 << 20;

/// What came.
#[derive(Debug)]
pub(super) enum Received {
    /// A whole message, and the memory that it has.
    Message(Vec<u8>, Room),
    /// A ping, to be answered with the same bytes.
    Ping(Vec<u8>),
    /// A sign of life.
    Pong,
    /// A message with more bytes than are read of one.
    TooLarge {
        /// How many it has so far.
        bytes: usize,
        /// Whether the one after it can be read.
        passed: bool,
    },
    /// A message that there is no memory for.
    NoRoom(Full),
    /// The client closes, is gone, or does not speak the protocol.
    Closed,
}

/// The end of a WebSocket that is read from.
pub(super) struct Inbox<R> {
    reader: R,
    codec: Codec,
    /// Bytes that were read and not yet looked at.
    buffer: Vec<u8>,
    bytes_max: usize,
    /// The message in the making, whether a fragment of it has come, and its memory.
    message: Vec<u8>,
    begun: bool,
    room: Room,
}

/// The connection ended, or broke the protocol.
struct Gone;

impl<R: AsyncRead + Unpin> Inbox<R> {
    /// Reads messages of at most `bytes_max` bytes, each in room like `room`.
    pub(super) fn new(reader: R, bytes_max: usize, room: Room) -> Self {
        Self {
            reader,
            codec: Codec::new(),
            buffer: Vec::new(),
            bytes_max,
            message: Vec::new(),
            begun: false,
            room,
        }
    }

    /// The next that comes.
    pub(super) async fn receive(&mut self) -> Received {
        self.next().await.unwrap_or(Received::Closed)
    }

    async fn next(&mut self) -> Result<Received, Gone> {
        loop {
            let header = self.header().await?;
            if header.opcode().is_control() {
                return self.control(&header).await;
            }
            // A message is one frame, or begins with one that has no end and goes on in those that continue it.
            if self.begun != (header.opcode() == OpCode::Continue) {
                return Err(Gone);
            }
            let bytes = self.message.len().saturating_add(header.payload_len());
            if bytes > self.bytes_max {
                let passed = header.is_fin() && self.discard(header.payload_len()).await?;
                self.begin_anew();
                return Ok(Received::TooLarge { bytes, passed });
            }
            if let Err(full) = self.payload(&header).await? {
                self.begin_anew();
                return Ok(Received::NoRoom(full));
            }
            self.begun = true;
            if header.is_fin() {
                let (message, room) = self.begin_anew();
                return Ok(Received::Message(message, room));
            }
        }
    }

    fn begin_anew(&mut self) -> (Vec<u8>, Room) {
        self.begun = false;
        let next = self.room.another();
        let room = std::mem::replace(&mut self.room, next);
        (std::mem::take(&mut self.message), room)
    }

    async fn header(&mut self) -> Result<Header, Gone> {
        loop {
            let parsed = self.codec.decode_header(&self.buffer);
            match parsed.map_err(|_no_frame| Gone)? {
                Parsing::Done { value, offset } => {
                    self.buffer.drain(..offset);
                    // What clients send is masked.
                    return value.is_masked().then_some(value).ok_or(Gone);
                }
                Parsing::NeedMore(_) => self.fill().await?,
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Gone> {
        self.buffer.reserve(PIECE_BYTES);
        match self.reader.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => Err(Gone),
            Ok(_) => Ok(()),
        }
    }

    /// A frame about the connection; the codec has found it to be short.
    async fn control(&mut self, header: &Header) -> Result<Received, Gone> {
        while self.buffer.len() < header.payload_len() {
            self.fill().await?;
        }
        let mut payload: Vec<u8> = self.buffer.drain(..header.payload_len()).collect();
        Codec::apply_mask(header, &mut payload);
        match header.opcode() {
            OpCode::Ping => Ok(Received::Ping(payload)),
            OpCode::Pong => Ok(Received::Pong),
            _ => Ok(Received::Closed),
        }
    }

    /// Adds a frame's bytes to the message as they come.
    async fn payload(&mut self, header: &Header) -> Result<Result<(), Full>, Gone> {
        let start = self.message.len();
        let end = start + header.payload_len();
        while self.message.len() < end {
            if self.buffer.is_empty() {
                self.fill().await?;
            }
            let taken = self.buffer.len().min(end - self.message.len());
            if let Err(full) = self.room.grow(self.message.len() + taken) {
                return Ok(Err(full));
            }
            self.message.extend(self.buffer.drain(..taken));
        }
        if let Some(payload) = self.message.get_mut(start..) {
            Codec::apply_mask(header, payload);
        }
        Ok(Ok(()))
    }

    /// Reads over so many bytes; false where they are too many for that.
    async fn discard(&mut self, mut bytes: usize) -> Result<bool, Gone> {
        if bytes > DISCARDED_BYTES_MAX {
            return Ok(false);
        }
        while bytes > 0 {
            if self.buffer.is_empty() {
                self.fill().await?;
            }
            let taken = self.buffer.len().min(bytes);
            self.buffer.drain(..taken);
            bytes -= taken;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    /// What comes of `bytes`, up to the end.
    async fn all(bytes: &[u8], bytes_max: usize) -> Vec<Received> {
        let memory = Memory::new();
        let mut inbox = Inbox::new(bytes, bytes_max, memory.room([10, 0, 0, 1].into()));
        let mut all = Vec::new();
        loop {
            let received = inbox.receive().await;
            let over = matches!(received, Received::Closed);
            all.push(received);
            if over {
                return all;
            }
        }
    }

    /// A frame that is masked with `mask`.
    fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let length = u64::try_from(payload.len()).unwrap();
        let mut frame = vec![first, 0x80 | 127];
        frame.extend(length.to_be_bytes());
        frame.extend(mask);
        let masked = payload.iter().zip(mask.iter().cycle());
        frame.extend(masked.map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[tokio::test]
    async fn fragments_are_one_message_with_pings_between_them() {
        let mask = [1, 2, 3, 4];
        let bytes = [
            frame(0x01, b"abcde", mask),
            vec![0x89, 0x82, 0, 0, 0, 0, b'h', b'i'],
            frame(0x00, b"fg", mask),
            frame(0x80, b"h", mask),
            frame(0x81, b"next", [0; 4]),
        ];
        let received = all(&bytes.concat(), 100).await;
        let [
            Received::Ping(ping),
            Received::Message(first, _),
            Received::Message(second, _),
            Received::Closed,
        ] = &received[..]
        else {
            panic!("{received:?}");
        };
        assert_eq!(
            (&ping[..], &first[..], &second[..]),
            (&b"hi"[..], &b"abcdefgh"[..], &b"next"[..])
        );
    }

    #[tokio::test]
    async fn a_message_that_is_too_large_is_passed_over_where_its_end_is_known() {
        let bytes = [
            frame(0x81, &[b'x'; 101], [0; 4]),
            frame(0x81, b"y", [0; 4]),
            frame(0x01, &[b'x'; 60], [0; 4]),
            frame(0x00, &[b'x'; 60], [0; 4]),
        ];
        let received = all(&bytes.concat(), 100).await;
        assert!(
            matches!(
                received[..],
                [
                    Received::TooLarge {
                        bytes: 101,
                        passed: true
                    },
                    Received::Message(..),
                    Received::TooLarge {
                        bytes: 120,
                        passed: false
                    },
                    ..
                ]
            ),
            "{received:?}"
        );
    }

    #[tokio::test]
    async fn what_breaks_the_protocol_ends_the_connection() {
        let text = frame(0x81, b"x", [0; 4]);
        let unmasked = vec![0x81, 1, b'x'];
        let continued = frame(0x80, b"x", [0; 4]);
        let twice = [frame(0x01, b"x", [0; 4]), text].concat();
        for bytes in [unmasked, continued, twice, vec![0xff; 20]] {
            let received = all(&bytes, 100).await;
            assert!(matches!(received[..], [Received::Closed]), "{received:?}");
        }
    }

    #[tokio::test]
    async fn a_frame_that_says_it_is_large_takes_no_memory_before_it_comes() {
        let memory = Memory::new();
        let head = &frame(0x81, &vec![0; 2 << 20], [0; 4])[..14];
        let (client, server) = tokio::io::duplex(64);
        let mut client = client;
        tokio::io::AsyncWriteExt::write_all(&mut client, head)
            .await
            .unwrap();
        let mut inbox = Inbox::new(server, 2 << 20, memory.room([10, 0, 0, 1].into()));
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(50), inbox.receive());
        assert!(waiting.await.is_err());
        assert!(
            inbox.message.capacity() < PIECE_BYTES && inbox.buffer.capacity() <= 2 * PIECE_BYTES
        );
    }
}
