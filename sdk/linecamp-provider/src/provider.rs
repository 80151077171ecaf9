//! What a provider does and says of itself.

use crate::config::Config;
use crate::context::Context;
use crate::failure::Failure;
use crate::record::{Change, RecordSet};

/// A provider of DNS records. Implement it for a struct, mostly an empty one, and hand that to
/// [`export_dns!`](crate::export_dns).
pub trait DnsProvider {
    /// The settings that the operator gives: `#[derive(serde::Deserialize, Config)]`.
    type Config: Config;

    /// Says what this is. Reaches nothing.
    fn describe() -> About;

    /// Says whether this config would work, changing nothing: that the service is there and accepts the credentials.
    /// The shape of the config has been checked already.
    ///
    /// # Errors
    /// [`Failure`] says what the operator has to do; [`Failure::field`] which setting is to blame.
    fn check(config: &Self::Config, cx: &Context) -> Result<(), Failure>;

    /// Says what the zone holds at these names, of all types. Without names: at all names, if
    /// [`lists_zones`](DnsAbilities::lists_zones).
    ///
    /// Names are absolute, lower case, without the trailing dot. The answer may be written otherwise and hold more: it
    /// is brought into form, and names that were not asked for are left out. Sets of one name and type are merged, so
    /// that a set may come value by value; of several times to live the least is the set's, as resolvers take it. A TXT
    /// value has to be in the contract's form, see [`txt`](crate::txt).
    ///
    /// What is not in the answer counts as absent. So ask for each name, or for the whole zone, and answer only if the
    /// service answered that: infer nothing from what else an answer holds or how long it is, and fail on a list that
    /// does not say whether it goes on.
    ///
    /// # Errors
    /// [`Failure`] says what the host should do. A name that is not served from the zone is
    /// [`Failure::in_zone_below`] or [`Failure::below_dname`]; the host asks again without it.
    fn observe(config: &Self::Config, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, Failure>;

    /// Does the changes, in this order, and says what it then knows to be there at their names and types.
    ///
    /// Each change is a comparison and an exchange: what is `after` already is done, what is neither `before` nor
    /// `after` is a [`Failure::Conflict`], and then nothing at all is written. [`pending`](crate::pending) decides that
    /// for a service that cannot compare by itself. The same call may come again under the same `key`, when it was cut
    /// off or its answer lost, and finishes what the first began: a set that its own writes left half way from `before`
    /// to `after` is no conflict. [`single`](crate::single) sees to that for a service that writes value by value.
    ///
    /// A step names each name and type once. With [`atomic`](DnsAbilities::atomic), the changes are done all or none.
    /// Without, the host gives one change a step; of a step with more, those before a change that is refused may stay.
    ///
    /// A name in a zone below is refused here too, unless the change [only removes](Change::only_removes): what was
    /// written there before that zone existed has to be removable.
    ///
    /// # Errors
    /// [`Failure`] says what the host should do.
    fn apply(
        config: &Self::Config,
        cx: &Context,
        zone: &str,
        key: &str,
        changes: &[Change],
    ) -> Result<Vec<RecordSet>, Failure>;
}

/// What a provider says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Such as `dns-powerdns`: a-z, 0-9 and `-`.
    pub name: &'static str,
    /// Of the plugin, by semantic versioning.
    pub version: &'static str,
    /// One sentence for the operator who chooses.
    pub about: &'static str,
    /// What it can.
    pub abilities: DnsAbilities,
    /// The secrets that the config's owner has to name.
    pub secrets: Vec<SecretWant>,
    /// What it has to reach.
    pub reaches: Vec<&'static str>,
}

impl About {
    /// Begins a description: `About::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "Keeps records at …")`.
    pub fn new(name: &'static str, version: &'static str, about: &'static str) -> Self {
        Self { name, version, about, abilities: DnsAbilities::default(), secrets: Vec::new(), reaches: Vec::new() }
    }

    /// Says that the changes of one `apply` are done all or none.
    #[must_use]
    pub fn atomic(mut self) -> Self {
        self.abilities.atomic = true;
        self
    }

    /// Says that `observe` without names lists the whole zone.
    #[must_use]
    pub fn lists_zones(mut self) -> Self {
        self.abilities.lists_zones = true;
        self
    }

    /// Says which times to live the service keeps as it is told, in seconds.
    #[must_use]
    pub fn ttl(mut self, least: u32, greatest: u32) -> Self {
        (self.abilities.ttl_min, self.abilities.ttl_max) = (least, greatest);
        self
    }

    /// Says that the service takes no shorter time to live than this, in seconds; the greatest stays what DNS can say.
    #[must_use]
    pub fn ttl_min(mut self, seconds: u32) -> Self {
        self.abilities.ttl_min = seconds;
        self
    }

    /// Says how many changes one `apply` may hold, if they are [`atomic`](Self::atomic): at least two, so that a claim
    /// goes with its record, and no more than the service takes at once and a call's 64 requests suffice for.
    #[must_use]
    pub fn changes_max(mut self, changes: u32) -> Self {
        self.abilities.changes_max = changes;
        self
    }

    /// Asks for a secret, which requests then refer to by `name`.
    #[must_use]
    pub fn secret(self, name: &'static str, about: &'static str) -> Self {
        self.want(SecretWant { name, about, required: true })
    }

    /// Asks for a secret that may be left out.
    #[must_use]
    pub fn optional_secret(self, name: &'static str, about: &'static str) -> Self {
        self.want(SecretWant { name, about, required: false })
    }

    /// Says what it has to reach: `HOST:PORT`, or `{field}` for what the config says there. A URL in that field stands
    /// for its host and its port.
    #[must_use]
    pub fn reaches(mut self, host_and_port: &'static str) -> Self {
        self.reaches.push(host_and_port);
        self
    }

    fn want(mut self, secret: SecretWant) -> Self {
        self.secrets.push(secret);
        self
    }
}

/// What a provider of DNS records can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsAbilities {
    /// Whether the changes of one `apply` are done all or none.
    pub atomic: bool,
    /// Whether `observe` without names lists the whole zone.
    pub lists_zones: bool,
    /// The least time to live that the service keeps as it is told, in seconds.
    pub ttl_min: u32,
    /// The greatest.
    pub ttl_max: u32,
    /// How many changes one `apply` may hold.
    pub changes_max: u32,
}

impl Default for DnsAbilities {
    /// Not atomic, no listing, every time to live that DNS can say (RFC 2181, 8), a hundred changes at once.
    fn default() -> Self {
        Self { atomic: false, lists_zones: false, ttl_min: 0, ttl_max: i32::MAX.cast_unsigned(), changes_max: 100 }
    }
}

/// A secret that the provider refers to by its name, and never sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretWant {
    /// What requests call it.
    pub name: &'static str,
    /// One sentence for whoever has to find it.
    pub about: &'static str,
    /// Whether nothing works without.
    pub required: bool,
}
