//! Datagrams in a stream (RFC 4571): each with its length in two bytes before it.

/// The largest datagram that is taken out of a stream. What a client sends fits an Ethernet frame, so more is no client.
pub const MAX_FRAME: usize = 2_048;
/// The length before each datagram.
pub const PREFIX: usize = 2;

/// Takes datagrams out of what has been read of a stream.
#[derive(Debug)]
pub struct Frames<'a> {
    rest: &'a mut [u8],
    oversized: bool,
}

impl<'a> Frames<'a> {
    /// Reads `bytes`, which begin with a length.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes, oversized: false }
    }

    /// The next datagram; None when what follows is incomplete or larger than [`MAX_FRAME`].
    pub fn take_next(&mut self) -> Option<&'a mut [u8]> {
        let (high, low) = (*self.rest.first()?, *self.rest.get(1)?);
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len > MAX_FRAME {
            self.oversized = true;
            return None;
        }
        if self.rest.len() < PREFIX + len {
            return None;
        }
        let (frame, rest) = std::mem::take(&mut self.rest).split_at_mut(PREFIX + len);
        self.rest = rest;
        Some(&mut frame[PREFIX..])
    }

    /// The incomplete end, shorter than a prefix and [`MAX_FRAME`]; None when the stream breaks that limit.
    #[must_use]
    pub fn incomplete(self) -> Option<&'a [u8]> {
        if self.oversized { None } else { Some(self.rest) }
    }
}

/// Appends a run of datagrams of `segment` bytes each, the last may be shorter, to a stream.
pub fn write_frames(segment: usize, bytes: &[u8], stream: &mut Vec<u8>) {
    for datagram in bytes.chunks(segment.max(1)) {
        // A datagram that fits an IP packet fits the prefix.
        let len = u16::try_from(datagram.len()).unwrap_or(u16::MAX);
        stream.extend_from_slice(&len.to_be_bytes());
        stream.extend_from_slice(&datagram[..usize::from(len)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
        let mut bytes = bytes.to_vec();
        let mut frames = Frames::new(&mut bytes);
        let mut found = Vec::new();
        while let Some(frame) = frames.take_next() {
            found.push(frame.to_vec());
        }
        (found, frames.incomplete().map(<[u8]>::to_vec))
    }

    #[test]
    fn a_run_comes_out_as_it_went_in() {
        let mut stream = Vec::new();
        write_frames(4, b"aaaabbbbcc", &mut stream);
        assert_eq!(stream, b"\0\x04aaaa\0\x04bbbb\0\x02cc");
        assert_eq!(split(&stream), (vec![b"aaaa".to_vec(), b"bbbb".to_vec(), b"cc".to_vec()], Some(Vec::new())));
    }

    #[test]
    fn an_incomplete_end_waits_for_the_rest() {
        assert_eq!(split(b"\0\x01a\0"), (vec![b"a".to_vec()], Some(b"\0".to_vec())));
        assert_eq!(split(b"\0\x02a"), (Vec::new(), Some(b"\0\x02a".to_vec())));
        assert_eq!(split(b""), (Vec::new(), Some(Vec::new())));
        assert_eq!(split(b"\0\0\0\x01a"), (vec![Vec::new(), b"a".to_vec()], Some(Vec::new())));
    }

    #[test]
    fn a_frame_no_client_sends_is_refused_before_it_has_come() {
        assert_eq!(split(&[8, 1]), (Vec::new(), None));
        assert_eq!(split(&[8, 0]), (Vec::new(), Some(vec![8, 0])));
    }
}
