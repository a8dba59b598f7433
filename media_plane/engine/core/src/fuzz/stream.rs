//! TCP as a shard takes it: real connections whose bytes come in pieces.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use super::split_stream;
use crate::clock::{Micros, SECOND};
use crate::net::{READ_BUFFER, TcpPort, wait_readable};
use crate::wire::framing::{Frames, write_frames};

/// For what has been written on this machine to be there.
const PATIENCE: Micros = 10 * SECOND;
/// Pieces of an input; each costs system calls.
const PIECES: usize = 64;

/// A stream that is written in pieces and read as a shard reads it brings the datagrams that it does as a whole; what is sent
/// back is framed whole.
///
/// The first byte tells the length of the pieces.
pub fn tcp(data: &[u8]) {
    let Some((&step, stream)) = data.split_first() else { return };
    let (expected, rest) = split_stream(stream, stream.len().max(1));
    let Ok(listener) = TcpListener::bind("127.0.0.1:0") else { panic!("no port") };
    let Some(mut client) = listener.local_addr().and_then(TcpStream::connect).ok() else { panic!("no connection") };
    let Ok(mut port) = TcpPort::new(listener) else { panic!("no port") };
    let mut reader = Reader { buffer: vec![0; READ_BUFFER], ..Reader::default() };
    let mut written = 0;
    for piece in stream.chunks((1 + usize::from(step)).max(stream.len() / PIECES)) {
        // A frame that is too long ends the connection.
        if client.write_all(piece).is_err() {
            break;
        }
        written += piece.len();
        while reader.read < written && !reader.ended {
            assert_eq!(
                wait_readable(&[port.as_raw_fd()], Some(PATIENCE)),
                [true],
                "{} of {written} bytes",
                reader.read
            );
            reader.take(&mut port);
        }
        if reader.ended {
            break;
        }
    }
    assert_eq!((&reader.found, reader.ended), (&expected, rest.is_none() && !stream.is_empty()));
    assert_eq!(port.counts().oversized, u64::from(reader.ended));
    if let Some(number) = reader.number.filter(|_| !reader.ended) {
        send_back(&mut port, number, &mut client, 1 + usize::from(step), stream);
    }
}

#[derive(Default)]
struct Reader {
    buffer: Vec<u8>,
    number: Option<u32>,
    found: Vec<Vec<u8>>,
    /// Bytes taken, and how many of them are the beginning of a datagram.
    read: usize,
    kept: usize,
    ended: bool,
}

impl Reader {
    /// Takes what has come, as `worker` does.
    fn take(&mut self, port: &mut TcpPort) {
        port.poll(0);
        while let Some(number) = port.next_readable() {
            self.number = Some(number);
            let Some((_, len)) = port.receive(number, &mut self.buffer) else { continue };
            self.read += len - self.kept;
            let mut frames = Frames::new(&mut self.buffer[..len]);
            while let Some(datagram) = frames.take_next() {
                self.found.push(datagram.to_vec());
            }
            let rest = frames.incomplete();
            (self.kept, self.ended) = (rest.map_or(0, <[u8]>::len), rest.is_none());
            port.keep(number, rest);
        }
    }
}

fn send_back(port: &mut TcpPort, number: u32, client: &mut TcpStream, segment: usize, bytes: &[u8]) {
    let mut framed = Vec::new();
    write_frames(segment, bytes, &mut framed);
    assert!(port.transmit(number, segment, bytes), "a client that has read everything is sent to");
    let mut heard = vec![0; framed.len()];
    assert!(client.read_exact(&mut heard).is_ok());
    assert_eq!(heard, framed);
}
