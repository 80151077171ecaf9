//! Spec and status documents, and the deltas they travel in.

use std::collections::BTreeMap;

use linecamp_model::{
    Delta, Document, DocumentKey, Generation, HostId, Incarnation, Name, ProviderId, SiteSpec, SiteStatus, SpecBody,
    SpecDelta, StatusBody, StatusDelta, Text, TokenId,
};

use crate::convert::field::{bytes, count, field, generation, kind, message, word};
use crate::convert::label::{conditions, from_labels, labels};
use crate::convert::{FieldError, Wire, WireEnum};
use crate::limits::DOCUMENTS_MAX;
use crate::wire::link::v1 as wire;
use crate::wire::link::v1::{spec_document, status_document};

/// A document body that is valid under some keys only.
pub(crate) trait Body {
    /// Returns what the body describes. For a host only that it is a host: its body does not contain its id.
    fn about(&self) -> About<'_>;

    /// Rejects a key that documents of this kind never have, with a body or without.
    fn check_key(key: DocumentKey) -> Result<(), FieldError>;
}

/// What a body describes.
pub(crate) enum About<'a> {
    Site,
    Host,
    Provider(&'a Name),
    HostToken,
}

impl Body for SpecBody {
    fn about(&self) -> About<'_> {
        match self {
            Self::Site(_) => About::Site,
            Self::Host(_) => About::Host,
            Self::Provider(provider) => About::Provider(&provider.name),
            Self::HostToken(_) => About::HostToken,
        }
    }

    fn check_key(_: DocumentKey) -> Result<(), FieldError> {
        Ok(())
    }
}

impl Body for StatusBody {
    fn about(&self) -> About<'_> {
        match self {
            Self::Site(_) => About::Site,
            Self::Host(_) => About::Host,
            Self::Provider(provider) => About::Provider(&provider.name),
        }
    }

    fn check_key(key: DocumentKey) -> Result<(), FieldError> {
        match key {
            DocumentKey::HostToken(_) => Err(FieldError::new("key", "is of a host token, which has no status")),
            DocumentKey::Site | DocumentKey::Host(_) | DocumentKey::Provider(_) => Ok(()),
        }
    }
}

/// Rejects a body under the key of something else.
pub(crate) fn check_body<B: Body>(key: DocumentKey, document: &Document<B>) -> Result<(), FieldError> {
    B::check_key(key)?;
    let Some(body) = &document.body else { return Ok(()) };
    match (key, body.about()) {
        (DocumentKey::Site, About::Site)
        | (DocumentKey::Host(_), About::Host)
        | (DocumentKey::HostToken(_), About::HostToken) => Ok(()),
        (DocumentKey::HostToken(_), _) => Err(FieldError::new("body", "is of something else under a host token's key")),
        (_, About::HostToken) => Err(FieldError::new("body", "is of a host token under another key")),
        (DocumentKey::Provider(id), About::Provider(name)) if ProviderId::of(name) == id => Ok(()),
        (DocumentKey::Provider(_), About::Provider(name)) => {
            Err(FieldError::new("name", format!("`{name}` is not the name that the key is made of")).within("provider"))
        }
        (DocumentKey::Provider(_), _) => Err(FieldError::new("body", "is of a site or a host under a provider's key")),
        (_, About::Provider(_)) => Err(FieldError::new("body", "is of a provider under a site's or a host's key")),
        (_, _) => Err(FieldError::new("body", "is of a site under a host's key, or the reverse")),
    }
}

impl Wire for wire::SpecDelta {
    type Model = SpecDelta;

    fn from_model(delta: &SpecDelta) -> Self {
        let entries = delta.documents.iter().map(|(key, document)| {
            let WireKey { key, provider } = WireKey::from_model(*key);
            wire::SpecEntry { key, provider, document: Some(Box::new(wire::SpecDocument::from_model(document))) }
        });
        Self {
            base: delta.base.0,
            to: delta.to.0,
            snapshot: delta.snapshot,
            documents: entries.collect(),
            more: delta.more,
        }
    }

    fn into_model(self) -> Result<SpecDelta, FieldError> {
        let delta = Delta {
            base: generation("base", self.base)?,
            to: generation("to", self.to)?,
            snapshot: self.snapshot,
            documents: BTreeMap::new(),
            more: self.more,
        };
        let key = |key, provider| WireKey { key, provider };
        fill(delta, self.documents.into_iter().map(|entry| (key(entry.key, entry.provider), entry.document)))
    }
}

