//! The sites' daemons: configuration, processes, shutdown.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::daemon_group;
use super::process::Process;
use super::run_directory::Environment;
use super::udp_relay::Links;

/// Number of sites with their own process: enough to see how much memory a real daemon uses, and how much that varies.
/// The remaining sites share processes.
pub const SEPARATE_MAX: usize = 20;

/// Daemons per hosting process. All of them share its one thread, so this is a number at which each still gets as much
/// of a core as the machine could give it anyway.
const HOSTED_MAX: usize = 20;

/// Time limit for all daemons to exit when asked: each promises two seconds, but they share the machine.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// How often the remaining daemons are checked for exit.
const STOP_POLL: Duration = Duration::from_millis(5);

/// A daemon's configuration, as `linecampd config check` accepts it.
#[derive(Serialize)]
struct ConfigFile<'a> {
    servers: [String; 1],
    join: JoinSection<'a>,
}

#[derive(Serialize)]
struct JoinSection<'a> {
    token_file: &'a Path,
    name: &'a str,
}

/// All daemons of a run.
pub(super) struct Daemons<'a> {
    environment: &'a Environment,
    separate: Vec<Process>,
    hosting: Vec<Process>,
    hosted: usize,
}

/// How the daemons exited.
pub(super) struct StopCounts {
    /// Number of processes that exited successfully, each with all of its daemons.
    pub(super) clean: usize,
    /// Time until the last one exited.
    pub(super) took: Duration,
}

impl<'a> Daemons<'a> {
    /// Starts a daemon for each of `sites` sites. They join with the token in `token_file`.
    pub(super) fn start(
        environment: &'a Environment,
        links: &Links,
        sites: usize,
        token_file: &Path,
    ) -> anyhow::Result<Self> {
        let mut daemons = Self { environment, separate: Vec::new(), hosting: Vec::new(), hosted: 0 };
        let mut folders: Vec<PathBuf> = Vec::new();
        for site in 0..sites {
            let server = links.address(site).context("every site has a link")?;
            let name = site_name(site);
            let folder = match site.checked_sub(SEPARATE_MAX) {
                None => environment.path(&name),
                Some(hosted) => {
                    let folder = environment.path(&format!("hosted-{:02}", hosted / HOSTED_MAX + 1));
                    if folders.last() != Some(&folder) {
                        folders.push(folder.clone());
                    }
                    daemons.hosted += 1;
                    folder.join(&name)
                }
            };
            configure(environment, &folder, &name, server, token_file)?;
            if site < SEPARATE_MAX {
                daemons.start_separate(&name, &folder)?;
            }
        }
        for folder in &folders {
            daemons.start_hosting(folder)?;
        }
        Ok(daemons)
    }

    fn start_separate(&mut self, name: &str, folder: &Path) -> anyhow::Result<()> {
        let mut run = self.environment.command("linecampd")?;
        run.arg("run")
            .arg("--data")
            .arg(folder.join(daemon_group::DATA))
            .arg("--config")
            .arg(folder.join(daemon_group::CONFIG));
        self.separate.push(Process::spawn(name, &self.environment.log(name), run)?);
        Ok(())
    }

    fn start_hosting(&mut self, folder: &Path) -> anyhow::Result<()> {
        let mut run = self.environment.own_command();
        run.arg(daemon_group::COMMAND).arg("--dir").arg(folder);
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        self.hosting.push(Process::spawn(&name, &self.environment.log(&name), run)?);
        Ok(())
    }

    /// Returns the daemons with their own process.
    pub(super) fn separate(&self) -> &[Process] {
        &self.separate
    }

    /// Returns the hosting processes.
    pub(super) fn hosting(&self) -> &[Process] {
        &self.hosting
    }

    /// Returns the number of daemons in hosting processes.
    pub(super) const fn hosted(&self) -> usize {
        self.hosted
    }

    fn all(&self) -> impl Iterator<Item = &Process> {
        self.separate.iter().chain(&self.hosting)
    }

    /// Fails if any process has exited.
    pub(super) fn check_run(&self) -> anyhow::Result<()> {
        self.all().try_for_each(Process::check_runs)
    }

    /// Returns the end of the log of the process that runs this site's daemon.
    pub(super) fn log_end(&self, site: &str) -> Option<String> {
        let own = self.separate.iter().find(|process| process.name() == site);
        let shared = || self.hosting.iter().find(|process| self.environment.path(process.name()).join(site).is_dir());
        own.or_else(shared).map(|process| format!("{}: {}", process.name(), process.log_end()))
    }

    /// Asks all processes to exit at once, and waits until they have.
    pub(super) async fn stop(&self) -> anyhow::Result<StopCounts> {
        self.check_run()?;
        let began = Instant::now();
        self.all().try_for_each(Process::terminate)?;
        loop {
            let mut clean = 0;
            let mut running = None;
            for process in self.all() {
                match process.ended()? {
                    Some(status) => clean += usize::from(status.success()),
                    None => running = Some(process),
                }
            }
            let took = began.elapsed();
            match running {
                None => return Ok(StopCounts { clean, took }),
                Some(process) if STOP_LIMIT < took => {
                    bail!("{} did not exit within {} s\n{}", process.name(), STOP_LIMIT.as_secs(), process.log_end());
                }
                Some(_) => tokio::time::sleep(STOP_POLL).await,
            }
        }
    }
}

/// Returns the name of a site, counted from 0.
pub(super) fn site_name(site: usize) -> String {
    format!("camp-{:03}", site + 1)
}

fn configure(
    environment: &Environment,
    folder: &Path,
    name: &str,
    server: SocketAddr,
    token_file: &Path,
) -> anyhow::Result<()> {
    environment.make_directory(folder)?;
    let file = ConfigFile { servers: [server.to_string()], join: JoinSection { token_file, name } };
    let text = toml::to_string(&file).context("failed to write a daemon's configuration")?;
    environment.write(&folder.join(daemon_group::CONFIG), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_reads_the_generated_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let environment = Environment::create(Some(&directory.path().join("kept"))).unwrap();
        let folder = environment.path("camp-001");
        configure(&environment, &folder, "camp-001", ([127, 0, 0, 1], 7).into(), Path::new("/a \"b\"/token")).unwrap();

        let file = linecampd::config::ConfigFile::read(&folder.join(daemon_group::CONFIG)).unwrap();
        let config = linecampd::config::Config::resolve(file, &|_| None).unwrap();
        assert_eq!(config.servers[0].to_string(), "127.0.0.1:7");
        let join = config.join.unwrap();
        assert_eq!(join.name.as_str(), "camp-001");
        assert_eq!(join.token_file, Path::new("/a \"b\"/token"));
    }
}
