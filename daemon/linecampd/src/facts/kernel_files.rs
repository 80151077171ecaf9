//! Facts from the kernel's files in `/proc`, `/sys` and `/dev`.

use std::fmt::Display;
use std::path::Path;

use super::observed::Observed;

/// Bytes read of a kernel file. The longest file is read only for the first processor's flags, which fit four times
/// over.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// DMI vendor strings of virtual machines, and the label value for each.
const VENDORS: [(&str, &str); 9] = [
    ("QEMU", "kvm"),
    ("KVM", "kvm"),
    ("Amazon EC2", "amazon"),
    ("Google", "google"),
    ("VMware", "vmware"),
    ("innotek", "virtualbox"),
    ("Microsoft", "microsoft"),
    ("Xen", "xen"),
    ("DigitalOcean", "kvm"),
];

/// The directories in which the kernel presents itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct KernelFiles<'a> {
    /// `/proc`.
    pub(super) proc: &'a Path,
    /// `/sys`.
    pub(super) sys: &'a Path,
    /// `/dev`.
    pub(super) dev: &'a Path,
}

impl KernelFiles<'_> {
    pub(super) fn version(self) -> Observed<String> {
        Ok(read(&self.proc.join("sys/kernel/osrelease"))?.filter(|text| !text.is_empty()))
    }

    pub(super) fn cpus(self) -> Observed<u64> {
        let path = self.sys.join("devices/system/cpu/online");
        parsed(&path, read(&path)?, |online| online.split(',').map(count_of_range).sum())
    }

    pub(super) fn memory_mib(self) -> Observed<u64> {
        let path = self.proc.join("meminfo");
        parsed(&path, read(&path)?, |memory| Some(kib_of(memory, "MemTotal:")? / 1024))
    }

    /// Observes the memory that programs can still use, in bytes. Linux before 3.14 does not estimate it.
    pub(super) fn available_memory(self) -> Observed<u64> {
        let memory = read(&self.proc.join("meminfo"))?;
        Ok(memory.and_then(|memory| kib_of(&memory, "MemAvailable:")?.checked_mul(1024)))
    }

    pub(super) fn has_kvm(self) -> Observed<bool> {
        let path = self.dev.join("kvm");
        path.try_exists().map(Some).map_err(|error| cannot_read(&path, &error))
    }

    pub(super) fn has_cpu_flag(self, flag: &str) -> Result<bool, String> {
        self.cpu_flag(flag).map(Option::unwrap_or_default)
    }

    /// Observes whether the processor has a flag; none if the kernel lists no flags.
    pub(super) fn cpu_flag(self, flag: &str) -> Observed<bool> {
        let text = read(&self.proc.join("cpuinfo"))?.unwrap_or_default();
        // `flags` on x86, `Features` on Arm.
        let flags = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| matches!(key.trim(), "flags" | "Features"));
        Ok(flags.map(|(_, flags)| flags.split_whitespace().any(|held| held == flag)))
    }

    /// Observes the hypervisor; none on bare metal. Arm has no CPU flag for it: there, only a vendor that makes nothing
    /// but virtual machines is proof.
    pub(super) fn virtualization(self) -> Observed<String> {
        let vendor = read(&self.sys.join("class/dmi/id/sys_vendor"))?.unwrap_or_default();
        let label = VENDORS.iter().find(|(start, _)| vendor.starts_with(start)).map(|(_, label)| *label);
        Ok(match self.has_cpu_flag("hypervisor")? {
            true => Some(label.unwrap_or("unknown").to_owned()),
            false => label.filter(|label| *label == "kvm").map(str::to_owned),
        })
    }
}

/// Returns a number of kibibytes from `/proc/meminfo`.
fn kib_of(memory: &str, name: &str) -> Option<u64> {
    let line = memory.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Counts `4` as one and `0-3` as four.
fn count_of_range(range: &str) -> Option<u64> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    last.checked_sub(first)?.checked_add(1)
}

/// Reads a small file; none if it does not exist.
fn read(path: &Path) -> Observed<String> {
    match linecamp_files::read_prefix(path, FILE_BYTES_MAX) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(cannot_read(path, &error)),
    }
}

fn cannot_read(path: &Path, error: &impl Display) -> String {
    format!("cannot read {}: {error}", path.display())
}

fn parsed<T>(path: &Path, text: Option<String>, parse: impl FnOnce(&str) -> Option<T>) -> Observed<T> {
    let Some(text) = text else { return Ok(None) };
    parse(&text).map(Some).ok_or_else(|| format!("{} has an unexpected format", path.display()))
}
