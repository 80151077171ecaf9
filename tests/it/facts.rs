//! Facts that a daemon could not observe keep their last value; facts observed to be absent are removed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use linecamp_tests::{Fleet, Network};

use crate::cli_json::{connected_site, wait_condition, wait_label_at_server, wait_no_condition};

const DOCKER: &str = "io.linecamp.host.docker_version";

/// A fake Docker, which responds, or accepts a request and does not.
struct FakeDocker {
    socket: PathBuf,
    is_slow: Arc<AtomicBool>,
}

impl FakeDocker {
    fn start(socket: PathBuf) -> Self {
        let listener = UnixListener::bind(&socket).expect("a socket can be opened");
        let is_slow = Arc::new(AtomicBool::new(false));
        let slow = Arc::clone(&is_slow);
        // It ends with the test.
        std::thread::spawn(move || {
            let mut unanswered = Vec::new();
            for mut stream in listener.incoming().flatten() {
                let mut request = [0; 256];
                // The client may be gone before the response.
                let _ = stream.read(&mut request);
                if slow.load(Ordering::SeqCst) {
                    unanswered.push(stream);
                } else {
                    let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n{\"Version\":\"29.1.3\"}");
                }
            }
        });
        Self { socket, is_slow }
    }

    fn set_slow(&self, is_slow: bool) {
        self.is_slow.store(is_slow, Ordering::SeqCst);
    }
}

/// A daemon observes its facts when it starts, so each start here is one observation.
#[test]
fn a_slow_docker_keeps_its_label_and_a_removed_one_loses_it() {
    let fleet = Fleet::start();
    let docker = FakeDocker::start(fleet.directory().join("docker.sock"));
    let mut site = fleet.join("camp", &[]);
    site.configure(&format!("docker_socket = \"{}\"\n", docker.socket.display()));
    site.start();
    wait_label_at_server(&fleet, "camp", DOCKER, Some("29.1.3"));

    docker.set_slow(true);
    site.terminate();
    site.start();
    let detail = wait_condition(&fleet, "camp", "facts-stale");
    assert!(detail.contains(DOCKER) && detail.contains("did not answer within 1 s"), "{detail}");
    wait_label_at_server(&fleet, "camp", DOCKER, Some("29.1.3"));

    docker.set_slow(false);
    site.terminate();
    site.start();
    wait_no_condition(&fleet, "camp", "facts-stale");
    wait_label_at_server(&fleet, "camp", DOCKER, Some("29.1.3"));

    fs::remove_file(&docker.socket).expect("it was there");
    site.terminate();
    site.start();
    wait_label_at_server(&fleet, "camp", DOCKER, None);
}

/// The kernel prefers a temporary address for outbound packets and replaces it daily. A DNS record needs a stable one.
#[test]
fn a_temporary_address_is_not_reported() {
    let Some(network) = Network::start() else { return };
    network.use_temporary_ipv6_addresses("2001:db8::5".parse().expect("an address"));
    let fleet = Fleet::start_in(&network);
    let _site = connected_site(&fleet, "camp");
    wait_label_at_server(&fleet, "camp", "io.linecamp.host.address", Some("10.1.0.2,2001:db8::5"));
}
