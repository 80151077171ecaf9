//! Conversions between record sets of Route 53 and of the contract.

use linecamp_provider::prelude::*;
use linecamp_provider::txt::Escape;

use crate::xml::Element;

/// The elements of a plain record set.
const PLAIN: [&str; 4] = ["Name", "Type", "TTL", "ResourceRecords"];

/// A record set from a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// In the contract's form.
    pub(crate) name: String,
    pub(crate) rtype: String,
    pub(crate) ttl: u32,
    /// The values exactly as listed, in the same order: a `DELETE` has to repeat them.
    pub(crate) values: Vec<String>,
    /// What distinguishes it from a plain record set: an alias target, a routing policy.
    pub(crate) special: Option<String>,
    /// Distinguishes several record sets of one name and type.
    pub(crate) identifier: Option<String>,
}

impl Listed {
    /// Reads a record set from a listing; `None` if it has no name or type.
    pub(crate) fn read(element: &Element) -> Option<Self> {
        let (name, rtype) = (element.text_of("Name")?, element.text_of("Type")?);
        let values = element.child("ResourceRecords").into_iter().flat_map(|records| records.all("ResourceRecord"));
        Some(Self {
            name: name_of(name),
            rtype: rtype.to_ascii_uppercase(),
            // An alias has no TTL.
            ttl: element.text_of("TTL").and_then(|ttl| ttl.parse().ok()).unwrap_or_default(),
            values: values.filter_map(|record| record.text_of("Value")).map(str::to_owned).collect(),
            special: special(element),
            identifier: element.text_of("SetIdentifier").map(str::to_owned),
        })
    }

    /// Converts it to the contract's form. Anything special becomes an additional value, so that the set never equals a
    /// plain one.
    pub(crate) fn seen(&self) -> Result<RecordSet, ProviderError> {
        let value = |value: &String| match self.rtype.as_str() {
            "TXT" => Ok(txt::unquoted(value, Escape::Octal)?),
            "CNAME" => Ok(name_of(value)),
            _ => Ok(value.clone()),
        };
        let mut values: Vec<_> = self.values.iter().map(value).collect::<Result<_, ProviderError>>()?;
        values.extend(self.special.clone());
        Ok(RecordSet::new(&*self.name, &*self.rtype, self.ttl, values).canonical())
    }
}

fn special(element: &Element) -> Option<String> {
    if let Some(target) = element.child("AliasTarget") {
        return Some(format!("ALIAS {}", target.text_of("DNSName").unwrap_or("somewhere")));
    }
    let more = element.children.iter().find(|child| !PLAIN.contains(&&*child.name))?;
    Some(format!("with {} {}", more.name, more.text.trim()))
}

/// Returns a name in the contract's form. Route 53 writes every byte except letters, digits, `-`, `_` and `.` as an
/// octal escape, such as `\052`.
pub(crate) fn name_of(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        name.push_str(before);
        let digits = after.get(..3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if byte.is_ascii_graphic() => {
                name.push(byte.into());
                rest = &after[3..];
            }
            _ => {
                name.push('\\');
                rest = after;
            }
        }
    }
    name.push_str(rest);
    names::canonical(&name)
}

/// Returns a value in the format of Route 53.
pub(crate) fn value_of(rtype: &str, value: &str) -> String {
    match rtype {
        "TXT" => txt::quoted(value, Escape::Octal),
        "CNAME" => names::fqdn(value),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(xml: &str) -> Listed {
        Listed::read(&Element::parse(&format!("<ResourceRecordSet>{xml}</ResourceRecordSet>")).unwrap()).unwrap()
    }

    #[test]
    fn octal_escapes_of_names_and_values_are_decoded() {
        let set = listed(
            "<Name>\\052.Example.ORG.</Name><Type>TXT</Type><TTL>60</TTL><ResourceRecords><ResourceRecord>\
             <Value>\"a\\303\\251\" \"b\"</Value></ResourceRecord></ResourceRecords>",
        );
        assert_eq!(set.seen().unwrap(), RecordSet::new("*.example.org", "TXT", 60, ["a\\195\\169b"]));
        assert_eq!(value_of("TXT", "a\\195\\169b"), "\"a\\303\\251b\"");
        assert_eq!(name_of("a\\05"), "a\\05");
        assert_eq!(name_of("a\\é"), "a\\é");
        assert_eq!(name_of("\\+52"), "\\+52");
        assert_eq!(name_of("\\777\\000a"), "\\777\\000a");
    }

    #[test]
    fn an_alias_or_a_routing_policy_is_not_a_plain_record_set() {
        let alias = "<Name>a.</Name><Type>A</Type><AliasTarget><HostedZoneId>Z</HostedZoneId><DNSName>lb.</DNSName>\
                     </AliasTarget>";
        assert_eq!(listed(alias).seen().unwrap().values, ["ALIAS lb."]);
        let weighted = "<Name>a.</Name><Type>A</Type><SetIdentifier>one</SetIdentifier><Weight>1</Weight><TTL>60</TTL>\
                        <ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords>";
        assert_eq!(listed(weighted).seen().unwrap().values, ["192.0.2.1", "with SetIdentifier one"]);
    }
}
