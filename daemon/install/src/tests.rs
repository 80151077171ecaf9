//! Tests of the packages, and of the script on a machine whose commands are scripted.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use linecamp_model::JoinTarget;

use super::packages::{PREFIX, digest};
use super::*;

fn server() -> InstallSource {
    InstallSource::Server("https://camp.example:8443".to_owned())
}

#[test]
fn only_the_daemons_packages_of_our_own_version_are_offered() {
    let directory = tempfile::tempdir().unwrap();
    let arm = format!("{PREFIX}arm64.deb");
    for name in [&arm, "linecampd_0.0.1_amd64.deb", "README", &format!("{PREFIX}a';b.deb")] {
        fs::write(directory.path().join(name), "x").unwrap();
    }
    let packages = DaemonPackages::find(directory.path());
    let names: Vec<_> = packages.all().iter().map(|package| package.name()).collect();
    assert_eq!(names, [&arm]);
    let script = packages.script(&server()).unwrap();
    assert!(script.contains(&format!("    arm64) echo {arm} {} ;;", digest(b"x"))), "{script}");
    let left = server().placeholders().map(|(name, _)| script.contains(name));
    assert!(!left.contains(&true) && !script.contains("@PACKAGES@") && !script.contains("@VERSION@"), "{script}");
}

#[test]
fn a_pipe_among_the_packages_does_not_block_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join(format!("{PREFIX}arm64.deb"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(DaemonPackages::find(directory.path()).all().is_empty());
}

/// A directory in the place of a package cannot be read, by root either.
#[test]
fn one_unreadable_package_does_not_hide_the_others() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join(format!("{PREFIX}amd64.deb"))).unwrap();
    let arm = format!("{PREFIX}arm64.deb");
    fs::write(directory.path().join(&arm), "x").unwrap();
    let packages = DaemonPackages::find(directory.path());
    assert_eq!(packages.all().iter().map(DaemonPackage::name).collect::<Vec<_>>(), [arm]);
}

/// Whatever the addresses of a gateway, its script is the same; they are in the line, for the download of the script.
#[test]
fn the_line_of_a_gateway_tries_all_its_addresses() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(format!("{PREFIX}arm64.deb")), "x").unwrap();
    let packages = DaemonPackages::find(directory.path());
    let token = format!("lct_{}@10.0.0.1:4433,[fd00::1]:4433", "A".repeat(75));
    let line = packages.line(&InstallSource::Gateway, &JoinTarget::parse(&token).unwrap(), None).unwrap();
    let script = packages.script(&InstallSource::Gateway).unwrap();
    assert!(line.contains("for a in 10.0.0.1:4433 '[fd00::1]:4433'; do "), "{line}");
    assert!(line.contains(&format!("\"http://$a/install\" $d/install SHA256:{} && break", digest(script.as_bytes()))));
    assert!(line.ends_with(&format!(" && echo '{token}' | sh $d/install")), "{line}");
    assert!(!script.contains("10.0.0.1"), "{script}");
}

#[test]
fn without_packages_there_is_no_script() {
    assert!(DaemonPackages::find(Path::new("/nowhere/at-all")).script(&server()).is_none());
}

/// A machine that has joined: the script runs with scripted commands, and its directories are in one of our own.
struct Member(tempfile::TempDir);

