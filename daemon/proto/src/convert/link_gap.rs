//! Gaps of the link.
//!
//! A cause or a refusal that this build does not know comes from a newer peer and is no error: a site must be able to
//! link whatever it says about earlier times.

use std::time::Duration;

use linecamp_model::limits::{LINK_ERROR_BYTES_MAX, LINK_GAPS_WAITING_MAX};
use linecamp_model::{BootId, CauseTimes, GapCause, GapReport, LinkGap, LinkRecord, RefusalCode, Text, WallTime};

use crate::convert::field::{count, field, list, millis, moment, optional_bytes, optional_message};
use crate::convert::{FieldError, Wire, WireEnum};
use crate::wire::link::v1 as link;
use crate::wire::record::v1 as record;

/// Maximum causes of one gap on the wire: several times as many as there are.
const CAUSES_MAX: usize = 64;

impl Wire for link::LinkGap {
    type Model = GapReport;

    fn from_model(gap: &GapReport) -> Self {
        Self {
            began_at_millis: gap.began_at.map(WallTime::unix_millis),
            ended_at_millis: gap.ended_at.map(WallTime::unix_millis),
            times: from_times(&gap.times),
            refusal: from_refusal(gap.refusal),
            last_error: gap.last_error.as_str().to_owned(),
            merged: gap.merged,
        }
    }

    fn into_model(self) -> Result<GapReport, FieldError> {
        Ok(GapReport {
            began_at: moment(self.began_at_millis),
            ended_at: moment(self.ended_at_millis),
            times: times(&self.times)?,
            refusal: RefusalCode::of_number(self.refusal),
            last_error: last_error(&self.last_error)?,
            merged: self.merged,
        })
    }
}

impl Wire for record::LinkGap {
    type Model = LinkGap;

    fn from_model(gap: &LinkGap) -> Self {
        Self {
            ended_at_millis: gap.ended_at.unix_millis(),
            times: from_times(&gap.times),
            refusal: from_refusal(gap.refusal),
            last_error: gap.last_error.as_str().to_owned(),
            merged: gap.merged,
        }
    }

    fn into_model(self) -> Result<LinkGap, FieldError> {
        Ok(LinkGap {
            ended_at: WallTime::from_unix_millis(self.ended_at_millis),
            times: times(&self.times)?,
            refusal: RefusalCode::of_number(self.refusal),
            last_error: last_error(&self.last_error)?,
            merged: self.merged,
        })
    }
}

impl Wire for record::LinkRecord {
    type Model = LinkRecord;

    fn from_model(record: &LinkRecord) -> Self {
        Self {
            boot: record.boot.map_or_else(Vec::new, |boot| boot.0.to_vec()),
            daemon_version: record.daemon_version.as_str().to_owned(),
            noted_at_millis: record.noted_at.unix_millis(),
            is_stopped: record.is_stopped,
            current: record.current.as_ref().map(link::LinkGap::from_model),
            waiting: record.waiting.iter().map(link::LinkGap::from_model).collect(),
        }
    }

    fn into_model(self) -> Result<LinkRecord, FieldError> {
        Ok(LinkRecord {
            boot: optional_bytes("boot", &self.boot)?.map(BootId),
            daemon_version: field("daemon_version", Text::parse(&self.daemon_version))?,
            noted_at: WallTime::from_unix_millis(self.noted_at_millis),
            is_stopped: self.is_stopped,
            current: optional_message("current", self.current)?,
            waiting: list("waiting", self.waiting, LINK_GAPS_WAITING_MAX)?,
        })
    }
}

fn from_times(times: &CauseTimes) -> Vec<link::CauseTime> {
    times.iter().map(|(cause, time)| link::CauseTime { cause: cause.number(), millis: millis(time) }).collect()
}

fn times(found: &[link::CauseTime]) -> Result<CauseTimes, FieldError> {
    count("times", found.len(), CAUSES_MAX)?;
    let time = |time: &link::CauseTime| {
        (GapCause::of_number(time.cause).unwrap_or(GapCause::Unknown), Duration::from_millis(time.millis))
    };
    Ok(found.iter().map(time).collect())
}

fn from_refusal(refusal: Option<RefusalCode>) -> i32 {
    refusal.map_or(0, WireEnum::number)
}

fn last_error(found: &str) -> Result<Text, FieldError> {
    match found.len() {
        ..=LINK_ERROR_BYTES_MAX => field("last_error", Text::parse(found)),
        bytes => {
            let problem = format!("has {bytes} bytes; at most {LINK_ERROR_BYTES_MAX} are allowed");
            Err(FieldError::new("last_error", problem))
        }
    }
}
