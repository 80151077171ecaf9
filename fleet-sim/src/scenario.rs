//! Scenarios: the parameters of a run, as written in a file.
//!
//! A [`ScenarioFile`] has exactly the keys of the file, and unknown keys are rejected; [`Scenario::parse`] checks every
//! number against its range. Rates are per day: for site faults and local actions per site, for the server and the
//! operators in total. The seed decides when, where and for how long.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::act_kind::{ActKind, Table};
use crate::line_profile::Profile;

/// Maximum sites in one run: more exceed the memory of a test machine.
pub const SITES_MAX: u32 = 20_000;

/// Maximum acts in one run: at 48 bytes each, with their effects, about a gigabyte.
pub const ACTS_MAX: f64 = 5e6;

/// Maximum days of one run.
pub const DAYS_MAX: f64 = 1_000.0;

/// The built-in scenarios, by name.
pub const BUILT_IN: [(&str, &str); 13] = [
    ("chaos", include_str!("../scenarios/chaos.toml")),
    ("clone-attack", include_str!("../scenarios/clone-attack.toml")),
    ("dns", include_str!("../scenarios/dns.toml")),
    ("hostile", include_str!("../scenarios/hostile.toml")),
    ("metered", include_str!("../scenarios/metered.toml")),
    ("moved-server", include_str!("../scenarios/moved-server.toml")),
    ("ca-rotation", include_str!("../scenarios/ca-rotation.toml")),
    ("reconnect-storm", include_str!("../scenarios/reconnect-storm.toml")),
    ("revoke-under-fire", include_str!("../scenarios/revoke-under-fire.toml")),
    ("rolling-partition", include_str!("../scenarios/rolling-partition.toml")),
    ("smoke", include_str!("../scenarios/smoke.toml")),
    ("soak", include_str!("../scenarios/soak.toml")),
    ("year-offline", include_str!("../scenarios/year-offline.toml")),
];

/// Why a scenario is rejected.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// No such scenario exists.
    #[error("no scenario `{name}`; use a path of a file, or a built-in scenario: {}", names())]
    Unknown {
        /// The name.
        name: String,
    },
    /// The file cannot be read.
    #[error("failed to read {file}")]
    Read {
        /// The file.
        file: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not valid TOML, or has an unknown key.
    #[error("{file} is not a valid scenario")]
    Syntax {
        /// The file.
        file: String,
        /// The position and the cause.
        source: Box<toml::de::Error>,
    },
    /// A number is out of range.
    #[error("{file}: `{key}` is {found}, and must be {range}")]
    Range {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// The valid range.
        range: String,
    },
}

fn names() -> String {
    BUILT_IN.map(|(name, _)| name).join(", ")
}

/// A validated scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name: the file name without its extension.
    pub name: String,
    /// A one-sentence description.
    pub about: String,
    /// Number of sites.
    pub sites: u32,
    /// Number of days with faults and operator actions.
    pub days: f64,
    /// The default seed.
    pub seed: u64,
    /// Time limit for all reachable sites to converge after the faults.
    pub settle: Duration,
    /// Period over which the sites join.
    pub joins_over: Duration,
    /// Lifetime of certificates.
    pub certificate_life: Duration,
    /// Distribution of sites over line profiles, by weight.
    pub lines: BTreeMap<Profile, u32>,
    /// Rate of each kind of act.
    pub rates: BTreeMap<ActKind, f64>,
    /// Scheduled acts.
    pub at: Vec<ScheduledAct>,
    /// Which sites have DNS providers; none if not given.
    pub dns: Option<Dns>,
    /// Which sites are hostile or pending; none if not given.
    pub members: Option<Members>,
    /// Expectations of the run, in addition to the invariants.
    pub expect: Expect,
}

/// An act scheduled at a fixed time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledAct {
    /// When, in hours from the start.
    pub hours: f64,
    /// The kind of act.
    #[serde(rename = "do")]
    pub kind: ActKind,
    /// Duration in seconds; random if not given.
    pub seconds: Option<f64>,
    /// Percentage of the sites; all of them if not given. Ignored for acts on the server.
    pub percent: Option<u32>,
}

