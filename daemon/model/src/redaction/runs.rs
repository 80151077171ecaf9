//! Runs of characters in a text that may be bytes in base64, in hexadecimal, or as decimal numbers.

use std::ops::Range;

use super::decode::View;

/// Bytes of the shortest run that is decoded: no shorter secret is redacted.
const RUN_BYTES_MIN: usize = 4;

/// Separators between two digits of a run, at most: a comma, a line end with its indentation, and `0x`.
const GAPS_MAX: usize = 3;

/// Bytes of spaces, tabs and line ends that are one separator, at most.
const SPACE_BYTES_MAX: usize = 64;

/// What a run may have at one place.
enum Symbol {
    /// A digit of this value, written in this many bytes.
    Digit(u8, usize),
    /// A separator of this many bytes.
    Gap(usize),
    /// Neither, so the run ends.
    End,
}

/// Decodes every run of `view`. A run may start with something else, so it is decoded from each of the places where the
/// first byte may begin.
pub(super) fn each(view: &View, visit: &mut dyn FnMut(&View)) {
    each_run(view, base64, &mut |run| (0..4).for_each(|skipped| visit_bits(view, &run[skipped..], 6, visit)));
    each_run(view, hexadecimal, &mut |run| (0..2).for_each(|skipped| visit_bits(view, &run[skipped..], 4, visit)));
    each_run(view, decimal, &mut |run| visit_bits(view, run, 8, visit));
}

/// A digit, and its place in a view.
type Digit = (u8, Range<usize>);

fn each_run(view: &View, symbol: fn(&[u8]) -> Symbol, visit: &mut dyn FnMut(&[Digit])) {
    let (mut run, mut gaps, mut at) = (Vec::new(), 0, 0);
    let mut end = |run: &mut Vec<Digit>| {
        if RUN_BYTES_MIN <= run.len() {
            visit(run);
        }
        run.clear();
    };
    while at < view.bytes.len() {
        at += match symbol(&view.bytes[at..]) {
            Symbol::Digit(value, bytes) => {
                run.push((value, at..at + bytes));
                gaps = 0;
                bytes
            }
            Symbol::Gap(bytes) if gaps < GAPS_MAX => {
                gaps += 1;
                bytes
            }
            Symbol::Gap(bytes) => {
                end(&mut run);
                bytes
            }
            Symbol::End => {
                end(&mut run);
                gaps = 0;
                1
            }
        };
    }
    end(&mut run);
}

/// Puts the digits of a run, of `bits` bits each, together to bytes.
fn visit_bits(view: &View, run: &[Digit], bits: usize, visit: &mut dyn FnMut(&View)) {
    let mut decoded = View::default();
    for byte in 0..run.len() * bits / 8 {
        let digits = &run[byte * 8 / bits..(byte * 8 + 8).div_ceil(bits)];
        let joined = digits.iter().fold(0_u32, |sum, (value, _)| sum << bits | u32::from(*value));
        // The last digit may have bits of the next byte.
        let surplus = (byte * 8 + 8).div_ceil(bits) * bits - (byte * 8 + 8);
        let [.., low] = (joined >> surplus).to_be_bytes();
        let (first, last) = (&digits[0].1, &digits[digits.len() - 1].1);
        decoded.push(low, view.place(first.start..last.end));
    }
    if RUN_BYTES_MIN <= decoded.bytes.len() {
        visit(&decoded);
    }
}

/// Returns the spaces, tabs and line ends that `bytes` start with, as one separator; `None` if there are none.
fn space(bytes: &[u8]) -> Option<Symbol> {
    let spaces = bytes.iter().take(SPACE_BYTES_MAX).take_while(|byte| byte.is_ascii_whitespace()).count();
    (0 < spaces).then_some(Symbol::Gap(spaces))
}

/// The digits of both alphabets (RFC 4648); a long text is wrapped into lines, which may be indented.
fn base64(bytes: &[u8]) -> Symbol {
    match bytes[0] {
        byte @ b'A'..=b'Z' => Symbol::Digit(byte - b'A', 1),
        byte @ b'a'..=b'z' => Symbol::Digit(byte - b'a' + 26, 1),
        byte @ b'0'..=b'9' => Symbol::Digit(byte - b'0' + 52, 1),
        b'+' | b'-' => Symbol::Digit(62, 1),
        b'/' | b'_' => Symbol::Digit(63, 1),
        _ => space(bytes).unwrap_or(Symbol::End),
    }
}

fn hexadecimal(bytes: &[u8]) -> Symbol {
    match bytes {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => Symbol::Gap(2),
        [byte @ b'0'..=b'9', ..] => Symbol::Digit(byte - b'0', 1),
        [byte @ b'a'..=b'f', ..] => Symbol::Digit(byte - b'a' + 10, 1),
        [byte @ b'A'..=b'F', ..] => Symbol::Digit(byte - b'A' + 10, 1),
        [b':' | b'-' | b'_' | b'.' | b',', ..] => Symbol::Gap(1),
        _ => space(bytes).unwrap_or(Symbol::End),
    }
}

/// The values of bytes in a list, as programs print one: `[97, 110]`, or one a line.
fn decimal(bytes: &[u8]) -> Symbol {
    let digits = bytes.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    match bytes[0] {
        b',' | b';' => Symbol::Gap(1),
        _ if (1..=3).contains(&digits) => {
            let value = bytes[..digits].iter().fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
            u8::try_from(value).map_or(Symbol::End, |value| Symbol::Digit(value, digits))
        }
        _ => space(bytes).unwrap_or(Symbol::End),
    }
}
