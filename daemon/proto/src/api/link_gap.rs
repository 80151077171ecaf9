//! The history of a site's link.

use linecamp_model as model;
use serde::{Deserialize, Serialize};

/// A time in which a site had no session with the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LinkGap {
    /// When the session was lost.
    pub began_at: String,
    /// When the next session was up.
    pub ended_at: String,
    /// Its length.
    pub seconds: u64,
    /// The cause that lasted longest: `power-off`, `daemon-crash`, `daemon-update`, `daemon-restart`, `no-route`,
    /// `name-resolution`, `no-answer`, `tls`, `refused`, `paced`, `server-stopped` or `unknown`.
    pub cause: String,
    /// All causes, the one that lasted longest first.
    pub causes: Vec<CauseTime>,
    /// The code with which the server last refused the site, if it did.
    pub refusal: Option<String>,
    /// The last error of the site's attempts to connect; empty if there was none.
    pub last_error: String,
    /// How many gaps this one stands for: more than one if the site had to merge them.
    pub gaps: u32,
}

/// How long a cause of a gap lasted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CauseTime {
    /// The cause.
    pub cause: String,
    /// How long it lasted.
    pub seconds: u64,
}

impl From<&(model::WallTime, model::LinkGap)> for LinkGap {
    fn from((began_at, gap): &(model::WallTime, model::LinkGap)) -> Self {
        let time = |(cause, time): (model::GapCause, std::time::Duration)| CauseTime {
            cause: cause.to_string(),
            seconds: time.as_secs(),
        };
        Self {
            began_at: began_at.to_string(),
            ended_at: gap.ended_at.to_string(),
            seconds: gap.ended_at.saturating_since(*began_at).as_secs(),
            cause: gap.times.longest().to_string(),
            causes: gap.times.longest_first().into_iter().map(time).collect(),
            refusal: gap.refusal.map(|code| code.to_string()),
            last_error: gap.last_error.to_string(),
            gaps: gap.merged.saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::tests::written;

    #[test]
    fn a_gap_is_written_as_promised() {
        let gap = model::LinkGap {
            ended_at: model::WallTime::from_unix_millis(1_795_318_020_000),
            times: [
                (model::GapCause::NoRoute, Duration::from_secs(600)),
                (model::GapCause::Refused, Duration::from_secs(3000)),
            ]
            .into_iter()
            .collect(),
            refusal: Some(model::RefusalCode::StoreFailed),
            last_error: model::Text::lossy("the server cannot write to its store"),
            merged: 1,
        };
        let began_at = model::WallTime::from_unix_millis(1_795_314_420_000);
        let expected = r#"{
  "began_at": "2026-11-22T02:27:00Z",
  "ended_at": "2026-11-22T03:27:00Z",
  "seconds": 3600,
  "cause": "refused",
  "causes": [
    {
      "cause": "refused",
      "seconds": 3000
    },
    {
      "cause": "no-route",
      "seconds": 600
    }
  ],
  "refusal": "store-failed",
  "last_error": "the server cannot write to its store",
  "gaps": 2
}"#;
        assert_eq!(written(&LinkGap::from(&(began_at, gap))).trim(), expected);
    }
}
