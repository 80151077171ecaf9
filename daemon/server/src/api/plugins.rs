//! Plugins: upload, listing and removal.

use axum::body::{Body, HttpBody as _};
use linecamp_core::FleetView;
use linecamp_model::limits::{PLUGIN_BYTES_MAX, PLUGIN_DESCRIPTION_BYTES_MAX};
use linecamp_model::{PluginDescription, PluginDigest};
use linecamp_proto::api::operation::{ListPlugins, PushPlugin, RemovePlugin, ShowPlugin};
use linecamp_proto::api::{ErrorCode, FieldProblem, InvalidProvider, List, PluginPushed, PluginView, plugin_digest};

use super::call::Call;
use super::error::ApiError;
use super::parse::parse_name;
use crate::plugin_folder::UploadError;
use crate::plugin_registry;

pub(super) async fn list(call: Call<ListPlugins>) -> Result<List<PluginView>, ApiError> {
    let shown = |fleet: FleetView<'_>, _| {
        fleet.plugins().map(|(digest, plugin)| PluginView::new(&digest, plugin)).collect::<List<_>>()
    };
    Ok(call.fleet.query(shown).await?)
}

pub(super) async fn push(call: Call<PushPlugin>, body: Body) -> Result<PluginPushed, ApiError> {
    let query = call.query;
    let name = parse_name("name", &query.name)?;
    let described = query.description_bytes.unwrap_or_default();
    if PLUGIN_DESCRIPTION_BYTES_MAX < described {
        let text = format!("a plugin's description has at most {PLUGIN_DESCRIPTION_BYTES_MAX} bytes, not {described}");
        return Err(ApiError::new(ErrorCode::TooLarge, text));
    }
    // Before anything is read, if the length is announced.
    if PLUGIN_BYTES_MAX + described < body.size_hint().lower() {
        return Err(UploadError::TooLong.into());
    }
    let upload = call.api.uploads().receive(body, described).await?;
    let (digest, description) = (upload.component.digest, upload.description);
    let added = call.api.plugins().add(&call.fleet, name, description.map(Box::new), upload.component).await?;
    let plugin = PluginView::new(&digest, &added);
    let invalid_providers = match added.description {
        Some(description) => call.fleet.query(move |fleet, _| invalid_providers(fleet, &description)).await?,
        None => Vec::new(),
    };
    Ok(PluginPushed { plugin, invalid_providers })
}

fn invalid_providers(fleet: FleetView<'_>, plugin: &PluginDescription) -> Vec<InvalidProvider> {
    let found = fleet.invalid_providers(plugin).into_iter().map(|(environment, name, problems)| InvalidProvider {
        environment: environment.to_string(),
        name: name.to_string(),
        problems: FieldProblem::of_settings(&problems),
    });
    found.collect()
}

pub(super) async fn show(call: Call<ShowPlugin>) -> Result<PluginView, ApiError> {
    let digest = digest(&call.parameter)?;
    let plugin = plugin_registry::find(&call.fleet, digest).await?;
    let plugin = plugin.ok_or_else(|| not_found(digest))?;
    Ok(PluginView::new(&digest, &plugin))
}

fn not_found(digest: PluginDigest) -> ApiError {
    ApiError::not_found(format!("plugin {digest} not found; list plugins with `linecamp plugin ls`"))
}

pub(super) async fn remove(call: Call<RemovePlugin>) -> Result<PluginView, ApiError> {
    let digest = digest(&call.parameter)?;
    let removed = call.api.plugins().remove(&call.fleet, digest).await?;
    let removed = removed.ok_or_else(|| not_found(digest))?;
    Ok(PluginView::new(&digest, &removed))
}

/// Parses the digest in the path.
fn digest(text: &str) -> Result<PluginDigest, ApiError> {
    let bad = "a plugin digest is `sha256:` followed by 64 hexadecimal digits; list them with `linecamp plugin ls`";
    plugin_digest(text).ok_or_else(|| ApiError::invalid("digest", &bad, None))
}
