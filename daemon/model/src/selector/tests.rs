use proptest::prelude::*;

use super::*;
use crate::label::{EffectiveLabel, LabelInput, Level, Owner};
use crate::time::WallTime;

const LABELS: [&str; 6] = ["in=in", "kernel=6.18.5-amd64", "n=a, \"b\" (c)", "region=eu", "ssd=", "zone=a"];

#[test]
fn a_selector_matches_or_does_not() {
    let held = LabelInput::parse_list(LABELS).expect("valid").labels;
    let (owner, level, since) = (Owner::Assigned, Level::Host, WallTime::EPOCH);
    let mut labels = EffectiveLabels::new();
    for (key, value) in held {
        labels.insert(key, EffectiveLabel { value, owner, level, since });
    }
    let check = |expected, texts: &str| {
        for text in texts.split(';') {
            let holds = Selector::parse(text).map(|selector| selector.matches(&labels));
            assert_eq!(holds, Ok(expected), "{text}");
        }
    };
    check(true, r#"; ;region=eu;region == "eu";region!=us;ssd;ssd="";!gpu; ! gpu"#);
    check(true, r#"zone in (a,b);zone in("a");zone notin ( b , c );in in (in)"#);
    check(true, r#"n=" a, \"b\" (c) ";region=eu,ssd , !gpu"#);
    check(true, "kernel>=5.10;kernel < 6.18.6;kernel<=6.18.5;kernel>=6.18.5;kernel>v6");
    check(false, "region=EU;region!=eu;!ssd;zone in (b);zone notin (a,b)");
    check(false, "kernel<5.10;ssd,gpu;ssd,!zone");
    // A missing key.
    check(true, "gpu!=x;gpu notin (x);!gpu");
    check(false, r#"gpu;gpu=x;gpu="";gpu in (x);gpu<1;gpu<=1;gpu>1;gpu>=1"#);
}

#[test]
fn a_selector_has_one_canonical_form() {
    let check = |text, expected: &str| {
        let written = Selector::parse(text).map(|selector| selector.to_string());
        assert_eq!(written.as_deref(), Ok(expected), "{text}");
    };
    check(" ", "");
    check("a==b,c , ! d", "a=b, c, !d");
    check("zone in ( b,a,b ),rack notin(r1)", "zone in (a,b), rack!=r1");
    check(r#"a="b",c>="1 2",d!="" "#, r#"a=b, c>="1 2", d!="""#);
    check(r#"e = "~\\\""  "#, r#"e="~\\\"""#);
}

fn check_refused(text: &str, expected: &str) {
    let error = Selector::parse(text).expect_err(text).to_string();
    assert!(error.contains(expected), "{text}: {error}");
}

#[test]
fn a_syntax_error_is_rejected_with_its_column() {
    let table = r#"
        a, ⇒ column 3: expected a key of letters, digits and . _ / : - with a letter or digit at both ends
        a,,b ⇒ column 3: expected a key
        =b ⇒ column 1: expected a key
        a=é, b-=c ⇒ column 7: expected a key
        a é ⇒ column 3: expected one of = == != < <= > >= in notin, or `,`, or the end, found `é`
        a=~b ⇒ column 2: expected one of = == != < <= > >= in notin, or `,`, or the end, found `=~`
        a(b) ⇒ column 2: expected one of
        a= ~b ⇒ column 4: expected a value (an empty or unusual one in double quotes), found `~`
        a= ⇒ column 3: expected a value (an empty or unusual one in double quotes), found the end
        a=b c ⇒ column 5: expected `,` or the end (other
        a=b* ⇒ column 4: expected `,`
        !a=b ⇒ column 3: expected `,`
        !!a ⇒ column 1: expected a key
        a = "b"c ⇒ column 8: expected `,` or the end (other characters of a value need double quotes
        a in b ⇒ column 6: expected `(` and a list of values, found `b`
        a in () ⇒ column 7: expected a value
        a in (b ⇒ column 8: expected `,` or `)` (other characters of a value need double quotes around it)
        a in (b,) ⇒ column 9: expected a value
        a="b ⇒ column 5: expected a closing `"` (and no control or format character before it), found the end
        a="b\n" ⇒ column 6: expected `"` or `\` after `\`, found `n`
    "#;
    for line in table.trim().lines() {
        let (text, expected) = line.trim().split_once(" ⇒ ").expect("a text and its error");
        check_refused(text, expected);
    }
    check_refused("a=\"b\n\"", "column 5: expected a closing");
}

#[test]
fn limits_apply_to_the_input_and_to_the_canonical_form() {
    let terms = |count| vec!["a"; count].join(",");
    assert!(Selector::parse(&terms(SELECTOR_TERMS_MAX)).is_ok());
    check_refused(&terms(SELECTOR_TERMS_MAX + 1), "column 65: a selector has at most 32 terms");
    check_refused(&" ".repeat(SELECTOR_BYTES_MAX + 1), "at most 2048 bytes, not 2049");
    check_refused(&format!("a, b={}", "x".repeat(257)), "column 6: a label's value has at most 256");
    check_refused(&"k".repeat(129), "column 1: a label's key has at most 128");
    // The canonical form of this selector has one more space.
    let values: Vec<_> = (1..=9).map(|index| index.to_string().repeat(200)).collect();
    let text = |bytes: usize| format!("a in({},{})", values.join(","), "x".repeat(bytes - 1815));
    assert!(Selector::parse(&text(SELECTOR_BYTES_MAX - 1)).is_ok());
    check_refused(&text(SELECTOR_BYTES_MAX), "at most 2048 bytes, not 2049");
}

fn texts() -> impl Strategy<Value = String> {
    let noise = r#"(a|b\.c|in|notin|v1\.10|é|~|=|!=|==|<|>=|!|,|\(|\)| |"|\\){0,12}"#;
    let term = r#"[ab] ?(=|!=|<=|>) ?"[^\pC"\\]{0,5}(\\\\|\\")?"| ?!?[ab] ?|a (not)?in ?\([ab~](, ?"\PC?")?\)"#;
    let terms = prop::collection::vec(term, 0..5).prop_map(|terms| terms.join(","));
    prop_oneof![any::<String>(), noise, terms]
}

proptest! {
    #[test]
    fn no_input_panics_and_the_canonical_form_is_equivalent(text in texts()) {
        match Selector::parse(&text) {
            Ok(selector) => prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector)),
            Err(error) => prop_assert!(error.column <= text.chars().count() + 1),
        }
    }
}
