//! Why bytes were refused.

use linecamp_model::Text;

/// Why bytes are not a message or a record. For people: whoever meets it drops the connection, or the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtoError {
    /// The bytes do not have the form of their message.
    #[error("failed to decode {what}")]
    Malformed {
        /// What they should have been.
        what: String,
        /// The cause.
        source: prost::DecodeError,
    },
    /// A field holds what it may not, or is of a kind that this build does not know.
    #[error("refused {what}: {path}: {problem}")]
    Field {
        /// What the field belongs to.
        what: String,
        /// The way to the field, such as `status.documents[2].host.reported[0].key`.
        path: String,
        /// What is wrong with it: short and without control characters, whatever the field held.
        problem: Text,
    },
    /// The key of a record is none of ours.
    #[error("`{key}` is not the key of a record")]
    Key {
        /// What was found: what is no text replaced, and cut.
        key: Text,
    },
}
