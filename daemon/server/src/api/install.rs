//! The installation of a site: the script and the packages it downloads. Neither is secret, so no key is required: the
//! client is a machine that is not set up yet.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use linecamp_proto::api::operation::{ShowInstaller, ShowPackage};

use super::call::Call;
use super::error::ApiError;

/// The size of one read in bytes, and how many of these pieces are queued for a slow client. Downloads are subject to
/// the limits and timeouts of their connections (`drive::https`): 256 of them hold 24 MB.
const PIECE_BYTES: usize = 32 * 1024;
const PIECES_MAX: usize = 1;

pub(super) async fn script(Call { api, .. }: Call<ShowInstaller>) -> Result<Response, ApiError> {
    let script = api.info().site_packages.script(&api.info().addresses().server_url);
    let none = || ApiError::not_found("this server has no packages for new sites; install linecampd manually");
    Ok(([(CONTENT_TYPE, "text/x-shellscript")], script.ok_or_else(none)?).into_response())
}

pub(super) async fn package(Call { api, parameter: name, .. }: Call<ShowPackage>) -> Result<Response, ApiError> {
    let packages = api.info().site_packages.all();
    let found = packages.iter().find(|package| package.name == name);
    let path = found.ok_or_else(|| ApiError::not_found("package not found"))?.path.clone();
    let (sender, body) = Channel::<Bytes, io::Error>::new(PIECES_MAX);
    tokio::spawn(send(path, sender));
    Ok(([(CONTENT_TYPE, "application/vnd.debian.binary-package")], Body::new(body)).into_response())
}

/// Sends a file piece by piece, as fast as the client reads it, until the client disconnects. No thread waits for a
/// slow client: each piece is read by a separate blocking task.
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
