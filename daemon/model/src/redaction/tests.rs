//! Secrets in every encoding, at random.

use data_encoding::{BASE64, BASE64_MIME, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use proptest::prelude::*;

use super::*;

fn finder(secrets: &[&[u8]]) -> SecretFinder<Vec<u8>> {
    let mut finder = SecretFinder::default();
    for secret in secrets {
        finder.add(secret.to_vec());
    }
    finder
}

fn redacted(finder: &SecretFinder<Vec<u8>>, text: &str) -> String {
    finder.redact(text, |secret| format!("<{secret}>"))
}

#[test]
fn whole_secrets_and_long_parts_are_redacted() {
    let finder = finder(&[b"s3cret", b"an-api-key-drawn-at-random"]);
    let check = |text: &str, expected: &str| assert_eq!(redacted(&finder, text), expected, "{text}");
    check("", "");
    check("nothing", "nothing");
    check("a s3cret, ss3crets3cre", "a <0>, s<0>s3cre");
    check("s3crets3cret", "<0>");
    check("an-api-key-drawn-at-random", "<1>");
    check("key-drawn-at-rand!", "<1>!");
    check("an-api-ke y-drawn-a t-random", "<1> <1> t-random");
    check("an-api-k", "an-api-k");
    check("s3cretan-api-key", "<0><1>");
}

#[test]
fn a_secret_can_be_found_only_as_a_whole() {
    let mut finder = SecretFinder::default();
    finder.add_whole(b"/etc/linecamp/secrets/key".to_vec());
    finder.add_whole(b"x".to_vec());
    assert_eq!(redacted(&finder, "/etc/linecamp/secrets x"), "/etc/linecamp/secrets x");
    assert_eq!(redacted(&finder, "%2Fetc/linecamp/secrets/key"), "<0>");
}

#[test]
fn every_way_to_write_a_byte_is_decoded() {
    let finder = finder(&["a\n\"€\u{1f600}/b\u{1b}&'".as_bytes()]);
    let check = |text: &str| assert_eq!(redacted(&finder, text), "<0>", "{text}");
    check("a\n\"€\u{1f600}/b\u{1b}&'");
    check(r#"a\n\"\u20ac\ud83d\ude00\/b\u001b&'"#);
    check(r#"a\n\"\u{20ac}\u{1f600}/b\u{1b}&\'"#);
    check(r#"a\010\"\226\130\172\240\159\152\128/b\027\&\'"#);
    check("a&#10;&quot;&#8364;&#x1F600;/b\u{1b}&amp;&apos;");
    check("a%0A%22%E2%82%AC%f0%9f%98%80%2Fb%1B%26'");
    check(r#"a\\n\\\"\\u20ac\\ud83d\\ude00/b\\u001b&'"#);
    check("97, 10, 34, 226, 130, 172, 240, 159, 152, 128, 47, 98, 27, 38, 39");
    check("61:0a:22:e2:82:ac:f0:9f:98:80:2f:62:1b:26:27");
    let list = "0x61, 0x0A, 0x22, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80, 0x2F, 0x62, 0x1B, 0x26, 0x27";
    assert_eq!(redacted(&finder, list), "0x<0>");
}

/// As `{:#?}`, JSON and source code write bytes, one a line.
#[test]
fn a_list_with_one_byte_a_line_is_decoded() {
    let secret = b"an-api-key-drawn-at-random";
    let finder = finder(&[secret]);
    let check = |text: &str, expected: &str| assert_eq!(redacted(&finder, text), expected, "{text}");
    check(&format!("{secret:#?}"), "[\n    <0>,\n]");
    check(&serde_json::to_string_pretty(&secret.to_vec()).unwrap(), "[\n  <0>\n]");
    let hexadecimal: Vec<_> = secret.iter().map(|byte| format!("0x{byte:02x}")).collect();
    check(&hexadecimal.join(",\n        "), "0x<0>");
    check(&hexadecimal.join("\r\n\t\t"), "0x<0>");
    check(&secret.map(|byte| byte.to_string()).join("\t"), "<0>");
    check(&BASE64.encode(secret).replace('m', "m\n      "), "<0>=");
}

/// As HTML forms encode it: a space is a `+`, and a `+` is escaped.
#[test]
fn a_form_encoded_secret_is_decoded() {
    let finder = finder(&[b"correct horse+battery staple"]);
    let check = |text: &str, expected: &str| assert_eq!(redacted(&finder, text), expected, "{text}");
    check("q=correct+horse%2Bbattery+staple&x=a+b", "q=<0>&x=a+b");
    check("correct%2Bhorse%252Bbattery%2Bstaple", "<0>");
    check("correct horse+battery staple", "<0>");
    check("correct%20horse+battery%20staple", "<0>");
}

/// A long secret costs little, and only with the first text: after its beginning, parts of twice the length are found.
#[test]
fn the_parts_of_a_long_secret_are_bounded() {
    let secret: String = (0..9_000).map(|number| format!("{number:07}")).collect();
    let finder = finder(&[secret.as_bytes()]);
    assert_eq!(redacted(&finder, ""), "");
    assert!(finder.index.get().is_none());
    assert_eq!(redacted(&finder, &format!("<{secret}>")), "<<0>>");
    assert_eq!(redacted(&finder, &secret[4_000..4_009]), "<0>");
    for start in 50_000..50_020 {
        let remains = redacted(&finder, &secret[start..start + 2 * PART_BYTES - 1]);
        assert!(remains.contains("<0>") && remains.len() <= PART_BYTES - 1 + "<0>".len(), "{remains}");
    }
    let parts = finder.index.get().map_or(0, |index| index.parts.len());
    assert!(parts < 12_000, "{parts} parts");
}

/// A long text is read in windows, and a secret may lie across their ends, however it is written.
#[test]
fn a_secret_across_the_end_of_a_window_is_found() {
    let secret = b"an-api-key-drawn-at-random";
    let mut finder = finder(&[secret]);
    finder.add_whole(b"/etc/linecamp/secrets/key".to_vec());
    let list = format!("{secret:#?}");
    for (text, expected) in [(&*list, "[\n    <0>,\n]"), ("/etc/linecamp/secrets/key", "<1>")] {
        for start in (WINDOW_BYTES - text.len() - 1..=WINDOW_BYTES + 1).step_by(7) {
            let before = "é".repeat(start / 2);
            assert_eq!(redacted(&finder, &format!("{before}{text}.")), format!("{before}{expected}."));
        }
    }
}

/// A text that is cut may end in the beginning of a secret, too short to be recognized.
#[test]
fn a_cut_leaves_no_beginning_of_a_secret() {
    let secret = "0123456789abcdef";
    let finder = finder(&[secret.as_bytes()]);
    let text = format!("{}{secret}{}", "-".repeat(200), "-".repeat(300));
    for bytes in 0..=text.len() {
        let start = finder.redact_start(&text, bytes, |_| "<>".into());
        assert!(!start.contains('0') && start.len() <= bytes + 2, "{start}");
    }
    assert_eq!(finder.redact_start(&secret.repeat(99), 400, |_| "<>".into()), "<>");
}

/// Writes bytes in one of the encodings. `choices` decides for each byte how it is written, and `lead` what is before.
fn encoded(bytes: &[u8], encoding: usize, choices: u64, lead: &[u8]) -> String {
    let with_lead = [lead, bytes].concat();
    let is_chosen = |at: usize| choices >> (at % 64) & 1 == 1;
    let each = |one: &dyn Fn(u8) -> String| -> String {
        let write = |(at, byte): (usize, &u8)| match byte.is_ascii_alphanumeric() && is_chosen(at) {
            true => char::from(*byte).to_string(),
            false => one(*byte),
        };
        bytes.iter().enumerate().map(write).collect()
    };
    match encoding {
        0 => BASE64.encode(&with_lead),
        1 => BASE64URL_NOPAD.encode(&with_lead),
        2 => BASE64_MIME.encode(&with_lead),
        3 => HEXLOWER.encode(&with_lead),
        4 => HEXUPPER.encode(&with_lead),
        5 => with_lead.iter().map(|byte| format!("{byte:02x}:")).collect(),
        6 => format!("{with_lead:?}"),
        7 => each(&|byte| format!("%{byte:02X}")),
        8 => each(&|byte| format!("\\x{byte:02x}")),
        9 => each(&|byte| format!("\\{byte:03}")),
        10 => each(&|byte| format!("%25{byte:02x}")),
        11 => BASE64.encode(&with_lead).replace('/', "\\/").replace('+', "\\u002b"),
        12 => format!("{with_lead:#?}"),
        13 => serde_json::to_string_pretty(&with_lead).unwrap(),
        14 => with_lead.iter().map(|byte| format!("0x{byte:02X},\n    ")).collect(),
        15 => each(&|byte| if byte == b' ' { "+".into() } else { format!("%{byte:02X}") }),
        _ => BASE64.encode(&with_lead).replace('/', "%2F").replace('+', "%2b").replace('=', "%3D"),
    }
}

proptest! {
    #[test]
    fn no_long_part_of_a_secret_remains_in_any_encoding(
        secret in prop::collection::vec(any::<u8>(), PART_BYTES..80),
        (from, to) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        (encoding, choices) in (0_usize..17, any::<u64>()),
        lead in prop::collection::vec(any::<u8>(), 0..4),
        (before, after) in ("[ -~]{0,20}[!(]", "[)!][ -~]{0,20}"),
    ) {
        let from = from.index(secret.len() - PART_BYTES + 1);
        let to = from + PART_BYTES + to.index(secret.len() - from - PART_BYTES + 1);
        let finder = finder(&[&secret]);
        let text = format!("{before}{}{after}", encoded(&secret[from..to], encoding, choices, &lead));
        let redacted = redacted(&finder, &text);
        prop_assert!(redacted.contains("<0>"), "{text} -> {redacted}");
        prop_assert!(finder.find(&redacted).is_empty(), "{text} -> {redacted}");
    }

    #[test]
    fn a_text_in_clear_loses_exactly_the_secret(
        secret in "[a-m]{9,40}",
        (before, after) in ("[n-z ]{0,30} ", " [n-z ]{0,30}"),
    ) {
        let finder = finder(&[secret.as_bytes()]);
        prop_assert_eq!(redacted(&finder, &format!("{before}{secret}{after}")), format!("{before}<0>{after}"));
        prop_assert_eq!(redacted(&finder, &format!("{before}{after}")), format!("{before}{after}"));
    }

    #[test]
    fn any_text_is_redacted(secret in prop::collection::vec(any::<u8>(), 0..20), text in "\\PC{0,99}", bytes in 0_usize..99) {
        let finder = finder(&[&secret]);
        let _ = finder.redact_start(&text, bytes, |_| String::new());
    }
}
