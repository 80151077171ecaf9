//! The secrets of one call: a plugin names a handle, the spec says which secret of the site that is, and only the gate
//! sees what it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use linecamp_model::SecretName;

use super::GateError;
use crate::blot::Blotter;
use crate::secret::{Secret, Secrets};

/// Handles of one call, with the secrets that were asked for so far.
pub(crate) struct Handles {
    handles: BTreeMap<SecretName, SecretName>,
    secrets: Arc<dyn Secrets>,
    read: BTreeMap<SecretName, Secret>,
    blotter: Blotter,
}

impl Handles {
    /// Opens the handles of a call; what they lead to is blotted out by `blotter`.
    pub(crate) const fn new(
        handles: BTreeMap<SecretName, SecretName>,
        secrets: Arc<dyn Secrets>,
        blotter: Blotter,
    ) -> Self {
        Self { handles, secrets, read: BTreeMap::new(), blotter }
    }

    /// Returns the secret behind the handle `name`: read once a call, so that all of a call is signed with one secret.
    pub(crate) fn secret(&mut self, name: &str) -> Result<Secret, GateError> {
        let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
        let no_such = || {
            let why = "is not among the provider's secrets; name it in the provider's `secrets`";
            GateError::Denied(format!("the secret `{shown}` {why}"))
        };
        let handle = SecretName::parse(name).map_err(|_| no_such())?;
        let of_site = self.handles.get(&handle).ok_or_else(no_such)?;
        if let Some(secret) = self.read.get(&handle) {
            return Ok(secret.clone());
        }
        let secret = self.secrets.read(of_site).map_err(|error| GateError::Denied(error.to_string()))?;
        if secret.expose().is_empty() {
            return Err(GateError::Denied(format!("the site's secret `{of_site}` is empty")));
        }
        self.blotter.blot(&handle, secret.expose());
        self.read.insert(handle, secret.clone());
        Ok(secret)
    }

    /// Has another form of a secret blotted out, such as one with a user's name in base64.
    pub(crate) fn blot_form(&self, name: &str, form: &[u8]) {
        if let Ok(name) = SecretName::parse(name) {
            self.blotter.blot(&name, form);
        }
    }
}
