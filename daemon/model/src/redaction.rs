//! Finds secrets in texts: whole ones and parts of them, in clear and in the usual encodings.
//!
//! A text is decoded in every way in which it may have been encoded (`decode`, `runs`), and each decoded byte keeps its
//! place in the text. [`PART_BYTES`] consecutive bytes that also occur in a secret are redacted, wherever they are in
//! the text and in the secret. The encodings are:
//!
//! - percent-encoding and escapes (JSON, Rust, HTML entities, DNS), of any of the bytes, also one inside the other or
//!   twice;
//! - base64 and hexadecimal, of any bytes around the secret, padded, wrapped or with separators, also inside those;
//! - lists of byte values.
//!
//! Not found are parts of fewer bytes, and any other encoding: a program that has a secret and wants to disguise it
//! can do so. What limits such a program is that it never gets a secret.

mod decode;
mod runs;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use self::decode::View;

/// Bytes of the shortest part of a secret that is recognized. Shorter ones occur in ordinary texts, and a dozen of them
/// would have to be put together.
pub const PART_BYTES: usize = 9;

/// Bytes before the place where a text is cut that are dropped with the rest, because they may be the beginning of a
/// part: its bytes, each in the longest encoding (`&#x00041;`, `\u{000041}`).
const CUT_BYTES: usize = 16 * PART_BYTES;

/// How many bits of the filter there are: few enough to stay in a processor's cache.
const FILTER_BITS: usize = 4096;

/// Secrets to be found in texts. `S` holds the bytes of one, so that the caller decides how they are wiped.
#[derive(Clone)]
pub struct SecretFinder<S> {
    secrets: Vec<S>,
    /// Every part of every secret that is found in parts, in the order of its bytes.
    parts: Vec<Part>,
    /// The secrets that are found only as a whole.
    whole: Vec<usize>,
    /// For each pair of bytes, reduced to a number below [`FILTER_BITS`]: whether a part or a secret starts with it.
    filter: Vec<u64>,
}

/// [`PART_BYTES`] bytes of a secret.
#[derive(Clone, Copy)]
struct Part {
    secret: usize,
    offset: usize,
}

/// A secret, or a part of one, in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    place: Range<usize>,
    secret: usize,
}

impl<S> Default for SecretFinder<S> {
    fn default() -> Self {
        Self { secrets: Vec::new(), parts: Vec::new(), whole: Vec::new(), filter: vec![0; FILTER_BITS / 64] }
    }
}

/// Prints how many secrets there are.
impl<S> fmt::Debug for SecretFinder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretFinder").field("secrets", &self.secrets.len()).finish()
    }
}

impl<S: AsRef<[u8]>> SecretFinder<S> {
    /// Adds a secret, which is also found in parts if it is longer than one, and returns its number.
    pub fn add(&mut self, secret: S) -> usize {
        let bytes = secret.as_ref();
        let Some(last) = bytes.len().checked_sub(PART_BYTES) else { return self.add_whole(secret) };
        for start in bytes.windows(2).take(last + 1) {
            allow(&mut self.filter, start);
        }
        let number = self.secrets.len();
        self.secrets.push(secret);
        self.parts.extend((0..=last).map(|offset| Part { secret: number, offset }));
        let secrets = &self.secrets;
        // What was sorted before is one run, which makes this a merge.
        self.parts.sort_by(|one, other| part_bytes(secrets, *one).cmp(part_bytes(secrets, *other)));
        number
    }

    /// Adds a secret that is found only as a whole, and returns its number. One of fewer than two bytes is not found.
    pub fn add_whole(&mut self, secret: S) -> usize {
        let number = self.secrets.len();
        if let Some(start) = secret.as_ref().get(..2) {
            allow(&mut self.filter, start);
            self.whole.push(number);
        }
        self.secrets.push(secret);
        number
    }

    /// Returns whether this secret was added.
    pub fn contains(&self, secret: &[u8]) -> bool {
        self.secrets.iter().any(|known| known.as_ref() == secret)
    }

