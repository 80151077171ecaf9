//! Rejected joins and their errors: the reason, what to do, and never a secret.

use linecamp_model::{JoinSecret, JoinToken, Pin};
use linecamp_tests::{CommandOutput, Fleet, PATIENCE};

use crate::cli_json::{connected_site, entry};

#[track_caller]
fn check(said: CommandOutput, sentence: &str) {
    let said = said.exits(3);
    assert!(said.stderr.contains(sentence), "`{sentence}` is not in:\n{}", said.stderr);
}

#[test]
fn an_unusable_token_is_rejected_with_a_reason() {
    let fleet = Fleet::start();
    let quic = fleet.server.quic();
    let try_it = |token: &str| fleet.try_join("late", token, quic, &[]);

    let used = fleet.token(&["--uses", "1"]);
    fleet.join_by("first", &used, quic, &[]);
    check(try_it(&used), "this join token has had its 1 uses; create another");

    let revoked = fleet.token(&[]);
    let id = JoinToken::parse(&revoked).expect("a token").id.to_string();
    fleet.cli(&["token", "revoke", &id]).ok();
    check(try_it(&revoked), "this join token was revoked; create another");

    let short = fleet.token(&["--ttl", "1s"]);
    let id = JoinToken::parse(&short).expect("a token").id.to_string();
    fleet.wait_for("the token to expire", PATIENCE, || {
        (entry(&fleet.json(&["token", "ls"])["items"], "id", &id)?["state"] == "expired").then_some(())
    });
    check(try_it(&short), "this join token expired at 20");

    let mut unknown = JoinToken::parse(&fleet.token(&[])).expect("a token");
    unknown.secret = JoinSecret::from_bytes([7; 16]);
    check(try_it(&unknown.reveal()), "this join token is not known here");

    let mut foreign = JoinToken::parse(&fleet.token(&[])).expect("a token");
    foreign.pin = Pin::from_bytes([7; 32]);
    check(try_it(&foreign.reveal()), "none of the addresses belongs to the server that issued this join token");

    // A rejected join leaves nothing behind that a valid token would conflict with.
    try_it(&fleet.token(&[])).ok();
}

#[test]
fn a_token_of_another_server_is_rejected_with_both_pins() {
    let (fleet, other) = (Fleet::start(), Fleet::start());
    let said = fleet.try_join("camp", &other.token(&[]), fleet.server.quic(), &[]);
    assert!(said.stderr.contains(fleet.pin()) && said.stderr.contains(other.pin()), "{}", said.stderr);
    check(said, "none of the addresses belongs to the server that issued this join token");
}

#[test]
fn a_name_belongs_to_one_site() {
    let fleet = Fleet::start();
    let token = fleet.token(&[]);
    let (data, quic) = (fleet.directory().join("second"), fleet.server.quic());
    let line = |name| {
        let target = format!("{token}@{quic}");
        fleet.run("linecampd", &["join", &target, "--name", name, "--data", data.to_str().expect("text")], &[])
    };
    let _first = connected_site(&fleet, "camp");
    check(line("camp"), "the name camp is taken in environment default: choose another with --name");
    line("camp-2").ok();
}

/// A token that was mistyped, truncated, or put in the wrong place is not echoed: the terminal may be visible to
/// others.
#[test]
fn a_malformed_token_is_rejected_without_printing_its_secret() {
    let fleet = Fleet::start();
    let token = fleet.token(&[]);
    let address = fleet.server.quic();
    let cut = &token[..token.len() - 4];
    let file = fleet.directory().join("token");
    std::fs::write(&file, format!("{token}@{token}")).expect("a file");
    let (data, file) = (fleet.directory().join("camp"), file.to_str().expect("text"));
    let targets = [
        token.clone(),
        format!("{cut}@{address}"),
        format!("x{token}@{address}"),
        format!("{address}@{token}"),
        format!("{token}@{token}"),
        format!("{token}@"),
        format!("{token}@{address} {token}@{address}"),
        format!("-@{token}"),
    ];
    let mut lines: Vec<_> = targets.into_iter().map(|text| vec![text]).collect();
    lines.push(vec!["--token-file".into(), file.into()]);
    // The token in place of the addresses.
    lines.push(vec![format!("{token}@{address}"), "--token-file".into(), file.into()]);
    let mut repeated = Vec::new();
    for words in &lines {
        let mut line: Vec<_> = words.iter().map(String::as_str).collect();
        line.insert(0, "join");
        line.extend(["--name", "camp", "--data", data.to_str().expect("text")]);
        let said = fleet.run("linecampd", &line, &[]).exits(2);
        let text = format!("{}{}", said.stdout, said.stderr);
        if text.contains(&token[16..36]) {
            repeated.push(text);
        }
    }
    assert!(repeated.is_empty(), "the secret is printed:\n{}", repeated.concat());
    assert!(!data.exists(), "nothing was begun");
}

/// A token in place of its id is not echoed either.
#[test]
fn a_token_given_as_its_id_is_not_printed() {
    let fleet = Fleet::start();
    let token = fleet.token(&[]);
    let said = fleet.cli(&["token", "revoke", &format!("{token}@{}", fleet.server.quic())]);
    assert!(!said.stderr.contains(&token[16..36]), "{}", said.stderr);
}

#[test]
fn a_wrong_api_key_needs_an_operator() {
    let fleet = Fleet::start();
    let wrong = "lck_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let login = [("LINECAMP_URL", fleet.url()), ("LINECAMP_PIN", fleet.pin()), ("LINECAMP_KEY", wrong)];
    let said = fleet.run("linecamp", &["site", "ls"], &login).exits(3);
    assert!(!said.stderr.contains(wrong), "{}", said.stderr);

    let foreign = format!("sha256:{}", "07".repeat(32));
    let login = [("LINECAMP_URL", fleet.url()), ("LINECAMP_PIN", &*foreign), ("LINECAMP_KEY", fleet.key())];
    let said = fleet.run("linecamp", &["site", "ls"], &login).exits(3);
    assert!(said.stderr.contains(&foreign), "{}", said.stderr);
}
