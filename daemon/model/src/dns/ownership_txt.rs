//! Claims: ownership TXT records. A claim is stored beside a record set and names the site that manages it.

use std::fmt;

use super::name::{DomainName, DomainNameError};
use super::record::{RecordKey, RecordSet, RecordType, Ttl};
use crate::id::SiteId;
use crate::name::{Name, NameError};

/// The first word of a claim's text.
const CLAIM_WORD: &str = "linecamp-claim";

/// Identifies a fleet as the owner of records. The operator chooses it, and there is no default, because two fleets
/// with the same owner ID would each treat the other's records as their own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnerId(Name);

impl OwnerId {
    /// Parses a text that must be a valid [`Name`].
    ///
    /// # Errors
    /// [`NameError`] describes the problem.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Name::parse(text).map(Self)
    }

    /// Returns the ID as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The owner of a record set: a site, under the fleet's owner ID. Sites with the same owner ID do not share records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The fleet's owner ID.
    pub owner: OwnerId,
    /// The site.
    pub site: SiteId,
}

impl Claim {
    /// Returns the name of the claim on `key`: `_linecamp-a.NAME`, or `_linecamp-a-any.PARENT` for a wildcard.
    ///
    /// # Errors
    /// [`DomainNameError`] if that name is too long; the record cannot be claimed then.
    pub fn name_of(key: &RecordKey) -> Result<DomainName, DomainNameError> {
        let rtype = key.rtype.as_str().to_ascii_lowercase();
        match (key.name.first_label(), key.name.parent()) {
            ("*", Some(parent)) => parent.below(&format!("_linecamp-{rtype}-any")),
            (_, _) => key.name.below(&format!("_linecamp-{rtype}")),
        }
    }

    /// Returns the record set that a claim of this name refers to; `None` if it is not the name of a claim.
    pub fn key_of(name: &DomainName) -> Option<RecordKey> {
        let rtype = name.first_label().strip_prefix("_linecamp-")?;
        let parent = name.parent()?;
        let (rtype, name) = match rtype.strip_suffix("-any") {
            Some(rtype) => (rtype, parent.below("*").ok()?),
            None => (rtype, parent),
        };
        Some(RecordKey { name, rtype: RecordType::of(rtype) })
    }

    /// Returns the ownership TXT record for `key`.
    ///
    /// # Errors
    /// [`DomainNameError`] as for [`name_of`](Self::name_of).
    pub fn record(&self, key: &RecordKey, ttl: Ttl) -> Result<RecordSet, DomainNameError> {
        let key = RecordKey { name: Self::name_of(key)?, rtype: RecordType::Txt };
        let value = self.to_string();
        Ok(RecordSet::observed(key, ttl, &[&value]))
    }

    /// Returns the claim in a record set: its first value that is a valid claim, if any.
    pub fn read(set: &RecordSet) -> Option<Self> {
        set.values.iter().find_map(|value| Self::parse(value))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (first, owner, site) = (words.next()?, words.next()?, words.next()?);
        (first == CLAIM_WORD).then_some(())?;
        let owner = OwnerId::parse(owner.strip_prefix("owner=")?).ok()?;
        let site = SiteId::parse(site.strip_prefix("site=")?)?;
        Some(Self { owner, site })
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CLAIM_WORD} owner={} site={}", self.owner, self.site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, rtype: RecordType) -> RecordKey {
        RecordKey { name: DomainName::parse(name).unwrap(), rtype }
    }

    #[test]
    fn a_claim_lies_beside_its_record_and_reads_back() {
        let claim = Claim { owner: OwnerId::parse("acme").unwrap(), site: SiteId::from_bytes([7; 16]) };
        let record = claim.record(&key("camp.example", RecordType::Aaaa), Ttl::DEFAULT).unwrap();
        assert_eq!(record.key.name.as_str(), "_linecamp-aaaa.camp.example");
        assert_eq!(Claim::read(&record), Some(claim));
        assert_eq!(Claim::key_of(&record.key.name), Some(key("camp.example", RecordType::Aaaa)));
    }

    #[test]
    fn a_wildcards_claim_is_no_wildcard() {
        let name = Claim::name_of(&key("*.camp.example", RecordType::A)).unwrap();
        assert_eq!(name.as_str(), "_linecamp-a-any.camp.example");
        assert_eq!(Claim::key_of(&name), Some(key("*.camp.example", RecordType::A)));
        assert!(Claim::name_of(&key(&format!("{}a", "a.".repeat(125)), RecordType::A)).is_err(), "too long");
    }

    #[test]
    fn other_texts_are_no_claims() {
        let check = |text: &str| {
            let set = RecordSet::observed(key("a.example", RecordType::Txt), Ttl::DEFAULT, &[text]);
            assert_eq!(Claim::read(&set), None, "{text}");
        };
        check("v=spf1 -all");
        check("heritage=external-dns,external-dns/owner=default");
        check("linecamp-claim owner=acme");
        check("linecamp-claim owner=acme site=7");
    }
}
