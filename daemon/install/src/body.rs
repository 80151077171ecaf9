//! A package as the body of a response.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};

/// The size of one read in bytes, and how many of these pieces are queued for a slow client. Downloads are subject to
/// the limits and timeouts of their connections: 256 of them hold 24 MB.
const PIECE_BYTES: usize = 32 * 1024;
const PIECES_MAX: usize = 1;

/// Returns the content of a file as a body, which is read as fast as the client takes it, until the client disconnects.
///
/// # Panics
/// Outside a tokio runtime.
pub fn package_body(path: PathBuf) -> Channel<Bytes, io::Error> {
    let (sender, body) = Channel::new(PIECES_MAX);
    tokio::spawn(send(path, sender));
    body
}

/// Sends a file piece by piece. No thread waits for a slow client: each piece is read by a separate blocking task.
async fn send(path: PathBuf, mut sender: Sender<Bytes, io::Error>) {
    let mut next = tokio::task::spawn_blocking(move || read(linecamp_files::open(&path)?));
    loop {
        match next.await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())) {
            Ok((_, piece)) if piece.is_empty() => return,
            Ok((file, piece)) => {
                if sender.send_data(piece.into()).await.is_err() {
                    return;
                }
                next = tokio::task::spawn_blocking(move || read(file));
            }
            Err(error) => return sender.abort(error),
        }
    }
}

fn read(mut file: File) -> io::Result<(File, Vec<u8>)> {
    let mut piece = vec![0; PIECE_BYTES];
    let bytes = file.read(&mut piece)?;
    piece.truncate(bytes);
    Ok((file, piece))
}
