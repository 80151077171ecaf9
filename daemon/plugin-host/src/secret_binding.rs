//! What the site allows with each of its secrets: which providers may use it, for which hosts, and how.
//!
//! A provider pushed by the server refers to a site secret by a name, which anyone with write access to the server can
//! choose. The name alone therefore grants nothing: the site's own configuration defines for each secret where it may
//! go, and the host calls [`SecretScope::permits`] each time before it puts a secret into a request.

use std::collections::BTreeSet;
use std::fmt;

use linecamp_model::{Endpoint, Name, SecretName};

/// How a secret is used in a request: sent, or to sign it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretUse {
    /// Sent as `Authorization: Bearer SECRET`.
    Bearer,
    /// Sent as the password in `Authorization: Basic`.
    Basic,
    /// Sent in a header that the plugin names.
    Header,
    /// Signs as the secret access key of AWS Signature Version 4; never sent.
    SigV4,
    /// Sent as the access key ID of a SigV4 signature.
    SigV4KeyId,
    /// Sent as the session token along with a SigV4 signature.
    SigV4SessionToken,
    /// Signs DNS messages (RFC 8945); never sent.
    Tsig,
}

impl SecretUse {
    /// All uses, in the order in which they are listed to users.
    pub const ALL: [Self; 7] =
        [Self::Bearer, Self::Basic, Self::Header, Self::SigV4, Self::SigV4KeyId, Self::SigV4SessionToken, Self::Tsig];

    /// Returns its name in configuration files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::Header => "header",
            Self::SigV4 => "sigv4",
            Self::SigV4KeyId => "sigv4-key-id",
            Self::SigV4SessionToken => "sigv4-session-token",
            Self::Tsig => "tsig",
        }
    }

    /// Parses a name from a configuration file.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

impl fmt::Display for SecretUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who may use a secret of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretScope {
    /// The configuration defines the secret without a binding. Providers from the same configuration may use it
    /// for every host that they are granted, but not over plain HTTP; providers from the server may not use it.
    LocalProviders,
    /// The configuration binds the secret. The binding applies both to local providers and to those from the server.
    Bound(SecretBinding),
}

/// The binding of a secret. Anything not listed is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretBinding {
    /// The hosts that it may be sent to, or sign requests for.
    pub hosts: BTreeSet<Endpoint>,
    /// The hosts among `hosts` that may also get it over plain HTTP.
    pub plain_http: BTreeSet<Endpoint>,
    /// The allowed uses.
    pub uses: BTreeSet<SecretUse>,
    /// The allowed providers, by name.
    pub providers: BTreeSet<Name>,
}

/// A planned use of a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecretIntent<'a> {
    pub(crate) provider: &'a Name,
    /// Whether the site's own configuration defines the provider.
    pub(crate) is_local: bool,
    pub(crate) host: &'a Endpoint,
    pub(crate) is_plain_http: bool,
    pub(crate) usage: SecretUse,
}

/// Why a secret is not used: the planned use, what forbids it, and which setting to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "provider {provider} may not use the site's secret `{secret}` as {usage} for {host}: {problem}; to allow it, \
     {remedy} in [secrets.{secret}] of linecampd.toml"
)]
pub(crate) struct SecretRefusal {
    provider: Name,
    secret: SecretName,
    usage: SecretUse,
    host: Endpoint,
    problem: String,
    remedy: String,
}

impl SecretScope {
    /// Whether a provider may use the secret at all.
    pub(crate) fn includes(&self, provider: &Name, is_local: bool) -> bool {
        match self {
            Self::LocalProviders => is_local,
            Self::Bound(binding) => binding.providers.contains(provider),
        }
    }

    /// Checks whether `intent` is allowed for the secret `name`.
    pub(crate) fn permits(&self, name: &SecretName, intent: &SecretIntent<'_>) -> Result<(), SecretRefusal> {
        let Some((problem, remedy)) = self.objection(intent) else { return Ok(()) };
        Err(SecretRefusal {
            provider: intent.provider.clone(),
            secret: name.clone(),
            usage: intent.usage,
            host: intent.host.clone(),
            problem,
            remedy,
        })
    }

