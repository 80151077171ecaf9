//! A server, its sites, and the operator's login.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::cli::CommandOutput;
use crate::logs::Logs;
use crate::namespace::NetworkNamespace;
use crate::network::Network;
use crate::ports::Port;
use crate::process::Process;
use crate::wait::{PATIENCE, wait_until};

/// One test's environment. Declare it before the sites, so that it is dropped last, when it checks all logs.
#[derive(Debug)]
pub struct Fleet {
    /// The server.
    pub server: Server,
    url: String,
    pin: String,
    key: String,
    /// The one-time password of the user `admin`.
    password: String,
    logs: Logs,
    expected_errors: Vec<String>,
    topology: Topology,
    arguments: Vec<String>,
    directory: TempDir,
}

impl Fleet {
    /// Sets up a server, starts it, and waits until it listens.
    ///
    /// # Panics
    /// If the server does not start, with its log. The other methods panic likewise.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Like [`Fleet::start`], with more arguments for `linecamp-server run`.
    pub fn start_with(arguments: &[&str]) -> Self {
        let port = Port::take();
        let topology = Topology {
            address: port.address(),
            listen: port.address(),
            server_side: NetworkNamespace::default(),
            site_side: NetworkNamespace::default(),
        };
        Self::start_on(topology, Some(port), arguments)
    }

    /// Like [`Fleet::start`], across a router: the server and its operators on one side, every site on the other.
    pub fn start_in(network: &Network) -> Self {
        Self::start_in_with(network, &[])
    }

    /// Like [`Fleet::start_in`], with more arguments for `linecamp-server run`.
    pub fn start_in_with(network: &Network, arguments: &[&str]) -> Self {
        let (server_side, site_side) = (network.server().clone(), network.site().clone());
        let (address, listen) = (network.server_address(), network.listen_address());
        Self::start_on(Topology { address, listen, server_side, site_side }, None, arguments)
    }

    fn start_on(topology: Topology, port: Option<Port>, arguments: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("linecamp-it-").tempdir().expect("a directory can be made");
        let logs = Logs::default();
        let url = format!("https://{}", topology.address);
        let data = directory.path().join("server");
        let text = data.to_str().expect("the path is text");
        let init = ["init", "--data", text, "--server-url", &url];
        let init = topology.server_side.run("linecamp-server", &init, &[], directory.path()).ok();
        let process = server_process(&topology, &data, arguments, directory.path(), &logs);
        let server = Server { process, address: topology.address, data, _port: port };
        let (pin, key) = (init.word_after("pin:"), init.word_after("admin key:"));
        let password = init.word_after("admin password:");
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let expected_errors = Vec::new();
        let mut fleet = Self { server, url, pin, key, password, logs, expected_errors, topology, arguments, directory };
        fleet.start_server();
        fleet
    }

    /// Restarts a server that was killed or has exited, on the same ports, and waits until it listens.
    pub fn start_server(&mut self) {
        let before = self.server.log().len();
        self.server.process.start();
        let server = &self.server;
        for marker in ["https listening on", "quic listening on"] {
            self.wait_for(marker, PATIENCE, || server.log()[before..].contains(marker).then_some(()));
        }
    }

    /// Moves a server that was killed or has exited to this port, with its URL, and waits until it listens.
    pub fn move_server(&mut self, port: Port) {
        self.move_server_to(port.address());
        self.server._port = Some(port);
    }

    /// Like [`Fleet::move_server`], to an address that the server's host has.
    pub fn move_server_to(&mut self, address: SocketAddr) {
        (self.topology.address, self.topology.listen) = (address, address);
        let url = format!("https://{address}");
        let config = self.server.data.join("server.toml");
        let text = std::fs::read_to_string(&config).expect("the configuration is there");
        std::fs::write(&config, text.replace(&self.url, &url)).expect("the configuration is writable");
        self.url = url;
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let home = self.directory.path();
        self.server.process = server_process(&self.topology, &self.server.data, &arguments, home, &self.logs);
        self.server.address = address;
        self.start_server();
    }

