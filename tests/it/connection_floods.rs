//! Clients that occupy connections without using them, at the server's ports and at a site's socket.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use linecamp_tests::{Fleet, skip};
use rustix::process::geteuid;

use crate::cli_json::connected_site;

/// Less than the timeout of an idle connection (10 s): a request served within it did not wait for the others to
/// disconnect.
const RESPONSE_MAX: Duration = Duration::from_secs(8);

/// Requests a page from the server; returns its status.
fn http_status(fleet: &Fleet, path: &str) -> std::io::Result<String> {
    fleet.http(path).map(|(status, _)| status)
}

#[test]
fn idle_connections_do_not_lock_operators_out_of_the_server() {
    let packages = tempfile::tempdir().expect("a directory");
    let package = format!("linecampd_{}_amd64.deb", env!("CARGO_PKG_VERSION"));
    fs::write(packages.path().join(&package), "a package").expect("a file");
    let config = packages.path().join("server.toml");
    fs::write(&config, format!("site_packages = {:?}\n", packages.path())).expect("a file");
    let fleet = Fleet::start_with(&["--config", config.to_str().expect("text")]);
    let idle_clients: Vec<_> = (0..300)
        .map(|number| {
            let mut stream = TcpStream::connect(fleet.server.https()).expect("the port is open");
            if number % 2 == 0 {
                // The start of a handshake.
                stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]).expect("it is read");
            }
            stream
        })
        .collect();
    let since = Instant::now();
    fleet.cli(&["site", "ls"]).ok();
    assert!(since.elapsed() < RESPONSE_MAX, "an operator waited {:?}", since.elapsed());
    match http_status(&fleet, "/metrics") {
        Ok(status) => {
            let install = [http_status(&fleet, "/install"), http_status(&fleet, &format!("/install/{package}"))];
            let statuses = install.map(|status| status.expect("curl is installed"));
            assert_eq!((&*status, statuses), ("200", ["200".to_owned(), "200".to_owned()]));
            assert!(since.elapsed() < RESPONSE_MAX, "metrics and an installation waited {:?}", since.elapsed());
        }
        Err(error) => {
            skip("curl", &format!("metrics and an installation during a connection flood: curl not found ({error})"))
        }
    }
    let _site = connected_site(&fleet, "camp");
    drop(idle_clients);
}

/// Opens the given number of connections, sends the given text on each, reports that, prints the response on the first
/// one, and exits at the end of its standard input. Perl is on every Debian.
const CLIENT: &str = r#"
    use Socket;
    my ($path, $times, $words) = @ARGV;
    my @open;
    for (1 .. $times) {
        socket(my $one, PF_UNIX, SOCK_STREAM, 0) or die "$!";
        connect($one, sockaddr_un($path)) or die "$!";
        syswrite($one, $words) if length $words;
        push @open, $one;
    }
    $| = 1;
    print "open\n";
    if (length $words) { my $first = $open[0]; print while <$first>; }
    <STDIN>;
"#;

/// A process of another user that holds connections open. Dropping it stops it.
struct Client(Child, BufReader<ChildStdout>);

impl Client {
    fn start(user: u32, socket: &Path, times: usize, words: &str) -> std::io::Result<Self> {
        let mut child = Command::new("perl")
            .args(["-e", CLIENT])
            .arg(socket)
            .args([&times.to_string(), words])
            .current_dir("/")
            .uid(user)
            .gid(user)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stdout.take().expect("stdio is piped"));
        let mut line = String::new();
        said.read_line(&mut line)?;
        assert_eq!(line, "open\n", "the connections are open");
        Ok(Self(child, said))
    }

    /// Returns the body of the response, which is one line.
    fn answer(&mut self) -> String {
        let mut lines = (&mut self.1).lines().map(|line| line.expect("it prints the response"));
        let _blank = lines.find(|line| line.trim_end().is_empty());
        lines.next().unwrap_or_default()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have exited already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn connections_of_one_user_do_not_lock_root_out_of_the_local_socket() {
    if !geteuid().is_root() {
        return skip("root", "idle local connections of another user: requires root");
    }
    let fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    let socket = site.data().join("linecampd.sock");
    for open in [fleet.directory(), site.data()] {
        fs::set_permissions(open, Permissions::from_mode(0o711)).expect("it is ours");
    }
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).expect("it is ours");
    let idle_clients = match Client::start(4_000_001, &socket, 200, "") {
        Ok(idle_clients) => idle_clients,
        Err(error) => {
            return skip("perl", &format!("idle local connections of another user: perl not found ({error})"));
        }
    };
    let since = Instant::now();
    site.local(&["status"]).ok();
    assert!(since.elapsed() < Duration::from_secs(1), "root waited {:?}", since.elapsed());

    let mut other = Client::start(4_000_002, &socket, 1, "GET /v1/status HTTP/1.1\r\n\r\n").expect("perl is installed");
    let answer = other.answer();
    assert!(answer.contains("daemon_version"), "{answer}");
    drop(idle_clients);
}
