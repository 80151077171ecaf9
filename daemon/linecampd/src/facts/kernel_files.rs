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
        parsed(&path, read(&path)?, |memory| {
            let line = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kib / 1024)
        })
    }

    pub(super) fn has_kvm(self) -> Observed<bool> {
        let path = self.dev.join("kvm");
        path.try_exists().map(Some).map_err(|error| cannot_read(&path, &error))
    }

    pub(super) fn has_cpu_flag(self, flag: &str) -> Result<bool, String> {
        let text = read(&self.proc.join("cpuinfo"))?.unwrap_or_default();
        // `flags` on x86, `Features` on Arm.
        let flags = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| matches!(key.trim(), "flags" | "Features"));
        Ok(flags.is_some_and(|(_, flags)| flags.split_whitespace().any(|held| held == flag)))
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
