//! Names whose values are secrets, and what replaces them.

/// The replacement for redacted text.
pub(crate) const REDACTED: &str = "[redacted]";

/// Parts of names whose values are secret.
const SENSITIVE: [&str; 14] = [
    "secret",
    "token",
    "passw",
    "passphrase",
    "credential",
    "private",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "tsig",
    "bearer",
    "cookie",
    "signature",
];

/// Last words of names whose values are secret: `dns-key` is one, `keyboard` is not.
const SENSITIVE_ENDINGS: [&str; 3] = ["key", "pwd", "pass"];

/// Names that sound sensitive, but whose values people need.
const HARMLESS: [&str; 6] = ["key", "token_file", "host_key", "public_key", "authority", "reach_private"];

/// Whether the value of a key with this name is treated as a secret.
pub fn is_sensitive_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if HARMLESS.contains(&name.as_str()) {
        return false;
    }
    let last = name.rsplit(['-', '_', '.', '/', ' ']).next().unwrap_or_default();
    SENSITIVE.iter().any(|part| name.contains(part)) || SENSITIVE_ENDINGS.iter().any(|end| last.ends_with(end))
}