impl Wire for wire::StatusDelta {
    type Model = StatusDelta;

    fn from_model(delta: &StatusDelta) -> Self {
        let entries = delta.documents.iter().map(|(key, document)| {
            let WireKey { key, provider } = WireKey::from_model(*key);
            wire::StatusEntry { key, provider, document: Some(Box::new(wire::StatusDocument::from_model(document))) }
        });
        Self {
            base: delta.base.0,
            to: delta.to.0,
            snapshot: delta.snapshot,
            documents: entries.collect(),
            more: delta.more,
        }
    }

    fn into_model(self) -> Result<StatusDelta, FieldError> {
        let delta = Delta {
            base: generation("base", self.base)?,
            to: generation("to", self.to)?,
            snapshot: self.snapshot,
            documents: BTreeMap::new(),
            more: self.more,
        };
        let key = |key, provider| WireKey { key, provider };
        fill(delta, self.documents.into_iter().map(|entry| (key(entry.key, entry.provider), entry.document)))
    }
}

/// Validates the generations of a delta, or of one part, and takes its documents.
fn fill<D, B>(
    mut delta: Delta<B>,
    entries: impl ExactSizeIterator<Item = (WireKey, Option<Box<D>>)>,
) -> Result<Delta<B>, FieldError>
where
    D: Wire<Model = Document<B>>,
    B: Body,
{
    if delta.to < delta.base {
        return Err(FieldError::new("to", format!("{} is below the base {}", delta.to, delta.base)));
    }
    if delta.snapshot && delta.base != Generation::ZERO {
        return Err(FieldError::new("base", format!("a snapshot has none, not {}", delta.base)));
    }
    count("documents", entries.len(), DOCUMENTS_MAX)?;
    if delta.more && entries.len() == 0 {
        // Without this, a peer could send parts without end.
        return Err(FieldError::new("documents", "are absent, and more parts follow"));
    }
    for (index, (key, document)) in entries.enumerate() {
        add(&mut delta, &key, document).map_err(|error| error.within_element("documents", index))?;
    }
    Ok(delta)
}

fn add<D, B>(delta: &mut Delta<B>, key: &WireKey, document: Option<Box<D>>) -> Result<(), FieldError>
where
    D: Wire<Model = Document<B>>,
    B: Body,
{
    let key = key.to_model()?;
    let document = document.ok_or_else(|| FieldError::new("document", "is absent"))?.into_model()?;
    check_body(key, &document)?;
    let Delta { base, to, .. } = *delta;
    if document.generation <= base || to < document.generation {
        let problem = format!("{} is not above {base} and up to {to}", document.generation);
        return Err(FieldError::new("generation", problem));
    }
    match delta.documents.insert(key, document) {
        Some(_) => Err(FieldError::new("key", "comes twice")),
        None => Ok(()),
    }
}

/// The two fields of an entry that identify its document. The ids of hosts and of host tokens differ in length.
struct WireKey {
    key: Vec<u8>,
    provider: Vec<u8>,
}

impl WireKey {
    fn from_model(key: DocumentKey) -> Self {
        let (key, provider) = match key {
            DocumentKey::Site => (Vec::new(), Vec::new()),
            DocumentKey::Host(host) => (host.as_bytes().to_vec(), Vec::new()),
            DocumentKey::Provider(provider) => (Vec::new(), provider.as_bytes().to_vec()),
            DocumentKey::HostToken(token) => (token.as_bytes().to_vec(), Vec::new()),
        };
        Self { key, provider }
    }

    fn to_model(&self) -> Result<DocumentKey, FieldError> {
        match (self.key.as_slice(), self.provider.as_slice()) {
            ([], []) => Ok(DocumentKey::Site),
            (key, []) => match key.try_into() {
                Ok(token) => Ok(DocumentKey::HostToken(TokenId::from_bytes(token))),
                Err(_) => Ok(DocumentKey::Host(HostId::from_bytes(bytes("key", key)?))),
            },
            ([], provider) => Ok(DocumentKey::Provider(ProviderId::from_bytes(bytes("provider", provider)?))),
            (_, _) => Err(FieldError::new("provider", "cannot stand beside a host's key")),
        }
    }
}

impl Wire for wire::SpecDocument {
    type Model = Document<SpecBody>;

