//! Logins at an identity provider: a browser, the CLI with a browser and with a code, groups, and a provider that is
//! down.

use std::fs;

use linecamp_tests::{Browser, CommandOutput, Fleet, OidcProvider, PATIENCE, Process, WebPage};
use serde_json::{Value, json};

/// The roles of groups at the server.
const GROUPS: &str = r#"oidc_groups = [
    { group = "ops", role = "operator" },
    { group = "lab", role = "admin", environment = "lab" },
    { group = "admins", role = "admin" },
]"#;

/// A server, and the provider that it uses. The provider is stopped before the fleet checks the logs.
struct Setup {
    provider: OidcProvider,
    fleet: Fleet,
}

impl Setup {
    fn start() -> Option<Self> {
        let mut fleet = Fleet::start();
        let provider = OidcProvider::start(&fleet)?;
        provider.set_people(&json!({
            "u-1": { "preferred_username": "mara", "groups": ["ops", "lab"] },
            "u-2": { "preferred_username": "admin", "groups": ["ops"] },
            "u-3": { "preferred_username": "guest", "groups": ["visitors"] },
        }));
        // A server that nobody has set up asks an admin for its URL.
        fleet.cli(&["settings", "edit", "--url", fleet.url()]).ok();
        fleet.server.kill();
        let config = fleet.server.data().join("server.toml");
        let text = fs::read_to_string(&config).expect("the configuration is there");
        fs::write(&config, format!("{text}\n{}{GROUPS}\n", provider.server_settings())).expect("it is writable");
        fleet.start_server();
        Some(Self { provider, fleet })
    }

    fn browser(&self, name: &str) -> Option<Browser> {
        let own = self.fleet.server.data().join("ca/certificate.pem");
        Browser::open(self.fleet.directory(), name, &[&own, self.provider.authority()])
    }

    fn login_url(&self) -> String {
        format!("{}/api/v1/login/oidc", self.fleet.url())
    }

    /// Runs `linecamp` with the logins of a file instead of the admin's key.
    fn cli(&self, arguments: &[&str]) -> CommandOutput {
        self.fleet.run("linecamp", arguments, &[("LINECAMP_CONFIG", &self.config())])
    }

    fn config(&self) -> String {
        self.fleet.directory().join("logins/config.toml").display().to_string()
    }

    /// Starts `linecamp login --oidc` and waits until it prints a text; returns the rest of the line after it.
    fn begin_cli_login(&self, more: &[&str], log: &str, marker: &str) -> (Process, String) {
        let login = ["login", self.fleet.url(), "--pin", self.fleet.pin(), "--oidc"];
        let mut process = self.fleet.process("linecamp", &[&login, more].concat(), log);
        process.env("LINECAMP_CONFIG", self.config());
        process.start();
        let url = self.fleet.wait_for("the URL to open", PATIENCE, || {
            let log = process.log();
            let rest = log.split_once(marker)?.1;
            rest.split_once('\n').map(|(url, _)| url.trim().to_owned())
        });
        (process, url)
    }

    fn user(&self, name: &str) -> Value {
        self.fleet.json(&["user", "show", name])
    }
}

fn who(page: &WebPage) -> Value {
    assert_eq!(page.status, 200, "{}", page.text);
    serde_json::from_str(&page.text).unwrap_or_else(|error| panic!("{error}: {}", page.text))
}

