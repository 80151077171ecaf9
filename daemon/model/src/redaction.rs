//! Finds secrets in texts: whole ones and parts of them, in clear and in the usual encodings.
//!
//! A text is decoded in every way in which it may have been encoded (`decode`, `runs`), and each decoded byte keeps its
//! place in the text. [`PART_BYTES`] consecutive bytes that also occur in a secret are redacted, wherever they are in
//! the text and in the secret. The encodings are:
//!
//! - percent-encoding, also of HTML forms, and escapes (JSON, Rust, HTML entities, DNS), of any of the bytes, also one
//!   inside the other or twice;
//! - base64 and hexadecimal, of any bytes around the secret, padded, wrapped or with separators, also inside those;
//! - lists of byte values, also one a line.
//!
//! The cost is bounded. A text is read in windows of [`WINDOW_BYTES`]. All parts of the first [`DENSE_BYTES`] of a
//! secret are known; of the rest, only parts that follow each other without overlap, so that twice as many bytes are
//! needed, and fewer than [`PART_BYTES`] may remain at either end of what is found. The parts are put in order when the
//! first text is read.
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
use std::sync::OnceLock;

use self::decode::View;

/// Bytes of the shortest part of a secret that is recognized. Shorter ones occur in ordinary texts, and a dozen of them
/// would have to be put together.
pub const PART_BYTES: usize = 9;

/// Bytes before the place where a text is cut that are dropped with the rest, because they may be the beginning of a
/// part: its bytes, each in the longest encoding (`&#x00041;`, `\u{000041}`).
const CUT_BYTES: usize = 16 * PART_BYTES;

/// Bytes at the beginning of a secret of which every part is found. Keys and tokens are shorter.
const DENSE_BYTES: usize = 4096;

/// Bytes of a text that are decoded at a time.
const WINDOW_BYTES: usize = 64 * 1024;

/// Bytes of a text in which one byte of a secret is looked for: in two layers of the longest escapes, or on a line.
const ENCODED_BYTES_MAX: usize = 256;

/// How many bits of the filter there are: few enough to stay in a processor's cache.
const FILTER_BITS: usize = 4096;

/// Secrets to be found in texts. `S` holds the bytes of one, so that the caller decides how they are wiped.
#[derive(Clone)]
pub struct SecretFinder<S> {
    secrets: Vec<S>,
    /// The secrets that are found only as a whole.
    whole: Vec<usize>,
    index: OnceLock<Index>,
}

/// What is looked for.
#[derive(Clone)]
struct Index {
    /// The parts of the secrets that are found in parts, in the order of their bytes.
    parts: Vec<Part>,
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
        Self { secrets: Vec::new(), whole: Vec::new(), index: OnceLock::new() }
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
        if secret.as_ref().len() < PART_BYTES {
            return self.add_whole(secret);
        }
        self.index.take();
        self.secrets.push(secret);
        self.secrets.len() - 1
    }

    /// Adds a secret that is found only as a whole, and returns its number. One of fewer than two bytes is not found.
    pub fn add_whole(&mut self, secret: S) -> usize {
        self.index.take();
        if 2 <= secret.as_ref().len() {
            self.whole.push(self.secrets.len());
        }
        self.secrets.push(secret);
        self.secrets.len() - 1
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
        let mut found: Vec<Found> = Vec::new();
        if text.is_empty() || self.secrets.is_empty() {
            return found;
        }
        let (index, overlap) = (self.index.get_or_init(|| Index::of(&self.secrets, &self.whole)), self.overlap());
        let mut start = 0;
        while start < text.len() {
            let next = text.ceil_char_boundary(start + WINDOW_BYTES);
            let window = &text[start..text.ceil_char_boundary(next + overlap)];
            let mut here = Vec::new();
            View::each(window, &mut |view| {
                self.search(index, view, &mut here);
                runs::each(view, &mut |run| self.search(index, run, &mut here));
            });
            found.extend(here.into_iter().map(|Found { place, secret }| Found {
                place: window.floor_char_boundary(place.start) + start..window.ceil_char_boundary(place.end) + start,
                secret,
            }));
            found = merged(found);
            start = next;
        }
        found
    }

    /// Returns the bytes after a window that are read with it: in these, what begins in the window ends.
    fn overlap(&self) -> usize {
        let whole = self.whole.iter().map(|secret| self.secrets[*secret].as_ref().len()).max().unwrap_or_default();
        (whole.max(PART_BYTES) * ENCODED_BYTES_MAX).min(WINDOW_BYTES)
    }

    fn search(&self, index: &Index, view: &View, found: &mut Vec<Found>) {
        for (at, start) in view.bytes.windows(2).enumerate() {
            if !is_allowed(&index.filter, start) {
                continue;
            }
            let rest = &view.bytes[at..];
            let mut add = |secret: usize, bytes: usize| found.push(Found { place: view.place(at..at + bytes), secret });
            if let Some(secret) = self.part_at(index, rest) {
                add(secret, PART_BYTES);
            }
            for secret in self.whole.iter().copied().filter(|secret| rest.starts_with(self.secrets[*secret].as_ref())) {
                add(secret, self.secrets[secret].as_ref().len());
            }
        }
    }

    /// Returns the secret that has the first [`PART_BYTES`] bytes of `bytes`.
    fn part_at(&self, index: &Index, bytes: &[u8]) -> Option<usize> {
        let bytes = bytes.get(..PART_BYTES)?;
        let at = index.parts.partition_point(|part| part_bytes(&self.secrets, *part).cmp(bytes) == Ordering::Less);
        index.parts.get(at).filter(|part| part_bytes(&self.secrets, **part) == bytes).map(|part| part.secret)
    }
}

impl Index {
    fn of<S: AsRef<[u8]>>(secrets: &[S], whole: &[usize]) -> Self {
        let (mut parts, mut filter) = (Vec::new(), vec![0; FILTER_BITS / 64]);
        for (secret, bytes) in secrets.iter().map(AsRef::as_ref).enumerate() {
            match bytes.len().checked_sub(PART_BYTES) {
                Some(last) if !whole.contains(&secret) => {
                    let dense = 0..=last.min(DENSE_BYTES - PART_BYTES);
                    // The last part ends with the secret.
                    let sparse = (DENSE_BYTES..last).step_by(PART_BYTES).chain([last]);
                    parts.extend(dense.chain(sparse).map(|offset| Part { secret, offset }));
                }
                _ => bytes.get(..2).into_iter().for_each(|start| allow(&mut filter, start)),
            }
        }
        for part in &parts {
            allow(&mut filter, part_bytes(secrets, *part));
        }
        // Several secrets may have the same part: the first one of them is found.
        parts.sort_by(|one, other| part_bytes(secrets, *one).cmp(part_bytes(secrets, *other)));
        Self { parts, filter }
    }
}

/// Puts what was found in order, and joins what overlaps.
fn merged(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|one: &Found| (one.place.start, one.secret));
    let mut merged: Vec<Found> = Vec::new();
    for Found { place, secret } in found {
        match merged.last_mut() {
            Some(before)
                if place.start < before.place.end || (place.start == before.place.end && secret == before.secret) =>
            {
                before.place.end = before.place.end.max(place.end);
            }
            _ => merged.push(Found { place, secret }),
        }
    }
    merged
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
