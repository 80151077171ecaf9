//! The facts that a machine reports about itself, as labels.
//!
//! All facts come from small kernel files, from the routing table, and from Docker's socket if there is one. What does
//! not exist is absent. What exists but cannot be read, or does not answer, is *not observed*, and the state machine
//! keeps the value it reported last ([`Fact`]). The kernel serves these files from memory, so reading them needs no
//! thread; Docker has [`DOCKER_LIMIT`], and the loop does not wait for it.

mod addresses;
mod docker;
mod kernel_files;
mod observed;

use std::path::{Path, PathBuf};

use linecamp_core::{Fact, Facts};
use linecamp_model::{LabelKey, LabelValue, Text};

pub use self::docker::DOCKER_LIMIT;
pub(crate) use self::docker::query_docker;

use self::addresses::own_addresses;
use self::docker::docker_version_in_time;
use self::kernel_files::KernelFiles;
use self::observed::Observed;

const PREFIX: &str = "io.linecamp.host";
const RANCHER_PREFIX: &str = "io.rancher.host";

/// The facts that are also reported under Rancher's names.
const RANCHER_FACTS: [&str; 2] = ["linux_kernel_version", "docker_version"];

/// Where facts come from.
#[derive(Clone, Debug)]
pub struct FactSources {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
    /// Docker's socket.
    pub docker_socket: PathBuf,
    /// The processor architecture, as the kernel names it.
    pub arch: String,
    /// Whether to also report some facts under Rancher's names.
    pub rancher_labels: bool,
    /// Observes the machine's addresses, for [`collect`](Self::collect).
    pub addresses: fn() -> Result<Option<String>, String>,
}

impl FactSources {
    /// Returns the sources of this machine.
    pub fn of_this_machine(docker_socket: &Path, rancher_labels: bool) -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
            dev: "/dev".into(),
            docker_socket: docker_socket.to_owned(),
            arch: rustix::system::uname().machine().to_string_lossy().into_owned(),
            rancher_labels,
            addresses: own_addresses,
        }
    }

    /// Collects all facts once, within [`DOCKER_LIMIT`].
    pub async fn collect(&self) -> Facts {
        let number = |observed: Observed<u64>| observed.map(|number| number.map(|number| number.to_string()));
        let flag_value =
            |observed: Observed<bool>| observed.map(|is_on| is_on.filter(|on| *on).map(|_| "true".to_owned()));
        let kernel = KernelFiles { proc: &self.proc, sys: &self.sys, dev: &self.dev };
        let observed = [
            ("linux_kernel_version", kernel.version()),
            ("docker_version", docker_version_in_time(&self.docker_socket).await),
            ("os", Ok(Some("linux".to_owned()))),
            ("arch", Ok(Some(self.arch.clone()))),
            ("cpus", number(kernel.cpus())),
            ("memory_mib", number(kernel.memory_mib())),
            ("kvm", flag_value(kernel.has_kvm())),
            ("aes", flag_value(kernel.has_cpu_flag("aes").map(Some))),
            ("virtualization", kernel.virtualization()),
            ("address", (self.addresses)()),
        ];
        let mut facts = Facts::new();
        for (name, observed) in observed {
            let is_for_rancher = self.rancher_labels && RANCHER_FACTS.contains(&name);
            let fact = fact_of(observed);
            for prefix in [Some(PREFIX), is_for_rancher.then_some(RANCHER_PREFIX)].into_iter().flatten() {
                let key = LabelKey::parse(&format!("{prefix}.{name}")).expect("built from constants");
                facts.insert(key, fact.clone());
            }
        }
        facts
    }
}

/// What a machine has of what a daemon needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resources {
    /// The memory that programs can still use, in bytes.
    pub(crate) available_memory: Observed<u64>,
    /// Whether the processor has AES instructions.
    pub(crate) has_aes: Observed<bool>,
    /// The kernel's version.
    pub(crate) kernel: Observed<String>,
}

impl FactSources {
    /// Observes what the machine has of what a daemon needs.
    pub(crate) fn resources(&self) -> Resources {
        let kernel = KernelFiles { proc: &self.proc, sys: &self.sys, dev: &self.dev };
        Resources {
            available_memory: kernel.available_memory(),
            has_aes: kernel.cpu_flag("aes"),
            kernel: kernel.version(),
        }
    }
}

/// Converts an observation to a fact. Text from an unusual kernel or a hostile Docker may not be a valid label value.
fn fact_of(observed: Observed<String>) -> Fact {
    match observed.map(|value| value.map(|value| LabelValue::parse(&value))) {
        Ok(Some(Ok(value))) => Fact::Observed(value),
        Ok(None) => Fact::Absent,
        Ok(Some(Err(error))) => Fact::NotObserved(Text::lossy(&error.to_string())),
        Err(reason) => Fact::NotObserved(Text::lossy(&reason)),
    }
}

#[cfg(test)]
mod tests;
