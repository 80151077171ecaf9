//! The commands of the operators' pages, as pasted, at a site and a server that run.

use std::collections::BTreeSet;
use std::fs;

use linecamp_model::GapCause;
use linecamp_tests::{Fleet, PATIENCE, Port, Site, plugin, skip};

use crate::cli_json::connected_site;
use crate::markdown_page::{Block, Page};
use crate::shell::Shell;

/// The site in the pages' examples.
const SITE: &str = "camp-042";

/// A server and a site in the directories of this test instead of those of the packages.
struct PageSetup {
    fleet: Fleet,
    site: Site,
}

impl PageSetup {
    fn start() -> Self {
        let fleet = Fleet::start();
        let site = connected_site(&fleet, SITE);
        fs::create_dir(fleet.directory().join("linecampd.d")).expect("a directory can be made");
        Self { fleet, site }
    }

    fn page(&self, path: &str) -> Page {
        let text = |path: &std::path::Path| path.display().to_string();
        let plugins = plugin("dns-powerdns");
        Page::read(path).with(&[
            ("/var/lib/linecamp-server", &text(self.fleet.server.data())),
            ("/var/lib/linecamp", &text(self.site.data())),
            ("/run/linecamp", &text(self.site.data())),
            ("/etc/linecamp", &text(self.fleet.directory())),
            ("target/wasm32-wasip2/release", &text(plugins.parent().expect("a folder"))),
        ])
    }

