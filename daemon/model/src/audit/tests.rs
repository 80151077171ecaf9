use super::*;
use crate::id::{KeyId, UserSessionId};

/// An entry as it is exported: its number, the hash before it, its own, and its fields.
#[derive(Clone, Debug)]
struct Line(u64, AuditHash, AuditHash, Vec<(&'static str, String)>);

fn text(text: &str) -> Text {
    Text::lossy(text)
}

fn entry(number: u64) -> AuditEntry {
    let change = |field: &str| AuditChange {
        object: text("site default/camp-042"),
        field: text(field),
        before: None,
        after: Some(text("r7")),
    };
    AuditEntry {
        at: WallTime::from_unix_millis(1_795_314_420_000),
        actor: AuditActor::Caller(Identity::User(Name::parse("anna").unwrap(), UserSessionId::from_bytes([1; 8]))),
        account: None,
        address: Some([192, 0, 2, 7].into()),
        request: Some(RequestId::from_bytes([2; 8])),
        operation: text("site.label"),
        target: text(&format!("/api/v1/sites/camp-{number}/labels")),
        outcome: AuditOutcome::Done,
        changes: [change("label rack")].into_iter().collect(),
        repeats: None,
        previous: AuditHash::default(),
    }
}

fn chain(start: AuditHead, count: u64) -> Vec<Line> {
    let (mut last, mut lines) = (start, Vec::new());
    for number in start.number + 1..=start.number + count {
        let entry = AuditEntry { previous: last.hash, ..entry(number) };
        let hash = entry.hash(number);
        lines.push(Line(number, last.hash, hash, entry.fields(number)));
        last = AuditHead { number, hash };
    }
    lines
}

fn verify(start: AuditHead, lines: &[Line], known: &[AuditHead]) -> Result<(AuditHead, bool), AuditBreak> {
    let mut verifier = AuditVerifier::new(start, known.to_vec())?;
    for Line(number, previous, hash, fields) in lines {
        let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
        verifier.check((*number, *previous, *hash), fields)?;
    }
    verifier.finish()
}

fn head(line: &Line) -> AuditHead {
    AuditHead { number: line.0, hash: line.2 }
}

#[test]
fn a_log_as_written_is_verified() {
    let lines = chain(AuditHead::default(), 9);
    let last = head(&lines[8]);
    assert_eq!(verify(AuditHead::default(), &lines, &[]), Ok((last, false)));
    assert_eq!(verify(AuditHead::default(), &lines, &[head(&lines[4]), last]), Ok((last, true)));
    // What retention left can be verified from the start that is recorded.
    let start = head(&lines[3]);
    assert_eq!(verify(start, &lines[4..], &[last]), Ok((last, true)));
    assert_eq!(verify(start, &lines[4..], &[start]), Ok((last, true)));
    assert_eq!(verify(start, &lines[4..], &[head(&lines[1])]), Ok((last, false)), "the entry is not there any more");
}

#[test]
fn a_changed_a_removed_and_a_reordered_entry_are_detected() {
    let lines = chain(AuditHead::default(), 9);
    let check = |change: fn(&mut Vec<Line>), expected| {
        let mut lines = lines.clone();
        change(&mut lines);
        assert_eq!(verify(AuditHead::default(), &lines, &[]), Err(expected));
    };
    check(|lines| lines[4].3[2].1 = "console".to_owned(), AuditBreak::Changed { number: 5 });
    check(|lines| drop(lines.remove(4)), AuditBreak::Order { last: 4, found: 6 });
    check(|lines| lines.swap(4, 5), AuditBreak::Order { last: 4, found: 6 });
    check(|lines| lines[4].2 = AuditHash::default(), AuditBreak::Changed { number: 5 });
    // A changed entry with a hash that fits it breaks the next one.
    let replace = |lines: &mut Vec<Line>| {
        lines[4].3[2].1 = "console".to_owned();
        let fields: Vec<_> = lines[4].3.iter().map(|(name, value)| (*name, value.as_str())).collect();
        lines[4].2 = lines[4].1.next(fields);
    };
    check(replace, AuditBreak::Previous { number: 6 });
}

#[test]
fn a_cut_end_and_a_rewrite_are_detected_against_a_head() {
    let lines = chain(AuditHead::default(), 9);
    let known = head(&lines[6]);
    let cut = verify(AuditHead::default(), &lines[..5], &[known]);
    assert_eq!(cut, Err(AuditBreak::CutOff { last: 5, known: 7 }));
    assert!(verify(AuditHead::default(), &lines[..5], &[]).is_ok(), "without a head nothing contradicts it");
    let other = AuditHead { number: 0, hash: AuditHash::from_bytes([1; 32]) };
    let rewritten = chain(other, 9);
    assert!(verify(other, &rewritten, &[]).is_ok());
    assert_eq!(verify(other, &rewritten, &[known]), Err(AuditBreak::Rewritten { number: 7 }));
    // A log that claims to start after the known head.
    let start = AuditHead { number: 7, hash: AuditHash::default() };
    assert_eq!(verify(start, &[], &[known]), Err(AuditBreak::Rewritten { number: 7 }));
}

#[test]
fn different_entries_have_different_hashes() {
    let base = entry(1);
    let key = KeyIdentity { id: KeyId::from_bytes([1; 8]), name: Name::parse("anna").unwrap(), user: None };
    let renamed = AuditChange { field: text("label rac"), before: Some(text("k")), ..base.changes.listed[0].clone() };
    let variants = [
        base.clone(),
        AuditEntry { at: base.at + Duration::from_secs(1), ..base.clone() },
        AuditEntry { actor: AuditActor::Server, ..base.clone() },
        AuditEntry { actor: AuditActor::Caller(Identity::Key(key)), ..base.clone() },
        AuditEntry {
            actor: AuditActor::Site(SiteId::from_bytes([1; 16]), Name::parse("anna").unwrap()),
            ..base.clone()
        },
        AuditEntry { account: Some(Name::parse("anna").unwrap()), ..base.clone() },
        AuditEntry { address: None, ..base.clone() },
        AuditEntry { request: None, ..base.clone() },
        AuditEntry { operation: text("site.edit"), ..base.clone() },
        AuditEntry { target: text("/"), ..base.clone() },
        AuditEntry { outcome: AuditOutcome::Refused(text("forbidden")), ..base.clone() },
        AuditEntry { outcome: AuditOutcome::Failed(text("forbidden")), ..base.clone() },
        AuditEntry { changes: AuditChanges::default(), ..base.clone() },
        AuditEntry { changes: [renamed].into_iter().collect(), ..base.clone() },
        AuditEntry { changes: AuditChanges { left_out: 1, ..base.changes.clone() }, ..base.clone() },
        AuditEntry { repeats: Some(AuditRepeats { count: 2, since: base.at }), ..base.clone() },
        AuditEntry { previous: AuditHash::from_bytes([1; 32]), ..base.clone() },
    ];
    let hashes: std::collections::BTreeSet<_> = variants.iter().map(|entry| entry.hash(1)).collect();
    assert_eq!(hashes.len(), variants.len());
    assert_ne!(base.hash(1), base.hash(2));
}

/// The value is computed by other means: the format is documented, and others verify logs by it.
#[test]
fn the_hash_is_over_the_documented_bytes() {
    let hash = AuditHash::default().next([("number", "1"), ("at", "2026-11-30T17:00:00Z")]);
    assert_eq!(hash.to_string(), "db2a932750b8cb57c92f35dfaed51d13de09fde18ed935dfe7b2e92adbf2f806");
}

#[test]
fn an_entry_is_bounded() {
    let long = text(&"x".repeat(10_000));
    let change =
        AuditChange { object: long.clone(), field: long.clone(), before: Some(long.clone()), after: Some(long) };
    let changes: AuditChanges = std::iter::repeat_n(change, 1_000).collect();
    assert_eq!(u32::try_from(changes.listed.len()).unwrap() + changes.left_out, 1_000);
    let entry = AuditEntry { changes, ..entry(1) };
    assert!(entry.bytes() <= AUDIT_CHANGES_BYTES_MAX as u64 + 2_048, "{}", entry.bytes());
}

#[test]
fn a_head_is_written_as_it_is_parsed() {
    let head = AuditHead { number: 17, hash: AuditHash::from_bytes([0xab; 32]) };
    assert_eq!(AuditHead::parse(&head.to_string()), Some(head));
    for bad in ["", "@", "17", "ab@17", &format!("{}@x", head.hash)] {
        assert_eq!(AuditHead::parse(bad), None, "{bad}");
    }
}
