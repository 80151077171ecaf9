//! Packages and units on machines of Debian 12 and 13, booted by real systemd.
//!
//! The server is a process of the test; a machine has network access to it, and nothing of ours except what is
//! installed.

use std::time::Instant;

use linecamp_tests::{CommandOutput, Fleet, Machine, Port, packages};

/// A watchdog timeout short enough for a test, in seconds.
const WATCHDOG_SECONDS: u64 = 3;

/// A fleet whose server has packages for sites, and a machine.
struct SiteMachine {
    fleet: Fleet,
    machine: Machine,
    /// The configuration that the server reads at every start.
    _config: tempfile::NamedTempFile,
}

impl SiteMachine {
    fn set_up(release: &str) -> Option<Self> {
        let packages = packages()?;
        let machine = Machine::boot(release)?;
        let config = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file can be made");
        let text = format!("site_packages = \"{}\"\n", packages.join("current").display());
        std::fs::write(config.path(), text).expect("a file can be written");
        let fleet = Fleet::start_with(&["--config", config.path().to_str().expect("the path is text")]);
        Some(Self { fleet, machine, _config: config })
    }

    /// Returns the command that `linecamp token create` prints for a bare machine.
    fn install_command(&self) -> String {
        let made = self.fleet.json(&["token", "create", "--label", "region=eu"]);
        made["install"].as_str().expect("the server has packages").to_owned()
    }

    /// Installs the site with that command, as pasted.
    fn install(&self, name: &str) -> CommandOutput {
        let said = self.machine.run(&format!("{} --name {name}", self.install_command())).ok();
        self.fleet.wait_link(name, "connected");
        said
    }

    /// Shortens the watchdog timeout.
    fn shorten_watchdog(&self) {
        let text = format!("[Service]\nWatchdogSec={WATCHDOG_SECONDS}\n");
        self.machine.write("/etc/systemd/system/linecampd.service.d/watch.conf", "644", &text);
        self.machine.run("systemctl daemon-reload && systemctl restart linecampd").ok();
    }

    fn daemon(&self, property: &str) -> String {
        self.machine.property("linecampd", property)
    }

    /// Returns the state of the link, as the daemon reports it.
    fn link_state(&self) -> String {
        let status = self.machine.run("linecampd status --output json").ok().json();
        status["link"]["state"].as_str().expect("a link has a state").to_owned()
    }
}

/// Runs a test on a Debian release; if machines cannot be booted here, the skip has been recorded.
fn on_release(release: &str, test: impl FnOnce(SiteMachine)) {
    if let Some(camp) = SiteMachine::set_up(release) {
        test(camp);
    }
}

#[test]
fn one_command_installs_a_site_on_debian_12() {
    on_release("bookworm", one_line);
}

#[test]
fn one_command_installs_a_site_on_debian_13() {
    on_release("trixie", one_line);
}