    /// Runs `linecamp` as the admin.
    pub fn cli(&self, arguments: &[&str]) -> CommandOutput {
        let login = [("LINECAMP_URL", &*self.url), ("LINECAMP_PIN", &*self.pin), ("LINECAMP_KEY", &*self.key)];
        self.topology.server_side.run("linecamp", arguments, &login, self.directory.path())
    }

    /// Returns what runs `linecamp` as the admin, also while the server is restarted.
    pub fn admin(&self) -> impl Fn(&[&str]) -> CommandOutput + Sync + use<> {
        let (side, home) = (self.topology.server_side.clone(), self.directory.path().to_owned());
        let (url, pin, key) = (self.url.clone(), self.pin.clone(), self.key.clone());
        move |arguments| {
            let login = [("LINECAMP_URL", &*url), ("LINECAMP_PIN", &*pin), ("LINECAMP_KEY", &*key)];
            side.run("linecamp", arguments, &login, &home)
        }
    }

    /// Runs `linecamp` as the admin where the sites are, with the server at this URL.
    pub fn cli_at_site(&self, url: &str, arguments: &[&str]) -> CommandOutput {
        let login = [("LINECAMP_URL", url), ("LINECAMP_PIN", &*self.pin), ("LINECAMP_KEY", &*self.key)];
        self.topology.site_side.run("linecamp", arguments, &login, self.directory.path())
    }

    /// Runs any of the programs with these environment variables, and without a login.
    pub fn run(&self, program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> CommandOutput {
        self.topology.server_side.run(program, arguments, variables, self.directory.path())
    }

    /// Returns any of the programs as a process of this test with its own log, not yet started.
    pub fn process(&self, program: &'static str, arguments: &[&str], log: &str) -> Process {
        let (home, arguments) = (self.directory.path(), arguments.iter().map(OsString::from).collect());
        Process::new(program, arguments, home, home.join(log), &self.logs)
    }

    /// Runs `linecamp … -o json` as the admin, asserts that it succeeds, and returns the parsed output.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.cli(&[arguments, &["-o", "json"]].concat()).ok().json()
    }

    /// Creates a join token; `arguments` are passed to `linecamp token create`. Returns the secret without an address.
    #[track_caller]
    pub fn token(&self, arguments: &[&str]) -> String {
        let made = self.cli(&[&["token", "create", "-q"], arguments].concat()).ok();
        let join = made.stdout.trim();
        join.split_once('@').map_or(join, |(token, _)| token).to_owned()
    }

    /// Joins a site directly to the server, with its own token. Its daemon is not started.
    #[track_caller]
    pub fn join(&self, name: &str, arguments: &[&str]) -> Site {
        let token = self.token(&[]);
        self.join_by(name, &token, self.server.quic(), arguments)
    }

    /// Joins a site with this token through this address, such as a proxy's. Its daemon is not started.
    #[track_caller]
    pub fn join_by(&self, name: &str, token: &str, server: SocketAddr, arguments: &[&str]) -> Site {
        self.try_join(name, token, server, arguments).ok();
        self.site(name)
    }

    /// Runs `linecampd join`, which may fail.
    pub fn try_join(&self, name: &str, token: &str, server: SocketAddr, arguments: &[&str]) -> CommandOutput {
        self.try_join_at(name, token, &server.to_string(), arguments)
    }

    /// Like [`Fleet::try_join`], with the server's address as it stands in a token, such as `camp.example:8443`.
    pub fn try_join_at(&self, name: &str, token: &str, server: &str, arguments: &[&str]) -> CommandOutput {
        let data = self.directory.path().join(name);
        let (target, data) = (format!("{token}@{server}"), data.to_str().expect("the path is text"));
        let line = [&["join", &*target, "--data", data, "--name", name], arguments].concat();
        self.topology.site_side.run("linecampd", &line, &[], self.directory.path())
    }

    /// Returns a site whose directory exists. Its daemon is not started.
    pub fn site(&self, name: &str) -> Site {
        Site::new(name, self.directory.path(), &self.logs, &self.topology.site_side)
    }

    /// Copies the directory of a stopped site, like a disk clone.
    #[track_caller]
    pub fn clone_disk(&self, of: &Site, name: &str) -> Site {
        let copied = Command::new("cp").args(["-a".as_ref(), of.data(), &self.directory.path().join(name)]).status();
        assert!(copied.is_ok_and(|status| status.success()), "the directory is copied");
        self.site(name)
    }

