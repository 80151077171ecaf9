//! A proxy that ends TLS in front of the server: the nginx of the documentation.

use std::fs;
use std::process::Command;

use linecamp_tests::{CommandOutput, CompanyCa, Fleet, Nginx, PATIENCE, Port, skip};

use crate::markdown_page::Page;

/// The proxy's address toward the server. Everything else on this machine is not trusted.
const PROXY: &str = "127.0.0.2";

/// A server, and nginx in front of it.
struct Setup {
    fleet: Fleet,
    ca: String,
    /// The URL of nginx, which is the server URL.
    url: String,
    /// Where nginx redirects from.
    plain_url: String,
    /// The server's port without TLS.
    http: Port,
    _nginx: Nginx,
    _ports: [Port; 2],
}

impl Setup {
    fn start() -> Option<Self> {
        let files = tempfile::tempdir().expect("a directory");
        let package = format!("linecampd_{}_amd64.deb", env!("CARGO_PKG_VERSION"));
        fs::write(files.path().join(&package), "a package").expect("a file");
        let [tls, plain, http] = [Port::take(), Port::take(), Port::take()];
        let url = format!("https://localhost:{}", tls.address().port());
        let config = files.path().join("server.toml");
        let lines = format!(
            "server_url = {url:?}\nhttp = \"{}\"\ntrusted_proxies = [{PROXY:?}]\nsite_packages = {:?}\n",
            http.address(),
            files.path()
        );
        fs::write(&config, lines).expect("a file");
        let fleet = Fleet::start_with(&["--config", config.to_str().expect("text"), "--log", "debug"]);
        let company = CompanyCa::create(&fleet.directory().join("tls"))?;
        company.issue("localhost");
        let page = Page::read("packaging/docs/https.md").with(&[
            ("listen 443 ssl", &format!("listen {} ssl", tls.address())),
            ("listen 80", &format!("listen {}", plain.address())),
            ("server_name camp.example", "server_name localhost"),
            ("/etc/linecamp", &fleet.directory().display().to_string()),
            ("proxy_pass http://127.0.0.1:8080", &format!("proxy_bind {PROXY}; proxy_pass http://{}", http.address())),
        ]);
        let sample = page.blocks().into_iter().find(|block| block.language == "nginx").expect("a sample for nginx");
        let nginx = Nginx::start(&fleet, sample.text, tls.address().port())?;
        let plain_url = format!("http://localhost:{}", plain.address().port());
        let ca = company.file().display().to_string();
        Some(Self { fleet, ca, url, plain_url, http, _nginx: nginx, _ports: [tls, plain] })
    }

    /// Runs the CLI through nginx.
    fn cli(&self, arguments: &[&str]) -> CommandOutput {
        let login = [("LINECAMP_URL", &*self.url), ("LINECAMP_CA", &*self.ca), ("LINECAMP_KEY", self.fleet.key())];
        self.fleet.run("linecamp", arguments, &login)
    }

    /// Sends a request, and returns its status and where it is redirected to.
    fn curl(&self, url: &str, more: &[&str]) -> Option<String> {
        let own_ca = self.fleet.server.data().join("ca/certificate.pem").display().to_string();
        let ca = if url.starts_with(&self.url) { &self.ca } else { &own_ca };
        let line =
            ["--silent", "--max-time", "20", "--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}"];
        match Command::new("curl").args(line).args(["--cacert", ca, url]).args(more).output() {
            Ok(said) => Some(String::from_utf8_lossy(&said.stdout).trim().to_owned()),
            Err(error) => {
                skip("curl", &format!("redirects behind a proxy: curl not found ({error})"));
                None
            }
        }
    }
}

/// The headers with which a client claims another origin.
const FORGED: [&str; 8] = [
    "--header",
    "Host: evil.example",
    "--header",
    "X-Forwarded-Proto: https",
    "--header",
    "X-Forwarded-Port: 1",
    "--header",
    "X-Forwarded-For: 198.51.100.66",
];

