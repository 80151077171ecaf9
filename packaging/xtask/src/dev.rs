//! `cargo xtask dev`: runs a server and its sites on this machine, set up as an operator would, until Ctrl-C.
//!
//! Everything goes through the real programs: `linecamp-server init`, a token from `linecamp`, `linecampd join`. Ports
//! are free ones. Data is temporary unless `--keep` names a directory; existing data there is reused. An in-memory zone
//! runs beside them, in which the sites manage their names. While the file `offline` exists in the data directory, the
//! server is stopped and the sites are offline.
//!
//! Tests set [`BINARIES`] and the directory of the plugins: then nothing is built, and these programs are started.

mod dns;

use std::env;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::arguments::DevOptions;
use crate::child::Child;
use crate::commands::{binaries, cargo, read, say, step};
use crate::plugins;
use crate::signals::Stop;
use crate::test::BINARIES;

/// How long a start or a first connection may take: both take less than a second, and a loaded machine gets a minute.
const START_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// The server's process: the first one that is started.
const SERVER: &str = "linecamp-server";
/// While this file exists in the data directory, the server is stopped.
const OFFLINE_FILE: &str = "offline";

/// The packages to run, built together: that the daemon then has features that only the plugin compiler needs is
/// harmless here, and saves building its dependencies twice.
const PACKAGES: [&str; 5] =
    ["linecamp-server", "linecampd", "linecamp", "linecamp-plugin-compiler", "linecamp-testkit"];

/// Builds, starts, waits for Ctrl-C, and stops.
pub(crate) fn run(options: &DevOptions) -> anyhow::Result<()> {
    let mut steps = Steps { count: 4 + options.sites, done: 0 };
    let (binaries, component) = programs(&mut steps)?;
    let temporary =
        tempfile::Builder::new().prefix("linecamp-dev-").tempdir().context("failed to create a temporary directory")?;
    let data = match &options.keep {
        None => temporary.path().to_owned(),
        Some(kept) => {
            fs::create_dir_all(kept).with_context(|| format!("failed to create {}", kept.display()))?;
            std::path::absolute(kept)?
        }
    };
    let stop = Stop::listen()?;
    let mut camp = Camp { binaries, data, login: Login::default(), children: Vec::new() };
    let ended = camp.start(options.sites, &component, &mut steps, &stop).and_then(|()| camp.watch(&stop));
    // Sites first, so that none of them logs a lost link.
    while let Some(mut child) = camp.children.pop() {
        say(&format!("stopping {}", child.name()));
        child.stop();
    }
    match ended {
        Err(error) if error.is::<Interrupted>() => Ok(()),
        ended => ended,
    }
}

/// Builds the programs and the plugin, or finds those that a test has built; returns the directory of the programs and
/// the plugin's component.
fn programs(steps: &mut Steps) -> anyhow::Result<(PathBuf, PathBuf)> {
    if let (Some(built), Some(plugins)) = (env::var_os(BINARIES), env::var_os(plugins::VARIABLE)) {
        steps.done += 2;
        return Ok((built.into(), Path::new(&plugins).join(plugins::file(dns::PLUGIN))));
    }
    let is_first = !binaries()?.join(PACKAGES[0]).exists();
    let patience = if is_first { " (the first build takes about 6 minutes of CPU time)" } else { "" };
    let mut build = cargo(["build"]);
    build.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    step(&steps.next(&format!("building the programs{patience}")), build)?;
    let component = plugins::build_only(dns::PLUGIN, &steps.next("building the DNS plugin"))?;
    Ok((binaries()?, component))
}

/// Progress.
#[derive(Debug)]
struct Steps {
    count: u32,
    done: u32,
}

impl Steps {
    fn next(&mut self, what: &str) -> String {
        self.done += 1;
        format!("[{}/{}] {what}", self.done, self.count)
    }

    fn begin(&mut self, what: &str) {
        say(&self.next(what));
    }
}

/// The run was interrupted.
#[derive(Debug)]
struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// The CLI's login.
#[derive(Debug, Default)]
struct Login {
    url: String,
    pin: String,
    key: String,
}

/// All running programs, in the order of their start.
#[derive(Debug)]
struct Camp {
    binaries: PathBuf,
    data: PathBuf,
    login: Login,
    children: Vec<Child>,
}

