//! The server's process: made, started, killed, started again; and the operator's login.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use linecamp_model::Pin;
use linecamp_proto::api::{TokenCreated, TokenRequest, path};

use super::api::Api;
use super::place::{Place, free_address};
use super::process::{self, Process, read_log};

/// How long a start, an end or one command of the operator's may take. All of them take below a second on an idle
/// machine, and a command that labels a thousand sites some more.
const LIMIT: Duration = Duration::from_secs(60);

/// How often the log is looked at while the server starts: the error of the moment at which it listened.
const LOOK: Duration = Duration::from_millis(5);

/// What the server logs once operators and sites can reach it.
const LISTENING: [&str; 2] = ["https listening on", "quic listening on"];

/// What every join token of a run works for, in seconds.
const TOKEN_SECONDS: u64 = 3_600;

/// A server with its data and its port, whether or not it runs.
pub(super) struct Server<'a> {
    place: &'a Place,
    log: PathBuf,
    address: SocketAddr,
    pin: Pin,
    key: String,
    process: Option<Process>,
}

impl<'a> Server<'a> {
    /// Makes a server and starts it.
    pub(super) async fn start_new(place: &'a Place) -> anyhow::Result<Self> {
        let (log, address) = (place.log("server"), free_address()?);
        let mut init = place.command("linecamp-server")?;
        init.args(["init", "--server-url", &format!("https://{address}"), "--data"]).arg(place.path("server"));
        let said = process::run("linecamp-server init", &log, init, LIMIT).await?;
        let word = |marker: &str| {
            let found = said.lines().find_map(|line| line.strip_prefix(marker));
            found.map(str::trim).with_context(|| format!("linecamp-server init printed no `{marker}`"))
        };
        let (pin, key) = (Pin::parse(word("pin:")?)?, word("admin key:")?.to_owned());
        let mut server = Self { place, log, address, pin, key, process: None };
        server.start().await?;
        Ok(server)
    }

    /// Starts it and waits until it listens. Returns when it did.
    pub(super) async fn start(&mut self) -> anyhow::Result<Instant> {
        let before = read_log(&self.log).len();
        let address = self.address.to_string();
        let mut run = self.place.command("linecamp-server")?;
        run.args(["run", "--https", &address, "--quic", &address, "--log", "info", "--data"]);
        run.arg(self.place.path("server"));
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
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Kills it.
    pub(super) fn kill(&mut self) {
        // Dropping is killing.
        self.process = None;
    }

    /// Asks it to end and waits until it has.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        let process = self.running()?;
        process.ask_to_end()?;
        let status = process.wait_ended(LIMIT).await?;
        if !status.success() {
            bail!("the server did not end cleanly ({status})\n{}", process.log_end());
        }
        Ok(())
    }

    /// Returns its process.
    pub(super) fn running(&self) -> anyhow::Result<&Process> {
        self.process.as_ref().context("the server does not run")
    }

    /// Returns where sites and operators reach it.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a client of its API, which dials when it is first asked for something.
    pub(super) fn api(&self) -> Api {
        Api::new(self.address, self.pin, &self.key)
    }

    /// Makes a join token for so many sites, all of which get `label`. Returns the secret, without an address.
    pub(super) async fn token(&self, uses: u32, label: (&str, &str)) -> anyhow::Result<String> {
        let request = TokenRequest {
            environment: "default".to_owned(),
            ttl_seconds: TOKEN_SECONDS,
            uses,
            labels: [(label.0.to_owned(), label.1.to_owned())].into(),
        };
        let made: TokenCreated = self.api().post(path::TOKENS, &request).await.context("failed to make a token")?;
        let secret = made.join.split_once('@').map_or(&*made.join, |(secret, _)| secret);
        Ok(secret.to_owned())
    }

    /// Sets a label of every site that the selector matches, with the operator's own program.
    pub(super) async fn label(&self, selector: &str, label: &str) -> anyhow::Result<()> {
        let mut command = self.place.command("linecamp")?;
        command.args(["site", "label", "--selector", selector, "--yes", label]);
        command.env("LINECAMP_URL", format!("https://{}", self.address));
        command.env("LINECAMP_PIN", self.pin.to_string()).env("LINECAMP_KEY", &self.key);
        let log = self.place.log("linecamp");
        let process = Process::spawn("linecamp", &log, command)?;
        let status = process.wait_ended(LIMIT).await?;
        if !status.success() {
            bail!("`linecamp site label` failed ({status})\n{}", process.log_end());
        }
        Ok(())
    }
}
