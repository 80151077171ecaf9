//! The contents: chunks, each encrypted with its number and whether it is the last.

use std::io::{self, BufRead, Read, Write};

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};

use super::key::{FileKey, Lock, Unlock};
use super::{TAG_BYTES, cipher, derive, header, random};
use crate::error::BackupError;

/// Bytes of a full chunk before encryption.
const CHUNK_BYTES: usize = 64 * 1024;

const NONCE_BYTES: usize = 16;
const PURPOSE: &str = "payload";

/// The cipher and the number of the next chunk.
struct Chunks {
    cipher: LessSafeKey,
    number: u64,
}

impl Chunks {
    fn new(file_key: &FileKey, nonce: &[u8]) -> Self {
        Self { cipher: cipher(&derive(file_key.as_bytes(), nonce, PURPOSE)), number: 0 }
    }

    fn next_nonce(&mut self, is_last: bool) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[3..11].copy_from_slice(&self.number.to_be_bytes());
        nonce[11] = u8::from(is_last);
        self.number += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Encrypts what is written. Without [`finish`](Self::finish) the file is truncated.
pub(crate) struct EncryptWriter<W> {
    out: W,
    chunks: Chunks,
    buffer: Vec<u8>,
}

impl<W: Write> EncryptWriter<W> {
    /// Writes the header, and returns the key of the file as well.
    pub(crate) fn begin(mut out: W, lock: &Lock) -> Result<(Self, FileKey), BackupError> {
        let file_key = FileKey::new(random()?);
        out.write_all(header::seal(&file_key, lock)?.as_bytes())?;
        let nonce = random::<NONCE_BYTES>()?;
        out.write_all(&nonce)?;
        let buffer = Vec::with_capacity(CHUNK_BYTES + TAG_BYTES);
        Ok((Self { out, chunks: Chunks::new(&file_key, &nonce), buffer }, file_key))
    }

    /// Writes the last chunk.
    pub(crate) fn finish(mut self) -> Result<W, BackupError> {
        self.seal(true)?;
        Ok(self.out)
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let nonce = self.chunks.next_nonce(is_last);
        self.chunks
            .cipher
            .seal_in_place_append_tag(nonce, Aad::empty(), &mut self.buffer)
            .map_err(|_| io::Error::other("encryption failed"))?;
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Write for EncryptWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk is written when more follows: the last chunk is not empty, unless all is.
        if self.buffer.len() == CHUNK_BYTES {
            self.seal(false)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Decrypts what is read. Nothing of a chunk is returned before the chunk was authenticated.
pub(crate) struct DecryptReader<R> {
    input: R,
    chunks: Chunks,
    buffer: Vec<u8>,
    at: usize,
    is_done: bool,
    has_failed: bool,
}

impl<R: BufRead> DecryptReader<R> {
    /// Reads the header.
    pub(crate) fn begin(mut input: R, unlock: &Unlock) -> Result<Self, BackupError> {
        let file_key = header::open(&mut input, unlock)?;
        let mut nonce = [0; NONCE_BYTES];
        input.read_exact(&mut nonce).map_err(BackupError::of_io)?;
        Ok(Self {
            input,
            chunks: Chunks::new(&file_key, &nonce),
            buffer: Vec::new(),
            at: 0,
            is_done: false,
            has_failed: false,
        })
    }

    fn next_chunk(&mut self) -> Result<(), BackupError> {
        self.buffer.clear();
        self.at = 0;
        let is_first = self.chunks.number == 0;
        let chunk_max = (CHUNK_BYTES + TAG_BYTES) as u64;
        self.input.by_ref().take(chunk_max).read_to_end(&mut self.buffer)?;
        self.is_done = self.input.fill_buf()?.is_empty();
        let bytes = self.buffer.len();
        if bytes < TAG_BYTES || (bytes == TAG_BYTES && !is_first) {
            return Err(BackupError::Truncated);
        }
        let nonce = self.chunks.next_nonce(self.is_done);
        let opened = self.chunks.cipher.open_in_place(nonce, Aad::empty(), &mut self.buffer);
        match (opened.is_ok(), self.is_done) {
            (true, _) => {}
            (false, true) => return Err(BackupError::corrupt("it is truncated, or its last chunk is corrupt")),
            (false, false) => return Err(BackupError::corrupt("a chunk is corrupt")),
        }
        self.buffer.truncate(bytes - TAG_BYTES);
        Ok(())
    }
}

impl<R: BufRead> Read for DecryptReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.has_failed {
            return Err(BackupError::corrupt("it was read on after an error").into_io());
        }
        while self.at == self.buffer.len() {
            if self.is_done {
                return Ok(0);
            }
            if let Err(error) = self.next_chunk() {
                // Nothing that was not authenticated is returned, also if the caller reads on.
                self.buffer.clear();
                self.is_done = false;
                self.has_failed = true;
                return Err(error.into_io());
            }
        }
        let taken = out.len().min(self.buffer.len() - self.at);
        out[..taken].copy_from_slice(&self.buffer[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}