impl Member {
    /// `join` is what `linecampd join` does there.
    fn new(state: &str, join: &str) -> Self {
        let member = Self(tempfile::tempdir().unwrap());
        let identity = member.path("data/identity");
        fs::create_dir_all(&identity).unwrap();
        fs::write(identity.join("membership.pem"), "Server: old.example:8443\n").unwrap();
        fs::create_dir(member.path("bin")).unwrap();
        member.set_state(state);
        let root = member.0.path().display();
        member.command("id", "echo 0");
        member.command("dpkg", "exit 0");
        member.command("dpkg-query", "printf 'ii 99'");
        member.command("systemctl", &format!("echo \"$*\" >> {root}/calls"));
        member.command("linecampd", &format!("cat {root}/state"));
        member.command("runuser", &format!("echo \"$*\" >> {root}/calls; {join}"));
        member
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn set_state(&self, state: &str) {
        fs::write(self.path("state"), format!("\"state\": \"{state}\"\n")).unwrap();
    }

    fn command(&self, name: &str, body: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs the script with a new token. Returns its output and what it did with service and daemon.
    fn install(&self) -> (Output, String) {
        self.install_from(&server())
    }

    fn install_from(&self, source: &InstallSource) -> (Output, String) {
        let root = self.0.path().display().to_string();
        let script = SCRIPT.replace("/var/lib/linecamp", &format!("{root}/data"));
        let script = script.replace("/etc/linecamp", &format!("{root}/etc")).replace("/run/systemd/system", &root);
        let script = script.replace("@PACKAGES@", "    *) echo ;;").replace("@VERSION@", "1");
        let script = script.replace("/var/cache/linecamp", &format!("{root}/cache"));
        let script = source.placeholders().iter().fold(script, |script, (name, value)| script.replace(name, value));
        fs::write(self.path("install"), script).unwrap();
        let path = format!("{root}/bin:{}", std::env::var("PATH").unwrap());
        // A test may run where signals are ignored, which a shell cannot undo.
        let mut shell = Command::new("env");
        shell
            .args(["--default-signal", "sh"])
            .arg(self.path("install"))
            .args(["--name", "camp-001"])
            .env("PATH", path)
            .stdin(Stdio::piped());
        let mut running = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        running.stdin.take().unwrap().write_all(b"lct_x@new.example:8443\n").unwrap();
        let output = running.wait_with_output().unwrap();
        (output, fs::read_to_string(self.path("calls")).unwrap_or_default())
    }
}

/// A signal that ends the script must not leave the site without its daemon.
#[test]
fn a_signal_while_the_daemon_is_stopped_starts_it_again() {
    for (signal, code) in [("HUP", 129), ("INT", 130), ("TERM", 143)] {
        let member = Member::new("disconnected", &format!("kill -{signal} \"$PPID\"; exit 1"));
        let (output, calls) = member.install();
        let calls: Vec<_> = calls.lines().filter(|call| call.contains("linecampd.service")).collect();
        assert_eq!(calls, ["stop linecampd.service", "start linecampd.service"], "{signal}: {output:?}");
        assert_eq!(output.status.code(), Some(code), "{signal}: {output:?}");
    }
}

/// One dial takes up to 30 s.
#[test]
fn a_member_has_the_time_to_try_the_addresses_of_a_token() {
    let member = Member::new("disconnected", "exit 1");
    let (output, calls) = member.install();
    assert!(calls.contains("linecampd join - --timeout 120s"), "{calls}");
    assert!(calls.ends_with("start linecampd.service\n"), "{calls}");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn a_connected_member_keeps_its_link_and_its_addresses() {
    let member = Member::new("connected", "exit 1");
    let (output, calls) = member.install();
    assert!(output.status.success(), "{output:?}");
    assert!(!calls.contains("stop"), "{calls}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("its daemon is connected; the token is not used"), "{text}");
}

#[test]
fn a_warning_of_the_join_is_shown() {
    let join = "echo 'warning: the daemon dials only the addresses in its configuration: c:1'";
    let member = Member::new("disconnected", join);
    // The daemon connects when it is started.
    let root = member.0.path().display().to_string();
    let start = format!("case $1 in start) echo '\"state\": \"connected\"' > {root}/state ;; esac");
    member.command("systemctl", &start);
    let (output, _) = member.install();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("warning: the daemon dials only"), "{output:?}");
}

/// Neither the server nor a gateway answered: the daemon joins later, as what the machine was meant to be.
#[test]
fn a_machine_that_reached_nobody_keeps_its_join() {
    for (source, flag, line) in
        [(server(), "join - --timeout", ""), (InstallSource::Gateway, "join - --host", "host = true\n")]
    {
        let machine = Member::new("disconnected", "exit 1");
        fs::remove_file(machine.path("data/identity/membership.pem")).unwrap();
        for directory in ["etc/secrets", "etc/linecampd.d"] {
            fs::create_dir_all(machine.path(directory)).unwrap();
        }
        machine.command("sleep", "exit 0");
        let (output, calls) = machine.install_from(&source);
        assert!(output.status.success() && calls.contains(flag), "{calls}{output:?}");
        let kept = fs::read_to_string(machine.path("etc/linecampd.d/50-join.toml")).unwrap();
        assert!(kept.ends_with(&format!("name = \"camp-001\"\n{line}")), "{kept}");
        assert_eq!(fs::read_to_string(machine.path("etc/secrets/join-token")).unwrap(), "lct_x@new.example:8443\n");
    }
}

/// A gateway serves what it was installed from; a host serves nothing.
#[test]
fn a_site_keeps_its_packages_and_a_host_does_not() {
    for (source, is_kept) in [(server(), true), (InstallSource::Gateway, false)] {
        let machine = Member::new("connected", "exit 1");
        fs::write(machine.path("linecampd_1_arm64.deb"), "x").unwrap();
        fs::write(machine.path("linecampd_2_arm64.deb"), "x").unwrap();
        let (output, _) = machine.install_from(&source);
        assert!(output.status.success(), "{output:?}");
        let kept = fs::read_dir(machine.path("cache/packages")).into_iter().flatten();
        let kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(kept, ["linecampd_1_arm64.deb"].get(..usize::from(is_kept)).unwrap(), "{output:?}");
    }
}
