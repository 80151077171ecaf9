//! The network of a program: the test's own, or that of a host in a [`Network`](crate::Network).

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

/// Replaces `/etc/hosts` in a mount namespace of the program's own.
const BIND_HOSTS: &str = r#"mount --bind "$1" /etc/hosts && shift && exec "$@""#;

/// Where a program is started; by default, the test's own network.
#[derive(Clone, Debug, Default)]
pub(crate) struct NetworkNamespace {
    namespace: Option<PathBuf>,
    hosts: Option<PathBuf>,
}

impl NetworkNamespace {
    /// The network namespace that this file refers to.
    pub(crate) fn within(namespace: PathBuf) -> Self {
        Self { namespace: Some(namespace), hosts: None }
    }

    /// The same network, where programs read this file as `/etc/hosts`.
    pub(crate) fn with_hosts(&self, hosts: PathBuf) -> Self {
        Self { hosts: Some(hosts), ..self.clone() }
    }

    /// Returns the command of a program that is to run there.
    ///
    /// nsenter, unshare and the shell execute the program in their own process, so that signals to the child reach it.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let Some(namespace) = &self.namespace else { return Command::new(program) };
        let mut net = OsString::from("--net=");
        net.push(namespace);
        let mut command = Command::new("nsenter");
        command.arg(net).arg("--");
        if let Some(hosts) = &self.hosts {
            command.args(["unshare", "--mount", "sh", "-c", BIND_HOSTS, "sh"]).arg(hosts);
        }
        command.arg(program);
        command
    }
}
