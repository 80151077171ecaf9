//! Why a login is refused.

/// Why a login at a provider is refused. The texts are for the log and for the person who logs in: none has a token, a
/// code or a claim about another person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A document of the provider is too large, not JSON, or lacks what has to be in it.
    #[error("the provider's {what} is invalid: {problem}")]
    Document {
        /// Which document.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A URL of the provider cannot be used.
    #[error("the provider's URL {url} {problem}")]
    Url {
        /// The URL, or the beginning of it.
        url: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The metadata is that of another issuer.
    #[error("the provider says it is {found}, not {expected}: configure the issuer exactly as it writes it")]
    OtherIssuer {
        /// What it says.
        found: String,
        /// What is configured.
        expected: String,
    },
    /// The provider cannot do what is required of it.
    #[error("the provider does not support {what}")]
    Unsupported {
        /// What is missing.
        what: &'static str,
    },
    /// The provider reports an error instead of a code or a token.
    #[error("the provider refused the login: {code}")]
    Provider {
        /// Its error code.
        code: String,
    },
    /// The browser returned with another login's state, or with none.
    #[error("this login was not begun here, or it was completed before; begin again")]
    State,
    /// The browser returned from another provider than the one it was sent to (RFC 9207).
    #[error("the login returned from another provider than the one it was sent to")]
    MixUp,
    /// The browser that returned is not the one that was sent: it lacks the cookie of the login.
    #[error("this login was begun in another browser, or cookies are off; begin again")]
    OtherBrowser,
    /// The login took too long.
    #[error("the login took too long; begin again")]
    TooLate,
    /// The token is not three parts of base64url and JSON.
    #[error("the ID token is malformed")]
    Malformed,
    /// The token is signed with an algorithm that is not accepted.
    #[error("the ID token is signed with `{algorithm}`; accepted are RS256, ES256 and EdDSA")]
    Algorithm {
        /// The algorithm it names.
        algorithm: String,
    },
    /// The provider has no such key. It may have been rotated: its keys have to be read again, once.
    #[error("the ID token is signed with a key that the provider does not publish")]
    UnknownKey,
    /// The signature is invalid.
    #[error("the signature of the ID token is invalid")]
    Signature,
    /// A claim is missing or has another value than it has to have.
    #[error("the ID token has {problem}")]
    Claim {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// None of the person's groups has a role.
    #[error("none of your groups at the identity provider has a role here; ask an admin of this server")]
    NoRole,
    /// The code or handle of a client without a browser of its own is unknown, was used, or belongs to another client.
    #[error("this code was not issued to this client, was used before, or has expired; log in again")]
    Handover,
    /// The path to return to after the login is not one of this server.
    #[error("return_to must be a path of this server, such as /sites")]
    ReturnTo,
    /// A parameter of a client that waits for the browser is malformed.
    #[error("{what} is malformed")]
    Parameter {
        /// Which parameter.
        what: &'static str,
    },
}