#[test]
fn a_browser_logs_in_with_the_roles_of_its_groups_at_each_login() {
    let Some(setup) = Setup::start() else { return };
    let Some(browser) = setup.browser("mara") else { return };
    let mara = who(&browser.log_in(&setup.login_url(), "u-1"));
    assert_eq!((&mara["user"], &mara["role"]), (&"mara".into(), &"operator".into()), "{mara:#}");
    assert_eq!(mara["environment_roles"], json!({"lab": "admin"}), "{mara:#}");
    assert!(browser.has_cookie("__Host-linecamp"));
    let user = setup.user("mara");
    assert_eq!(user["oidc"], json!({"issuer": setup.provider.issuer(), "subject": "u-1"}), "{user:#}");
    let refused = setup.fleet.cli(&["user", "edit", "mara", "--role", "admin"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("follow from groups"), "{}", refused.stderr);

    // Other groups count from the next login; the name may change, and the user stays.
    setup.provider.set_people(&json!({"u-1": { "preferred_username": "mara-l", "groups": ["admins"] }}));
    let page = browser.log_in(&format!("{}?return_to=/api/v1/sites", setup.login_url()), "u-1");
    assert!(page.status == 200 && page.url.ends_with("/api/v1/sites"), "{page:?}");
    let user = setup.user("mara");
    assert_eq!((&user["role"], &user["environment_roles"]), (&"admin".into(), &json!({})), "{user:#}");

    // Without a group that has a role: refused, and the sessions end.
    setup.provider.set_people(&json!({"u-1": { "preferred_username": "mara", "groups": ["visitors"] }}));
    let refused = browser.log_in(&setup.login_url(), "u-1");
    assert!(refused.status == 403 && refused.text.contains("none of your groups"), "{refused:?}");
    let user = setup.user("mara");
    assert_eq!((&user["role"], &user["sessions"]), (&Value::Null, &0.into()), "{user:#}");
    assert_eq!(browser.get(&format!("{}/api/v1/whoami", setup.fleet.url())).status, 401);
}

#[test]
fn a_login_is_bound_to_its_browser_and_never_to_a_local_user() {
    let Some(setup) = Setup::start() else { return };
    let (Some(browser), Some(other)) = (setup.browser("one"), setup.browser("two")) else { return };
    // The provider's `admin` is another person than the server's.
    let found = who(&browser.log_in(&setup.login_url(), "u-2"));
    let name = found["user"].as_str().expect("a user");
    assert!(name.starts_with("admin-") && found["role"] == "operator", "{found:#}");
    assert_eq!(setup.user("admin")["oidc"], Value::Null);

    setup.fleet.cli(&["user", "disable", name]).ok();
    assert_eq!(browser.get(&format!("{}/api/v1/whoami", setup.fleet.url())).status, 401, "the session has ended");
    let refused = browser.log_in(&setup.login_url(), "u-2");
    assert!(refused.status == 403 && refused.text.contains("is disabled"), "{refused:?}");

    let guest = other.log_in(&setup.login_url(), "u-3");
    assert!(guest.status == 403 && guest.text.contains("none of your groups"), "{guest:?}");
    let users = setup.fleet.json(&["user", "ls"]);
    assert_eq!(users["items"].as_array().map(Vec::len), Some(2), "a refused login creates nobody: {users:#}");

    let made_up = format!("{}/callback?code=c&state=s&iss={}", setup.login_url(), setup.provider.issuer());
    let refused = other.get(&made_up);
    assert!(refused.status == 401 && refused.text.contains("not begun here"), "{refused:?}");
    let elsewhere = other.get(&format!("{}?return_to=//evil.example", setup.login_url()));
    assert!(elsewhere.status == 400 && elsewhere.text.contains("return_to"), "{elsewhere:?}");
}

#[test]
fn the_cli_logs_in_with_a_browser_on_the_same_machine() {
    let Some(setup) = Setup::start() else { return };
    let Some(browser) = setup.browser("mara") else { return };
    let (mut login, url) = setup.begin_cli_login(&[], "login.log", "and log in:\n\n");
    let page = browser.log_in(&url, "u-1");
    assert!(page.text.contains("continues in the terminal"), "{page:?}\n{}", login.log());
    let status = login.wait_for_exit(PATIENCE).expect("it ends");
    assert!(status.success(), "{}", login.log());
    assert!(!browser.has_cookie("__Host-linecamp"), "the session is the program's");
    let me = setup.cli(&["whoami", "-o", "json"]).ok().json();
    assert_eq!((&me["user"], &me["role"]), (&"mara".into(), &"operator".into()), "{me:#}");
    setup.cli(&["logout"]).ok();
    assert_eq!(setup.user("mara")["sessions"], 0);

    let (mut refused, url) = setup.begin_cli_login(&[], "refused.log", "and log in:\n\n");
    let page = setup.browser("guest").expect("curl is there").log_in(&url, "u-3");
    assert!(page.text.contains("refused"), "{page:?}");
    let status = refused.wait_for_exit(PATIENCE).expect("it ends");
    assert!(!status.success() && refused.log().contains("none of your groups"), "{}", refused.log());
}

#[test]
fn the_cli_logs_in_with_a_code_that_is_entered_elsewhere() {
    let Some(setup) = Setup::start() else { return };
    let Some(browser) = setup.browser("mara") else { return };
    let (mut login, url) = setup.begin_cli_login(&["--device"], "login.log", "or open ");
    let page = browser.log_in(&url, "u-1");
    assert_eq!(page.status, 200, "{page:?}");
    let status = login.wait_for_exit(PATIENCE).expect("it ends");
    assert!(status.success(), "{}\n{}", login.log(), page.text);
    let me = setup.cli(&["whoami", "-o", "json"]).ok().json();
    assert_eq!(me["user"], "mara", "{me:#}");
    let secret = fs::read_to_string(setup.config()).expect("the login is stored");
    assert!(secret.contains("lcs_") && !secret.contains("only for tests"), "{secret}");
}

#[test]
fn users_with_passwords_log_in_while_the_provider_is_down() {
    let Some(mut setup) = Setup::start() else { return };
    let Some(browser) = setup.browser("mara") else { return };
    setup.provider.stop();
    let refused = browser.get(&setup.login_url());
    assert!(refused.status == 503 && refused.text.contains("Log in with a password"), "{refused:?}");
    let login = ["login", setup.fleet.url(), "--pin", setup.fleet.pin(), "--oidc", "--device"];
    let refused = setup.cli(&login);
    assert!(refused.code != Some(0) && refused.stderr.contains("the identity provider"), "{}", refused.stderr);
    let file = |name: &str, text: &str| {
        let path = setup.fleet.directory().join(name);
        fs::write(&path, format!("{text}\n")).expect("a file");
        path.display().to_string()
    };
    let (once, new) = (file("once", setup.fleet.password()), file("new", "a much better password"));
    let login = ["login", setup.fleet.url(), "--pin", setup.fleet.pin(), "--user", "admin"];
    setup.cli(&[&login[..], &["--password-file", &once, "--new-password-file", &new]].concat()).ok();

    setup.provider.restart();
    let mara = setup.fleet.wait_for("the provider to be asked again", PATIENCE, || {
        let page = browser.log_in(&setup.login_url(), "u-1");
        (page.status == 200).then(|| who(&page))
    });
    assert_eq!(mara["user"], "mara", "{mara:#}");
}
