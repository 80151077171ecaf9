//! Notifications to the service manager, which the test simulates with a socket, and the unit files.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use linecamp_tests::{Fleet, PATIENCE, Process, Site, skip};
use rustix::process::Signal;

/// The watchdog timeout, in microseconds.
const WATCHDOG_USEC: &str = "900000";

/// Watchdog notifications that span more than twice that time: three are sent within it.
const PINGS: usize = 7;

/// The manager's end of the socket.
struct Manager(UnixDatagram);

impl Manager {
    /// Starts the process under a fake service manager with a watchdog.
    fn of(process: &mut Process, directory: &Path, name: &str) -> Self {
        let path = directory.join(name);
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        process.env("NOTIFY_SOCKET", path);
        process.env("WATCHDOG_USEC", WATCHDOG_USEC);
        Self(socket)
    }

    #[track_caller]
    fn receive(&self) -> String {
        let mut message = [0; 4096];
        let bytes = self.0.recv(&mut message).expect("a notification arrives");
        String::from_utf8_lossy(&message[..bytes]).trim().to_owned()
    }

    /// Receives until this notification.
    #[track_caller]
    fn wait(&self, expected: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.receive().starts_with(expected) {
            assert!(Instant::now() < deadline, "no notification {expected}");
        }
    }

    /// Receives until a status that contains this text.
    #[track_caller]
    fn wait_status(&self, part: &str) {
        let deadline = Instant::now() + PATIENCE;
        let is_it = |said: String| said.starts_with("STATUS=") && said.contains(part);
        while !is_it(self.receive()) {
            assert!(Instant::now() < deadline, "no status contains {part}");
        }
    }

    /// Receives for longer than the watchdog timeout.
    #[track_caller]
    fn expect_watchdog_pings(&self) {
        for _ in 0..PINGS {
            self.wait("WATCHDOG=1");
        }
    }
}

/// Ready before there is a link, alive without one for longer than the watchdog timeout, with a status for both.
#[test]
fn a_daemon_reports_its_state_to_the_service_manager() {
    let mut fleet = Fleet::start();
    let mut site = fleet.join("camp", &[]);
    fleet.server.kill();
    let manager = Manager::of(&mut site, fleet.directory(), "site.notify");
    site.start();
    manager.wait("READY=1");
    manager.wait("STATUS=offline");
    manager.expect_watchdog_pings();
    fleet.start_server();
    manager.wait("STATUS=connected to ");
    assert!(fleet.server.terminate().success());
    manager.wait("STATUS=offline");
    let stopping = std::thread::spawn(move || {
        manager.wait("STOPPING=1");
    });
    assert!(site.terminate().success());
    stopping.join().expect("it reports that it stops");
}

#[test]
fn a_server_reports_its_state_to_the_service_manager() {
    let mut fleet = Fleet::start();
    assert!(fleet.server.terminate().success());
    let directory = fleet.directory().to_owned();
    let manager = Manager::of(&mut fleet.server, &directory, "server.notify");
    fleet.start_server();
    manager.wait("READY=1");
    manager.wait("STATUS=https on ");
    manager.expect_watchdog_pings();
    assert!(fleet.server.terminate().success());
    manager.wait("STOPPING=1");
}

/// Settings apply immediately if possible, those that need a new link get one from the same process, and an invalid
/// configuration changes nothing.
#[test]
fn a_reloaded_daemon_applies_what_it_can_and_reports_the_rest() {
    let fleet = Fleet::start();
    let mut site = fleet.join("camp", &[]);
    let manager = Manager::of(&mut site, fleet.directory(), "site.notify");
    site.configure("log = \"info\"\n");
    site.start();
    manager.wait("STATUS=connected to ");
    let id = site.id();
    let reload = |site: &mut Site, text: &str| {
        site.configure(text);
        site.signal(Signal::HUP);
        manager.wait("RELOADING=1\nMONOTONIC_USEC=");
    };

    assert!(!site.log().contains("DEBUG"));
    reload(&mut site, "log = \"debug\"\n");
    manager.wait("READY=1");
    site.local(&["status"]).ok();
    fleet.wait_for("a line of the level debug", PATIENCE, || site.log().contains("DEBUG local request").then_some(()));

    let label = ["label", "set", "door=3"];
    reload(&mut site, "log = \"debug\"\n[link]\nmetered = true\n");
    site.local(&label).ok();
    manager.wait("STATUS=connected to ");
    assert!(site.log().contains("link.metered changed, reconnecting"));

    reload(&mut site, "log = \"warn\"\nsevers = []\n");
    manager.wait_status("; configuration reload failed: ");
    manager.wait("READY=1");
    assert!(site.log().contains("camp.toml: line 2: unknown field `severs`"), "{}", site.log());
    assert!(site.log().contains("keeping the previous one"));
    reload(&mut site, "");
    manager.wait("STATUS=connected to ");
    let shown = site.local(&["label", "ls"]).ok().stdout;
    assert!(shown.contains("door"), "{shown}");
    assert_eq!(site.id(), id, "the process is the same");
    assert!(site.terminate().success());
}

#[test]
fn a_reloaded_server_applies_what_it_can_and_reports_the_rest() {
    let mut fleet = Fleet::start();
    let directory = fleet.directory().to_owned();
    assert!(fleet.server.terminate().success());
    let manager = Manager::of(&mut fleet.server, &directory, "server.notify");
    fleet.start_server();
    let path = fleet.server.data().join("server.d");
    std::fs::create_dir(&path).expect("a folder");
    let mut reload = |text: &str| {
        std::fs::write(path.join("10-own.toml"), text).expect("a drop-in");
        fleet.server.signal(Signal::HUP);
        manager.wait("RELOADING=1\nMONOTONIC_USEC=");
    };

    reload("link_addresses = [\"camp.example:7\"]\ncertificate_life = \"1d\"\n");
    manager.wait_status("; restart needed for: certificate_life");
    manager.wait("READY=1");
    reload("certificate_life = \"never\"\n");
    manager.wait_status("; configuration reload failed: ");
    manager.wait("READY=1");
    assert!(fleet.server.log().contains("10-own.toml: line 1: certificate_life is `never`"));
    let token = fleet.cli(&["token", "create", "-q"]).ok().stdout;
    assert!(token.trim().ends_with("@camp.example:7"), "{token}");
}

/// The exposure level of `systemd-analyze security` is at most the promised one, in tenths.
#[test]
fn the_units_are_sandboxed_as_specified() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd");
    for (unit, tenths_max) in [("linecampd.service", "20"), ("linecamp-server.service", "25")] {
        let said = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager", "--threshold", tenths_max])
            .arg(units.join(unit))
            .output();
        let said = match said {
            Ok(said) => said,
            Err(error) => return skip("systemd-analyze", &error.to_string()),
        };
        let words = [said.stdout, said.stderr].concat();
        assert!(said.status.success(), "{unit}: {}", String::from_utf8_lossy(&words));
    }
}
