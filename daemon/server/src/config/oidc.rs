//! The settings of logins at an identity provider, resolved.

use std::path::PathBuf;

use linecamp_model::{Name, Role, excerpt};
use linecamp_oidc::{GROUP_ROLES_MAX, GroupRole, ProviderMetadata};
use serde::Deserialize;

use super::ConfigFile;

/// The default ID of this server at the provider.
const CLIENT_ID_DEFAULT: &str = "linecamp";

/// What is asked for by default. Most providers put the groups of a person into the token only if they are asked for.
const SCOPES_DEFAULT: [&str; 2] = ["profile", "groups"];

/// The claim of the ID token that has the groups by default.
const GROUPS_CLAIM_DEFAULT: &str = "groups";

/// Maximum number of scopes, and maximum length of each text in bytes. Nobody needs more; more is rejected.
const SCOPES_MAX: usize = 16;
const TEXT_BYTES_MAX: usize = 256;

/// Logins at an identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcConfig {
    /// The issuer, exactly as the provider writes it.
    pub issuer: String,
    /// The ID of this server at the provider.
    pub client_id: String,
    /// The file with the secret of this server at the provider; `None` for a public client.
    pub secret_file: Option<PathBuf>,
    /// The file with the authorities that are trusted besides the public ones.
    pub ca_file: Option<PathBuf>,
    /// What is asked for besides `openid`, separated by spaces.
    pub scopes: String,
    /// The claim of the ID token that has the groups.
    pub groups_claim: String,
    /// The roles of groups.
    pub groups: Vec<GroupRole>,
}

/// A row of `oidc_groups`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with group, role, and environment if it is not for all")]
pub struct GroupRoleFile {
    group: String,
    role: String,
    environment: Option<String>,
}

impl OidcConfig {
    /// Resolves the settings; `None` without an issuer.
    pub(super) fn resolve(file: &ConfigFile) -> Result<Option<Self>, (&'static str, String)> {
        let Some(issuer) = file.oidc_issuer.as_deref().filter(|issuer| !issuer.is_empty()) else { return Ok(None) };
        ProviderMetadata::location(issuer).map_err(|refusal| ("oidc_issuer", format!("is invalid: {refusal}")))?;
        let text = |key: &'static str, text: &Option<String>, default: &str| {
            let text = text.as_deref().unwrap_or(default);
            match text.len() {
                1..=TEXT_BYTES_MAX => Ok(text.to_owned()),
                _ => Err((key, format!("is `{}`; use 1 to {TEXT_BYTES_MAX} characters", excerpt(text, 64)))),
            }
        };
        let path = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        Ok(Some(Self {
            issuer: issuer.to_owned(),
            client_id: text("oidc_client_id", &file.oidc_client_id, CLIENT_ID_DEFAULT)?,
            secret_file: path(&file.oidc_client_secret_file),
            ca_file: path(&file.oidc_ca_file),
            scopes: scopes(file.oidc_scopes.as_deref()).map_err(|problem| ("oidc_scopes", problem))?,
            groups_claim: text("oidc_groups_claim", &file.oidc_groups_claim, GROUPS_CLAIM_DEFAULT)?,
            groups: groups(file.oidc_groups.as_deref().unwrap_or_default())
                .map_err(|problem| ("oidc_groups", problem))?,
        }))
    }
}

