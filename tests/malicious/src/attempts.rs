//! Attempts in a `validate` call.

use std::time::{Duration, Instant};

use crate::bindings::linecamp::provider::dns_client::{self, Tsig};
use crate::bindings::linecamp::provider::http::{
    self, Auth, BasicAuth, HeaderAuth, HttpError, Method, Request, Response, Sigv4Auth,
};
use crate::bindings::linecamp::provider::log::{self, Level};
use crate::bindings::linecamp::provider::provider_types::{Error, Retry};
use crate::disguises::disguised;
use crate::{Config, outcome_error};

/// Makes the selected attempt, and returns its outcome as an error.
pub(crate) fn attempt(config: &Config<'_>) -> Result<(), Error> {
    let url = config.get("url");
    let outcome = match config.get("do") {
        "nothing" => return Ok(()),
        "environment" => {
            let (variables, arguments) = (std::env::vars().count(), std::env::args().count());
            format!("{variables} variables, {arguments} arguments")
        }
        "clock" => clock(),
        "reach" => reach(url),
        "follow" => follow(url),
        "many-requests" => many_requests(url),
        "big-request" => describe(&http::send(&Request { body: vec![b'a'; 2 << 20], ..request(url) })),
        "set-header" => {
            let headers = vec![(config.get("header").to_owned(), config.get("value").to_owned())];
            describe(&http::send(&Request { headers, ..request(url) }))
        }
        "echo-secret" | "print-secret" => return leak_secret(config),
        "disguise-secret" => return leak_disguised(config),
        "send-dns" => send_dns(config),
        "spin" => spin(),
        "sleep" => {
            std::thread::sleep(Duration::from_secs(3600));
            "slept".into()
        }
        "allocate" => allocate(),
        "recurse" => recurse(1).to_string(),
        "panic" => panic!("a panic with a message"),
        "exit" => std::process::exit(7),
        "huge-line" => {
            log::write(Level::Info, &"a line without end ".repeat(50_000));
            "wrote".into()
        }
        "handover" => {
            log::write(Level::Info, &"a".repeat(9 << 20));
            "wrote".into()
        }
        "many-lines" => {
            for line in 0..1_000_000_u32 {
                log::write(Level::Info, &format!("line {line}"));
            }
            "wrote".into()
        }
        "patience" => {
            return Err(Error::Retry(Retry { after_millis: Some(u64::MAX), reason: "a\nb".repeat(1_000) }));
        }
        other => format!("unknown attempt `{other}`"),
    };
    Err(outcome_error(outcome))
}

/// Runs an infinite loop.
pub(crate) fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

/// Requests `url`.
pub(crate) fn reach(url: &str) -> String {
    describe(&http::send(&request(url)))
}

fn request(url: &str) -> Request {
    Request {
        method: Method::Get,
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
        auth: None,
        timeout_millis: None,
    }
}

fn describe(answer: &Result<Response, HttpError>) -> String {
    match answer {
        Ok(answer) => format!("status {} with {} bytes", answer.status, answer.body.len()),
        Err(HttpError::Denied(why)) => format!("denied: {why}"),
        Err(HttpError::Unreachable(why)) => format!("unreachable: {why}"),
        Err(HttpError::Timeout) => "timeout".into(),
        Err(HttpError::TooLarge(bytes)) => format!("too large: {bytes}"),
        Err(HttpError::LimitExceeded(why)) => format!("limit exceeded: {why}"),
        Err(HttpError::Protocol(why)) => format!("protocol: {why}"),
    }
}

/// Follows a redirect.
fn follow(url: &str) -> String {
    match http::send(&request(url)) {
        Ok(answer) if answer.status == 302 => {
            let location = answer.headers.into_iter().find(|(name, _)| name == "location");
            format!("302, then {}", reach(&location.unwrap_or_default().1))
        }
        other => describe(&other),
    }
}

fn many_requests(url: &str) -> String {
    let mut answered = 0;
    loop {
        match http::send(&request(url)) {
            Ok(_) => answered += 1,
            other => return format!("{answered} responses, then {}", describe(&other)),
        }
    }
}

/// Makes a service echo the secret, and writes the echo to the log, to stderr and to the error.
fn leak_secret(config: &Config<'_>) -> Result<(), Error> {
    let secret = || config.get("secret").to_owned();
    let auth = match config.get("auth") {
        "basic" => Auth::Basic(BasicAuth { user: "user".into(), secret: secret() }),
        "header" => Auth::Header(HeaderAuth { header: "X-API-Key".into(), prefix: "Key ".into(), secret: secret() }),
        "sigv4" => Auth::Sigv4(Sigv4Auth {
            access_key_id_secret: secret(),
            secret_access_key_secret: secret(),
            session_token_secret: Some(secret()),
            region: "us-east-1".into(),
            service: "route53".into(),
        }),
        _ => Auth::Bearer(secret()),
    };
    let answer = http::send(&Request { auth: Some(auth), ..request(config.get("url")) });
    let text = match &answer {
        Ok(answer) => String::from_utf8_lossy(&answer.body).into_owned(),
        Err(_) => describe(&answer),
    };
    log::write(Level::Error, &text);
    if config.get("do") == "print-secret" {
        panic!("{text}");
    }
    Err(outcome_error(text))
}

/// Receives the secret from a service that sends it reversed, so that the host does not recognize it, and leaks it in
/// another form.
fn leak_disguised(config: &Config<'_>) -> Result<(), Error> {
    let answer = http::send(&request(config.get("url")));
    let secret: String = match &answer {
        Ok(answer) => String::from_utf8_lossy(&answer.body).chars().rev().collect(),
        Err(_) => return Err(outcome_error(describe(&answer))),
    };
    let text = disguised(&secret, config.get("form"));
    log::write(Level::Error, &text);
    Err(outcome_error(text))
}

fn send_dns(config: &Config<'_>) -> String {
    // A query for the A records of `a.example`.
    let message = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01";
    let sign = (!config.get("secret").is_empty()).then(|| Tsig {
        key_name: "key.example".into(),
        algorithm: config.get("algorithm").into(),
        secret: config.get("secret").into(),
    });
    match dns_client::send(config.get("server"), message, sign.as_ref()) {
        Ok(answer) => format!("received {} bytes, id {:02x}{:02x}", answer.len(), answer[0], answer[1]),
        Err(error) => format!("{error:?}"),
    }
}

/// Measures the resolution of the clock.
fn clock() -> String {
    let begun = Instant::now();
    let mut steps = std::collections::BTreeSet::new();
    while steps.len() < 3 {
        steps.insert(begun.elapsed());
    }
    let is_coarse = steps.iter().all(|step| step.as_micros() % 10_000 == 0);
    format!("coarse: {is_coarse}")
}

fn allocate() -> String {
    let mut hoard = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

fn recurse(depth: u64) -> u64 {
    if std::hint::black_box(depth) == 0 { 0 } else { recurse(depth + 1) + depth }
}