/// Installed, active, connected; a second run changes nothing; its secrets and its journal are there; it stops
/// immediately.
fn one_line(camp: SiteMachine) {
    // A local user tries to take over the site: files in /tmp are not trusted.
    camp.machine.write("/tmp/token", "644", "lct_x@127.0.0.1:1\n");
    let said = camp.install("camp-001");
    assert!(said.stderr.contains("camp-001 has joined; its daemon is running and connected to "), "{}", said.stderr);
    assert_eq!(camp.daemon("ActiveState"), "active");
    assert_eq!(camp.daemon("UnitFileState"), "enabled");
    assert_eq!(camp.link_state(), "connected");
    let pid = camp.daemon("MainPID");
    let again = camp.install("camp-001");
    assert!(again.stderr.contains("camp-001 has joined"), "{}", again.stderr);
    assert_eq!(camp.daemon("MainPID"), pid, "the running daemon is not restarted");
    assert_eq!(camp.fleet.json(&["site", "ls"])["items"].as_array().map(Vec::len), Some(1));

    // Members of the group may run commands; the token is nowhere.
    camp.machine.run("useradd --groups linecamp op && runuser -u op -- linecampd status").ok();
    camp.machine.run("useradd nobody-else && ! runuser -u nobody-else -- linecampd status").ok();
    camp.machine.run("! grep -rs lct_ /etc /var/lib /var/log /run --include=* -l").ok();

    let install_command = "journalctl --unit linecampd --output json SITE=camp-001";
    let lines = camp.machine.wait_for("the journal to have fields", || {
        Some(camp.machine.run(install_command).stdout).filter(|lines| lines.contains("\"SESSION\""))
    });
    assert!(lines.contains("\"PRIORITY\""), "{lines}");

    camp.machine.write("/etc/linecamp/linecampd.d/10-log.toml", "644", "log = \"debug\"\n");
    camp.machine.run("systemctl reload linecampd").ok();
    assert_eq!(camp.daemon("MainPID"), pid, "a reload is no restart");
    camp.machine.run("linecampd status").ok();

    let stopping = Instant::now();
    camp.machine.run("systemctl stop linecampd").ok();
    assert_eq!(camp.daemon("Result"), "success", "after {:?}", stopping.elapsed());
}

/// A server that moved without telling: the one command of a new token takes the site to it.
#[test]
fn one_command_points_an_installed_site_at_its_moved_server_on_debian_13() {
    on_release("trixie", |mut camp| {
        camp.install("camp-001");
        assert!(camp.fleet.server.terminate().success());
        camp.fleet.move_server(Port::take());
        let said = camp.install("camp-001");
        assert!(
            said.stderr.contains("camp-001 has joined; its daemon is running and connected to "),
            "{}",
            said.stderr
        );
        assert_eq!(camp.fleet.json(&["site", "ls"])["items"].as_array().map(Vec::len), Some(1));
    });
}

/// Installation from one file, without a download. The server is down at first, so the daemon joins when it is back.
#[test]
fn an_offline_installer_installs_a_site_on_debian_13() {
    on_release("trixie", |mut camp| {
        let file = camp.fleet.directory().join("camp.tar");
        let path = file.to_str().expect("the path is text").to_owned();
        camp.fleet.cli(&["token", "create", "--file", &path]).ok();
        camp.machine.copy(&file, "/srv/camp.tar");
        camp.fleet.server.kill();
        let line = "cd /srv && tar -xf camp.tar && sh linecamp-site/install --name camp-001 --label rack=r7";
        let said = camp.machine.run(line).ok();
        assert!(said.stderr.contains("camp-001: the daemon is running but not connected"), "{}", said.stderr);
        camp.fleet.start_server();
        camp.machine.wait_for("the daemon to join", || {
            camp.fleet.cli(&["site", "show", "camp-001"]).code.filter(|code| *code == 0)
        });
        camp.fleet.wait_link("camp-001", "connected");
        assert!(camp.machine.run("linecampd label ls").ok().stdout.contains("r7"), "the label of the join is kept");
        let said = camp.machine.run("sh /srv/linecamp-site/install --name camp-001").ok();
        assert!(said.stderr.contains("camp-001 has joined"), "{}", said.stderr);
        camp.machine.run("! test -e /etc/linecamp/secrets/join-token").ok();
    });
}

#[test]
fn a_hung_daemon_is_killed_and_an_offline_one_is_not_on_debian_12() {
    on_release("bookworm", hung_daemon);
}

#[test]
fn a_hung_daemon_is_killed_and_an_offline_one_is_not_on_debian_13() {
    on_release("trixie", hung_daemon);
}