    /// Returns `text` with every secret replaced; `replacement` gets the secret's number.
    pub fn redact(&self, text: &str, replacement: impl Fn(usize) -> String) -> String {
        self.redact_start(text, text.len(), replacement)
    }

    /// Like [`redact`](Self::redact), but reads only the first `bytes_max` bytes of the text. If there are more, the
    /// bytes before the cut that may be the beginning of a secret are dropped too.
    pub fn redact_start(&self, text: &str, bytes_max: usize, replacement: impl Fn(usize) -> String) -> String {
        let read = &text[..text.floor_char_boundary(bytes_max)];
        let end = match read.len() == text.len() {
            true => read.len(),
            false => read.floor_char_boundary(read.len().saturating_sub(CUT_BYTES)),
        };
        let (mut redacted, mut at) = (String::with_capacity(end), 0);
        for Found { place, secret } in self.find(read).into_iter().take_while(|found| found.place.start < end) {
            redacted.push_str(&read[at..place.start]);
            redacted.push_str(&replacement(secret));
            at = place.end;
        }
        redacted.push_str(read.get(at..end).unwrap_or_default());
        redacted
    }

    /// Returns the places of secrets, in order and without overlaps, at boundaries of characters.
    fn find(&self, text: &str) -> Vec<Found> {
        let mut found = Vec::new();
        if !self.parts.is_empty() || !self.whole.is_empty() {
            View::each(text, &mut |view| {
                self.search(view, &mut found);
                runs::each(view, &mut |run| self.search(run, &mut found));
            });
        }
        found.sort_by_key(|one: &Found| (one.place.start, one.secret));
        let mut merged: Vec<Found> = Vec::new();
        for Found { place, secret } in found {
            let place = text.floor_char_boundary(place.start)..text.ceil_char_boundary(place.end);
            match merged.last_mut() {
                Some(before)
                    if place.start < before.place.end
                        || (place.start == before.place.end && secret == before.secret) =>
                {
                    before.place.end = before.place.end.max(place.end);
                }
                _ => merged.push(Found { place, secret }),
            }
        }
        merged
    }

    fn search(&self, view: &View, found: &mut Vec<Found>) {
        for (at, start) in view.bytes.windows(2).enumerate() {
            if !is_allowed(&self.filter, start) {
                continue;
            }
            let rest = &view.bytes[at..];
            let mut add = |secret: usize, bytes: usize| found.push(Found { place: view.place(at..at + bytes), secret });
            if let Some(secret) = self.part_at(rest) {
                add(secret, PART_BYTES);
            }
            for secret in self.whole.iter().copied().filter(|secret| rest.starts_with(self.secrets[*secret].as_ref())) {
                add(secret, self.secrets[secret].as_ref().len());
            }
        }
    }

    /// Returns the secret that has the first [`PART_BYTES`] bytes of `bytes`.
    fn part_at(&self, bytes: &[u8]) -> Option<usize> {
        let bytes = bytes.get(..PART_BYTES)?;
        let at = self.parts.partition_point(|part| part_bytes(&self.secrets, *part).cmp(bytes) == Ordering::Less);
        self.parts.get(at).filter(|part| part_bytes(&self.secrets, **part) == bytes).map(|part| part.secret)
    }
}

fn part_bytes<S: AsRef<[u8]>>(secrets: &[S], part: Part) -> &[u8] {
    &secrets[part.secret].as_ref()[part.offset..part.offset + PART_BYTES]
}

fn allow(filter: &mut [u64], start: &[u8]) {
    let bit = bit(start);
    filter[bit / 64] |= 1 << (bit % 64);
}

fn is_allowed(filter: &[u64], start: &[u8]) -> bool {
    let bit = bit(start);
    filter[bit / 64] & 1 << (bit % 64) != 0
}

/// Reduces the first two bytes to a number below [`FILTER_BITS`].
fn bit(start: &[u8]) -> usize {
    start.iter().take(2).fold(0, |sum, byte| sum * 37 + usize::from(*byte)) % FILTER_BITS
}
