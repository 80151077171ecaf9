//! Logins at the identity provider, as JSON. The types with a secret hide it in `Debug`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::account::LoggedIn;

/// Where a browser goes after a login: to a path of the server (`return_to`), or to a program that waits on
/// `127.0.0.1` (`port`, `challenge` and `state`).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OidcLoginQuery {
    /// A path of the server, by default one that shows who has logged in.
    pub return_to: Option<String>,
    /// The port on which the program waits.
    pub port: Option<u16>,
    /// The SHA-256 of the program's verifier, in base64url.
    pub challenge: Option<String>,
    /// What the program recognizes its login by: letters, digits, `-` and `_`.
    pub state: Option<String>,
}

/// What the provider gives the browser on its way back. Other parameters are ignored: providers add their own.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OidcCallbackQuery {
    /// The code.
    pub code: Option<String>,
    /// The state of the login.
    pub state: Option<String>,
    /// The provider, if it names itself.
    pub iss: Option<String>,
    /// The error, instead of a code.
    pub error: Option<String>,
}

/// A code that the browser brought to a program that waits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OidcCode {
    /// The code.
    pub code: String,
    /// The verifier of the challenge with which the login began.
    pub verifier: String,
}

/// A login that a person confirms in a browser on any device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceLogin {
    /// The secret with which to ask whether the person has confirmed.
    pub handle: String,
    /// The code that the person enters.
    pub user_code: String,
    /// Where the person enters it.
    pub verification_uri: String,
    /// The same with the code; `null` if the provider does not have that.
    pub verification_uri_complete: Option<String>,
    /// In how many seconds the person has to confirm.
    pub expires_in_seconds: u64,
    /// How many seconds to wait before asking.
    pub interval_seconds: u64,
}

/// Asks whether a person has confirmed a login.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceLoginHandle {
    /// The secret of the login.
    pub handle: String,
}

/// Whether a person has confirmed a login.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceLoginState {
    /// The session that has begun; `null` if the person has not confirmed yet.
    pub logged_in: Option<LoggedIn>,
    /// After how many seconds to ask again; `null` if a session has begun.
    pub retry_after_seconds: Option<u64>,
}

/// Implements a `Debug` that shows the type's name only.
macro_rules! hide {
    ($($name:ident),*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*
    };
}

hide!(OidcLoginQuery, OidcCallbackQuery, OidcCode, DeviceLogin, DeviceLoginHandle, DeviceLoginState);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_may_add_parameters_of_its_own() {
        let text = r#"{"code":"c","state":"s","session_state":"x","scope":"openid"}"#;
        let query: OidcCallbackQuery = serde_json::from_str(text).expect("it is tolerant");
        assert_eq!((query.code.as_deref(), query.iss), (Some("c"), None));
        let strict = serde_json::from_str::<OidcLoginQuery>(r#"{"redirect_uri":"https://evil.example"}"#);
        assert!(strict.is_err());
        assert_eq!(format!("{:?}", OidcCode { code: "c".into(), verifier: "v".into() }), "OidcCode { .. }");
    }
}
