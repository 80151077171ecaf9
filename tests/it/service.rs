//! What the service manager hears, for which a socket of the test stands, and the units it reads.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use linecamp_tests::{Fleet, PATIENCE, Process, skip};

/// The time after which the manager would give up, in microseconds.
const LIMIT_USEC: &str = "900000";

/// Signs of life that span that time more than twice: three are given within it.
const SIGNS: usize = 7;

/// The manager's end of the socket.
struct Manager(UnixDatagram);

impl Manager {
    /// Lets the process believe that a manager started it, and watches it.
    fn of(process: &mut Process, fleet: &Fleet, name: &str) -> Self {
        let path = fleet.directory().join(name);
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        process.env("NOTIFY_SOCKET", path);
        process.env("WATCHDOG_USEC", LIMIT_USEC);
        Self(socket)
    }

    #[track_caller]
    fn hear(&self) -> String {
        let mut message = [0; 4096];
        let bytes = self.0.recv(&mut message).expect("the manager is told something");
        String::from_utf8_lossy(&message[..bytes]).trim().to_owned()
    }

    /// Hears until it has heard this.
    #[track_caller]
    fn wait(&self, expected: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.hear().starts_with(expected) {
            assert!(Instant::now() < deadline, "nobody says {expected}");
        }
    }

    /// Hears for longer than the manager would wait for a sign of life.
    #[track_caller]
    fn insist_on_life(&self) {
        for _ in 0..SIGNS {
            self.wait("WATCHDOG=1");
        }
    }
}

/// Ready before there is a link, alive without one for longer than the watch lasts, and honest about both.
#[test]
fn a_daemon_tells_its_service_manager_how_it_is() {
    let mut fleet = Fleet::start();
    let mut site = fleet.join("camp", &[]);
    fleet.server.kill();
    let manager = Manager::of(&mut site, &fleet, "site.notify");
    site.start();
    manager.wait("READY=1");
    manager.wait("STATUS=no link, the site works on without the server");
    manager.insist_on_life();
    fleet.start_server();
    manager.wait("STATUS=linked to ");
    assert!(fleet.server.terminate().success());
    manager.wait("STATUS=no link");
    let stopping = std::thread::spawn(move || {
        manager.wait("STOPPING=1");
    });
    assert!(site.terminate().success());
    stopping.join().expect("it says that it stops");
}

#[test]
fn a_server_tells_its_service_manager_how_it_is() {
    let mut fleet = Fleet::start();
    assert!(fleet.server.terminate().success());
    let path = fleet.directory().join("server.notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
    fleet.server.env("NOTIFY_SOCKET", path);
    fleet.server.env("WATCHDOG_USEC", LIMIT_USEC);
    let manager = Manager(socket);
    fleet.start_server();
    manager.wait("READY=1");
    manager.wait("STATUS=https on ");
    manager.insist_on_life();
    assert!(fleet.server.terminate().success());
    manager.wait("STOPPING=1");
}

/// The exposure that systemd counts is at most what is promised, in tenths.
#[test]
fn the_units_are_as_closed_as_promised() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd");
    for (unit, tenths_max) in [("linecampd.service", "20"), ("linecamp-server.service", "25")] {
        let said = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager", "--threshold", tenths_max])
            .arg(units.join(unit))
            .output();
        let said = match said {
            Ok(said) => said,
            Err(error) => return skip(&format!("how closed the units are: no systemd-analyze here ({error})")),
        };
        let words = [said.stdout, said.stderr].concat();
        assert!(said.status.success(), "{unit}: {}", String::from_utf8_lossy(&words));
    }
}
