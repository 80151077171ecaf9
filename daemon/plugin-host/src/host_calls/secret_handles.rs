//! The secrets of one call: a plugin names a handle, the provider's spec maps it to a site secret, the site's
//! configuration defines where that secret may go, and only the host sees its value.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Display;
use std::sync::Arc;

use linecamp_model::{Endpoint, Name, SecretName};

use super::{CallGrant, HostCallError};
use crate::redact::Redactor;
use crate::secret::{Secret, Secrets, SiteSecret};
use crate::secret_binding::{SecretIntent, SecretUse};

/// The handles of one call, with the secrets used so far.
pub(crate) struct Handles {
    provider: Name,
    is_local: bool,
    handles: BTreeMap<SecretName, SecretName>,
    secrets: Arc<dyn Secrets>,
    found: BTreeMap<SecretName, SiteSecret>,
    /// Warns once per call: further refusals are usually the same.
    has_warned: bool,
    redactor: Redactor,
}

/// Where a request that carries a secret, or is signed with one, is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination<'a> {
    pub(crate) host: &'a Endpoint,
    pub(crate) is_plain_http: bool,
}

impl Handles {
    /// Creates the handles of a call; the secrets behind them are redacted by `redactor`.
    pub(crate) fn new(grant: &CallGrant, redactor: Redactor) -> Self {
        let CallGrant { provider, is_local, handles, secrets, .. } = grant;
        let (provider, is_local, handles, secrets) =
            (provider.clone(), *is_local, handles.clone(), Arc::clone(secrets));
        Self { provider, is_local, handles, secrets, found: BTreeMap::new(), has_warned: false, redactor }
    }

    /// Returns the secret behind the handle `name`, if the site allows this use. The secret is read once per call, so
    /// that the whole call uses one version of it; the permission is checked each time, because each request may go to
    /// another host.
    pub(crate) fn secret(
        &mut self,
        name: &str,
        usage: SecretUse,
        destination: Destination<'_>,
    ) -> Result<Secret, HostCallError> {
        let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
        let unassigned = || {
            let why = "is not assigned to the provider; add it to the provider's `secrets`";
            HostCallError::Denied(format!("the secret `{shown}` {why}"))
        };
        let handle = SecretName::parse(name).map_err(|_| unassigned())?;
        let of_site = self.handles.get(&handle).ok_or_else(unassigned)?;
        let found = match self.found.entry(handle.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(self.secrets.find(of_site)),
        };
        let Destination { host, is_plain_http } = destination;
        let intent = SecretIntent { provider: &self.provider, is_local: self.is_local, host, is_plain_http, usage };
        let denied = |why: &dyn Display| HostCallError::Denied(why.to_string());
        found.scope.permits(of_site, &intent).map_err(|refusal| {
            // Logged here as well, because the plugin may not report it.
            if !std::mem::replace(&mut self.has_warned, true) {
                let provider = self.provider.as_str();
                tracing::warn!(provider, reason = %refusal, "provider may not use this secret");
            }
            self.redactor.set_refusal(&refusal.to_string());
            denied(&refusal)
        })?;
        let secret = found.content.as_ref().map_err(|error| denied(error))?;
        if secret.expose().is_empty() {
            return Err(HostCallError::Denied(format!("the site's secret `{of_site}` is empty")));
        }
        self.redactor.add_secret(&handle, secret.expose());
        Ok(secret.clone())
    }

    /// Redacts another form of a secret, such as the base64 of a user name and password.
    pub(crate) fn redact_form(&self, name: &str, form: &[u8]) {
        if let Ok(name) = SecretName::parse(name) {
            self.redactor.add_form(&name, form);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use linecamp_model::Grant;
    use tokio::time::Instant;

    use super::*;
    use crate::network::Network;
    use crate::secret_binding::{SecretBinding, SecretScope};

    /// A single secret, and how often it was read.
    struct One(SecretScope, Mutex<u32>);

    impl Secrets for One {
        fn find(&self, _name: &SecretName) -> SiteSecret {
            *self.1.lock().unwrap() += 1;
            SiteSecret { scope: self.0.clone(), content: Ok(Secret::new(b"s3cret-of-the-site".to_vec())) }
        }
    }

    fn handles(scope: SecretScope, is_local: bool) -> (Handles, Arc<One>) {
        let name = |text: &str| SecretName::parse(text).unwrap();
        let secrets = Arc::new(One(scope, Mutex::new(0)));
        let grant = CallGrant {
            provider: Name::parse("main-dns").unwrap(),
            is_local,
            grant: Grant::default(),
            handles: [(name("key"), name("pdns-key"))].into(),
            secrets: Arc::clone(&secrets) as Arc<dyn Secrets>,
            outbound: Arc::new(Network::new(None).unwrap()),
            until: Instant::now() + Duration::from_secs(1),
        };
        (Handles::new(&grant, Redactor::default()), secrets)
    }

    #[test]
    fn a_secret_is_checked_again_for_each_host() {
        let (bound, other) = (Endpoint::parse("a.example:443").unwrap(), Endpoint::parse("b.example:443").unwrap());
        let binding = SecretBinding {
            hosts: [bound.clone()].into(),
            plain_http: [].into(),
            uses: [SecretUse::Bearer].into(),
            providers: [Name::parse("main-dns").unwrap()].into(),
        };
        let (mut handles, secrets) = handles(SecretScope::Bound(binding), false);
        let destination = |host, is_plain_http| Destination { host, is_plain_http };
        let is_denied = |result: Result<Secret, HostCallError>| matches!(result, Err(HostCallError::Denied(_)));
        assert!(is_denied(handles.secret("key", SecretUse::Bearer, destination(&other, false))));
        assert!(handles.secret("key", SecretUse::Bearer, destination(&bound, false)).is_ok());
        assert!(is_denied(handles.secret("key", SecretUse::Bearer, destination(&other, false))));
        assert!(is_denied(handles.secret("key", SecretUse::Bearer, destination(&bound, true))));
        assert!(is_denied(handles.secret("key", SecretUse::Basic, destination(&bound, false))));
        assert!(handles.secret("key", SecretUse::Bearer, destination(&bound, false)).is_ok());
        assert_eq!(*secrets.1.lock().unwrap(), 1, "all of a call has one version of the secret");
    }

    #[test]
    fn a_provider_without_access_cannot_tell_whether_a_secret_exists() {
        struct Nothing;
        impl Secrets for Nothing {
            fn find(&self, name: &SecretName) -> SiteSecret {
                SiteSecret::missing(name, "/a/path/of/the/site")
            }
        }
        let host = Endpoint::parse("a.example:443").unwrap();
        let destination = Destination { host: &host, is_plain_http: false };
        let said = |mut handles: Handles| match handles.secret("key", SecretUse::Bearer, destination) {
            Err(HostCallError::Denied(said)) => said,
            other => panic!("{other:?}"),
        };
        let (mut absent, _) = handles(SecretScope::LocalProviders, false);
        absent.secrets = Arc::new(Nothing);
        assert_eq!(said(absent), said(handles(SecretScope::LocalProviders, false).0));
        let (mut absent, _) = handles(SecretScope::LocalProviders, true);
        absent.secrets = Arc::new(Nothing);
        assert!(said(absent).contains("/a/path/of/the/site"), "the site's own provider hears where it belongs");
    }
}
