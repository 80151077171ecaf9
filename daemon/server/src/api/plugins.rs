//! Plugins: upload, listing and removal.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::routing::{delete, get};
use axum::{Json, Router};
use linecamp_core::Fleet;
use linecamp_model::PluginDigest;
use linecamp_model::limits::PLUGIN_BYTES_MAX;
use linecamp_proto::api::path::{self, PluginQuery};
use linecamp_proto::api::{List, PluginView, plugin_digest};

use super::Api;
use super::error::ApiError;
use super::extract::{StrictQuery, parse_name, path_param};
use crate::plugin_folder::UploadError;

pub(super) fn router() -> Router<Api> {
    Router::new().route(path::PLUGINS, get(list).post(push)).route(path::PLUGIN, delete(remove))
}

async fn list(State(api): State<Api>) -> Result<Json<List<PluginView>>, ApiError> {
    let shown =
        |fleet: &Fleet, _| fleet.view().plugins().map(|(digest, plugin)| PluginView::new(&digest, plugin)).collect();
    Ok(Json(api.query(shown).await?))
}

async fn push(
    State(api): State<Api>,
    StrictQuery(query): StrictQuery<PluginQuery>,
    request: Request,
) -> Result<(StatusCode, Json<PluginView>), ApiError> {
    let name = parse_name("name", &query.name)?;
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| PLUGIN_BYTES_MAX < bytes) {
        return Err(UploadError::TooLong.into());
    }
    let upload = api.uploads().receive(request.into_body()).await?;
    let digest = upload.digest;
    let added = api.plugins().add(name, upload).await?;
    Ok((StatusCode::CREATED, Json(PluginView::new(&digest, &added))))
}

async fn remove(State(api): State<Api>, DigestParam(digest): DigestParam) -> Result<Json<PluginView>, ApiError> {
    let removed = api.plugins().remove(digest).await?;
    let removed = removed.ok_or_else(|| ApiError::not_found(format!("plugin {digest} not found")))?;
    Ok(Json(PluginView::new(&digest, &removed)))
}

/// The digest in the path.
#[derive(Debug)]
struct DigestParam(PluginDigest);

impl<S: Send + Sync> FromRequestParts<S> for DigestParam {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = path_param(parts, state).await?;
        let bad = || {
            ApiError::bad_request(
                "a plugin digest is `sha256:` followed by 64 hexadecimal digits; list them with `linecamp plugin ls`",
            )
        };
        plugin_digest(&text).map(Self).ok_or_else(bad)
    }
}