fn scopes(texts: Option<&[String]>) -> Result<String, String> {
    let Some(texts) = texts else { return Ok(SCOPES_DEFAULT.join(" ")) };
    // RFC 6749, section 3.3.
    let is_scope = |text: &&String| {
        let fits = (1..=TEXT_BYTES_MAX).contains(&text.len());
        fits && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    if SCOPES_MAX < texts.len() {
        return Err(format!("has {} scopes; the maximum is {SCOPES_MAX}", texts.len()));
    }
    match texts.iter().find(|text| !is_scope(text)) {
        Some(bad) => Err(format!("contains `{}`, which is no scope", excerpt(bad, 64))),
        None => Ok(texts.join(" ")),
    }
}

fn groups(rows: &[GroupRoleFile]) -> Result<Vec<GroupRole>, String> {
    if rows.is_empty() {
        let example = "[{ group = \"ops\", role = \"operator\" }]";
        return Err(format!("is empty, so nobody could log in at the provider; for example {example}"));
    }
    if GROUP_ROLES_MAX < rows.len() {
        return Err(format!("has {} rows; the maximum is {GROUP_ROLES_MAX}", rows.len()));
    }
    let row = |row: &GroupRoleFile| {
        let group = excerpt(&row.group, 64);
        let role = Role::parse(&row.role).ok_or_else(|| {
            let role = excerpt(&row.role, 64);
            format!("has the role `{role}` for group {group}; the roles are viewer, operator and admin")
        })?;
        let environment = row.environment.as_deref().map(Name::parse).transpose();
        let environment =
            environment.map_err(|error| format!("has an invalid environment for group {group}: {error}"))?;
        match row.group.len() {
            1..=TEXT_BYTES_MAX => Ok(GroupRole { group: row.group.clone(), role, environment }),
            _ => Err(format!("has the group `{group}`; use 1 to {TEXT_BYTES_MAX} characters")),
        }
    };
    rows.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use linecamp_service::LayeredConfig;

    use super::*;

    const LEAST: &str =
        "oidc_issuer = \"https://id.example\"\noidc_groups = [{ group = \"ops\", role = \"operator\" }]";

    fn resolve(text: &str) -> Result<Option<OidcConfig>, String> {
        let mut written = LayeredConfig::default();
        let path = std::path::Path::new("server.toml");
        written.add_text::<ConfigFile>(path, text).map_err(|error| linecamp_transport::error_chain(&error))?;
        let file: ConfigFile = written.read().unwrap();
        OidcConfig::resolve(&file).map_err(|(key, problem)| format!("{key} {problem}"))
    }

    #[test]
    fn a_provider_needs_an_issuer_and_groups() {
        assert_eq!(resolve(""), Ok(None));
        assert_eq!(resolve("oidc_issuer = \"\""), Ok(None));
        let config = resolve(LEAST).unwrap().unwrap();
        let groups = vec![GroupRole { group: "ops".into(), role: Role::Operator, environment: None }];
        let expected = OidcConfig {
            issuer: "https://id.example".into(),
            client_id: "linecamp".into(),
            secret_file: None,
            ca_file: None,
            scopes: "profile groups".into(),
            groups_claim: "groups".into(),
            groups,
        };
        assert_eq!(config, expected);
        let lab = "oidc_issuer = \"https://id.example\"\noidc_scopes = []\n\
                   oidc_groups = [{ group = \"lab\", role = \"admin\", environment = \"lab\" }]";
        let config = resolve(lab).unwrap().unwrap();
        assert_eq!((&*config.scopes, config.groups[0].environment.as_ref().unwrap().as_str()), ("", "lab"));
    }

    #[test]
    fn invalid_settings_of_a_provider_are_rejected() {
        let issuer = "oidc_issuer = \"https://id.example\"\n";
        let check = |text: &str, words: &str| {
            let refused = resolve(text).unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        };
        check("oidc_issuer = \"http://id.example\"", "oidc_issuer is invalid");
        check(issuer, "oidc_groups is empty");
        check(&format!("{issuer}oidc_groups = [{{ group = \"ops\", role = \"root\" }}]"), "the role `root`");
        check(&format!("{issuer}oidc_groups = [{{ group = \"\", role = \"admin\" }}]"), "1 to 256");
        check(&format!("{issuer}oidc_groups = [{{ group = \"ops\", rank = \"admin\" }}]"), "rank");
        check(
            &format!("{issuer}oidc_groups = [{{ group = \"o\", role = \"admin\", environment = \"L\" }}]"),
            "group o",
        );
        check(&format!("{LEAST}\noidc_scopes = [\"a b\"]"), "`a b`, which is no scope");
        check(&format!("{LEAST}\noidc_client_id = \"\""), "oidc_client_id is ``");
    }
}
