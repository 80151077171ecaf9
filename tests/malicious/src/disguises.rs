//! Texts that carry a secret in another form.

use std::fmt::Write as _;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns a text that carries `secret` in the form `how`.
pub(crate) fn disguised(secret: &str, how: &str) -> String {
    match how {
        "base64" => base64(secret.as_bytes()),
        "base64-of-more" => base64(format!("user:{secret}").as_bytes()),
        "hex" => each_byte(secret, |out, byte| write!(out, "{byte:02x}")),
        "hex-pairs" => each_byte(secret, |out, byte| write!(out, "{byte:02X}:")),
        "percent" => each_byte(secret, |out, byte| write!(out, "%{byte:02X}")),
        "json" => each_byte(secret, |out, byte| write!(out, "\\u{byte:04x}")),
        "bytes" => format!("{:?}", secret.as_bytes()),
        "half" => secret[..secret.len() / 2].to_owned(),
        "parts-of-9" => parts(secret, 9),
        "parts-of-8" => parts(secret, 8),
        "long" => format!("{}{secret}{}", "x".repeat(250), "y".repeat(50)),
        other => format!("unknown form `{other}`"),
    }
}

fn each_byte(secret: &str, write_one: impl Fn(&mut String, u8) -> std::fmt::Result) -> String {
    let mut out = String::new();
    for byte in secret.bytes() {
        // Writing to a string does not fail.
        let _ = write_one(&mut out, byte);
    }
    out
}

fn parts(secret: &str, bytes: usize) -> String {
    let parts: Vec<_> = secret.as_bytes().chunks(bytes).map(String::from_utf8_lossy).collect();
    parts.join(" | ")
}

fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            out.push(char::from(BASE64[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    out
}
