use super::*;

fn set(labels: &[(&str, &str)]) -> LabelSet {
    let input = LabelInput::parse_list(labels.iter().map(|(key, value)| format!("{key}={value}"))).expect("valid");
    LabelSet::default().replaced(&input.labels, WallTime::EPOCH).expect("few")
}

#[test]
fn the_last_value_of_a_repeated_key_wins_and_the_key_is_reported() {
    let (input, invalid) = LabelInput::parse_query("foo=bar&test=1&foo=pick&novalue");
    assert_eq!(invalid, []);
    let held: Vec<_> = input.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(held, ["foo=pick", "novalue=", "test=1"]);
    assert_eq!(input.repeated.iter().map(LabelKey::as_str).collect::<Vec<_>>(), ["foo"]);
}

#[test]
fn a_label_query_is_percent_decoded() {
    let check = |text, expected: Result<&str, LabelError>| {
        let (input, mut invalid) = LabelInput::parse_query(text);
        let value = input.labels.values().next().map_or("", LabelValue::as_str);
        let value = invalid.pop().map_or(Ok(value), |invalid| Err(invalid.error));
        assert_eq!(value, expected, "{text}");
    };
    check("a=b%26c+d", Ok("b&c d"));
    check("a=%C3%A9", Ok("é"));
    check("x=1&a=%2", Err(LabelError::BadEscape { column: 7 }));
    check("a=%ff", Err(LabelError::NotText { column: 3 }));
    check("a=%0a%00x", Err(LabelError::InvisibleCharacter { found: '\0', column: 1 }));
    check("a b=c", Err(LabelError::BadKeyCharacter { key: "a b".into(), found: ' ', column: 2 }));
}

#[test]
fn an_invalid_entry_of_a_label_query_is_skipped_and_named() {
    let (input, invalid) = LabelInput::parse_query("rack=r7&-x=1&tier=%zz&door=3&note=a%0ab");
    assert_eq!(input.labels.keys().map(LabelKey::as_str).collect::<Vec<_>>(), ["door", "rack"]);
    let named: Vec<_> = invalid.iter().map(ToString::to_string).collect();
    assert!(named[0].starts_with("label key `-x`: column 1"), "{named:?}");
    assert_eq!(named[1], "`%` at column 19 is not followed by two hexadecimal digits");
    assert!(named[2].starts_with("`note`: a label's value has no control or format characters"), "{named:?}");
}

#[test]
fn at_one_level_assigned_overrides_local_and_local_overrides_reported() {
    let (reported, local, assigned) =
        (set(&[("a", "r"), ("b", "r"), ("c", "r")]), set(&[("a", "l"), ("b", "l")]), set(&[("a", "x")]));
    let host = OwnedLabels { reported: Some(&reported), local: Some(&local), assigned: Some(&assigned) };
    let site_label = set(&[("a", "site"), ("d", "site")]);
    let site = OwnedLabels { assigned: Some(&site_label), ..OwnedLabels::default() };
    let view = effective(site, host);
    let seen: Vec<_> =
        view.iter().map(|(key, label)| format!("{key}={} {} {}", label.value, label.owner, label.level)).collect();
    assert_eq!(seen, ["a=x assigned host", "b=l local host", "c=r reported host", "d=site assigned site"]);
}

#[test]
fn a_patch_keeps_labels_it_does_not_name() {
    let before = set(&[("a", "1"), ("b", "1")]);
    let later = WallTime::from_unix_millis(5);
    let patch = LabelPatch {
        set: LabelInput::parse_list(["a=1", "c=3"]).expect("valid").labels,
        remove: [LabelKey::parse("b").expect("valid")].into(),
    };
    let after = before.patched(&patch, later).expect("few");
    let seen: Vec<_> = after.iter().map(|(key, held)| (key.as_str(), held.since.unix_millis())).collect();
    assert_eq!(seen, [("a", 0), ("c", 5)], "an unchanged value keeps its since");
}

#[test]
fn too_many_labels_are_rejected_as_a_whole() {
    let many: Vec<_> = (0..=LABELS_PER_OWNER_MAX).map(|index| format!("k{index}=v")).collect();
    assert_eq!(LabelInput::parse_list(many), Err(LabelError::TooMany { count: LABELS_PER_OWNER_MAX + 1 }));
}

#[test]
fn a_label_value_has_no_invisible_character() {
    for (text, column, name) in [("a\u{202e}b", 2, "U+202E"), ("\u{200b}", 1, "U+200B"), ("é\u{e0041}", 2, "U+E0041")]
    {
        let error = LabelValue::parse(text).unwrap_err().to_string();
        let expected =
            format!("a label's value has no control or format characters: column {column} of the value is {name}");
        assert_eq!(error, expected);
    }
    for text in ["", "Köln 東京", "❤\u{fe0f}", "a\u{a0}b"] {
        assert_eq!(LabelValue::parse(text).unwrap().as_str(), text);
    }
}