impl Camp {
    fn start(&mut self, sites: u32, component: &Path, steps: &mut Steps, stop: &Stop) -> anyhow::Result<()> {
        steps.begin("starting the server");
        let quic = self.start_server(stop)?;
        steps.begin("starting a DNS zone and adding a provider for it");
        let zone = self.start_names(component, stop)?;
        for number in 1..=sites {
            let name = format!("camp-{number:03}");
            steps.begin(&format!("joining and starting {name}"));
            self.start_site(&name, number, quic, stop)?;
        }
        self.print_introduction(zone);
        Ok(())
    }

    /// Starts the server and returns the address that sites connect to.
    fn start_server(&mut self, stop: &Stop) -> anyhow::Result<SocketAddr> {
        let directory = self.data.join("server");
        // The key is shown once and the server stores its hash, so the key is kept with the data.
        let kept_login = self.data.join("login.txt");
        if !kept_login.exists() {
            let url = format!("https://{}", free_port()?);
            let mut init = self.command("linecamp-server");
            init.arg("init").arg("--data").arg(&directory).args(["--server-url", &url]);
            let output = read(init)?;
            let value =
                |name| word_after(&output, name).with_context(|| format!("`linecamp-server init` printed no `{name}`"));
            let text = format!("{url}\n{}\n{}\n", value("pin:")?, value("admin key:")?);
            write_private(&kept_login, &text)?;
        }
        let text = fs::read_to_string(&kept_login).context("failed to read the login")?;
        let mut lines = text.lines().map(str::to_owned);
        let mut next = || lines.next().with_context(|| format!("{} is incomplete", kept_login.display()));
        self.login = Login { url: next()?, pin: next()?, key: next()? };

        self.children.insert(0, self.spawn_server()?);
        let log_of_server = |camp: &Self, marker| address_after(&camp.children.first()?.log(), marker);
        self.wait("the server to listen", stop, |camp| Ok(log_of_server(camp, "https listening on")))?;
        self.wait("the server to listen for sites", stop, |camp| Ok(log_of_server(camp, "quic listening on")))
    }

    fn spawn_server(&self) -> anyhow::Result<Child> {
        let address = self.login.url.trim_start_matches("https://");
        let mut run = self.command(SERVER);
        run.arg("run").arg("--data").arg(self.data.join("server")).args(["--https", address, "--quic", address]);
        Child::spawn(SERVER, &self.data, run)
    }

    fn start_site(&mut self, name: &str, number: u32, quic: SocketAddr, stop: &Stop) -> anyhow::Result<()> {
        let directory = self.data.join(name);
        if !directory.join("identity").exists() {
            let made = self.linecamp(&["token", "create", "-q", "--label", "demo=true"])?;
            let secret = made.trim().split('@').next().unwrap_or_default();
            // Not as an argument: other users of this machine see those.
            let token = self.data.join("join-token");
            write_private(&token, secret)?;
            let mut join = self.command("linecampd");
            join.args(["join", &format!("@{quic}"), "--name", name, "--label", "region=eu", "--token-file"])
                .arg(&token);
            // A documentation address (RFC 5737): this machine may have no public one.
            join.args(["--host-label", &format!("io.linecamp.host.external_dns_ip=192.0.2.{number}")]);
            join.arg("--data").arg(&directory);
            read(join)?;
            fs::remove_file(&token)?;
        }
        let mut run = self.command("linecampd");
        run.arg("run").arg("--data").arg(&directory).arg("--config").arg(dns::site_config(&self.data));
        self.spawn(name, run)?;
        self.wait(&format!("{name} to connect"), stop, |camp| {
            let shown = camp.linecamp(&["site", "show", name, "-o", "json"])?;
            let site: serde_json::Value = serde_json::from_str(&shown).context("`linecamp` did not print JSON")?;
            Ok((site["link"]["state"] == "connected").then_some(()))
        })
    }

    fn spawn(&mut self, name: &str, command: Command) -> anyhow::Result<()> {
        self.children.push(Child::spawn(name, &self.data, command)?);
        Ok(())
    }

