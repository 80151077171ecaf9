//! Streams uploaded plugins to disk.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use linecamp_model::PluginDescription;
use linecamp_proto::api::{ErrorCode, PluginDescriptionBody, SettingError, strict_json};
use linecamp_transport::error_chain;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::error::ApiError;
use crate::plugin_folder::{CompleteUpload, PluginFolder, UploadError};

/// Maximum number of concurrent uploads. Further ones are rejected as busy: an operator uploads one at a time.
const UPLOADS_MAX: usize = 2;

/// Maximum number of chunks queued for the disk, each at most 32 KiB. At this limit the client waits.
const CHUNKS_MAX: usize = 8;

/// Timeout between two chunks. After that the upload is rejected, so that a slow client does not hold a permit.
const CHUNK_LIMIT: Duration = Duration::from_secs(30);

/// Timeout for a complete upload: the largest component at 40 KB/s. After that the upload is rejected.
const UPLOAD_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Receives uploads of components.
#[derive(Debug)]
pub(super) struct UploadService {
    folder: Arc<PluginFolder>,
    permits: Semaphore,
}

impl UploadService {
    pub(super) fn new(folder: Arc<PluginFolder>) -> Self {
        Self { folder, permits: Semaphore::new(UPLOADS_MAX) }
    }

    /// Receives a request body: a description of `description_bytes` bytes, if they are not 0, and the component. On
    /// return all of the component is on disk under a temporary name.
    pub(super) async fn receive(&self, body: Body, description_bytes: u64) -> Result<Upload, ApiError> {
        let Ok(_permit) = self.permits.try_acquire() else {
            let text = format!("{UPLOADS_MAX} plugin uploads are in progress, the maximum; try again in a moment");
            return Err(ApiError::new(ErrorCode::Busy, text));
        };
        let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
        let folder = Arc::clone(&self.folder);
        let writing = tokio::task::spawn_blocking(move || write(&folder, chunks));
        let forwarded = timeout(UPLOAD_LIMIT, forward(body, description_bytes, &sender)).await;
        drop(sender);
        // The blocking task fails only because of a bug or the shutdown of the runtime.
        let written = writing.await.map_err(|_| ApiError::internal())?;
        let description = match forwarded {
            // Either the end was sent, or the writer stopped and its result says why.
            Ok(Ok(description)) => description,
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let minutes = UPLOAD_LIMIT.as_secs() / 60;
                return Err(ApiError::bad_request(format!("plugin upload took longer than {minutes} minutes")));
            }
        };
        let upload = written?;
        let incomplete = || ApiError::bad_request("plugin upload incomplete: the connection was closed");
        Ok(Upload { component: upload.ok_or_else(incomplete)?, description })
    }
}

/// A complete upload.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) component: CompleteUpload,
    pub(super) description: Option<PluginDescription>,
}

/// Parses a description.
fn description(json: &[u8]) -> Result<PluginDescription, ApiError> {
    let body: PluginDescriptionBody = strict_json::decode(json)
        .map_err(|error| ApiError::bad_request(format!("invalid plugin description: {error}")))?;
    body.to_description()
        .map_err(|SettingError { key, problem }| ApiError::bad_request(format!("description.{key}: {problem}")))
}

/// An item for the disk writer. Without a final `End` the upload is discarded.
enum Chunk {
    Bytes(Bytes),
    End,
}

/// Forwards a body to the disk writer, chunk by chunk. Returns the description at its start, which has
/// `description_bytes` bytes: an invalid one ends the upload before anything is written.
async fn forward(
    mut body: Body,
    description_bytes: u64,
    disk: &mpsc::Sender<Chunk>,
) -> Result<Option<PluginDescription>, ApiError> {
    let mut missing = usize::try_from(description_bytes).unwrap_or(usize::MAX);
    let (mut json, mut described) = (Vec::new(), None);
    loop {
        let mut chunk = match timeout(CHUNK_LIMIT, body.frame()).await {
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => Chunk::Bytes(bytes),
                // Trailers are ignored.
                Err(_) => continue,
            },
            Ok(Some(Err(error))) => {
                return Err(ApiError::bad_request(format!("plugin upload incomplete: {}", error_chain(&error))));
            }
            Ok(None) => Chunk::End,
            Err(_) => {
                let seconds = CHUNK_LIMIT.as_secs();
                return Err(ApiError::bad_request(format!("plugin upload stalled: no data for {seconds} s")));
            }
        };
        if let Chunk::Bytes(bytes) = &mut chunk
            && 0 < missing
        {
            let part = bytes.split_to(missing.min(bytes.len()));
            missing -= part.len();
            json.extend_from_slice(&part);
            if missing == 0 {
                described = Some(description(&json)?);
            }
        }
        let is_end = matches!(chunk, Chunk::End);
        if disk.send(chunk).await.is_err() || is_end {
            return Ok(described);
        }
    }
}

/// Writes the chunks; runs on a blocking thread.
fn write(folder: &PluginFolder, mut chunks: mpsc::Receiver<Chunk>) -> Result<Option<CompleteUpload>, UploadError> {
    let mut part = folder.begin()?;
    while let Some(chunk) = chunks.blocking_recv() {
        match chunk {
            Chunk::Bytes(bytes) => part.append(&bytes)?,
            Chunk::End => return part.finish().map(Some),
        }
    }
    Ok(None)
}
