//! Streams uploaded plugins to disk.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use linecamp_proto::api::ErrorCode;
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

    /// Receives a request body. On return all of it is on disk under a temporary name.
    pub(super) async fn receive(&self, body: Body) -> Result<CompleteUpload, ApiError> {
        let Ok(_permit) = self.permits.try_acquire() else {
            let text = format!("{UPLOADS_MAX} plugin uploads are in progress, the maximum; try again in a moment");
            return Err(ApiError::new(ErrorCode::Busy, text));
        };
        let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
        let folder = Arc::clone(&self.folder);
        let writing = tokio::task::spawn_blocking(move || write(&folder, chunks));
        match timeout(UPLOAD_LIMIT, forward(body, &sender)).await {
            // Either the end was sent, or the writer stopped and its result says why.
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let minutes = UPLOAD_LIMIT.as_secs() / 60;
                return Err(ApiError::bad_request(format!("plugin upload took longer than {minutes} minutes")));
            }
        }
        drop(sender);
        // The blocking task fails only because of a bug or the shutdown of the runtime.
        let upload = writing.await.map_err(|_| ApiError::internal())??;
        upload.ok_or_else(|| ApiError::bad_request("plugin upload incomplete: the connection was closed"))
    }
}

/// An item for the disk writer. Without a final `End` the upload is discarded.
enum Chunk {
    Bytes(Bytes),
    End,
}

/// Forwards a body to the disk writer, chunk by chunk.
async fn forward(mut body: Body, disk: &mpsc::Sender<Chunk>) -> Result<(), ApiError> {
    loop {
        let chunk = match timeout(CHUNK_LIMIT, body.frame()).await {
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
        let is_end = matches!(chunk, Chunk::End);
        if disk.send(chunk).await.is_err() || is_end {
            return Ok(());
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
