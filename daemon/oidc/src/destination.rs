//! Where a login leads: to a page of this server, or to a program that waits on the person's own machine (RFC 8252).

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};

use crate::form::form;
use crate::refusal::Refusal;

/// Maximum length of the path to return to, in bytes. A longer one is refused.
const PATH_BYTES_MAX: usize = 512;

/// Maximum length of the state of a program that waits, in bytes. A longer one is refused.
const STATE_BYTES_MAX: usize = 128;

/// Where the browser goes after the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A page of this server.
    Page(PagePath),
    /// A program that listens on the loopback interface of the person's machine.
    Loopback(Loopback),
}

/// A path of this server, with its query. It never leads to another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagePath(String);

/// A program that waits for the browser on `127.0.0.1`. It gets a code that only it can use: the code is bound to the
/// challenge of a verifier that only the program has (PKCE, RFC 7636).
#[derive(Clone, PartialEq, Eq)]
pub struct Loopback {
    port: u16,
    challenge: [u8; 32],
    state: String,
}

impl PagePath {
    /// Parses a path: it begins with one slash, and has nothing that a browser could read as another host.
    ///
    /// # Errors
    /// [`Refusal::ReturnTo`].
    pub fn parse(path: &str) -> Result<Self, Refusal> {
        let is_own = path.starts_with('/') && !path.starts_with("//");
        // Browsers read `\` as `/`, and leave out tabs and line breaks.
        let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        match is_own && is_plain && path.len() <= PATH_BYTES_MAX {
            true => Ok(Self(path.to_owned())),
            false => Err(Refusal::ReturnTo),
        }
    }

    /// Returns the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Loopback {
    /// Takes the port on which the program listens, the challenge of its verifier (`S256`), and the state by which it
    /// recognizes its own login.
    ///
    /// # Errors
    /// [`Refusal::Parameter`].
    pub fn parse(port: u16, challenge: &str, state: &str) -> Result<Self, Refusal> {
        let malformed = |what| Refusal::Parameter { what };
        // The ports below 1024 belong to services, not to a program that a person starts.
        if port < 1024 {
            return Err(malformed("port"));
        }
        let challenge = BASE64URL_NOPAD.decode(challenge.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        let is_state = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if state.is_empty() || STATE_BYTES_MAX < state.len() || !state.bytes().all(is_state) {
            return Err(malformed("state"));
        }
        Ok(Self { port, challenge: challenge.ok_or_else(|| malformed("challenge"))?, state: state.to_owned() })
    }

    /// Returns the URL to which the browser goes with the code.
    pub fn url_with_code(&self, code: &str) -> String {
        self.url(&[("code", code), ("state", &self.state)])
    }

    /// Returns the URL to which the browser goes if the login was refused.
    pub fn url_with_error(&self, text: &str) -> String {
        self.url(&[("error", "access_denied"), ("error_description", text), ("state", &self.state)])
    }

    fn url(&self, fields: &[(&str, &str)]) -> String {
        format!("http://127.0.0.1:{}/?{}", self.port, form(fields))
    }

    /// Checks that a program has the verifier of the challenge.
    ///
    /// # Errors
    /// [`Refusal::Handover`].
    pub fn check(&self, verifier: &str) -> Result<(), Refusal> {
        // Both are hashes, so the time that the comparison takes says nothing about the verifier.
        match digest(&SHA256, verifier.as_bytes()).as_ref() == self.challenge {
            true => Ok(()),
            false => Err(Refusal::Handover),
        }
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback").field("port", &self.port).finish_non_exhaustive()
    }
}

/// Returns the challenge of a verifier (`S256`).
pub fn challenge(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_returns_to_a_path_of_this_server_only() {
        for path in ["/", "/sites?region=eu", "/api/v1/whoami", "/a//b", "/@evil.example"] {
            assert_eq!(PagePath::parse(path).unwrap().as_str(), path);
        }
        let long = format!("/{}", "a".repeat(PATH_BYTES_MAX));
        for path in [
            "",
            "sites",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/a\r\nset-cookie: x",
            " /",
            "/é",
            &long,
        ] {
            assert_eq!(PagePath::parse(path), Err(Refusal::ReturnTo), "{path:?}");
        }
    }

    #[test]
    fn a_code_for_a_program_is_of_no_use_without_its_verifier() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let waiting = Loopback::parse(40_000, &challenge(verifier), "s-1").unwrap();
        assert_eq!(waiting.check(verifier), Ok(()));
        for other in ["", "dBjftJeZ4CVP", &challenge(verifier)] {
            assert_eq!(waiting.check(other), Err(Refusal::Handover), "{other}");
        }
        assert_eq!(waiting.url_with_code("c/1"), "http://127.0.0.1:40000/?code=c%2F1&state=s-1");
        let refused = waiting.url_with_error("no role & more");
        assert!(refused.ends_with("?error=access_denied&error_description=no%20role%20%26%20more&state=s-1"));
        assert!(!format!("{waiting:?}").contains("s-1"));
    }

    #[test]
    fn malformed_parameters_of_a_program_are_refused() {
        let good = challenge("x");
        let long = "s".repeat(STATE_BYTES_MAX + 1);
        let table = [
            (80, &*good, "s", "port"),
            (40_000, "", "s", "challenge"),
            (40_000, "abc", "s", "challenge"),
            (40_000, &good[1..], "s", "challenge"),
            (40_000, &good, "", "state"),
            (40_000, &good, "a b", "state"),
            (40_000, &good, &long, "state"),
        ];
        for (port, challenge, state, what) in table {
            assert_eq!(Loopback::parse(port, challenge, state), Err(Refusal::Parameter { what }), "{what}");
        }
    }
}
