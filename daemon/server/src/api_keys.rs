//! Manages the API keys of the console while the server is stopped; those of users are managed through the API. Access
//! to its directory is proof enough of being its operator.

use linecamp_core::SavedFleet;
use linecamp_model::limits::API_KEYS_MAX;
use linecamp_model::{ApiKey, FleetChange, Name, SecretHash, WallTime};
use linecamp_transport::{SystemClock, WallClock as _};

use crate::data_directory::Layout;
use crate::drivers::store;
use crate::error::ServerError;
use crate::secret::ApiKeyText;

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// Its name.
    pub name: Name,
    /// When it was created.
    pub created_at: WallTime,
}

/// Creates an API key.
///
/// # Errors
/// [`ServerError::KeyExists`] if a key of that name exists; other variants if an operation failed.
pub fn create_key(layout: &Layout, name: Name) -> Result<ApiKeyText, ServerError> {
    let _lock = layout.lock()?;
    let saved = saved(layout)?;
    let keys = keys_of_console(&saved);
    if keys.iter().any(|(_, key)| key.name == name) {
        return Err(ServerError::KeyExists { name });
    }
    if API_KEYS_MAX <= keys.len() {
        return Err(ServerError::KeysFull);
    }
    let text = ApiKeyText::generate()?;
    let key = ApiKey::of_console(text.hash(), name, SystemClock.now());
    let changes = vec![FleetChange::ApiKey(text.hash(), Some(key))];
    store::write_audited(&layout.database(), &saved, "key.create", changes)?;
    Ok(text)
}

/// Removes an API key. It is rejected from the next start on.
///
/// # Errors
/// [`ServerError::KeyUnknown`] if no key has that name; other variants if an operation failed.
pub fn remove_key(layout: &Layout, name: Name) -> Result<(), ServerError> {
    let _lock = layout.lock()?;
    let saved = saved(layout)?;
    let matching: Vec<_> = keys_of_console(&saved)
        .into_iter()
        .filter(|(_, key)| key.name == name)
        .map(|(hash, _)| FleetChange::ApiKey(hash, None))
        .collect();
    if matching.is_empty() {
        return Err(ServerError::KeyUnknown { name });
    }
    store::write_audited(&layout.database(), &saved, "key.remove", matching)
}

/// Returns the API keys, oldest first.
///
/// # Errors
/// [`ServerError`].
pub fn keys(layout: &Layout) -> Result<Vec<KeyView>, ServerError> {
    let _lock = layout.lock()?;
    let mut keys: Vec<_> = keys_of_console(&saved(layout)?)
        .into_iter()
        .map(|(_, key)| KeyView { name: key.name, created_at: key.created_at })
        .collect();
    keys.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
    Ok(keys)
}

fn saved(layout: &Layout) -> Result<SavedFleet, ServerError> {
    let opened = store::open(&layout.database())?;
    opened.store.close();
    Ok(opened.saved)
}

fn keys_of_console(saved: &SavedFleet) -> Vec<(SecretHash, ApiKey)> {
    let keys = saved.records.iter().filter_map(|record| match record {
        FleetChange::ApiKey(hash, Some(key)) if key.user.is_none() => Some((*hash, key.clone())),
        _ => None,
    });
    keys.collect()
}