    fn from_model(document: &Document<SpecBody>) -> Self {
        use spec_document::Body as Wire;
        let body = match &document.body {
            None => Wire::Tombstone(wire::Tombstone {}),
            Some(SpecBody::Site(site)) => Wire::Site(Box::new(wire::SiteSpec::from_model(site))),
            Some(SpecBody::Host(host)) => Wire::Host(Box::new(wire::HostSpec::from_model(host))),
            Some(SpecBody::Provider(provider)) => Wire::Provider(Box::new(wire::ProviderSpec::from_model(provider))),
            Some(SpecBody::HostToken(token)) => Wire::HostToken(Box::new(wire::HostToken::from_model(token))),
        };
        Self { generation: document.generation.0, body: Some(body) }
    }

    fn into_model(self) -> Result<Document<SpecBody>, FieldError> {
        use spec_document::Body as Wire;
        let body = match kind("body", self.body)? {
            Wire::Tombstone(_) => None,
            Wire::Site(site) => Some(SpecBody::Site(site.into_model().map_err(|error| error.within("site"))?)),
            Wire::Host(host) => Some(SpecBody::Host(host.into_model().map_err(|error| error.within("host"))?)),
            Wire::Provider(provider) => {
                let provider = provider.into_model().map_err(|error| error.within("provider"))?;
                Some(SpecBody::Provider(Box::new(provider)))
            }
            Wire::HostToken(token) => Some(SpecBody::HostToken(message("host_token", Some(*token))?)),
        };
        Ok(Document { generation: generation("generation", self.generation)?, body })
    }
}

impl Wire for wire::StatusDocument {
    type Model = Document<StatusBody>;

    fn from_model(document: &Document<StatusBody>) -> Self {
        use status_document::Body as Wire;
        let body = match &document.body {
            None => Wire::Tombstone(wire::Tombstone {}),
            Some(StatusBody::Site(site)) => Wire::Site(Box::new(wire::SiteStatus::from_model(site))),
            Some(StatusBody::Host(host)) => Wire::Host(Box::new(wire::HostStatus::from_model(host))),
            Some(StatusBody::Provider(provider)) => {
                Wire::Provider(Box::new(wire::ProviderStatus::from_model(provider)))
            }
        };
        Self { generation: document.generation.0, body: Some(body) }
    }

    fn into_model(self) -> Result<Document<StatusBody>, FieldError> {
        use status_document::Body as Wire;
        let body = match kind("body", self.body)? {
            Wire::Tombstone(_) => None,
            Wire::Site(site) => Some(StatusBody::Site(site.into_model().map_err(|error| error.within("site"))?)),
            Wire::Host(host) => Some(StatusBody::Host(host.into_model().map_err(|error| error.within("host"))?)),
            Wire::Provider(provider) => {
                Some(StatusBody::Provider(provider.into_model().map_err(|error| error.within("provider"))?))
            }
        };
        Ok(Document { generation: generation("generation", self.generation)?, body })
    }
}

impl Wire for wire::SiteSpec {
    type Model = SiteSpec;

    fn from_model(spec: &SiteSpec) -> Self {
        Self {
            name: spec.name.as_str().to_owned(),
            environment: spec.environment.as_str().to_owned(),
            description: spec.description.as_str().to_owned(),
            target: spec.target.number(),
            assigned: from_labels(&spec.assigned),
        }
    }

    fn into_model(self) -> Result<SiteSpec, FieldError> {
        Ok(SiteSpec {
            name: field("name", Name::parse(&self.name))?,
            environment: field("environment", Name::parse(&self.environment))?,
            description: field("description", Text::parse(&self.description))?,
            target: word("target", self.target)?,
            assigned: labels("assigned", self.assigned)?,
        })
    }
}

impl Wire for wire::SiteStatus {
    type Model = SiteStatus;

    fn from_model(status: &SiteStatus) -> Self {
        Self {
            daemon_version: status.daemon_version.as_str().to_owned(),
            applied: status.applied.0,
            converged: status.converged.0,
            local: from_labels(&status.local),
            conditions: status.conditions.iter().map(wire::Condition::from_model).collect(),
            spec_incarnation: status.spec_incarnation.0,
        }
    }

    fn into_model(self) -> Result<SiteStatus, FieldError> {
        Ok(SiteStatus {
            daemon_version: field("daemon_version", Text::parse(&self.daemon_version))?,
            applied: generation("applied", self.applied)?,
            converged: generation("converged", self.converged)?,
            local: labels("local", self.local)?,
            conditions: conditions("conditions", self.conditions)?,
            spec_incarnation: Incarnation(self.spec_incarnation),
        })
    }
}
