//! Why bytes were rejected.

use linecamp_model::Text;

/// Why bytes are not a valid message or record. For people: the caller drops the connection, or the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtoError {
    /// The bytes are not valid protobuf of their message.
    #[error("failed to decode {what}")]
    Malformed {
        /// What they should have been.
        what: String,
        /// The cause.
        source: prost::DecodeError,
    },
    /// A field is invalid, or of a kind that this build does not know.
    #[error("refused {what}: {path}: {problem}")]
    Field {
        /// What the field belongs to.
        what: String,
        /// The path to the field, such as `status.documents[2].host.reported[0].key`.
        path: String,
        /// What is wrong with it: short and without control characters, whatever the field contained.
        problem: Text,
    },
    /// The record's key is unknown.
    #[error("`{key}` is not the key of a record")]
    Key {
        /// The key found: invalid UTF-8 replaced, and truncated.
        key: Text,
    },
}
