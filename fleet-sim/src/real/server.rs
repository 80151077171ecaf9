//! The server's process: setup, start, kill, restart; and the operator's login.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use linecamp_model::Pin;
use linecamp_proto::api::TokenRequest;
use linecamp_proto::api::operation::CreateToken;

use super::api::Api;
use super::process::{self, Process, read_log};
use super::run_directory::{Environment, free_address};

/// Time limit for a start, an exit or one operator command. All of them take less than a second on an idle machine; a
/// command that labels a thousand sites takes somewhat longer.
const LIMIT: Duration = Duration::from_secs(60);

/// How often the log is read while the server starts: the error of the listening time.
const POLL: Duration = Duration::from_millis(5);

/// What the server logs once operators and sites can reach it.
const LISTENING: [&str; 2] = ["https listening on", "quic listening on"];

/// Lifetime of the join tokens of a run, in seconds.
const TOKEN_SECONDS: u64 = 3_600;

/// A server with its data and its port, running or not.
pub(super) struct Server<'a> {
    environment: &'a Environment,
    log: PathBuf,
    address: SocketAddr,
    pin: Pin,
    key: String,
    process: Option<Process>,
}

impl<'a> Server<'a> {
    /// Sets up a new server and starts it.
    pub(super) async fn start_new(environment: &'a Environment) -> anyhow::Result<Self> {
        let (log, address) = (environment.log("server"), free_address()?);
        let mut init = environment.command("linecamp-server")?;
        init.args(["init", "--server-url", &format!("https://{address}"), "--data"]).arg(environment.path("server"));
        let said = process::run("linecamp-server init", &log, init, LIMIT).await?;
        let word = |marker: &str| {
            let found = said.lines().find_map(|line| line.strip_prefix(marker));
            found.map(str::trim).with_context(|| format!("linecamp-server init printed no `{marker}`"))
        };
        let (pin, key) = (Pin::parse(word("pin:")?)?, word("admin key:")?.to_owned());
        let mut server = Self { environment, log, address, pin, key, process: None };
        server.start().await?;
        Ok(server)
    }

    /// Starts the server and waits until it listens. Returns when it did.
    pub(super) async fn start(&mut self) -> anyhow::Result<Instant> {
        let before = read_log(&self.log).len();
        let address = self.address.to_string();
        let mut run = self.environment.command("linecamp-server")?;
        run.args(["run", "--https", &address, "--quic", &address, "--log", "info", "--data"]);
        run.arg(self.environment.path("server"));
        let process = self.process.insert(Process::spawn("linecamp-server", &self.log, run)?);
        let began = Instant::now();
        loop {
            let text = read_log(&self.log);
            if LISTENING.iter().all(|marker| text.get(before..).is_some_and(|fresh| fresh.contains(marker))) {
                return Ok(Instant::now());
            }
            process.check_runs()?;
            if LIMIT < began.elapsed() {
                bail!("the server did not listen within {} s\n{}", LIMIT.as_secs(), process.log_end());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Kills the server.
    pub(super) fn kill(&mut self) {
        // Dropping the process kills it.
        self.process = None;
    }

    /// Asks the server to exit and waits until it has.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        let process = self.running()?;
        process.terminate()?;
        let status = process.wait_ended(LIMIT).await?;
        if !status.success() {
            bail!("the server did not exit cleanly ({status})\n{}", process.log_end());
        }
        Ok(())
    }

    /// Returns the running process.
    pub(super) fn running(&self) -> anyhow::Result<&Process> {
        self.process.as_ref().context("the server is not running")
    }

    /// Returns the address for sites and operators.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a client of the API, which dials on its first request.
    pub(super) fn api(&self) -> Api {
        Api::new(self.address, self.pin, &self.key)
    }

    /// Creates a join token for this many sites, all of which get `label`. Returns the secret, without an address.
    pub(super) async fn token(&self, uses: u32, label: (&str, &str)) -> anyhow::Result<String> {
        let request = TokenRequest {
            replaces: None,
            hosts_of: None,
            environment: "default".to_owned(),
            ttl_seconds: TOKEN_SECONDS,
            uses,
            labels: [(label.0.to_owned(), label.1.to_owned())].into(),
        };
        let made = self.api().send::<CreateToken>(&request).await.context("failed to create a token")?;
        let secret = made.join.split_once('@').map_or(&*made.join, |(secret, _)| secret);
        Ok(secret.to_owned())
    }

    /// Sets a label on every site that the selector matches, through the operator's CLI.
    pub(super) async fn label(&self, selector: &str, label: &str) -> anyhow::Result<()> {
        let mut command = self.environment.command("linecamp")?;
        command.args(["site", "label", "--selector", selector, "--yes", label]);
        command.env("LINECAMP_URL", format!("https://{}", self.address));
        command.env("LINECAMP_PIN", self.pin.to_string()).env("LINECAMP_KEY", &self.key);
        let log = self.environment.log("linecamp");
        let process = Process::spawn("linecamp", &log, command)?;
        let status = process.wait_ended(LIMIT).await?;
        if !status.success() {
            bail!("`linecamp site label` failed ({status})\n{}", process.log_end());
        }
        Ok(())
    }
}
