//! Plugins: taken in byte by byte, listed, taken away.
//!
//! A component is on the disk under its digest before the machine hears of it, and gone from the machine before its
//! file goes. Both happen one at a time, so that a plugin that is pushed while it is taken away ends as one or the
//! other.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::routing::{delete, get};
use axum::{Json, Router};
use http_body_util::BodyExt as _;
use linecamp_core::{Fleet, FleetCommand};
use linecamp_model::limits::PLUGIN_BYTES_MAX;
use linecamp_model::{Name, PluginDigest, PluginFile};
use linecamp_proto::api::path::{self, PluginQuery};
use linecamp_proto::api::{ErrorCode, List, PluginView, plugin_digest};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore, mpsc};
use tokio::task::JoinError;
use tokio::time::timeout;

use super::Api;
use super::ask::parse_name;
use super::extract::{StrictQuery, word};
use super::refused::Refused;
use crate::error::describe;
use crate::plugins::{CompleteUpload, IntakeError, PluginFolder};

/// Components that arrive at one time. More are refused as busy: an operator pushes one.
const PUSHES_MAX: usize = 2;

/// Chunks of a component that wait for the disk, each at most 32 KiB. Past it the client waits.
const CHUNKS_MAX: usize = 8;

/// Time between two chunks. Past it the push is refused, so that a slow client does not hold a place.
const CHUNK_LIMIT: Duration = Duration::from_secs(30);

/// Time for a whole component: the largest one at 40 KB/s. Past it the push is refused.
const PUSH_LIMIT: Duration = Duration::from_secs(15 * 60);

pub(super) fn router() -> Router<Api> {
    Router::new().route(path::PLUGINS, get(list).post(push)).route(path::PLUGIN, delete(remove))
}

/// Where components are taken in.
#[derive(Debug)]
pub(super) struct UploadService {
    folder: Arc<PluginFolder>,
    places: Semaphore,
    /// Held while the folder and the machine are brought to say the same.
    turn: Arc<Mutex<()>>,
}

impl UploadService {
    pub(super) fn new(folder: Arc<PluginFolder>) -> Self {
        Self { folder, places: Semaphore::new(PUSHES_MAX), turn: Arc::default() }
    }

    /// Takes in a body; all of it is on the disk then, and has no name yet.
    async fn receive(&self, body: Body) -> Result<CompleteUpload, Refused> {
        let Ok(_place) = self.places.try_acquire() else {
            let text = format!("{PUSHES_MAX} plugins arrive already; try again in a moment");
            return Err(Refused::new(ErrorCode::Busy, text));
        };
        let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
        let folder = Arc::clone(&self.folder);
        let writing = tokio::task::spawn_blocking(move || write(&folder, chunks));
        match timeout(PUSH_LIMIT, hand_over(body, &sender)).await {
            // The writer knows why it went away, or knows that this is the end.
            Ok(Ok(())) => {}
            Ok(Err(refused)) => return Err(refused),
            Err(_) => return Err(Refused::bad_request("the plugin took too long to arrive")),
        }
        drop(sender);
        let whole = ended(writing.await)?.map_err(|error| not_taken(&error))?;
        whole.ok_or_else(|| Refused::bad_request("the plugin did not arrive whole"))
    }

    /// Waits until nobody else changes the plugins.
    async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }
}

/// What is handed to the disk. Without an `End`, what came before it is nothing.
enum Chunk {
    Bytes(Bytes),
    End,
}

/// Hands a body to the disk, chunk by chunk.
async fn hand_over(mut body: Body, disk: &mpsc::Sender<Chunk>) -> Result<(), Refused> {
    loop {
        let chunk = match timeout(CHUNK_LIMIT, body.frame()).await {
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => Chunk::Bytes(bytes),
                // Trailers say nothing about a component.
                Err(_) => continue,
            },
            Ok(Some(Err(error))) => {
                return Err(Refused::bad_request(format!("the plugin did not arrive whole: {}", describe(&error))));
            }
            Ok(None) => Chunk::End,
            Err(_) => return Err(Refused::bad_request("the plugin stopped arriving")),
        };
        let is_end = matches!(chunk, Chunk::End);
        if disk.send(chunk).await.is_err() || is_end {
            return Ok(());
        }
    }
}

/// Writes what arrives, on a thread that may wait for the disk.
fn write(folder: &PluginFolder, mut chunks: mpsc::Receiver<Chunk>) -> Result<Option<CompleteUpload>, IntakeError> {
    let mut part = folder.begin()?;
    while let Some(chunk) = chunks.blocking_recv() {
        match chunk {
            Chunk::Bytes(bytes) => part.take(&bytes)?,
            Chunk::End => return part.finish().map(Some),
        }
    }
    Ok(None)
}

