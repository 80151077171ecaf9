//! A Debian machine, booted by its own systemd, to install packages on.
//!
//! `systemd-nspawn` boots a root file system made by `cargo xtask test`, under an overlay, in half a second; so every
//! machine is fresh, and its writes survive a power cut. It has its own processes, users, mounts and journal, and
//! shares the test's network, where a server on a loopback port is reachable, or has a place in a
//! [`Network`](crate::Network). It uses cgroup v2, mounted in its own mount namespace, whatever the host uses. Memory
//! limits are accepted there but not enforced.
//!
//! If the user is not root, or nspawn is not available, a test that needs a machine is skipped with a message.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::binaries::target_directory;
use crate::cli::{CommandOutput, run_command};
use crate::namespace::NetworkNamespace;
use crate::network::Place;
use crate::skip::skip;
use crate::wait::wait_until;

/// Time limit of an operation on a machine: several boot in parallel, and a site takes up to 60 s to notice a silent
/// server.
const PATIENCE: Duration = Duration::from_secs(150);

/// Set by `cargo xtask test` to the directory of the packages.
const PACKAGES: &str = "LINECAMP_PACKAGES";

/// Directory of the root file systems, below cargo's target directory. xtask's `toolchain` has the same value.
const ROOTS: &str = "tools/roots";

/// Mounts the overlay and cgroups, boots, and cleans up the cgroup. Its arguments: root, directory, name, packages. Its
/// input is a pipe held by the test: when the pipe closes, the machine is killed.
const BOOT: &str = r#"
set -e
exec 3<&0 </dev/null
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
group=/sys/fs/cgroup/$3
mkdir -p "$group"
(exec 3<&- && echo 0 > "$group/cgroup.procs" && exec systemd-nspawn --quiet --directory="$2/root" --boot \
    --register=no --keep-unit --machine="$3" --resolv-conf=off --link-journal=no --bind-ro="$4:/packages" \
    --system-call-filter=bpf --capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON) &
machine=$!
(cat <&3 >/dev/null; kill -9 $machine) &
guard=$!
wait $machine || true
kill $guard || true
find "$group" -depth -type d -exec rmdir {} + || true
"#;

/// Returns the packages made by `cargo xtask test`: this version in `current/`, an older one in `previous/`. `None` if
/// there are none; the skip is then recorded.
pub fn packages() -> Option<PathBuf> {
    let found = std::env::var_os(PACKAGES).map(PathBuf::from).filter(|path| path.join("current").exists());
    if found.is_none() {
        skip("packages", "no packages found; `cargo xtask test` builds them");
    }
    found
}

/// A machine. Dropping it cuts its power.
#[derive(Debug)]
pub struct Machine {
    name: String,
    base: PathBuf,
    packages: PathBuf,
    network: NetworkNamespace,
    directory: TempDir,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    launcher: Child,
    /// The machine's process 1, as a pid of the test.
    init: String,
}

impl Machine {
    /// Boots a fresh machine with a Debian release such as `bookworm`; `None` if that is not possible, and the skip is
    /// recorded.
    ///
    /// # Panics
    /// If it does not boot. The other methods panic likewise if they fail.
    pub fn boot(release: &str) -> Option<Self> {
        Self::boot_in(release, NetworkNamespace::default())
    }

    /// Like [`Machine::boot`], at a place in a network.
    pub fn boot_at(release: &str, place: &Place) -> Option<Self> {
        Self::boot_in(release, place.0.clone())
    }

    fn boot_in(release: &str, network: NetworkNamespace) -> Option<Self> {
        let packages = packages()?;
        let base = base(release)?;
        let directory = tempfile::Builder::new().prefix("linecamp-vm-").tempdir().expect("a directory can be made");
        for part in ["upper", "work", "root"] {
            fs::create_dir(directory.path().join(part)).expect("a directory can be made");
        }
        // The name of a temporary directory is unique.
        let name = directory.path().file_name().expect("it has a name").to_string_lossy().to_lowercase();
        let mut machine = Self { name, base, packages, network, directory, running: None };
        machine.power_on();
        Some(machine)
    }

    /// Boots the machine again.
    pub fn power_on(&mut self) {
        let log = File::create(self.directory.path().join("console")).expect("a log can be made");
        let copy = log.try_clone().expect("a file can be opened twice");
        let mut command = self.network.command("unshare");
        command.args(["--mount", "sh", "-c", BOOT, "sh"]).arg(&self.base).arg(self.directory.path());
        command.arg(&self.name).arg(&self.packages);
        command.stdin(Stdio::piped()).stdout(copy).stderr(log);
        let launcher = command.spawn().expect("unshare starts");
        self.running = Some(Running { launcher, init: String::new() });
        let is_up = wait_until(PATIENCE, || {
            // nspawn's first child only creates the one that stays.
            let init = init_of(&self.name)?;
            self.running.as_mut().expect("it was started").init = init;
            let state = self.run("systemctl is-system-running");
            ["running\n", "degraded\n"].contains(&&*state.stdout).then_some(())
        });
        assert!(is_up.is_some(), "{} did not start:\n{}", self.name, self.console());
    }

