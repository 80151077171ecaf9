//! The hosting process: several complete daemons on one thread.
//!
//! Each runs as under `linecampd run`, with its own directory, database, socket and state machine; only the process,
//! its thread and its log are shared. A signal that asks the process to exit reaches all of them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};
use linecamp_transport::error_chain;
use linecampd::config::{Config, ConfigFile};
use linecampd::{DataDirectory, daemon, log};
use tokio::task::{JoinSet, LocalSet};

use super::run_directory::raise_descriptors;

/// The subcommand of this program that calls [`host`].
pub(super) const COMMAND: &str = "real-host";

/// A site's configuration file, in its directory.
pub(super) const CONFIG: &str = "linecampd.toml";

/// A site's data directory, in its directory.
pub(super) const DATA: &str = "data";

/// Runs the daemon of every subdirectory of `directory` that holds a `linecampd.toml`, until SIGTERM or SIGINT.
///
/// # Errors
/// If there is no such subdirectory, a configuration is invalid, or one of the daemons exits with an error or a panic;
/// the others are then aborted.
pub fn host(directory: &Path) -> anyhow::Result<()> {
    raise_descriptors();
    let listed = fs::read_dir(directory).with_context(|| format!("failed to list {}", directory.display()))?;
    let mut folders: Vec<_> = listed.filter_map(Result::ok).map(|entry| entry.path()).collect();
    folders.retain(|folder| folder.join(CONFIG).is_file());
    folders.sort();
    ensure!(!folders.is_empty(), "{} has no subdirectory with a {CONFIG}", directory.display());

    let local = LocalSet::new();
    let mut daemons = JoinSet::new();
    for folder in folders {
        // The environment belongs to the whole process, so it must not configure a site.
        let config = Config::resolve(ConfigFile::read(&folder.join(CONFIG))?, &|_| None)?;
        log::init(config.log);
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let data = DataDirectory::new(folder.join(DATA));
        daemons.spawn_local_on(async move { (name, daemon::run(data, config, None).await) }, &local);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("failed to start the runtime")?;
    local.block_on(&runtime, async {
        while let Some(ended) = daemons.join_next().await {
            match ended {
                Ok((_, Ok(()))) => {}
                Ok((name, Err(error))) => bail!("the daemon of {name} exited: {}", error_chain(&error)),
                Err(error) => return Err(anyhow!(error).context("a daemon panicked")),
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_without_sites_is_rejected_and_a_failed_daemon_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let check = |words: &str| {
            let error = format!("{:#}", host(directory.path()).unwrap_err());
            assert!(error.contains(words), "{error}");
        };
        check("has no subdirectory with a linecampd.toml");
        fs::create_dir(directory.path().join("camp-007")).unwrap();
        fs::write(directory.path().join("camp-007").join(CONFIG), "log = \"error\"").unwrap();
        check("the daemon of camp-007 exited");
    }
}
