//! The network of a program: the test's own, or that of a host in a [`Network`](crate::Network).

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

/// Where a program is started; by default, the test's own network.
#[derive(Clone, Debug, Default)]
pub(crate) struct NetworkNamespace {
    namespace: Option<PathBuf>,
}

impl NetworkNamespace {
    /// The network namespace that this file refers to.
    pub(crate) fn within(namespace: PathBuf) -> Self {
        Self { namespace: Some(namespace) }
    }

    /// Returns the command of a program that is to run there.
    ///
    /// nsenter executes the program in its own process, so that signals to the child reach it.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let Some(namespace) = &self.namespace else { return Command::new(program) };
        let mut net = OsString::from("--net=");
        net.push(namespace);
        let mut command = Command::new("nsenter");
        command.arg(net).arg("--").arg(program);
        command
    }
}