    /// Returns what forbids an intent, and what would allow it.
    fn objection(&self, intent: &SecretIntent<'_>) -> Option<(String, String)> {
        let SecretIntent { provider, is_local, host, is_plain_http, usage } = *intent;
        let object = |problem: &str, remedy: String| Some((problem.to_owned(), remedy));
        let binding = match self {
            Self::Bound(binding) => binding,
            Self::LocalProviders if !is_local => {
                let remedy = "write `hosts`, `use` and `providers`".to_owned();
                return object("the site's configuration does not bind it", remedy);
            }
            Self::LocalProviders if is_plain_http => {
                let remedy = "write a table with `plain_http`".to_owned();
                return object("it may not be sent over plain HTTP", remedy);
            }
            Self::LocalProviders => return None,
        };
        if !binding.providers.contains(provider) {
            return object("it is not for this provider", format!("add `{provider}` to `providers`"));
        }
        if !binding.uses.contains(&usage) {
            let uses: Vec<_> = binding.uses.iter().map(|one| one.as_str()).collect();
            return object(&format!("its `use` is {}, not {usage}", uses.join(", ")), "change `use`".to_owned());
        }
        if !binding.hosts.contains(host) {
            return object("it does not go to this host", format!("add `{host}` to `hosts`"));
        }
        if is_plain_http && !binding.plain_http.contains(host) {
            return object("plain HTTP is not allowed for it there", format!("add `{host}` to `plain_http`"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    /// The binding of a secret for PowerDNS at two addresses, one of them without TLS.
    fn bound() -> SecretScope {
        SecretScope::Bound(SecretBinding {
            hosts: [endpoint("10.0.0.5:8081"), endpoint("pdns.example:443")].into(),
            plain_http: [endpoint("10.0.0.5:8081")].into(),
            uses: [SecretUse::Header].into(),
            providers: [name("main-dns")].into(),
        })
    }

    /// A planned use of the secret by a provider.
    struct Intent(&'static str, SecretUse, &'static str, bool);

    fn refusal(scope: &SecretScope, intent: &Intent, is_local: bool) -> String {
        let Intent(provider, usage, host, is_plain_http) = *intent;
        let (provider, host) = (name(provider), endpoint(host));
        let intent = SecretIntent { provider: &provider, is_local, host: &host, is_plain_http, usage };
        let secret = SecretName::parse("pdns-key").unwrap();
        scope.permits(&secret, &intent).err().map_or_else(String::new, |refusal| refusal.to_string())
    }

    #[test]
    fn every_part_of_a_binding_rejects_for_local_and_central_providers() {
        use SecretUse::{Basic, Bearer, Header, SigV4, SigV4KeyId, SigV4SessionToken, Tsig};
        let words = |intent: Intent, words: &[&str]| {
            for is_local in [false, true] {
                let said = refusal(&bound(), &intent, is_local);
                assert!(words.is_empty() == said.is_empty(), "{said}");
                assert!(words.iter().all(|word| said.contains(word)), "{words:?} in: {said}");
                assert!(said.len() < 256, "it fits into a condition: {said}");
            }
        };
        words(Intent("main-dns", Header, "10.0.0.5:8081", true), &[]);
        words(Intent("main-dns", Header, "10.0.0.5:8081", false), &[]);
        words(Intent("main-dns", Header, "pdns.example:443", false), &[]);
        let table = "[secrets.pdns-key]";
        let what = "provider other may not use the site's secret `pdns-key` as header for 10.0.0.5:8081";
        words(Intent("other", Header, "10.0.0.5:8081", true), &[what, "add `other` to `providers`", table]);
        words(
            Intent("main-dns", Header, "pdns.example:443", true),
            &["plain HTTP is not allowed for it there", "to `plain_http`", table],
        );
        for host in ["evil.example:443", "10.0.0.5:8082", "pdns.example:8443", "10.0.0.6:8081"] {
            words(Intent("main-dns", Header, host, false), &[host, &format!("add `{host}` to `hosts`"), table]);
        }
        for usage in [Bearer, Basic, SigV4, SigV4KeyId, SigV4SessionToken, Tsig] {
            let remedy = format!("`use` is header, not {usage}");
            words(Intent("main-dns", usage, "pdns.example:443", false), &[&remedy, table]);
        }
    }

    #[test]
    fn an_unbound_secret_is_for_local_providers_over_tls() {
        for usage in SecretUse::ALL {
            let check = |is_plain_http| Intent("main-dns", usage, "10.0.0.5:8081", is_plain_http);
            assert_eq!(refusal(&SecretScope::LocalProviders, &check(false), true), "");
            let said = refusal(&SecretScope::LocalProviders, &check(true), true);
            assert!(said.contains("plain HTTP") && said.contains("[secrets.pdns-key]"), "{said}");
            for is_plain_http in [false, true] {
                let said = refusal(&SecretScope::LocalProviders, &check(is_plain_http), false);
                assert!(said.contains("`hosts`, `use` and `providers`") && said.contains("main-dns"), "{said}");
                assert!(said.contains("[secrets.pdns-key]") && said.len() < 256, "{said}");
            }
        }
    }

    #[test]
    fn every_use_has_one_word() {
        for usage in SecretUse::ALL {
            assert_eq!(SecretUse::parse(usage.as_str()), Some(usage));
        }
        assert_eq!(SecretUse::parse("Bearer"), None);
    }
}
