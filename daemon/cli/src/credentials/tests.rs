use std::collections::BTreeMap;

use super::*;

pub(crate) struct FixedEnv(pub(crate) BTreeMap<&'static str, &'static str>);

impl Env for FixedEnv {
    fn var(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| (*value).to_owned())
    }
}

const PIN_TEXT: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn env<const N: usize>(variables: [(&'static str, &'static str); N]) -> FixedEnv {
    FixedEnv(variables.into())
}

fn login() -> Login<'static> {
    let file = ConfigFile {
        url: Some("https://login.example".into()),
        pin: Some(PIN_TEXT.into()),
        ca: None,
        key: ApiKey::parse("lck_login").ok(),
    };
    Login::File(file, Path::new("/c.toml"))
}

fn pin() -> ApiTrust {
    ApiTrust::Pin(Pin::from_bytes([0; 32]))
}

#[test]
fn the_environment_overrides_parts_of_a_login() {
    let check = |env: FixedEnv, ca: Option<&str>, trust: ApiTrust, key: &str| {
        let config = Config::resolve(login(), ca.map(Path::new), &env).expect("complete");
        assert_eq!(config.server.to_string(), "https://login.example");
        assert_eq!((config.trust, config.key.as_ref().map(ApiKey::reveal)), (trust, Some(key)));
    };
    let file = |path: &str| ApiTrust::CaFile(path.into());
    check(env([]), None, pin(), "lck_login");
    check(env([(KEY, "lck_env")]), None, pin(), "lck_env");
    check(env([(CA, "/e.pem")]), None, file("/e.pem"), "lck_login");
    check(env([(CA, "/e.pem"), (PIN, "x")]), Some("/o.pem"), file("/o.pem"), "lck_login");
}

#[test]
fn the_environment_replaces_a_login() {
    let all = env([(URL, "https://env.example:8443/"), (PIN, PIN_TEXT), (KEY, "lck_env")]);
    let config = Config::find(None, None, &all).expect("complete");
    assert_eq!(config.server.to_string(), "https://env.example:8443");
    assert_eq!((config.trust, config.key.as_ref().map(ApiKey::reveal)), (pin(), Some("lck_env")));
}

#[test]
fn missing_and_invalid_values_are_reported_with_their_origin() {
    let check = |login: Login<'_>, env: FixedEnv, expected: &str| {
        let error = Config::resolve(login, None, &env).map_err(anyhow::Error::from).expect_err(expected);
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    };
    check(Login::None, env([(URL, "https://x")]), "no key configured: set LINECAMP_KEY");
    check(Login::None, env([(URL, "https://x"), (KEY, "lck_x")]), "no pin configured: set LINECAMP_PIN or LINECAMP_CA");
    check(login(), env([(PIN, PIN_TEXT), (CA, "/x")]), "LINECAMP_PIN and LINECAMP_CA are both set");
    check(login(), env([(PIN, "sha1:00")]), "invalid pin (LINECAMP_PIN): a pin is `sha256:`");
    check(login(), env([(KEY, "lct_x")]), "invalid API key (LINECAMP_KEY): expected `lck_`");
    let empty = || Login::File(ConfigFile::default(), Path::new("/c.toml"));
    check(empty(), env([]), "no url configured: set LINECAMP_URL, or log in again (/c.toml has none)");
    let bad_url = ConfigFile {
        url: Some("camp.example".into()),
        key: ApiKey::parse("lck_x").ok(),
        pin: Some(PIN_TEXT.into()),
        ca: None,
    };
    check(
        Login::File(bad_url, Path::new("/c.toml")),
        env([]),
        "invalid server URL (`url` in /c.toml): expected https://",
    );
    let nowhere = Config::find(None, None, &env([("HOME", "/nowhere")])).expect_err("not logged in");
    assert!(nowhere.to_string().ends_with("/nowhere/.config/linecamp/config.toml does not exist"));
    assert!(nowhere.advice().is_some());
}

#[test]
fn the_config_file_follows_the_xdg_specification() {
    let check = |env: FixedEnv, expected: &str| {
        assert_eq!(config_path(&env).expect("a path"), Path::new(expected));
    };
    check(env([("HOME", "/h")]), "/h/.config/linecamp/config.toml");
    check(env([("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]), "/x/linecamp/config.toml");
    check(env([("HOME", "/h"), ("XDG_CONFIG_HOME", "x")]), "/h/.config/linecamp/config.toml");
    check(env([("HOME", "/h"), ("LINECAMP_CONFIG", "c.toml")]), "c.toml");
    assert!(matches!(config_path(&env([])), Err(ConfigError::NoConfigDir)));
}

#[test]
fn a_server_url_is_https_host_and_port() {
    let check = |text: &str, expected: Result<(&str, u16), UrlError>| {
        let url = ServerUrl::parse(text);
        assert_eq!(url.as_ref().map(|url| (url.host.as_str(), url.port)).map_err(|error| *error), expected, "{text}");
    };
    check("https://camp.example", Ok(("camp.example", 443)));
    check("https://camp.example:8443/", Ok(("camp.example", 8443)));
    check("https://[::1]:8443", Ok(("::1", 8443)));
    check("https://[::1]", Ok(("::1", 443)));
    check("http://camp.example", Err(UrlError::Insecure));
    check("https://me:pw@camp.example", Err(UrlError::ExtraParts));
    check("https://camp.example/api", Err(UrlError::ExtraParts));
    check("https://camp.example?x", Err(UrlError::ExtraParts));
    check("https://camp.example:0", Err(UrlError::Malformed));
    check("https://camp.example:", Err(UrlError::Malformed));
    check("https://camp.example:99999", Err(UrlError::Malformed));
    check("camp.example:8443", Err(UrlError::Malformed));
    check("", Err(UrlError::Malformed));
    assert_eq!(ServerUrl::parse("https://[::1]:8443").expect("valid").to_string(), "https://[::1]:8443");
}

#[test]
fn errors_do_not_contain_the_key() {
    for bad in ["lck_", "lct_abc", "lck_a b", "lck_a\r\nx", ""] {
        assert_eq!(ApiKey::parse(bad), Err(KeyError), "{bad:?}");
    }
    let config = Config::resolve(login(), None, &env([])).expect("complete");
    assert!(!format!("{config:?}").contains("lck_login"));
}
