//! Frames on a byte stream: length-prefixed payloads.
//!
//! A frame is a four-byte big-endian length and the payload. A stream carries nothing else. The decoder accepts bytes
//! as they arrive and returns complete payloads. It buffers only bytes that really arrived, so a large length in a
//! header allocates nothing. An incomplete frame is not an error. An invalid length is, and the decoder then
//! repeats that error forever: the stream has lost its framing.

use std::fmt;

/// Bytes of the length prefix.
pub const FRAME_HEADER_BYTES: usize = 4;

/// Returns `payload` with its length prefix.
///
/// # Panics
/// If the payload has 4 GiB or more. Messages are bounded far below (`FRAME_BYTES_MAX`).
pub fn encode_frame(payload: &[u8]) -> Vec<u8> {
    debug_assert!(!payload.is_empty(), "the peer rejects an empty frame");
    let length = u32::try_from(payload.len()).expect("a message is bounded by FRAME_BYTES_MAX");
    let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES + payload.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Splits a byte stream into payloads.
///
/// Push chunks of bounded size, and after each take frames until `next` returns `None`: the decoder then buffers at
/// most one frame and one chunk. Between frames it holds no memory.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
}

impl FrameDecoder {
    /// Appends received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next complete payload of 1 to `bytes_max` bytes, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// [`FrameError`] as soon as the length is known to be invalid, and from then on.
    pub fn next(&mut self, bytes_max: usize) -> Result<Option<Vec<u8>>, FrameError> {
        let Some((header, rest)) = self.buffer.split_first_chunk::<FRAME_HEADER_BYTES>() else {
            return Ok(None);
        };
        let bytes = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
        if bytes == 0 {
            return Err(FrameError::Empty);
        }
        if bytes_max < bytes {
            return Err(FrameError::TooLong { bytes, bytes_max });
        }
        let Some(payload) = rest.get(..bytes) else {
            return Ok(None);
        };
        let payload = payload.to_vec();
        self.drop_front(FRAME_HEADER_BYTES + bytes);
        Ok(Some(payload))
    }

    /// Whether no part of the next frame has arrived.
    pub const fn is_between_frames(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Marks the end of the stream.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] if it ended inside a frame.
    pub const fn finish(&self) -> Result<(), FrameError> {
        if self.buffer.is_empty() { Ok(()) } else { Err(FrameError::Truncated { bytes: self.buffer.len() }) }
    }

    fn drop_front(&mut self, bytes: usize) {
        if bytes == self.buffer.len() {
            // Release the memory: thousands of idle sessions must not each retain their largest frame.
            self.buffer = Vec::new();
        } else {
            self.buffer.drain(..bytes);
        }
    }
}

/// Why bytes are not a valid frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A length of zero: no message is empty.
    Empty,
    /// Longer than the receiver accepts at this point.
    TooLong {
        /// The length in the header.
        bytes: usize,
        /// The length the receiver accepts.
        bytes_max: usize,
    },
    /// The stream ended inside a frame.
    Truncated {
        /// Bytes of it that arrived, including its length prefix.
        bytes: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty frame"),
            Self::TooLong { bytes, bytes_max } => {
                write!(f, "frame of {bytes} bytes exceeds the limit of {bytes_max} bytes")
            }
            Self::Truncated { bytes } => write!(f, "the stream ended inside a frame, after {bytes} bytes"),
        }
    }
}

impl std::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(bytes: &[u8]) -> FrameDecoder {
        let mut decoder = FrameDecoder::default();
        decoder.push(bytes);
        decoder
    }

    #[test]
    fn frames_are_reassembled_from_any_fragments() {
        let payloads: [&[u8]; 3] = [b"one", &[7; 300], b"3"];
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| encode_frame(payload)).collect();
        for piece_bytes in 1..=stream.len() {
            let mut decoder = FrameDecoder::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(piece_bytes) {
                decoder.push(piece);
                while let Some(payload) = decoder.next(300).expect("own frames decode") {
                    seen.push(payload);
                }
            }
            assert_eq!(seen, payloads);
            assert_eq!(decoder.finish(), Ok(()));
        }
    }

    #[test]
    fn an_incomplete_frame_is_not_an_error_until_the_stream_ends() {
        let frame = encode_frame(b"abc");
        for cut in 1..frame.len() {
            let mut decoder = decoder(&frame[..cut]);
            assert_eq!(decoder.next(3), Ok(None));
            assert_eq!(decoder.finish(), Err(FrameError::Truncated { bytes: cut }));
        }
        assert_eq!(decoder(&[]).next(3), Ok(None));
        assert_eq!(decoder(&[]).finish(), Ok(()));
    }

    #[test]
    fn an_empty_frame_is_rejected() {
        assert_eq!(decoder(&[0, 0, 0, 0, 1]).next(9), Err(FrameError::Empty));
    }

    #[test]
    fn a_frame_above_the_limit_is_rejected_and_so_are_all_later_ones() {
        let mut at = decoder(&encode_frame(&[1; 8]));
        assert_eq!(at.next(8), Ok(Some(vec![1; 8])));
        let mut above = decoder(&[0, 0, 0, 9]);
        let refusal = Err(FrameError::TooLong { bytes: 9, bytes_max: 8 });
        assert_eq!(above.next(8), refusal);
        above.push(&[1; 9]);
        assert_eq!(above.next(8), refusal);
    }

    #[test]
    fn a_length_without_a_payload_allocates_nothing() {
        let mut decoder = decoder(&[0, 16, 0, 0]);
        assert_eq!(decoder.next(1 << 20), Ok(None));
        assert!(decoder.buffer.capacity() < 64);
    }

    #[test]
    fn memory_is_freed_between_frames() {
        let mut decoder = decoder(&encode_frame(&[1; 100_000]));
        assert!(decoder.next(100_000).expect("a frame").is_some());
        assert_eq!(decoder.buffer.capacity(), 0);
    }
}