async fn list(State(api): State<Api>) -> Result<Json<List<PluginView>>, Refused> {
    let shown = |fleet: &Fleet, _| fleet.plugins().map(|(digest, plugin)| PluginView::new(&digest, plugin)).collect();
    Ok(Json(api.query(shown).await?))
}

async fn push(
    State(api): State<Api>,
    StrictQuery(query): StrictQuery<PluginQuery>,
    request: Request,
) -> Result<(StatusCode, Json<PluginView>), Refused> {
    let name = parse_name("name", &query.name)?;
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| PLUGIN_BYTES_MAX < bytes) {
        return Err(not_taken(&IntakeError::TooLong));
    }
    let whole = api.uploads().receive(request.into_body()).await?;
    let turn = api.uploads().turn().await;
    let view = adopt(&api, name, whole).await?;
    drop(turn);
    Ok((StatusCode::CREATED, Json(view)))
}

/// Gives a component its name and tells the machine, which may have as many as it takes.
async fn adopt(api: &Api, name: Name, whole: CompleteUpload) -> Result<PluginView, Refused> {
    let (digest, bytes) = (whole.digest, whole.bytes);
    keep(api, whole).await?;
    let pushed_at = api.query(|_, now| now.wall).await?;
    let added = api.command(FleetCommand::AddPlugin(digest, PluginFile { name, bytes, pushed_at })).await;
    let known = view(api, digest).await?;
    match (added, known) {
        (Ok(()), Some(view)) => Ok(view),
        (Ok(()), None) => Err(Refused::internal(format!("plugin {digest} was pushed and is not there"))),
        (Err(refused), Some(_)) => Err(refused),
        (Err(refused), None) => {
            discard(api, digest, None).await?;
            Err(refused)
        }
    }
}

async fn remove(State(api): State<Api>, DigestIn(digest): DigestIn) -> Result<Json<PluginView>, Refused> {
    let turn = api.uploads().turn().await;
    let before = view(&api, digest).await?;
    api.command(FleetCommand::RemovePlugin(digest)).await?;
    // Whoever asked may go away meanwhile; the next one has to wait all the same.
    discard(&api, digest, Some(turn)).await?;
    before.map(Json).ok_or_else(|| Refused::not_found(format!("there is no plugin {digest}")))
}

async fn view(api: &Api, digest: PluginDigest) -> Result<Option<PluginView>, Refused> {
    api.query(move |fleet, _| {
        let found = fleet.plugins().find(|(one, _)| *one == digest);
        found.map(|(digest, plugin)| PluginView::new(&digest, plugin))
    })
    .await
}

/// Gives a component its name, on a thread that may wait for the disk.
async fn keep(api: &Api, whole: CompleteUpload) -> Result<(), Refused> {
    let folder = Arc::clone(&api.uploads().folder);
    let kept = tokio::task::spawn_blocking(move || folder.keep(&whole)).await;
    ended(kept)?.map_err(|error| not_taken(&error.into()))
}

/// Removes a component that no plugin needs. `turn` is given back when that is done. If it fails, it goes at the next
/// start.
async fn discard(api: &Api, digest: PluginDigest, turn: Option<OwnedMutexGuard<()>>) -> Result<(), Refused> {
    let folder = Arc::clone(&api.uploads().folder);
    let removed = tokio::task::spawn_blocking(move || {
        if let Err(error) = folder.remove(digest) {
            tracing::warn!(error = describe(&error), "a component that no plugin needs stays until the next start");
        }
        drop(turn);
    });
    ended(removed.await)
}

/// Only a defect, or the end of the process, keeps such a thread from its end.
fn ended<T>(result: Result<T, JoinError>) -> Result<T, Refused> {
    result.map_err(|_| Refused::internal("the plugin could not be worked on; the server's log says why"))
}

fn not_taken(error: &IntakeError) -> Refused {
    match error {
        IntakeError::NoComponent { .. } => Refused::bad_request(error.to_string()),
        IntakeError::TooLong => Refused::new(ErrorCode::TooLarge, error.to_string()),
        IntakeError::Disk(cause) => {
            let error = describe(cause);
            tracing::warn!(error, "failed to keep a plugin");
            Refused::new(ErrorCode::StoreFailed, "the server could not keep the plugin; its log says why")
        }
    }
}

/// The digest in the path.
#[derive(Debug)]
struct DigestIn(PluginDigest);

impl<S: Send + Sync> FromRequestParts<S> for DigestIn {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let text = word(parts, state).await?;
        let bad = || {
            Refused::bad_request(
                "a plugin's digest is `sha256:` and 64 hexadecimal digits; `linecamp plugin ls` shows it",
            )
        };
        plugin_digest(&text).map(Self).ok_or_else(bad)
    }
}
