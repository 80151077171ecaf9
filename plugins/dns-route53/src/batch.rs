//! The atomic batch of changes to a hosted zone.

use linecamp_provider::prelude::*;

use crate::VERSION;
use crate::record_set::{Listed, value_of};
use crate::xml::escape;

/// Characters of a batch's comment that Route 53 accepts. The rest is cut.
const COMMENT_CHARS_MAX: usize = 256;

/// Serializes changes that were compared with `found`. The comment identifies the batch in the account's audit log.
pub(crate) fn write(key: &str, changes: &[&Change], found: &[Listed]) -> String {
    let comment: String = format!("linecamp {key}").chars().take(COMMENT_CHARS_MAX).collect();
    let mut body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ChangeResourceRecordSetsRequest \
         xmlns=\"https://route53.amazonaws.com/doc/{VERSION}/\"><ChangeBatch><Comment>{}</Comment><Changes>",
        escape(&comment)
    );
    for change in changes {
        if let Some(before) = &change.before {
            let listed = found.iter().find(|set| set.name == before.name && set.rtype == before.rtype);
            // Route 53 compares the text, so use the text that it listed, if the values are equivalent.
            match listed.filter(|listed| listed.seen().is_ok_and(|seen| seen.equivalent(before))) {
                Some(listed) => push(&mut body, "DELETE", before, &listed.values),
                None => push(&mut body, "DELETE", before, &values_of(before)),
            }
        }
        if let Some(after) = &change.after {
            push(&mut body, "CREATE", after, &values_of(after));
        }
    }
    body.push_str("</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>");
    body
}

fn values_of(set: &RecordSet) -> Vec<String> {
    set.values.iter().map(|value| value_of(&set.rtype, value)).collect()
}

fn push(body: &mut String, action: &str, set: &RecordSet, values: &[String]) {
    let (name, rtype) = (escape(&names::fqdn(&set.name)), escape(&set.rtype));
    body.push_str(&format!(
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}</Name><Type>{rtype}</Type>\
         <TTL>{}</TTL><ResourceRecords>",
        set.ttl
    ));
    for value in values {
        body.push_str(&format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(value)));
    }
    body.push_str("</ResourceRecords></ResourceRecordSet></Change>");
}
