//! The server's process: setup, start, stop, kill, restart.

use std::fs::{self, File};
use std::io::{BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use linecamp_model::{JoinTarget, Pin};
use linecamp_proto::api::operation::{CreateToken, Operation as _};
use linecamp_proto::api::{TokenCreated, TokenRequest};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use crate::api_client::ApiClient;
use crate::machine;
use crate::paths::{Bench, free_address};

/// Time limit for a process to start or to exit. Nothing here takes a second.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the server logs once sites can reach it.
const LISTENING: &str = "quic listening on";

/// Sites that one token of the bench may create.
const TOKEN_USES: u32 = 20_000;

/// A child process that is killed on drop.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let name = format!("{command:?}");
        command.spawn().map(Self).with_context(|| format!("failed to start {name}"))
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) const fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Asks the process to exit (SIGTERM) and waits until it has.
    pub(crate) async fn terminate(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.0), Signal::TERM).context("failed to signal a child")?;
        self.ended().await
    }

    /// Kills the process and waits until it has exited.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.0.kill().context("failed to kill a child")?;
        self.ended().await
    }

    async fn ended(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.0.try_wait().context("failed to wait for a child")?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        bail!("a process did not end in {} s", PATIENCE.as_secs())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have exited by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A server with its data and its port, running or not.
#[derive(Debug)]
pub(crate) struct Server {
    program: PathBuf,
    online: usize,
    data: PathBuf,
    log: PathBuf,
    address: SocketAddr,
    key: String,
    pin: Pin,
    process: Option<Process>,
}

impl Server {
    /// Sets up a server in `folder` and starts it.
    pub(crate) async fn start_new(bench: &Bench, folder: &Path) -> anyhow::Result<Self> {
        let (data, address) = (folder.join("server"), free_address()?);
        let made = Command::new(bench.server())
            .args(["init", "--server-url", &format!("https://{address}"), "--data"])
            .arg(&data)
            .output()
            .context("failed to run linecamp-server init")?;
        let said = String::from_utf8_lossy(&made.stdout).into_owned();
        let word = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.map(|rest| rest.trim().to_owned()).with_context(|| {
                let complaint = String::from_utf8_lossy(&made.stderr);
                format!("linecamp-server init did not say its `{name}`: {said}{complaint}")
            })
        };
        let mut server = Self {
            program: bench.server().to_owned(),
            online: bench.online,
            log: folder.join("server.log"),
            address,
            key: word("admin key:")?,
            pin: Pin::parse(&word("pin:")?)?,
            process: None,
            data,
        };
        server.start().await?;
        Ok(server)
    }

    /// Starts the server and waits until sites can reach it. Returns when that was.
    pub(crate) async fn start(&mut self) -> anyhow::Result<Instant> {
        let address = self.address.to_string();
        let mut command = machine::on_server_core(&self.program, self.online);
        command
            .args(["run", "--https", &address, "--quic", &address, "--log", "info", "--data"])
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let log = File::options().create(true).append(true).open(&self.log)?;
        let stderr = process.child().stderr.take().context("a child's stderr is a pipe")?;
        let (sender, listening) = oneshot::channel();
        // A thread, because the clock must be read when the line arrives, and not when the sites' tasks leave time for
        // it.
        thread::spawn(move || copy_log(BufReader::new(stderr), log, sender));
        self.process = Some(process);
        match tokio::time::timeout(PATIENCE, listening).await {
            Ok(Ok(at)) => Ok(at),
            Ok(Err(_)) | Err(_) => bail!("the server did not start: {}", self.log_end()),
        }
    }

    /// Asks the server to stop and waits until it has.
    pub(crate) async fn terminate(&mut self) -> anyhow::Result<()> {
        self.process.take().context("the server runs")?.terminate().await
    }

    /// Kills the server.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().context("the server runs")?.kill().await
    }

    /// Returns the server's process id.
    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        Ok(self.process.as_ref().context("the server runs")?.id())
    }

    /// Returns the address for sites and operators.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Returns a new client of the API with the admin key, which dials on its first request.
    pub(crate) fn api(&self) -> ApiClient {
        self.api_of(&self.key)
    }

    /// Returns a new client of the API with another key.
    pub(crate) fn api_of(&self, key: &str) -> ApiClient {
        ApiClient::new(self.address, self.pin, key)
    }

    /// Creates a join token, with an optional label for the sites that use it.
    pub(crate) async fn token(&self, label: Option<(&str, &str)>) -> anyhow::Result<JoinTarget> {
        let request = TokenRequest {
            replaces: None,
            hosts_of: None,
            environment: "default".to_owned(),
            ttl_seconds: 3600,
            uses: TOKEN_USES,
            labels: label.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect(),
        };
        let made: TokenCreated = self.api().post(CreateToken::SPEC.path, &request).await?;
        Ok(JoinTarget::parse(&made.join)?)
    }

    /// Returns the last lines of the log.
    pub(crate) fn log_end(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

fn copy_log(lines: impl std::io::BufRead, mut log: File, listening: oneshot::Sender<Instant>) {
    let mut listening = Some(listening);
    for line in lines.lines().map_while(Result::ok) {
        if line.contains(LISTENING)
            && let Some(listening) = listening.take()
        {
            // The receiver is gone if the server started too late.
            let _ = listening.send(Instant::now());
        }
        drop(writeln!(log, "{line}"));
    }
}
