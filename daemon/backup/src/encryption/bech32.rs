//! Bech32 (BIP 173), in which keys are written.

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
const CHECKSUM_CHARS: usize = 6;

/// Decodes 32 bytes with the prefix `prefix`, in lower case; `None` if the text is not that.
pub(super) fn decode(text: &str, prefix: &str) -> Option<[u8; 32]> {
    let data = text.strip_prefix(prefix)?.strip_prefix('1')?;
    let place = |byte: u8| ALPHABET.iter().position(|of| *of == byte).and_then(|place| u8::try_from(place).ok());
    let values: Vec<u8> = data.bytes().map(place).collect::<Option<_>>()?;
    if checksum(prefix, &values) != 1 {
        return None;
    }
    let values = &values[..values.len().checked_sub(CHECKSUM_CHARS)?];
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for value in values {
        buffer = (buffer << 5 | u32::from(*value)) & 0xfff;
        bits += 5;
        if 8 <= bits {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits & 0xff).ok()?);
        }
    }
    // What is left over is padding.
    let is_padded = bits < 5 && buffer & ((1 << bits) - 1) == 0;
    bytes.try_into().ok().filter(|_| is_padded)
}

/// Encodes bytes with a prefix.
#[cfg(test)]
pub(super) fn encode(bytes: &[u8; 32], prefix: &str) -> String {
    let (mut values, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8 | u32::from(*byte)) & 0xfff;
        bits += 8;
        while 5 <= bits {
            bits -= 5;
            values.push(u8::try_from(buffer >> bits & 31).unwrap());
        }
    }
    values.push(u8::try_from(buffer << (5 - bits) & 31).unwrap());
    let padded = [&values[..], &[0; CHECKSUM_CHARS]].concat();
    let check = checksum(prefix, &padded) ^ 1;
    values.extend((0..CHECKSUM_CHARS).map(|place| u8::try_from(check >> (5 * (5 - place)) & 31).unwrap()));
    let data: String = values.iter().map(|value| char::from(ALPHABET[usize::from(*value)])).collect();
    format!("{prefix}1{data}")
}

fn checksum(prefix: &str, values: &[u8]) -> u32 {
    let high = prefix.bytes().map(|byte| byte >> 5);
    let low = prefix.bytes().map(|byte| byte & 31);
    let all = high.chain([0]).chain(low).chain(values.iter().copied());
    all.fold(1, |before: u32, value| {
        let after = (before & 0x1ff_ffff) << 5 ^ u32::from(value);
        let set = (0..5).filter(|bit| before >> 25 >> bit & 1 == 1);
        set.fold(after, |sum, bit| sum ^ GENERATOR[bit])
    })
}