    /// Kills everything on the machine at once, process 1 first.
    pub fn power_cut(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let _ = Command::new("kill").args(["-9", &running.init]).status();
        // The namespace takes its mounts with it.
        let ended = wait_until(PATIENCE, || running.launcher.try_wait().expect("the child has not been waited for"));
        if ended.is_none() {
            let _ = running.launcher.kill();
            let _ = running.launcher.wait();
        }
    }

    /// Runs a shell command as root.
    pub fn run(&self, line: &str) -> CommandOutput {
        self.run_with(line, &[])
    }

    /// Runs a shell command as root, with arguments `$1` and so on.
    pub fn run_with(&self, line: &str, arguments: &[&str]) -> CommandOutput {
        let running = self.running.as_ref().expect("the machine is on");
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &running.init,
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
            "--root",
            "--wd",
        ]);
        command.args(["sh", "-c", line, "sh"]).args(arguments);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
        run_command(command, format!("{}: {line}", self.name), self.directory.path())
    }

    /// Returns a property of a unit, as `systemctl show` prints it.
    pub fn property(&self, unit: &str, property: &str) -> String {
        let said = self.run(&format!("systemctl show --property={property} --value {unit}")).ok();
        said.stdout.trim().to_owned()
    }

    /// Writes a file and creates its parent directories.
    pub fn write(&self, path: &str, mode: &str, text: &str) {
        let line = r#"mkdir -p "$(dirname "$1")" && umask 077 && printf '%s' "$3" > "$1" && chmod "$2" "$1""#;
        self.run_with(line, &[path, mode, text]).ok();
    }

    /// Copies a file of the test to the machine.
    pub fn copy(&self, file: &Path, path: &str) {
        let running = self.running.as_ref().expect("the machine is on");
        let mut command = Command::new("sh");
        let line = "nsenter --target \"$1\" --mount --root sh -c 'cat > \"$1\"' sh \"$3\" < \"$2\"";
        command.args(["-c", line, "sh", &running.init]).arg(file).arg(path);
        run_command(command, format!("{}: copy {path}", self.name), self.directory.path()).ok();
    }

    /// Waits until the condition returns a value.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, condition: impl FnMut() -> Option<T>) -> T {
        wait_until(PATIENCE, condition)
            .unwrap_or_else(|| panic!("waited {PATIENCE:?} for: {what}\n{}\n{}", self.journal(), self.console()))
    }

    /// Returns the end of the machine's journal, for a failure message.
    pub fn journal(&self) -> String {
        self.run("journalctl --no-pager --lines 60").stdout
    }

    fn console(&self) -> String {
        fs::read(self.directory.path().join("console"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() && self.running.is_some() {
            eprintln!("{}", self.journal());
        }
        self.power_cut();
    }
}

/// Returns process 1 of a machine: the child of its nspawn.
fn init_of(name: &str) -> Option<String> {
    let nspawn = first_line("pgrep", &["-f", &format!("^systemd-nspawn .*--machine={name} ")])?;
    first_line("pgrep", &["-P", &nspawn])
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let said = Command::new(program).args(arguments).output().ok()?;
    String::from_utf8_lossy(&said.stdout).lines().next().map(str::to_owned)
}

/// Tries the first steps of a boot, which containers often forbid.
fn probe() -> Result<(), String> {
    let line = "mount --make-rprivate / && umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup";
    let tried = Command::new("unshare").args(["--mount", "sh", "-c", line]).output();
    match tried {
        Ok(said) if said.status.success() => Ok(()),
        Ok(said) => Err(String::from_utf8_lossy(&said.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn base(release: &str) -> Option<PathBuf> {
    let base = target_directory().join(ROOTS).join(release);
    let why = if !base.exists() {
        "no root file system; `cargo xtask test` creates one, as root on Debian"
    } else if !rustix::process::geteuid().is_root() {
        "booting a machine requires root"
    } else if !Path::new("/usr/bin/systemd-nspawn").exists() {
        "systemd-nspawn is not installed"
    } else if let Err(refused) = probe() {
        skip("machines", &format!("{release}: cannot mount the required file systems: {refused}"));
        return None;
    } else {
        return Some(base);
    };
    skip("machines", &format!("{release}: {why}"));
    None
}
