//! Plugins: upload, listing and removal.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::routing::get;
use axum::{Json, Router};
use linecamp_core::Fleet;
use linecamp_model::limits::{PLUGIN_BYTES_MAX, PLUGIN_DESCRIPTION_BYTES_MAX};
use linecamp_model::{PluginDescription, PluginDigest};
use linecamp_proto::api::path::{self, PluginQuery};
use linecamp_proto::api::{ErrorCode, FieldProblem, InvalidProvider, List, PluginPushed, PluginView, plugin_digest};

use super::Api;
use super::error::ApiError;
use super::extract::{StrictQuery, parse_name, path_param};
use crate::plugin_folder::UploadError;

pub(super) fn router() -> Router<Api> {
    Router::new().route(path::PLUGINS, get(list).post(push)).route(path::PLUGIN, get(show).delete(remove))
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
) -> Result<(StatusCode, Json<PluginPushed>), ApiError> {
    let name = parse_name("name", &query.name)?;
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let described = query.description_bytes.unwrap_or_default();
    if PLUGIN_DESCRIPTION_BYTES_MAX < described {
        let text = format!("a plugin's description has at most {PLUGIN_DESCRIPTION_BYTES_MAX} bytes, not {described}");
        return Err(ApiError::new(ErrorCode::TooLarge, text));
    }
    if announced.is_some_and(|bytes| PLUGIN_BYTES_MAX + described < bytes) {
        return Err(UploadError::TooLong.into());
    }
    let upload = api.uploads().receive(request.into_body(), described).await?;
    let (digest, description) = (upload.component.digest, upload.description);
    let added = api.plugins().add(name, description.map(Box::new), upload.component).await?;
    let plugin = PluginView::new(&digest, &added);
    let invalid_providers = match added.description {
        Some(description) => api.query(move |fleet, _| invalid_providers(fleet, &description)).await?,
        None => Vec::new(),
    };
    Ok((StatusCode::CREATED, Json(PluginPushed { plugin, invalid_providers })))
}

fn invalid_providers(fleet: &Fleet, plugin: &PluginDescription) -> Vec<InvalidProvider> {
    let found =
        fleet.view().invalid_providers(plugin).into_iter().map(|(environment, name, problems)| InvalidProvider {
            environment: environment.to_string(),
            name: name.to_string(),
            problems: FieldProblem::of_settings(&problems),
        });
    found.collect()
}

async fn show(State(api): State<Api>, DigestParam(digest): DigestParam) -> Result<Json<PluginView>, ApiError> {
    let plugin = api.plugins().find(digest).await?;
    let plugin = plugin.ok_or_else(|| not_found(digest))?;
    Ok(Json(PluginView::new(&digest, &plugin)))
}

fn not_found(digest: PluginDigest) -> ApiError {
    ApiError::not_found(format!("plugin {digest} not found; list plugins with `linecamp plugin ls`"))
}

async fn remove(State(api): State<Api>, DigestParam(digest): DigestParam) -> Result<Json<PluginView>, ApiError> {
    let removed = api.plugins().remove(digest).await?;
    let removed = removed.ok_or_else(|| not_found(digest))?;
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