fn hung_daemon(mut camp: SiteMachine) {
    camp.install("camp-001");
    camp.shorten_watchdog();
    camp.fleet.wait_link("camp-001", "connected");
    let pid = camp.daemon("MainPID");

    // Offline for three times the watchdog timeout, measured by the watchdog timestamps that systemd recorded.
    camp.fleet.server.kill();
    camp.machine.wait_for("the link to be lost", || (camp.link_state() != "connected").then_some(()));
    let last_ping = || camp.daemon("WatchdogTimestampMonotonic").parse::<u64>().expect("microseconds");
    let offline_since = last_ping();
    camp.machine.wait_for("watchdog pings without a link", || {
        (offline_since + 3 * WATCHDOG_SECONDS * 1_000_000 < last_ping()).then_some(())
    });
    assert_ne!(camp.link_state(), "connected");
    assert_eq!((camp.daemon("MainPID"), camp.daemon("NRestarts")), (pid.clone(), "0".to_owned()));
    camp.fleet.start_server();
    camp.fleet.wait_link("camp-001", "connected");
    assert_eq!(camp.daemon("MainPID"), pid);

    // It is alive but does nothing.
    camp.machine.run(&format!("kill -STOP {pid}")).ok();
    camp.machine.wait_for("the watchdog to kill the daemon", || (camp.daemon("NRestarts") == "1").then_some(()));
    camp.machine.wait_for("the daemon to restart", || (camp.daemon("ActiveState") == "active").then_some(()));
    assert_ne!(camp.daemon("MainPID"), pid);
    assert!(camp.machine.journal().contains("Watchdog timeout"), "{}", camp.machine.journal());
    camp.fleet.wait_link("camp-001", "connected");
}

#[test]
fn a_site_answers_after_a_power_cut_without_a_server_on_debian_12() {
    on_release("bookworm", power_cut);
}

#[test]
fn a_site_answers_after_a_power_cut_without_a_server_on_debian_13() {
    on_release("trixie", power_cut);
}

fn power_cut(mut camp: SiteMachine) {
    camp.install("camp-001");
    camp.fleet.cli(&["site", "label", "camp-001", "tier=gold"]).ok();
    let has_label = |camp: &SiteMachine| camp.machine.run("linecampd label ls").stdout.contains("gold").then_some(());
    camp.machine.wait_for("the label to arrive", || has_label(&camp));
    camp.machine.run("linecampd label set door=3").ok();
    camp.fleet.server.kill();
    camp.machine.power_cut();
    camp.machine.power_on();
    camp.machine.wait_for("the daemon to restart", || (camp.daemon("ActiveState") == "active").then_some(()));
    let labels = camp.machine.run("linecampd label ls").ok().stdout;
    assert!(labels.contains("gold") && labels.contains("door") && labels.contains("region"), "{labels}");
    camp.fleet.start_server();
    camp.fleet.wait_link("camp-001", "connected");
    camp.machine.run("journalctl --verify --quiet").ok();
}

#[test]
fn an_upgrade_keeps_a_site_and_a_purge_leaves_nothing_on_debian_12() {
    on_release("bookworm", upgrade);
}

#[test]
fn an_upgrade_keeps_a_site_and_a_purge_leaves_nothing_on_debian_13() {
    on_release("trixie", upgrade);
}

