//! The messages of an event stream (`GET /api/v1/stream`).
//!
//! The stream is of server-sent events: a message has the fields `event` (its name here), `id` and `data` (JSON in one
//! line). A client that lost the connection sends the `id` of the last message in `Last-Event-ID` and gets what it has
//! missed, or `reset`: then it lists everything that it shows again. What a client lists after the stream has begun
//! misses nothing, because a message may repeat what the list has, and never the other way round.

use linecamp_model as model;
use serde::{Deserialize, Serialize};

use super::{Condition, Event, Link};

/// How often a stream without messages sends a comment, in seconds: below the shortest time after which proxies are
/// known to close an idle connection. A client that received nothing for three times as long has lost the connection.
pub const STREAM_HEARTBEAT_SECONDS: u64 = 15;

/// How long a client waits before it connects again, in milliseconds; the field `retry`.
pub const STREAM_RETRY_MILLISECONDS: u64 = 2_000;

/// Maximum characters of the `id` of a message.
pub const STREAM_ID_CHARS_MAX: usize = 64;

/// The state of a site: the fields of [`Site`](super::Site) that change by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteState {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// The name of its phase; `purged` if it does not exist any more.
    pub state: String,
    /// When it entered this state.
    pub state_since: String,
    /// What a transitional state waits for.
    pub waits_for: Option<String>,
    /// Whether it is connected.
    pub link: Link,
    /// Its active conditions.
    pub conditions: Vec<Condition>,
}

/// The state of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostState {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its site's name.
    pub site: String,
    /// Its environment.
    pub environment: String,
    /// The name of its phase; `purged` if it does not exist any more.
    pub state: String,
    /// When it entered this state.
    pub state_since: String,
}

/// Messages were lost: list everything again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamReset {
    /// Why.
    pub reason: StreamResetReason,
}

/// Why messages were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamResetReason {
    /// The server was restarted, or the id is none of a message.
    Restarted,
    /// The client was away for too long, or read too slowly.
    FellBehind,
    /// A reason this build does not know. Never sent.
    #[serde(other)]
    Unknown,
}

/// The stream ends: the last message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamEnd {
    /// Why.
    pub reason: StreamEndReason,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamEndReason {
    /// The user opened further streams, and this was the oldest one. A client should not connect again by itself.
    Replaced,
    /// The API key or the session has ended, or what its owner may see has changed. Connect again, and list everything
    /// again.
    AccessChanged,
    /// A reason this build does not know. Never sent.
    #[serde(other)]
    Unknown,
}

/// A message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamMessage {
    /// An event: `event`.
    Event(Event),
    /// The state of a site changed: `site`.
    Site(SiteState),
    /// The state of a host changed: `host`.
    Host(HostState),
    /// Messages were lost: `reset`.
    Reset(StreamReset),
    /// The stream ends: `end`.
    End(StreamEnd),
}

impl StreamMessage {
    /// Returns the name of the message.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Event(_) => "event",
            Self::Site(_) => "site",
            Self::Host(_) => "host",
            Self::Reset(_) => "reset",
            Self::End(_) => "end",
        }
    }

    /// Returns the data in JSON, in one line.
    pub fn data(&self) -> String {
        let text = match self {
            Self::Event(event) => serde_json::to_string(event),
            Self::Site(site) => serde_json::to_string(site),
            Self::Host(host) => serde_json::to_string(host),
            Self::Reset(reset) => serde_json::to_string(reset),
            Self::End(end) => serde_json::to_string(end),
        };
        text.expect("API types are structs with text keys")
    }

    /// Reads a message; `None` if its name is unknown, which a client ignores.
    ///
    /// # Errors
    /// The data is not of the shape that the name promises.
    pub fn read(name: &str, data: &str) -> Result<Option<Self>, serde_json::Error> {
        Ok(Some(match name {
            "event" => Self::Event(serde_json::from_str(data)?),
            "site" => Self::Site(serde_json::from_str(data)?),
            "host" => Self::Host(serde_json::from_str(data)?),
            "reset" => Self::Reset(serde_json::from_str(data)?),
            "end" => Self::End(serde_json::from_str(data)?),
            _ => return Ok(None),
        }))
    }
}

impl From<&model::SiteState> for SiteState {
    fn from(state: &model::SiteState) -> Self {
        Self {
            id: state.id.to_string(),
            name: state.name.to_string(),
            environment: state.environment.to_string(),
            state: state.phase.to_string(),
            state_since: state.phase_since.to_string(),
            waits_for: state.waits_for.as_ref().map(ToString::to_string),
            link: (&state.link).into(),
            conditions: state.conditions.iter().map(Condition::from).collect(),
        }
    }
}

impl From<&model::HostState> for HostState {
    fn from(state: &model::HostState) -> Self {
        Self {
            id: state.id.to_string(),
            name: state.name.to_string(),
            site: state.site.to_string(),
            environment: state.environment.to_string(),
            state: state.phase.to_string(),
            state_since: state.phase_since.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::{HostId, Name, Phase, WallTime};

    use super::*;
    use crate::api::tests::site;

    #[test]
    fn the_messages_of_a_stream_are_written_as_promised() {
        let view = site();
        let state = model::SiteState {
            id: view.id,
            name: view.name.clone(),
            environment: view.environment,
            phase: view.phase,
            phase_since: view.phase_since,
            waits_for: view.waits_for,
            link: view.link,
            conditions: view.conditions,
        };
        let host = model::HostState {
            id: HostId::from_bytes([2; 16]),
            name: Name::parse("pump").expect("valid"),
            site: view.name,
            environment: Name::parse("default").expect("valid"),
            phase: Phase::Purged,
            phase_since: WallTime::EPOCH,
        };
        let messages = [
            StreamMessage::Site((&state).into()),
            StreamMessage::Host((&host).into()),
            StreamMessage::Reset(StreamReset { reason: StreamResetReason::FellBehind }),
            StreamMessage::Reset(StreamReset { reason: StreamResetReason::Restarted }),
            StreamMessage::End(StreamEnd { reason: StreamEndReason::Replaced }),
            StreamMessage::End(StreamEnd { reason: StreamEndReason::AccessChanged }),
        ];
        let lines: Vec<_> = messages.iter().map(|message| format!("{}: {}", message.name(), message.data())).collect();
        for message in messages {
            assert_eq!(StreamMessage::read(message.name(), &message.data()).expect("own text"), Some(message));
        }
        insta::assert_snapshot!(lines.join("\n"));
        assert_eq!(StreamMessage::read("later", "{").expect("ignored"), None);
        assert!(StreamMessage::read("event", "{}").is_err());
    }
}