    /// Waits until `check` returns a value; fails if a program dies or the run is interrupted.
    fn wait<T>(
        &mut self,
        what: &str,
        stop: &Stop,
        check: impl Fn(&Self) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let started = Instant::now();
        loop {
            let failure = match check(self) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => None,
                Err(error) => Some(error),
            };
            self.check_alive()?;
            if started.elapsed() > START_MAX {
                let reason = failure.map(|error| format!("{error:#}\n")).unwrap_or_default();
                let tails: Vec<_> = self.children.iter().map(Child::tail).collect();
                bail!("timed out after {} s waiting for {what}\n{reason}{}", START_MAX.as_secs(), tails.join("\n"));
            }
            if stop.is_requested_within(POLL) {
                bail!(Interrupted);
            }
        }
    }

    /// Runs until interrupted, which is success, or until a program dies.
    fn watch(&mut self, stop: &Stop) -> anyhow::Result<()> {
        let offline = self.data.join(OFFLINE_FILE);
        while !stop.is_requested_within(POLL) {
            self.check_alive()?;
            let is_stopped = self.children.first().is_none_or(|child| child.name() != SERVER);
            match (offline.exists(), is_stopped) {
                (true, false) => {
                    say("stopping the server: the sites are offline");
                    self.children.remove(0).stop();
                }
                (false, true) => {
                    say("starting the server again");
                    self.children.insert(0, self.spawn_server()?);
                }
                (true, true) | (false, false) => {}
            }
        }
        Ok(())
    }

    fn check_alive(&mut self) -> anyhow::Result<()> {
        for child in &mut self.children {
            if let Some(status) = child.ended() {
                bail!("{} exited with {status}; {}", child.name(), child.tail());
            }
        }
        Ok(())
    }

    fn print_introduction(&self, zone: SocketAddr) {
        let Login { url, pin, key } = &self.login;
        println!("\nRunning (press Ctrl-C to stop):\n");
        for child in &self.children {
            println!("  {}", child.name());
        }
        println!("\nData and logs: {}\n", self.data.display());
        println!("In another terminal, run:\n");
        let path = self.binaries.display();
        let data = self.data.display();
        println!("  export DEV={data} LINECAMP_URL={url} LINECAMP_PIN={pin} LINECAMP_KEY={key} PATH={path}:$PATH\n");
        println!("Then try, for example:\n");
        println!("  linecamp site ls -l region=eu");
        println!("  linecamp site show camp-001");
        println!("  linecamp site label camp-001 rack=r7");
        println!("  linecamp dns ls");
        println!("  linecamp event tail");
        println!("  linecampd why --data $DEV/camp-001");
        println!("  touch $DEV/{OFFLINE_FILE}    # stops the server; remove the file to start it again");
        let (zone, token) = (format!("http://{zone}/zones/{}/records", dns::ZONE), dns::TOKEN);
        println!("  curl -H 'Authorization: Bearer {token}' {zone}\n");
    }

    fn linecamp(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let Login { url, pin, key } = &self.login;
        let mut command = self.command("linecamp");
        command.args(arguments);
        command.env("LINECAMP_URL", url).env("LINECAMP_PIN", pin).env("LINECAMP_KEY", key).env_remove("LINECAMP_CA");
        read(command)
    }

    fn command(&self, name: &str) -> Command {
        Command::new(self.binaries.join(name))
    }
}

/// Finds a port of this machine that is free for TCP and UDP. It is bound a moment later; if another process takes it
/// first, the server reports that and exits.
fn free_port() -> anyhow::Result<SocketAddr> {
    for _ in 0..100 {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = address.context("failed to find a free port")?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port is free for both TCP and UDP")
}

fn word_after<'a>(text: &'a str, marker: &str) -> Option<&'a str> {
    text.split_once(marker)?.1.split_whitespace().next()
}

/// Creates a file that only this user can read.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("failed to write {}", path.display()))
}

fn address_after(log: &str, marker: &str) -> Option<SocketAddr> {
    let line = log.split_once(marker)?.1.lines().next()?;
    let is_part = |letter: char| letter.is_ascii_hexdigit() || ".:[]".contains(letter);
    line.split(|letter| !is_part(letter)).find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_the_output_of_the_server() {
        let output = "made a CA\nadmin key: lck_ab12\npin: sha256:00ff\n";
        assert_eq!(word_after(output, "admin key:"), Some("lck_ab12"));
        assert_eq!(word_after(output, "pin:"), Some("sha256:00ff"));
        assert_eq!(word_after(output, "password:"), None);

        let log = "INFO quic listening on 127.0.0.1:7\nINFO https listening on addr=[::1]:8443, ready\n";
        assert_eq!(address_after(log, "quic listening on"), Some(([127, 0, 0, 1], 7).into()));
        assert_eq!(address_after(log, "https listening on").map(|address| address.port()), Some(8443));
        assert_eq!(address_after("INFO starting\n", "https listening on"), None);
    }
}