fn upgrade(camp: SiteMachine) {
    camp.machine.run("dpkg --install /packages/previous/linecampd_*.deb").ok();
    assert_eq!(camp.daemon("ActiveState"), "inactive", "there is nothing to run yet");
    let token = format!("{}@{}", camp.fleet.token(&[]), camp.fleet.server.quic());
    let join = "printf '%s\\n' \"$1\" | runuser -u linecamp -- linecampd join - --name camp-001 --label rack=r7";
    // The daemon could not read what root would write there.
    let refused = camp.machine.run_with("linecampd join \"$1\" --name camp-001", &[&token]).exits(2);
    assert!(refused.stderr.contains("runuser -u"), "{}", refused.stderr);
    camp.machine.run_with(join, &[&token]).ok();
    camp.machine.write("/etc/linecamp/linecampd.d/10-mine.toml", "644", "rancher_labels = false\n");
    camp.machine.run("systemctl start linecampd").ok();
    camp.fleet.wait_link("camp-001", "connected");
    camp.machine.wait_for("the site to have reported", || {
        let labels = camp.fleet.json(&["site", "show", "camp-001"])["labels"].clone();
        labels.as_array().is_some_and(|labels| !labels.is_empty()).then_some(())
    });
    let before = camp.fleet.json(&["site", "show", "camp-001"]);
    let pid = camp.daemon("MainPID");

    camp.install("camp-001");
    assert!(camp.machine.run("dpkg-query -W linecampd").stdout.contains(env!("CARGO_PKG_VERSION")));
    assert_ne!(camp.daemon("MainPID"), pid, "the new version runs");
    let after = camp.fleet.json(&["site", "show", "camp-001"]);
    assert_eq!(after["id"], before["id"]);
    assert_eq!(after["labels"], before["labels"]);
    camp.machine.run("test -e /etc/linecamp/linecampd.d/10-mine.toml").ok();

    camp.machine.run("apt-get remove --yes linecampd").ok();
    camp.machine.run("test -e /var/lib/linecamp/identity/membership.pem && ! pgrep linecampd").ok();
    camp.machine.run("apt-get purge --yes linecampd").ok();
    let left = camp.machine.run(
        "find / -xdev -name '*linecamp*' -not -path '/var/log/*' -not -path '/proc/*' -not -path '/packages/*'; \
         getent passwd linecamp; getent group linecamp; true",
    );
    assert_eq!(left.stdout, "", "a purge leaves nothing");
}

#[test]
fn a_package_of_the_other_format_is_installed_upgraded_and_removed() {
    on_release("trixie-rpm", other_format);
}

/// As an administrator of an RPM distribution expects: enabled and not started, edited files stay, and the data
/// directory outlasts the package. Debian's rpm does not know what dpkg installed.
fn other_format(camp: SiteMachine) {
    let rpm = |install_command: &str| camp.machine.run(&format!("rpm {install_command}")).ok();
    let times = rpm("--query --package --queryformat '[%{FILEMTIMES}\\n]' /packages/current/*.rpm").stdout;
    assert!(
        times.lines().all(|time| Some(time) == times.lines().next()),
        "the only time is that of the last commit: {times}"
    );
    rpm("--install --nodeps /packages/previous/linecampd-*.rpm");
    assert_eq!((camp.daemon("UnitFileState"), camp.daemon("ActiveState")), ("enabled".into(), "inactive".into()));
    let token = format!("{}@{}", camp.fleet.token(&[]), camp.fleet.server.quic());
    let join = "printf '%s\\n' \"$1\" | runuser -u linecamp -- linecampd join - --name camp-001";
    camp.machine.run_with(join, &[&token]).ok();
    camp.machine.run("echo '# mine' >> /etc/linecamp/linecampd.toml && systemctl start linecampd").ok();
    camp.fleet.wait_link("camp-001", "connected");
    let (pid, before) = (camp.daemon("MainPID"), camp.fleet.json(&["site", "show", "camp-001"]));

    rpm("--upgrade --nodeps /packages/current/linecampd-*.rpm");
    assert_eq!(rpm("--query linecampd --queryformat '%{VERSION}'").stdout, env!("CARGO_PKG_VERSION"));
    camp.fleet.wait_link("camp-001", "connected");
    assert_ne!(camp.daemon("MainPID"), pid, "the new version runs");
    assert_eq!(camp.fleet.json(&["site", "show", "camp-001"])["id"], before["id"]);
    camp.machine.run("grep -q '# mine' /etc/linecamp/linecampd.toml").ok();
    rpm("--verify --nodeps linecampd --noconfig");
    let needed = rpm("--query --requires linecampd").stdout;
    assert!(needed.contains("/usr/sbin/useradd") && needed.contains("systemd"), "{needed}");

    rpm("--install --nodeps /packages/current/linecamp-server-*.rpm /packages/current/linecamp-0*.rpm \
         /packages/current/linecamp-plugins-*.rpm");
    assert_eq!(camp.machine.property("linecamp-server", "UnitFileState"), "enabled");
    camp.machine.run("linecamp --version && linecamp-server version").ok();
    camp.machine.run("test \"$(stat --format %U:%a /var/lib/linecamp-server)\" = linecamp-server:700").ok();

    rpm("--erase --nodeps linecampd linecamp-server linecamp linecamp-plugins");
    camp.machine.run("! pgrep linecamp && ! test -e /usr/bin/linecampd").ok();
    camp.machine.run("! systemctl is-enabled linecampd && grep -q '# mine' /etc/linecamp/linecampd.toml.rpmsave").ok();
    camp.machine.run("test -e /var/lib/linecamp/identity/membership.pem").ok();
}

