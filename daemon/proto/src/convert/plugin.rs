//! Plugin transfer: the chunk a site requests, and the chunk.

use linecamp_model::limits::{PLUGIN_BYTES_MAX, PLUGIN_PIECE_BYTES_MAX};
use linecamp_model::{PluginDigest, PluginPiece, PluginWant};

use crate::convert::field::bytes;
use crate::convert::{FieldError, Wire};
use crate::wire::link::v1 as wire;

impl Wire for wire::PluginWant {
    type Model = PluginWant;

    fn from_model(want: &PluginWant) -> Self {
        Self { digest: want.digest.as_bytes().to_vec(), offset: want.offset }
    }

    fn into_model(self) -> Result<PluginWant, FieldError> {
        Ok(PluginWant { digest: digest(&self.digest)?, offset: place("offset", self.offset)? })
    }
}

impl Wire for wire::PluginPiece {
    type Model = PluginPiece;

    fn from_model(piece: &PluginPiece) -> Self {
        Self {
            digest: piece.digest.as_bytes().to_vec(),
            offset: piece.offset,
            total: piece.total,
            bytes: piece.bytes.clone(),
        }
    }

    fn into_model(self) -> Result<PluginPiece, FieldError> {
        let (offset, total) = (place("offset", self.offset)?, place("total", self.total)?);
        let found = self.bytes.len();
        if PLUGIN_PIECE_BYTES_MAX < found {
            let problem = format!("a piece has at most {PLUGIN_PIECE_BYTES_MAX} bytes, not {found}");
            return Err(FieldError::new("bytes", problem));
        }
        let end = offset.saturating_add(u64::try_from(found).unwrap_or(u64::MAX));
        let is_nothing = found == 0 && total == 0;
        if total < end && !is_nothing {
            return Err(FieldError::new("bytes", format!("end at {end}, behind the end at {total}")));
        }
        if found == 0 && offset < total {
            return Err(FieldError::new("bytes", format!("are none, at {offset} of {total}")));
        }
        Ok(PluginPiece { digest: digest(&self.digest)?, offset, total, bytes: self.bytes })
    }
}

fn digest(found: &[u8]) -> Result<PluginDigest, FieldError> {
    bytes("digest", found).map(PluginDigest::from_bytes)
}

/// Checks an offset in a component, or its length.
pub(super) fn place(name: &str, found: u64) -> Result<u64, FieldError> {
    match found {
        ..=PLUGIN_BYTES_MAX => Ok(found),
        _ => Err(FieldError::new(name, format!("a plugin has at most {PLUGIN_BYTES_MAX} bytes, not {found}"))),
    }
}
