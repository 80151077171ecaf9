//! Labels of one owner, conditions, events: the parts of documents.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::limits::{CONDITIONS_MAX, LABELS_PER_OWNER_MAX};
use linecamp_model::{Condition, Event, HostId, LabelEntry, LabelKey, LabelSet, LabelValue, SiteId, Text, WallTime};

use crate::convert::field::{bytes, count, field, list, optional_bytes, word};
use crate::convert::{FieldError, Wire, WireEnum};
use crate::wire::link::v1 as wire;
use crate::wire::link::v1::event::About;

/// Encodes one owner's labels.
pub(crate) fn from_labels(labels: &LabelSet) -> Vec<wire::Label> {
    let labels = labels.iter().map(|(key, held)| wire::Label {
        key: key.as_str().to_owned(),
        value: held.value.as_str().to_owned(),
        since_millis: held.since.unix_millis(),
    });
    labels.collect()
}

/// Decodes one owner's labels, in any order.
pub(crate) fn labels(name: &str, found: Vec<wire::Label>) -> Result<LabelSet, FieldError> {
    count(name, found.len(), LABELS_PER_OWNER_MAX)?;
    let mut labels = BTreeMap::new();
    for (index, label) in found.into_iter().enumerate() {
        let (key, held) = label_entry(&label).map_err(|error| error.within_element(name, index))?;
        if let Some(key) = (labels.contains_key(&key)).then_some(&key) {
            return Err(FieldError::new("key", format!("`{key}` comes twice")).within_element(name, index));
        }
        labels.insert(key, held);
    }
    field(name, LabelSet::from_map(labels))
}

/// Encodes a machine's reported facts: labels without a time.
pub(crate) fn from_facts(facts: &BTreeMap<LabelKey, LabelValue>) -> Vec<wire::Label> {
    let label = |(key, value): (&LabelKey, &LabelValue)| wire::Label {
        key: key.as_str().to_owned(),
        value: value.as_str().to_owned(),
        since_millis: 0,
    };
    facts.iter().map(label).collect()
}

/// Decodes a machine's reported facts.
pub(crate) fn facts(name: &str, found: Vec<wire::Label>) -> Result<BTreeMap<LabelKey, LabelValue>, FieldError> {
    let labels = labels(name, found)?;
    Ok(labels.iter().map(|(key, held)| (key.clone(), held.value.clone())).collect())
}

fn label_entry(label: &wire::Label) -> Result<(LabelKey, LabelEntry), FieldError> {
    let held = LabelEntry {
        value: field("value", LabelValue::parse(&label.value))?,
        since: WallTime::from_unix_millis(label.since_millis),
    };
    Ok((field("key", LabelKey::parse(&label.key))?, held))
}

/// Decodes the conditions of one site or host: at most one of each kind.
pub(crate) fn conditions(name: &str, found: Vec<wire::Condition>) -> Result<Vec<Condition>, FieldError> {
    let conditions = list(name, found, CONDITIONS_MAX)?;
    let mut kinds = BTreeSet::new();
    match conditions.iter().position(|condition| !kinds.insert(condition.kind)) {
        Some(index) => {
            let problem = format!("`{}` comes twice", conditions[index].kind);
            Err(FieldError::new("kind", problem).within_element(name, index))
        }
        None => Ok(conditions),
    }
}

impl Wire for wire::Condition {
    type Model = Condition;

    fn from_model(condition: &Condition) -> Self {
        Self {
            kind: condition.kind.number(),
            since_millis: condition.since.unix_millis(),
            detail: condition.detail.as_str().to_owned(),
        }
    }

    fn into_model(self) -> Result<Condition, FieldError> {
        Ok(Condition {
            kind: word("kind", self.kind)?,
            since: WallTime::from_unix_millis(self.since_millis),
            detail: field("detail", Text::parse(&self.detail))?,
        })
    }
}

impl Wire for wire::Event {
    type Model = Event;

    fn from_model(event: &Event) -> Self {
        let site = event.site.map(|site| site.as_bytes().to_vec());
        let about = match event.host {
            None => site.map(About::Site),
            Some(host) => {
                let host = host.as_bytes().to_vec();
                Some(About::Host(Box::new(wire::EventHost { site: site.unwrap_or_default(), host })))
            }
        };
        Self {
            at_millis: event.at.unix_millis(),
            kind: event.kind.number(),
            about,
            text: event.text.as_str().to_owned(),
        }
    }

    fn into_model(self) -> Result<Event, FieldError> {
        let (site, host) = match &self.about {
            None => (None, None),
            Some(About::Site(site)) => (optional_bytes("site", site)?, None),
            Some(About::Host(about)) => {
                (optional_bytes("host.site", &about.site)?, Some(bytes("host.host", &about.host)?))
            }
        };
        Ok(Event {
            at: WallTime::from_unix_millis(self.at_millis),
            kind: word("kind", self.kind)?,
            site: site.map(SiteId::from_bytes),
            host: host.map(HostId::from_bytes),
            text: field("text", Text::parse(&self.text))?,
        })
    }
}