/// Which sites have DNS providers. All providers use one name server with one zone.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// Percentage of sites that an operator selects for the central provider.
    pub central: u32,
    /// Percentage of sites with their own provider.
    pub local: u32,
    /// Percentage of sites whose DNS name is already used by another owner.
    pub foreign: u32,
}

/// Which sites are hostile or pending.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// Percentage of hostile sites: registered, they lie and flood instead of running a daemon.
    pub hostile: u32,
    /// Percentage of sites, honest or hostile, that join an environment that requires an operator's approval. Honest
    /// ones are accepted within an hour of joining, hostile ones never.
    pub pending: u32,
}

/// Expectations of a run.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// After each loss of the server, 99 % of the sites are linked again within this many seconds.
    pub back_99_seconds: Option<f64>,
    /// Maximum height of a second peak of dials, as a percentage of the first.
    pub second_peak_percent: Option<u32>,
    /// Maximum bytes of any site for 30 days.
    pub bytes_per_site_month: Option<u64>,
}

/// A scenario as written in a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioFile {
    about: String,
    sites: u32,
    days: f64,
    #[serde(default = "default_seed")]
    seed: u64,
    #[serde(default = "default_settle")]
    settle_minutes: f64,
    #[serde(default = "default_joins")]
    joins_over_minutes: f64,
    #[serde(default = "default_life")]
    certificate_days: f64,
    #[serde(default = "default_lines")]
    lines: BTreeMap<Profile, u32>,
    /// Per site and day.
    #[serde(default)]
    faults: BTreeMap<ActKind, f64>,
    /// Per day.
    #[serde(default)]
    server: BTreeMap<ActKind, f64>,
    /// Per day.
    #[serde(default)]
    operators: BTreeMap<ActKind, f64>,
    /// Per site and day.
    #[serde(default)]
    local: BTreeMap<ActKind, f64>,
    /// Per day.
    #[serde(default)]
    name_server: BTreeMap<ActKind, f64>,
    /// Per hostile member and day.
    #[serde(default)]
    hostile: BTreeMap<ActKind, f64>,
    #[serde(default)]
    at: Vec<ScheduledAct>,
    dns: Option<Dns>,
    members: Option<Members>,
    #[serde(default)]
    expect: Expect,
}

impl ScenarioFile {
    /// Checks the tables `at`, `dns`, `members` and `expect`.
    fn check_optional_tables(&self, validator: &Validator<'_>) -> Result<(), ScenarioError> {
        for at in &self.at {
            validator.number("at.hours", at.hours, 0.0, self.days * 24.0)?;
            validator.number("at.seconds", at.seconds.unwrap_or(1.0), 0.0, DAYS_MAX * 86_400.0)?;
            validator.number("at.percent", f64::from(at.percent.unwrap_or(1)), 1.0, 100.0)?;
        }
        if let Some(dns) = &self.dns {
            for (key, share) in [("central", dns.central), ("local", dns.local), ("foreign", dns.foreign)] {
                validator.number(&format!("dns.{key}"), f64::from(share), 0.0, 100.0)?;
            }
        }
        if let Some(members) = &self.members {
            for (key, share) in [("hostile", members.hostile), ("pending", members.pending)] {
                validator.number(&format!("members.{key}"), f64::from(share), 0.0, 100.0)?;
            }
        }
        let expect = &self.expect;
        validator.number("expect.back_99_seconds", expect.back_99_seconds.unwrap_or(1.0), 0.001, 1e6)?;
        validator.number(
            "expect.second_peak_percent",
            f64::from(expect.second_peak_percent.unwrap_or(1)),
            1.0,
            10_000.0,
        )?;
        Ok(())
    }
}

const fn default_seed() -> u64 {
    1
}

