//! Small and read-only disks. On machines that cannot mount them, the tests report what is skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use linecamp_tests::skip;

/// A small file system, unmounted on drop.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one that fills up quickly.
    pub(crate) fn mount(path: &Path) -> Option<Self> {
        Self::mount_with(path, "size=1m")
    }

    /// Mounts one with these options of tmpfs.
    pub(crate) fn mount_with(path: &Path, options: &str) -> Option<Self> {
        let mounted = mount(&["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), options.as_ref(), "it".as_ref(), path]);
        shown(mounted).map(|()| Self(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

/// A read-only directory, restored on drop.
pub(crate) struct ReadOnly(PathBuf);

impl ReadOnly {
    pub(crate) fn mount(path: &Path) -> Option<Self> {
        shown(mount(&["--bind".as_ref(), path, path]))?;
        let mounted = Self(path.to_owned());
        shown(mount(&["-o".as_ref(), "remount,ro,bind".as_ref(), path]))?;
        Some(mounted)
    }

    pub(crate) fn make_writable(&self) {
        mount(&["-o".as_ref(), "remount,rw,bind".as_ref(), &self.0]).expect("it was mounted a moment ago");
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

fn shown(mounted: Result<(), String>) -> Option<()> {
    mounted
        .map_err(|problem| skip("small-disk", &format!("a small or read-only disk: it cannot be mounted ({problem})")))
        .ok()
}

fn mount(arguments: &[&Path]) -> Result<(), String> {
    let said = Command::new("mount").args(arguments).output().map_err(|error| error.to_string())?;
    if said.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said.stderr).trim().to_owned()) }
}

fn unmount(path: &Path) {
    let _ = Command::new("umount").arg("-l").arg(path).status();
}
