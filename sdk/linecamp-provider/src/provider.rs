//! The provider trait, and the provider's description of itself.

use crate::config::Config;
use crate::context::Context;
use crate::error::ProviderError;
use crate::record::{Change, RecordSet};

/// A DNS provider. Implement it for a struct, usually an empty one, and pass that to
/// [`export_dns!`](crate::export_dns).
pub trait DnsProvider {
    /// The settings that the operator configures: `#[derive(serde::Deserialize, Config)]`.
    type Config: Config;

    /// Describes the provider. Makes no requests.
    fn describe() -> ProviderInfo;

    /// Checks that this config works, without changing anything: the service is reachable and accepts the credentials.
    /// The config has already been validated against its schema.
    ///
    /// # Errors
    /// [`ProviderError`] tells the operator what to do; [`ProviderError::field`] names the setting at fault.
    fn validate(config: &Self::Config, cx: &Context) -> Result<(), ProviderError>;

    /// Returns the record sets of all types at these names. Without names: at all names, if
    /// [`can_list_records`](DnsCapabilities::can_list_records).
    ///
    /// Names are absolute, lower case, without the trailing dot. The result may use another form and contain more: it
    /// is converted to canonical form, and names that were not requested are dropped. Sets of one name and type are
    /// merged, so a set may be returned value by value; if their TTLs differ, the lowest is the set's, as in resolvers.
    /// TXT values must be in the contract's form, see [`txt`](crate::txt).
    ///
    /// Whatever is missing from the result counts as absent. So query each name, or the whole zone, and return a result
    /// only if the service answered exactly that: infer nothing from other records in a response or from its length,
    /// and fail on a list that does not say whether it continues.
    ///
    /// # Errors
    /// [`ProviderError`] tells the host what to do. For a name that is not served from the zone, return
    /// [`ProviderError::in_child_zone`] or [`ProviderError::under_dname`]; the host observes again without that name.
    fn observe(
        config: &Self::Config,
        cx: &Context,
        zone: &str,
        names: &[String],
    ) -> Result<Vec<RecordSet>, ProviderError>;

    /// Applies the changes, in this order, and returns the record sets it then knows to exist at their names and types.
    ///
    /// Each change is a compare-and-swap: if the current set equals `after`, the change is already done; if it equals
    /// neither `before` nor `after`, the call ends in a [`ProviderError::Conflict`] and writes nothing at all.
    /// [`remaining_changes`](crate::remaining_changes) makes this decision for a service that cannot compare by itself.
    /// A call that was interrupted, or whose response was lost, may be repeated with the same `idempotency_key` and
    /// finishes what the first one began: a set that its own writes left partway from `before` to `after` is not a
    /// conflict. [`per_record`](crate::per_record) handles that for a service that writes value by value.
    ///
    /// A change set contains each name and type once. With [`atomic`](DnsCapabilities::atomic), either all changes are
    /// applied or none. Otherwise the host sends one change per change set; if a change set has more and one of them
    /// fails, those before it may remain applied.
    ///
    /// A name in a child zone is an error here too, unless the change [only removes](Change::only_removes): records
    /// written before the child zone existed must be removable.
    ///
    /// # Errors
    /// [`ProviderError`] tells the host what to do.
    fn apply(
        config: &Self::Config,
        cx: &Context,
        zone: &str,
        idempotency_key: &str,
        changes: &[Change],
    ) -> Result<Vec<RecordSet>, ProviderError>;
}

/// A provider's description of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderInfo {
    /// Such as `dns-powerdns`: a-z, 0-9 and `-`.
    pub name: &'static str,
    /// The plugin's version, by semantic versioning.
    pub version: &'static str,
    /// One sentence that helps an operator choose a provider.
    pub summary: &'static str,
    /// What the provider supports.
    pub capabilities: DnsCapabilities,
    /// The secrets that the operator assigns to the provider.
    pub secrets: Vec<SecretRequirement>,
    /// The endpoints that the provider calls.
    pub endpoints: Vec<&'static str>,
}

impl ProviderInfo {
    /// Starts a description: `ProviderInfo::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "Manages records at
    /// …")`.
    pub fn new(name: &'static str, version: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            version,
            summary,
            capabilities: DnsCapabilities::default(),
            secrets: Vec::new(),
            endpoints: Vec::new(),
        }
    }

    /// Declares that one `apply` applies all of its changes or none.
    #[must_use]
    pub fn atomic(mut self) -> Self {
        self.capabilities.atomic = true;
        self
    }

    /// Declares that `observe` without names lists the whole zone.
    #[must_use]
    pub fn can_list_records(mut self) -> Self {
        self.capabilities.can_list_records = true;
        self
    }

    /// Declares the range of TTLs that the service stores unchanged, in seconds.
    #[must_use]
    pub fn ttl(mut self, least: u32, greatest: u32) -> Self {
        (self.capabilities.ttl_min, self.capabilities.ttl_max) = (least, greatest);
        self
    }

    /// Declares the lowest TTL that the service accepts, in seconds; the highest stays at the DNS maximum.
    #[must_use]
    pub fn ttl_min(mut self, seconds: u32) -> Self {
        self.capabilities.ttl_min = seconds;
        self
    }

    /// Declares how many changes one `apply` may contain, if they are [`atomic`](Self::atomic): at least two, so that
    /// an ownership TXT record is written together with its record, and no more than the service accepts at once and
    /// than fit into a call's 64 requests.
    #[must_use]
    pub fn max_batch_size(mut self, changes: u32) -> Self {
        self.capabilities.max_batch_size = changes;
        self
    }

    /// Requires a secret, which requests then refer to by `name`.
    #[must_use]
    pub fn secret(self, name: &'static str, summary: &'static str) -> Self {
        self.push_secret(SecretRequirement { name, summary, required: true })
    }

    /// Declares an optional secret.
    #[must_use]
    pub fn optional_secret(self, name: &'static str, summary: &'static str) -> Self {
        self.push_secret(SecretRequirement { name, summary, required: false })
    }

    /// Declares an endpoint that the provider calls: `HOST:PORT`, or `{field}` for the value of that config field. A
    /// URL in that field stands for its host and port. Several fields may form one endpoint: `{host}:{port}`.
    #[must_use]
    pub fn endpoint(mut self, host_and_port: &'static str) -> Self {
        self.endpoints.push(host_and_port);
        self
    }

    fn push_secret(mut self, secret: SecretRequirement) -> Self {
        self.secrets.push(secret);
        self
    }
}

/// What a DNS provider supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsCapabilities {
    /// Whether one `apply` applies all of its changes or none.
    pub atomic: bool,
    /// Whether `observe` without names lists the whole zone.
    pub can_list_records: bool,
    /// The lowest TTL that the service stores unchanged, in seconds.
    pub ttl_min: u32,
    /// The highest.
    pub ttl_max: u32,
    /// How many changes one `apply` may contain.
    pub max_batch_size: u32,
}

impl Default for DnsCapabilities {
    /// Not atomic, no listing, all TTLs that DNS allows (RFC 2181, 8), 100 changes at once.
    fn default() -> Self {
        Self {
            atomic: false,
            can_list_records: false,
            ttl_min: 0,
            ttl_max: i32::MAX.cast_unsigned(),
            max_batch_size: 100,
        }
    }
}

/// A secret that the provider refers to by name and never sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRequirement {
    /// The name that requests use.
    pub name: &'static str,
    /// One sentence for the person who has to obtain it.
    pub summary: &'static str,
    /// Whether the provider requires it.
    pub required: bool,
}
