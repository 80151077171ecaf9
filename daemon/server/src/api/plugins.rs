//! Plugins: streaming uploads, listing and removal.
//!
//! A component is on disk under its digest before the state machine is told of it, and removed from the state machine
//! before its file is removed. Both are serialized by a lock, so that a plugin that is uploaded while it is being
//! removed ends up either present or absent in both.

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

/// Maximum number of concurrent uploads. Further ones are rejected as busy: an operator uploads one at a time.
const PUSHES_MAX: usize = 2;

/// Maximum number of chunks queued for the disk, each at most 32 KiB. At this limit the client waits.
const CHUNKS_MAX: usize = 8;

/// Timeout between two chunks. After that the upload is rejected, so that a slow client does not hold a permit.
const CHUNK_LIMIT: Duration = Duration::from_secs(30);

/// Timeout for a complete upload: the largest component at 40 KB/s. After that the upload is rejected.
const PUSH_LIMIT: Duration = Duration::from_secs(15 * 60);

pub(super) fn router() -> Router<Api> {
    Router::new().route(path::PLUGINS, get(list).post(push)).route(path::PLUGIN, delete(remove))
}

/// Receives uploads of components.
#[derive(Debug)]
pub(super) struct UploadService {
    folder: Arc<PluginFolder>,
    places: Semaphore,
    /// Held while the folder and the state machine are brought in sync.
    turn: Arc<Mutex<()>>,
}

impl UploadService {
    pub(super) fn new(folder: Arc<PluginFolder>) -> Self {
        Self { folder, places: Semaphore::new(PUSHES_MAX), turn: Arc::default() }
    }

    /// Receives a request body. On return all of it is on disk under a temporary name.
    async fn receive(&self, body: Body) -> Result<CompleteUpload, Refused> {
        let Ok(_place) = self.places.try_acquire() else {
            let text = format!("{PUSHES_MAX} plugins arrive already; try again in a moment");
            return Err(Refused::new(ErrorCode::Busy, text));
        };
        let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
        let folder = Arc::clone(&self.folder);
        let writing = tokio::task::spawn_blocking(move || write(&folder, chunks));
        match timeout(PUSH_LIMIT, hand_over(body, &sender)).await {
            // Either the end was sent, or the writer stopped and its result says why.
            Ok(Ok(())) => {}
            Ok(Err(refused)) => return Err(refused),
            Err(_) => return Err(Refused::bad_request("the plugin took too long to arrive")),
        }
        drop(sender);
        let whole = ended(writing.await)?.map_err(|error| not_taken(&error))?;
        whole.ok_or_else(|| Refused::bad_request("the plugin did not arrive whole"))
    }

    /// Locks the plugins against concurrent changes.
    async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }
}

/// An item for the disk writer. Without a final `End` the upload is discarded.
enum Chunk {
    Bytes(Bytes),
    End,
}

/// Sends a body to the disk writer, chunk by chunk.
async fn hand_over(mut body: Body, disk: &mpsc::Sender<Chunk>) -> Result<(), Refused> {
    loop {
        let chunk = match timeout(CHUNK_LIMIT, body.frame()).await {
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => Chunk::Bytes(bytes),
                // Trailers are ignored.
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

/// Writes the chunks; runs on a blocking thread.
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

/// Renames a component to its digest and adds it to the state machine, which may reject it because of its limits.
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
    // The guard moves into the blocking task: if the client disconnects, the next change still waits for the removal.
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

/// Renames a component to its digest, on a blocking thread.
async fn keep(api: &Api, whole: CompleteUpload) -> Result<(), Refused> {
    let folder = Arc::clone(&api.uploads().folder);
    let kept = tokio::task::spawn_blocking(move || folder.keep(&whole)).await;
    ended(kept)?.map_err(|error| not_taken(&error.into()))
}

/// Removes a component that no plugin needs, and then releases `turn`. If that fails, the file is removed at the next
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

/// The blocking task fails only because of a bug or the shutdown of the runtime.
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