/// Half an hour: the longest wait that a machine starts without an operator is ten minutes.
const fn default_settle() -> f64 {
    30.0
}

const fn default_joins() -> f64 {
    10.0
}

const fn default_life() -> f64 {
    30.0
}

fn default_lines() -> BTreeMap<Profile, u32> {
    BTreeMap::from([(Profile::Dsl, 1)])
}

impl Scenario {
    /// Finds the built-in scenario `name`, or reads it as a file.
    ///
    /// # Errors
    /// [`ScenarioError`] names the file, the key and the range.
    pub fn find(name: &str) -> Result<Self, ScenarioError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Self::parse(&format!("{name}.toml"), text);
        }
        if !name.contains(['.', '/']) {
            return Err(ScenarioError::Unknown { name: name.to_owned() });
        }
        match std::fs::read_to_string(name) {
            Ok(text) => Self::parse(name, &text),
            Err(source) => Err(ScenarioError::Read { file: name.to_owned(), source }),
        }
    }

    /// Parses the text of `file`.
    ///
    /// # Errors
    /// [`ScenarioError`] names the file, the key and the range.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        let written: ScenarioFile = toml::from_str(text)
            .map_err(|source| ScenarioError::Syntax { file: file.to_owned(), source: source.into() })?;
        let validator = Validator { file };
        validator.number("sites", f64::from(written.sites), 1.0, f64::from(SITES_MAX))?;
        validator.number("days", written.days, 0.001, DAYS_MAX)?;
        validator.number("settle_minutes", written.settle_minutes, 1.0, 10_000.0)?;
        validator.number("joins_over_minutes", written.joins_over_minutes, 0.0, 10_000.0)?;
        validator.number("certificate_days", written.certificate_days, 0.01, 3_650.0)?;
        let weight: u32 = written.lines.values().copied().map(|weight| weight.min(1_000_000)).sum();
        validator.number("lines (their sum)", f64::from(weight), 1.0, 1e6)?;
        written.check_optional_tables(&validator)?;
        let (mut rates, has_dns, has_members) = (BTreeMap::new(), written.dns.is_some(), written.members.is_some());
        let tables = [
            ("faults", Table::Faults, written.faults),
            ("server", Table::Server, written.server),
            ("operators", Table::Operators, written.operators),
            ("local", Table::Local, written.local),
            ("name_server", Table::NameServer, written.name_server),
            ("hostile", Table::Hostile, written.hostile),
        ];
        for (name, table, written) in tables {
            for (kind, rate) in written {
                let key = format!("{name}.{kind}");
                validator.check(kind.table() == table, &key, &kind, || {
                    format!("in the table [{}]", kind.table().as_str())
                })?;
                validator.number(&key, rate, 0.0, 10_000.0)?;
                let is_allowed = has_dns || !kind.is_of_dns();
                validator.check(is_allowed, &key, &rate, || "left out without a table [dns]".to_owned())?;
                let is_allowed = has_members || !kind.is_of_members();
                validator.check(is_allowed, &key, &rate, || "left out without a table [members]".to_owned())?;
                rates.insert(kind, rate);
            }
        }
        let expect = written.expect;
        let stem = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".toml");
        Self {
            name: stem.to_owned(),
            about: written.about,
            sites: written.sites,
            days: written.days,
            seed: written.seed,
            settle: Duration::from_secs_f64(written.settle_minutes * 60.0),
            joins_over: Duration::from_secs_f64(written.joins_over_minutes * 60.0),
            certificate_life: Duration::from_secs_f64(written.certificate_days * 86_400.0),
            lines: written.lines,
            rates,
            at: written.at,
            dns: written.dns,
            members: written.members,
            expect,
        }
        .bounded(validator)
    }

    /// Rejects a run with more acts than fit in memory.
    fn bounded(self, validator: Validator<'_>) -> Result<Self, ScenarioError> {
        let times = |kind: &ActKind| if kind.table().is_per_site() { f64::from(self.sites) } else { 1.0 };
        let acts: f64 = self.rates.iter().map(|(kind, rate)| rate * times(kind) * self.days).sum();
        validator.number("all rates times sites and days", acts.round(), 0.0, ACTS_MAX)?;
        Ok(self)
    }

    /// Applies the command line's overrides.
    ///
    /// # Errors
    /// [`ScenarioError::Range`] names the option.
    pub fn with(mut self, sites: Option<u32>, days: Option<f64>) -> Result<Self, ScenarioError> {
        let validator = Validator { file: "the command line" };
        if let Some(sites) = sites {
            validator.number("--sites", f64::from(sites), 1.0, f64::from(SITES_MAX))?;
            self.sites = sites;
        }
        if let Some(days) = days {
            validator.number("--days", days, 0.001, DAYS_MAX)?;
            self.at.retain(|at| at.hours <= days * 24.0);
            self.days = days;
        }
        self.bounded(validator)
    }

    /// Returns the period of faults and operator actions.
    pub(crate) fn faults_for(&self) -> Duration {
        Duration::from_secs_f64(self.days * 86_400.0)
    }
}