#[test]
fn the_unit_sandbox_confines_the_daemon_on_debian_12() {
    on_release("bookworm", sandbox);
}

#[test]
fn the_unit_sandbox_confines_the_daemon_on_debian_13() {
    on_release("trixie", sandbox);
}

/// Attempts from inside the sandbox; each must be denied, or show what is hidden.
const PROBES: [(&str, &str); 12] = [
    ("write /etc", "touch /etc/probe"),
    ("write /usr", "touch /usr/bin/probe"),
    ("write its own settings", "touch /etc/linecamp/probe"),
    ("read homes", "ls /home/op"),
    ("see other processes", "test -d /proc/1/fd || test -e /proc/1/cmdline"),
    ("mount", "mount -t tmpfs none /tmp"),
    ("make a namespace", "unshare --user true"),
    ("set the clock", "date -s 2030-01-01"),
    ("change the kernel", "sh -c 'echo 1 > /proc/sys/kernel/panic'"),
    ("read the log of the kernel", "dmesg"),
    ("reach devices", "head -c 1 /dev/mem || test -e /dev/kmsg"),
    ("become root", "sh -c 'cp /bin/sh /var/lib/linecamp/sh && chmod u+s /var/lib/linecamp/sh'"),
];

fn sandbox(camp: SiteMachine) {
    camp.install("camp-001");
    camp.machine.write("/etc/linecamp/secrets/pdns-key", "600", "a planted secret");
    camp.machine.run("mkdir -p /home/op && touch /home/op/letter && systemctl stop linecampd").ok();
    let script: String = PROBES
        .iter()
        .map(|(what, install_command)| {
            format!("if {install_command} > /dev/null 2>&1; then echo 'OPEN: {what}'; else echo 'shut: {what}'; fi\n")
        })
        .collect();
    let script = format!("{script}cat \"$CREDENTIALS_DIRECTORY/secret_pdns-key\"\nid -un\n");
    camp.machine.write("/usr/local/bin/probe", "755", &format!("#!/bin/sh\n{script}"));
    // The shipped unit, with another program.
    let unit = "sed -e 's|^ExecStart=.*|ExecStart=/usr/local/bin/probe|; s/^Type=.*/Type=oneshot/; s/^Restart=.*/Restart=no/; \
                s/^WatchdogSec=.*//' /lib/systemd/system/linecampd.service > /etc/systemd/system/probe.service";
    camp.machine.run(&format!("{unit} && systemctl daemon-reload && systemctl start probe")).ok();
    let said = camp.machine.run("journalctl --unit probe --output cat").ok().stdout;
    assert!(!said.contains("OPEN: "), "{said}");
    assert_eq!(said.matches("shut: ").count(), PROBES.len(), "{said}");
    assert!(said.contains("a planted secret") && said.contains("linecamp"), "{said}");

    // The daemon itself has the secret, and works in the sandbox.
    camp.machine.run("systemctl start linecampd && ls /run/credentials/linecampd.service/secret_pdns-key").ok();
    camp.fleet.wait_link("camp-001", "connected");
}