    /// Starts a shell of an operator who is logged in, in which both services' programs find their directories.
    fn shell(&self) -> Shell {
        let fleet = &self.fleet;
        let checkout = format!("{}/..", std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the directory"));
        let variables = [
            ("LINECAMP_URL", fleet.url()),
            ("LINECAMP_PIN", fleet.pin()),
            ("LINECAMP_KEY", fleet.key()),
            ("LINECAMP", &checkout),
        ];
        let mut shell = Shell::start(fleet.directory(), &variables);
        shell.run(&format!(
            "linecampd() {{\n case \"$1 $*\" in config*|plugin*|*--data*) command linecampd \"$@\";;\n\
             *) command linecampd \"$@\" --data '{}';; esac\n}}\n\
             linecamp-server() {{\n case \"$1\" in doctor) command linecamp-server \"$@\" --data '{}';;\n\
             *) command linecamp-server \"$@\";; esac\n}}\n",
            self.site.data().display(),
            fleet.server.data().display()
        ));
        shell
    }

    /// Runs all commands of a page; returns them with their output.
    fn follow(&self, path: &str) -> String {
        let mut shell = self.shell();
        let page = self.page(path);
        let blocks: Vec<Block<'_>> = page
            .blocks()
            .into_iter()
            .filter(|block| !["toml", "yaml", "json", "text"].contains(&block.language))
            .collect();
        shell.follow(&blocks);
        shell.transcript().to_owned()
    }
}

#[test]
fn every_command_about_labels_works_as_pasted() {
    let said = PageSetup::start().follow("packaging/docs/labels.md");
    assert!(said.contains(SITE) && said.contains("door"), "{said}");
}

#[test]
fn every_command_about_bulk_actions_works_as_pasted() {
    let setup = PageSetup::start();
    setup.fleet.cli(&["site", "label", SITE, "rack=r7"]).ok();
    let said = setup.follow("packaging/docs/bulk-actions.md");
    assert!(said.contains("1 site matches") || said.contains("applied"), "{said}");
    assert!(said.contains("deactivate  key admin"), "{said}");
}

#[test]
fn every_command_about_users_works_as_pasted() {
    let said = PageSetup::start().follow("packaging/docs/users.md");
    assert!(said.contains("operator, admin in lab") && said.contains("secret written to ci.key"), "{said}");
}

#[test]
fn every_command_about_hosts_that_join_works_as_pasted() {
    let mut setup = PageSetup::start();
    let port = Port::take();
    let address = port.address();
    setup.site.terminate();
    setup.site.configure(&format!("[hosts]\nlisten = \"{address}\"\naddresses = [\"{address}\"]\n"));
    setup.site.start();
    let is_up = || (setup.site.local(&["status"]).code == Some(0)).then_some(());
    setup.fleet.wait_for("the gateway to answer", PATIENCE, is_up);
    let page = setup.page("packaging/docs/joining-hosts.md");
    let blocks = page.blocks();
    let [at_gateway, at_host, at_server] = blocks.as_slice() else { panic!("gateway, host and server") };
    let mut shell = setup.shell();
    let token = shell.run(at_gateway.text);
    let press = setup.fleet.site("press");
    fs::write(setup.fleet.directory().join("token"), &token).expect("the file can be written");
    // The machine of the host has no package: the command is run by this user, with a directory of its own.
    let command = format!("runuser() {{ shift 3; command \"$@\" --data '{}'; }}\n", press.data().display());
    shell.run(&command);
    let said = shell.run(at_host.text);
    assert!(said.contains("press"), "{said}");
    let hosts = shell.run("linecampd host ls\n");
    assert!(hosts.contains("press") && hosts.contains("custom"), "{hosts}");
    let added = shell.run(at_server.text);
    assert!(added.contains("--host --site camp-042"), "{added}");
}

#[test]
fn every_command_about_identity_providers_works_as_pasted() {
    let setup = PageSetup::start();
    fs::create_dir_all(setup.fleet.server.data().join("server.d")).expect("a directory can be made");
    let said = setup.follow("packaging/docs/oidc.md");
    assert!(said.contains("60-oidc.toml"), "{said}");
}

#[test]
fn every_command_about_configuration_works_as_pasted() {
    let said = PageSetup::start().follow("packaging/docs/configuration.md");
    assert!(said.contains("10-log.toml") && said.contains("#[secrets.pdns-key]"), "{said}");
}

#[test]
fn every_command_about_backups_works_as_pasted() {
    let said = PageSetup::start().follow("packaging/docs/backup.md");
    assert!(said.contains("verified: 1 site, ") && said.contains("held until an operator accepts them"), "{said}");
}

#[test]
fn every_command_about_moving_the_server_works_as_pasted() {
    let said = PageSetup::start().follow("packaging/docs/moving-the-server.md");
    assert!(said.contains("50-addresses.toml") && said.contains("servers"), "{said}");
}

#[test]
fn every_command_about_the_audit_log_works_as_pasted() {
    let said = PageSetup::start().follow("packaging/docs/audit.md");
    assert!(said.contains("site.join") && said.contains("entries verified"), "{said}");
}

#[test]
fn every_command_about_the_history_of_a_link_works_as_pasted() {
    let said = PageSetup::start().follow("packaging/docs/link-history.md");
    assert!(said.contains(r#""items""#), "{said}");
    // The page names every cause.
    let page = Page::read("packaging/docs/link-history.md");
    for cause in GapCause::ALL {
        assert!(page.text().contains(&format!("| `{cause}` |")), "the page explains {cause}");
    }
}

#[test]
fn every_command_about_replacing_the_certificate_authority_works_as_pasted() {
    let setup = PageSetup::start();
    // Each block waits for the site, as a reader does.
    let mut shell = setup.shell();
    let page = setup.page("packaging/docs/certificate-authority.md");
    for block in page.blocks() {
        setup.fleet.wait_for("the site to follow", PATIENCE, || {
            (setup.fleet.json(&["ca", "status"])["waiting"] == 0).then_some(())
        });
        shell.follow(&[block]);
    }
    let said = shell.transcript();
    for word in ["1 of 1 sites", "LINECAMP_PIN=sha256:", "No replacement is in progress"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn every_command_about_troubleshooting_works_as_pasted() {
    let setup = PageSetup::start();
    let said = setup.follow("packaging/docs/troubleshooting.md");
    for word in ["site-joined", "active"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(setup.fleet.directory().join("camp-042-site.tar.gz").exists(), "{said}");
    // The page names every check.
    let page = Page::read("packaging/docs/troubleshooting.md");
    let data = setup.fleet.server.data().display().to_string();
    let server = setup.fleet.run("linecamp-server", &["doctor", "--data", &data, "-o", "json"], &[]);
    for report in [setup.site.local(&["doctor", "-o", "json"]).json(), server.json()] {
        for check in report["checks"].as_array().expect("checks") {
            let name = check["name"].as_str().expect("a name");
            assert!(page.text().contains(&format!("`{name}`")), "the page names the check {name}");
        }
    }
}

#[test]
fn every_command_about_metrics_works_as_pasted_and_every_metric_is_listed() {
    if std::process::Command::new("curl").arg("--version").output().is_err() {
        return skip("curl", "curl is not installed");
    }
    let setup = PageSetup::start();
    fs::copy(setup.fleet.server.data().join("ca/certificate.pem"), setup.fleet.directory().join("server-ca.pem"))
        .expect("the certificate can be copied");
    let said = setup.follow("packaging/docs/metrics.md");
    let printed: BTreeSet<&str> =
        said.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_whitespace().next()).collect();
    let page = Page::read("packaging/docs/metrics.md");
    let (_, lists) = page.text().split_once("## Metrics of the server").expect("the page lists metrics");
    let listed: BTreeSet<&str> = lists.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(listed, printed);
}

#[test]
fn every_command_about_the_local_api_works_as_pasted() {
    if std::process::Command::new("curl").arg("--version").output().is_err() {
        return skip("curl", "curl is not installed");
    }
    let said = PageSetup::start().follow("packaging/docs/local-api.md");
    assert!(said.contains(r#""link":{"state":"connected""#) && said.contains(r#""key":"rack","value":"r7""#), "{said}");
}

#[test]
fn every_command_about_the_api_works_as_pasted() {
    if std::process::Command::new("curl").arg("--version").output().is_err() {
        return skip("curl", "curl is not installed");
    }
    let said = PageSetup::start().follow("packaging/docs/api.md");
    assert!(said.contains("3.1.0"), "{said}");
}

#[test]
fn every_command_for_plugin_authors_works_as_pasted() {
    let said = PageSetup::start().follow("packaging/docs/plugin-authors.md");
    assert!(said.contains("dns-powerdns"), "{said}");
}

/// The simulator is the tests' own build, and shorter runs: the page's take a release build.
#[test]
fn every_command_about_the_simulator_works_as_pasted() {
    let setup = tempfile::tempdir().expect("a temporary folder");
    let mut shell = Shell::start(setup.path(), &[]);
    shell.run("sim() { case $1 in run) linecamp-sim \"$@\" --sites 8 --days 0.25;; *) linecamp-sim \"$@\";; esac; }");
    let page = Page::read("packaging/docs/simulator.md")
        .with(&[("cargo xtask sim", "sim"), ("seed=7 sites=12", "seed=7 sites=8 days=0.25")]);
    shell.follow(&page.blocks());
    assert!(setup.path().join("smoke.html").exists(), "{}", shell.transcript());
}