/// Validates the values of a file.
struct Validator<'a> {
    file: &'a str,
}

impl Validator<'_> {
    fn number(&self, key: &str, found: f64, min: f64, max: f64) -> Result<(), ScenarioError> {
        self.check((min..=max).contains(&found), key, &found, || format!("{min} to {max}"))
    }

    fn check(
        &self,
        is_valid: bool,
        key: &str,
        found: &dyn std::fmt::Display,
        range: impl FnOnce() -> String,
    ) -> Result<(), ScenarioError> {
        if is_valid {
            return Ok(());
        }
        let (file, key) = (self.file.to_owned(), key.to_owned());
        Err(ScenarioError::Range { file, key, found: found.to_string(), range: range() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_is_valid() {
        for (name, text) in BUILT_IN {
            let scenario = Scenario::parse(&format!("{name}.toml"), text).expect(name);
            assert_eq!(scenario.name, name);
            assert!(!scenario.about.is_empty());
        }
    }

    #[test]
    fn an_invalid_value_is_rejected_with_file_key_and_range() {
        let check = |text: &str, expected: &str| {
            let error = Scenario::parse("x.toml", &format!("about = \"x\"\n{text}")).expect_err(text);
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            let message = format!("{error}: {source}");
            assert!(message.contains(expected) && message.contains("x.toml"), "{message}");
        };
        check("sites = 0\ndays = 1", "`sites` is 0, and must be 1 to 20000");
        check("sites = 1\ndays = 2000", "`days` is 2000, and must be 0.001 to 1000");
        check("sites = 1\ndays = 1\nspeed = 3", "unknown field `speed`");
        check("sites = 1\ndays = 1\n[faults]\ncutt = 3", "unknown variant `cutt`");
        check("sites = 1\ndays = 1\n[faults]\ncut = -1", "`faults.cut` is -1, and must be 0 to 10000");
        check("sites = 1\ndays = 1\n[faults]\nserver-kill = 1", "must be in the table [server]");
        check("sites = 1\ndays = 1\n[local]\naddress = 1", "`local.address` is 1, and must be left out");
        check("sites = 1\ndays = 1\n[hostile]\nmute = 1", "must be left out without a table [members]");
        check("sites = 1\ndays = 1\n[members]\nhostile = 101\npending = 0", "`members.hostile` is 101, and must be 0");
        check("sites = 1\ndays = 1\n[lines]\ndsl = 0", "`lines (their sum)` is 0");
        check("sites = 1\ndays = 1\n[[at]]\nhours = 25\ndo = \"cut\"", "`at.hours` is 25, and must be 0 to 24");
    }

    #[test]
    fn an_unknown_scenario_is_rejected_with_the_built_in_ones() {
        let error = Scenario::find("smok").expect_err("no such scenario");
        assert!(error.to_string().contains("reconnect-storm"), "{error}");
    }
}