    /// Waits until the server reports this state of the site's link, such as `connected`.
    #[track_caller]
    pub fn wait_link(&self, name: &str, state: &str) {
        self.wait_for(&format!("the link of {name} to be {state}"), PATIENCE, || {
            (self.json(&["site", "show", name])["link"]["state"] == state).then_some(())
        });
    }

    /// Waits until the condition returns a value, and returns it.
    ///
    /// # Panics
    /// With the end of every log, if the time is up first.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, timeout: Duration, condition: impl FnMut() -> Option<T>) -> T {
        let found = wait_until(timeout, condition);
        found.unwrap_or_else(|| panic!("waited {timeout:?} for: {what}\n{}", self.logs.tails()))
    }

    /// Expects log lines at level ERROR that contain this text.
    pub fn expect_error(&mut self, text: &str) {
        self.expected_errors.push(text.to_owned());
    }

    /// Returns the directory that holds all files of this test.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the server's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the server's pin, `sha256:…`.
    pub fn pin(&self) -> &str {
        &self.pin
    }

    /// Returns the one-time password of the user `admin`.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns the admin's API key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.server.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.logs.tails());
            return;
        }
        let errors = self.logs.errors(&self.expected_errors);
        assert!(
            errors.is_empty(),
            "log lines with level ERROR fail a test:\n{}\n{}",
            errors.join("\n"),
            self.logs.tails()
        );
    }
}

/// The server's address, where it listens, the network of the server and its operators, and the network of the sites.
#[derive(Debug)]
struct Topology {
    address: SocketAddr,
    listen: SocketAddr,
    server_side: NetworkNamespace,
    site_side: NetworkNamespace,
}

fn server_process(topology: &Topology, data: &Path, more: &[&str], home: &Path, logs: &Logs) -> Process {
    let address = topology.listen.to_string();
    let mut arguments: Vec<OsString> = vec!["run".into(), "--data".into(), data.into()];
    arguments.extend(["--https", &*address, "--quic", &*address].map(OsString::from));
    arguments.extend(more.iter().map(OsString::from));
    Process::new("linecamp-server", arguments, home, home.join("server.log"), logs).within(topology.server_side.clone())
}

/// A server's process, with its exclusive port.
#[derive(Debug)]
pub struct Server {
    process: Process,
    address: SocketAddr,
    data: PathBuf,
    /// Keeps other tests off the port on a shared network.
    _port: Option<Port>,
}

impl Server {
    /// Returns the address for sites.
    pub fn quic(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address for operators.
    pub fn https(&self) -> SocketAddr {
        self.address
    }

    /// Returns its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }
}

impl Deref for Server {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// A site's daemon.
#[derive(Debug)]
pub struct Site {
    process: Process,
    name: String,
    data: PathBuf,
    home: PathBuf,
    namespace: NetworkNamespace,
}

impl Site {
    fn new(name: &str, home: &Path, logs: &Logs, namespace: &NetworkNamespace) -> Self {
        let data = home.join(name);
        let arguments = vec!["run".into(), "--data".into(), data.clone().into()];
        let process = Process::new("linecampd", arguments, home, home.join(format!("{name}.log")), logs);
        let (process, namespace) = (process.within(namespace.clone()), namespace.clone());
        Self { process, name: name.to_owned(), data, home: home.to_owned(), namespace }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Sets a configuration file for later starts.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn configure(&mut self, text: &str) {
        let path = self.home.join(format!("{}.toml", self.name));
        if !path.exists() {
            self.process.argument("--config");
            self.process.argument(&path);
        }
        std::fs::write(path, text).expect("a configuration can be written");
    }

    /// Runs `linecampd VERB … --data DIR`: the local command line.
    pub fn local(&self, arguments: &[&str]) -> CommandOutput {
        let data = self.data.to_str().expect("the path is text");
        self.namespace.run("linecampd", &[arguments, &["--data", data]].concat(), &[], &self.home)
    }
}

impl Deref for Site {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Site {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