#[test]
fn operators_work_through_nginx_with_the_four_headers() {
    let Some(setup) = Setup::start() else { return };
    setup.cli(&["site", "ls"]).ok();
    let report = setup.cli(&["doctor", "request", "-o", "json"]).ok().json();
    assert_eq!(report["url"], *setup.url, "{report:#}");
    assert_eq!((&report["client"], &report["connection_address"]), (&"127.0.0.1".into(), &PROXY.into()));
    assert_eq!((&report["connection_scheme"], &report["proxy_trusted"]), (&"http".into(), &true.into()));
    let believed = report["forwarding_headers"].as_array().expect("headers");
    assert!(believed.len() == 4 && believed.iter().all(|header| header["believed"] == true), "{report:#}");
    let shown = setup.cli(&["doctor", "request"]).ok().stdout;
    assert!(shown.contains("trusted proxy") && shown.contains(&setup.url), "{shown}");
    assert!(!shown.contains(setup.fleet.key()), "{shown}");

    // A stream that is open before the event: nginx does not hold it back, because the server says so.
    let mut tail = setup.fleet.process("linecamp", &["event", "tail", "-o", "json"], "tail.log");
    tail.env("LINECAMP_URL", &*setup.url);
    tail.env("LINECAMP_CA", &*setup.ca);
    tail.env("LINECAMP_KEY", setup.fleet.key());
    tail.start();
    setup
        .fleet
        .wait_for("the stream", PATIENCE, || setup.fleet.server.log().contains("GET /api/v1/stream").then_some(()));
    let created = setup.cli(&["token", "create", "-o", "json"]).ok().json();
    let id = created["token"]["id"].as_str().expect("a token has an id");
    setup.fleet.wait_for("the event of the token", PATIENCE, || tail.log().contains(id).then_some(()));
    // The command that installs a site leads to the proxy.
    let install = created.to_string();
    assert!(install.contains(&format!("{}/install", setup.url)), "{install}");
    let status = setup.curl(&format!("{}/install", setup.url), &[]);
    assert!(status.as_deref().is_none_or(|status| status == "200"), "{status:?}");
}

#[test]
fn plain_http_is_redirected_to_the_server_url_and_health_checks_are_not() {
    let Some(setup) = Setup::start() else { return };
    let redirected = |path: &str| format!("308 {}{path}", setup.url);
    let Some(answer) = setup.curl(&format!("{}/api/v1/sites?limit=1", setup.plain_url), &[]) else { return };
    assert_eq!(answer, redirected("/api/v1/sites?limit=1"));
    let direct = format!("http://{}", setup.http.address());
    for path in ["/healthz", "/readyz"] {
        assert_eq!(setup.curl(&format!("{direct}{path}"), &[]).as_deref(), Some("200"), "{path}");
    }
    assert_eq!(setup.curl(&format!("{direct}/install"), &[]), Some(redirected("/install")));
}

#[test]
fn the_same_headers_from_an_untrusted_address_change_nothing() {
    let Some(setup) = Setup::start() else { return };
    let direct = format!("http://{}", setup.http.address());
    let Some(answer) = setup.curl(&format!("{direct}/api/v1/sites"), &FORGED) else { return };
    assert_eq!(answer, format!("308 {}/api/v1/sites", setup.url));

    // Over TLS, past the proxy, and through the proxy, which appends the real address.
    let key = format!("Authorization: Bearer {}", setup.fleet.key());
    let report = |url: &str, ca: &str| {
        let line = ["--silent", "--max-time", "20", "--cacert", ca, "--header", &key];
        let url = format!("{url}/api/v1/doctor/request");
        let said = Command::new("curl").args(line).args(FORGED).arg(url).output().expect("curl is installed");
        serde_json::from_slice::<serde_json::Value>(&said.stdout).expect("JSON")
    };
    let own_ca = setup.fleet.server.data().join("ca/certificate.pem").display().to_string();
    let found = report(&format!("https://{}", setup.fleet.server.https()), &own_ca);
    assert_eq!((&found["client"], &found["url"]), (&"127.0.0.1".into(), &(*setup.url).into()), "{found:#}");
    assert_eq!(found["proxy_trusted"], false);
    let headers = found["forwarding_headers"].as_array().expect("headers");
    assert!(headers.len() == 4 && headers.iter().all(|header| header["reason"] == "untrusted-sender"), "{found:#}");
    let found = report(&setup.url, &setup.ca);
    assert_eq!(found["client"], "127.0.0.1", "{found:#}");
    assert_eq!(found["scheme"], "https");
}
