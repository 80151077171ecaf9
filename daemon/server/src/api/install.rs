//! The installation of a site: the script, and the packages it fetches. Neither is a secret, so no key is asked for:
//! who fetches them is a bare machine.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http_body_util::channel::{Channel, Sender};
use linecamp_proto::api::ErrorCode;
use linecamp_proto::api::path;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Api;
use super::refused::Refused;

/// Packages on their way at one time. More are refused as busy: whoever installs hundreds of sites at once tries again.
const DOWNLOADS_MAX: usize = 16;

/// Time for one package: 5 MB at 6 KB/s. Past it the connection ends, so that a slow client does not hold a place.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Bytes that are read at once, and how many of such pieces wait for a slow client.
const PIECE_BYTES: usize = 64 * 1024;
const PIECES_MAX: usize = 2;

pub(super) fn router() -> Router<Api> {
    Router::new().route(path::INSTALL, get(script)).route(path::INSTALL_PACKAGE, get(package))
}

/// Places for downloads.
#[derive(Debug)]
pub(super) struct Downloads(Arc<Semaphore>);

impl Default for Downloads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(DOWNLOADS_MAX)))
    }
}

async fn script(State(api): State<Api>) -> Result<Response, Refused> {
    let script = api.about().site_packages.script(&api.about().addresses().server_url);
    let none = || Refused::not_found("this server has no packages to install sites with; install linecampd by hand");
    Ok(([(CONTENT_TYPE, "text/x-shellscript")], script.ok_or_else(none)?).into_response())
}

async fn package(State(api): State<Api>, Path(name): Path<String>) -> Result<Response, Refused> {
    let packages = api.about().site_packages.all();
    let found = packages.iter().find(|package| package.name == name);
    let path = found.ok_or_else(|| Refused::not_found("there is no such package"))?.path.clone();
    let Ok(place) = Arc::clone(&api.downloads().0).try_acquire_owned() else {
        let text = format!("{DOWNLOADS_MAX} packages are on their way already; try again in a moment");
        return Err(Refused::new(ErrorCode::Busy, text));
    };
    let (sender, body) = Channel::<Bytes, io::Error>::new(PIECES_MAX);
    tokio::task::spawn_blocking(move || send(&path, sender, place));
    Ok(([(CONTENT_TYPE, "application/vnd.debian.binary-package")], Body::new(body)).into_response())
}

/// Sends a file piece by piece, as fast as the client takes it. One that goes away ends it.
fn send(path: &PathBuf, mut sender: Sender<Bytes, io::Error>, _place: OwnedSemaphorePermit) {
    let runtime = Handle::current();
    let begun = std::time::Instant::now();
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return sender.abort(error),
    };
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        match file.read(&mut piece) {
            Ok(0) => return,
            Ok(bytes) => {
                piece.truncate(bytes);
                let left = DOWNLOAD_LIMIT.saturating_sub(begun.elapsed());
                let sent = runtime.block_on(timeout(left, sender.send_data(piece.into())));
                if !matches!(sent, Ok(Ok(()))) {
                    return sender.abort(io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return sender.abort(error),
        }
    }
}
