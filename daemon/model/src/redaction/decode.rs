//! The ways to read a text: as it is, and with its percent-encoding and escapes decoded.

use std::ops::Range;

/// Characters of an HTML entity or an escape in braces, at most.
const NAMED_BYTES_MAX: usize = 12;

/// The escapes of one letter that stand for another character (JSON, C, Rust).
const LETTERS: [(u8, u8); 9] =
    [(b'0', 0), (b'a', 7), (b'b', 8), (b't', b'\t'), (b'n', b'\n'), (b'v', 11), (b'f', 12), (b'r', b'\r'), (b'e', 27)];

/// The HTML entities that encoders write.
const ENTITIES: [(&[u8], char); 5] = [(b"amp", '&'), (b"lt", '<'), (b"gt", '>'), (b"quot", '"'), (b"apos", '\'')];

/// The bytes of a text, decoded in one way.
#[derive(Default)]
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    /// The place in the text of each byte.
    places: Vec<Range<usize>>,
}

impl View {
    /// Reads `text` as it is, and with up to two layers decoded.
    pub(super) fn each(text: &str, visit: &mut dyn FnMut(&Self)) {
        let plain = Self { bytes: text.as_bytes().to_vec(), places: (0..text.len()).map(|at| at..at + 1).collect() };
        visit(&plain);
        for once in RULES.iter().filter_map(|first| plain.decoded(*first)) {
            visit(&once);
            for twice in RULES.iter().filter_map(|second| once.decoded(*second)) {
                visit(&twice);
            }
        }
    }

    pub(super) fn push(&mut self, byte: u8, place: Range<usize>) {
        self.bytes.push(byte);
        self.places.push(place);
    }

    /// Returns the place in the text of a range of bytes that is not empty.
    pub(super) fn place(&self, bytes: Range<usize>) -> Range<usize> {
        self.places[bytes.start].start..self.places[bytes.end - 1].end
    }

    /// Decodes what `rule` recognizes; `None` if there is nothing, or only what another rule recognizes too.
    fn decoded(&self, rule: Rule) -> Option<Self> {
        if !self.bytes.iter().any(|byte| rule.marks.contains(byte)) {
            return None;
        }
        let (mut decoded, mut at, mut is_changed) = (Self::default(), 0, false);
        while at < self.bytes.len() {
            let found = (rule.decode)(&self.bytes[at..]);
            is_changed |= found.is_some();
            match found {
                Some((Decoded::Byte(byte), read)) => {
                    decoded.push(byte, self.place(at..at + read));
                    at += read;
                }
                Some((Decoded::Char(letter), read)) => {
                    for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                        decoded.push(byte, self.place(at..at + read));
                    }
                    at += read;
                }
                None => {
                    decoded.push(self.bytes[at], self.places[at].clone());
                    at += 1;
                }
            }
        }
        is_changed.then_some(decoded)
    }
}

/// What an encoding stands for.
enum Decoded {
    Byte(u8),
    Char(char),
}

/// One way to decode.
#[derive(Clone, Copy)]
struct Rule {
    /// The bytes without one of which a text has nothing to decode.
    marks: &'static [u8],
    /// Decodes what bytes start with, and returns it with its encoded length.
    decode: fn(&[u8]) -> Option<(Decoded, usize)>,
}

const RULES: [Rule; 3] =
    [Rule { marks: b"%", decode: percent }, Rule { marks: b"+", decode: form }, Rule { marks: b"\\&", decode: escape }];

/// Decodes `%41`.
fn percent(bytes: &[u8]) -> Option<(Decoded, usize)> {
    let [b'%', digits @ ..] = bytes else { return None };
    Some((Decoded::Byte(u8::try_from(hexadecimal(digits.get(..2)?)?).ok()?), 3))
}

/// Decodes `%41`, and `+` as a space: the encoding of HTML forms.
fn form(bytes: &[u8]) -> Option<(Decoded, usize)> {
    match bytes {
        [b'+', ..] => Some((Decoded::Byte(b' '), 1)),
        _ => percent(bytes),
    }
}

/// Decodes escapes that start with a backslash, and HTML entities.
fn escape(bytes: &[u8]) -> Option<(Decoded, usize)> {
    match bytes {
        [b'\\', rest @ ..] => backslash(rest).map(|(decoded, read)| (decoded, read + 1)),
        [b'&', rest @ ..] => {
            let name = until(rest, b';')?;
            let letter = match name {
                [b'#', b'x' | b'X', digits @ ..] => char::from_u32(hexadecimal(digits)?),
                [b'#', digits @ ..] => char::from_u32(decimal(digits)?),
                _ => ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, letter)| *letter),
            };
            Some((Decoded::Char(letter?), name.len() + 2))
        }
        _ => None,
    }
}

/// Decodes what follows a backslash.
fn backslash(rest: &[u8]) -> Option<(Decoded, usize)> {
    match rest {
        [b'u', b'{', digits @ ..] => {
            let digits = until(digits, b'}')?;
            Some((Decoded::Char(char::from_u32(hexadecimal(digits)?)?), digits.len() + 3))
        }
        [b'u', digits @ ..] => {
            let first = hexadecimal(digits.get(..4)?)?;
            if let (0xd800..0xdc00, Some([b'\\', b'u', second @ ..])) = (first, digits.get(4..10)) {
                let low = hexadecimal(second)?.checked_sub(0xdc00)?;
                return Some((Decoded::Char(char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low)?), 11));
            }
            Some((Decoded::Char(char::from_u32(first)?), 5))
        }
        [b'x', digits @ ..] => Some((Decoded::Byte(u8::try_from(hexadecimal(digits.get(..2)?)?).ok()?), 3)),
        // DNS writes bytes this way (RFC 1035, 5.1).
        [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', ..] => {
            Some((Decoded::Byte(u8::try_from(decimal(&rest[..3])?).ok()?), 3))
        }
        [letter, ..] if letter.is_ascii_punctuation() => Some((Decoded::Byte(*letter), 1)),
        [letter, ..] => LETTERS.iter().find(|(known, _)| known == letter).map(|(_, byte)| (Decoded::Byte(*byte), 1)),
        [] => None,
    }
}

/// Returns the bytes before `end`, if it is near.
fn until(bytes: &[u8], end: u8) -> Option<&[u8]> {
    let near = &bytes[..bytes.len().min(NAMED_BYTES_MAX)];
    near.iter().position(|byte| *byte == end).map(|at| &near[..at])
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    number(digits, 16)
}

fn decimal(digits: &[u8]) -> Option<u32> {
    number(digits, 10)
}

/// Parses digits only: no sign.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let digits = digits.iter().map(|digit| char::from(*digit).to_digit(radix)).collect::<Option<Vec<_>>>()?;
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |sum, digit| sum.checked_mul(radix)?.checked_add(*digit))
}
