//! The contents of the packages, as Debian's own tools show them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use linecamp_tests::{packages, skip};

fn current(packages: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(packages.join("current")).expect("there are packages");
    let paths = entries.map(|entry| entry.expect("a directory is read").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect()
}

/// Runs a program on a package and returns its output.
fn ask(program: &str, arguments: &[&str], package: &Path) -> String {
    let said = Command::new(program).args(arguments).arg(package).output().expect("dpkg is installed on every Debian");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "{program} {}: {text}{}", package.display(), String::from_utf8_lossy(&said.stderr));
    text
}

/// Lintian finds no error; warnings are reviewed by hand. The programs of the dev profile depend on a C library; the
/// released ones are static: `cargo xtask dist` checks those without an exception.
#[test]
fn lintian_finds_no_error() {
    let Some(packages) = packages() else { return };
    if !Path::new("/usr/bin/lintian").exists() {
        return skip("lintian", "it is not installed");
    }
    for package in current(&packages) {
        let except = ["--suppress-tags", "missing-dependency-on-libc"];
        ask("lintian", &[&["--allow-root", "--fail-on", "error"], &except[..]].concat(), &package);
    }
}

/// Each package has its files, a page for every command, and configuration files that keep the owner's changes.
#[test]
fn packages_contain_the_expected_files() {
    let Some(packages) = packages() else { return };
    let expected: [(&str, &[&str], &str); 4] = [
        (
            "linecampd",
            &["usr/bin/linecampd", "libexec/linecamp/linecamp-plugin-compiler", "linecampd-join.1.gz"],
            "/etc/linecamp/linecampd.toml",
        ),
        (
            "linecamp-server",
            &[
                "usr/bin/linecamp-server",
                "site/linecampd_",
                "linecamp-server-init.1.gz",
                "examples/linecamp-server-backup.timer",
            ],
            "/etc/linecamp/server.toml",
        ),
        ("linecamp", &["usr/bin/linecamp", "linecamp-site-ls.1.gz", "bash-completion/completions/linecamp"], ""),
        ("linecamp-plugins", &["plugins/dns_powerdns.wasm", "dns_rfc2136.wasm", "dns_route53.wasm"], ""),
    ];
    let current = current(&packages);
    assert_eq!(current.len(), expected.len(), "{current:?}");
    for (name, files, settings) in expected {
        let is_it = |path: &&PathBuf| {
            path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&format!("{name}_")))
        };
        let package = current.iter().find(is_it).unwrap_or_else(|| panic!("{name} is not packaged"));
        let held = ask("dpkg-deb", &["--contents"], package);
        for file in files {
            assert!(held.contains(file), "{name} has no {file}:\n{held}");
        }
        assert!(!held.lines().any(|line| !line.contains(" 0/0 ") && !line.contains("root/root")), "{name}: {held}");
        let script =
            format!("dpkg-deb --fsys-tarfile \"$0\" | tar --extract --to-stdout ./usr/share/doc/{name}/copyright");
        assert!(
            ask("sh", &["-c", &script], package).contains("\nCopyright: 2026 "),
            "{name} names its copyright holder"
        );
        let control = ask("dpkg-deb", &["--info"], package);
        assert_eq!(control.contains("conffiles"), !settings.is_empty(), "{control}");
        assert!(!control.contains("\n Depends: lib"), "{name} has no dependencies: {control}");
    }
}

/// The only timestamp in them is the last commit's: rebuilt, they are identical.
#[test]
fn packages_contain_no_build_time() {
    let Some(packages) = packages() else { return };
    let mut times = BTreeSet::new();
    for package in current(&packages) {
        // `drwxr-xr-x root/root 0 2026-11-22 18:40 ./usr/`.
        let held = ask("dpkg-deb", &["--contents"], &package);
        times.extend(held.lines().map(|line| line.split_whitespace().skip(3).take(2).collect::<Vec<_>>().join(" ")));
        // The archive around it: `rw-r--r-- 0/0 4 Nov 22 18:40 2026 debian-binary`.
        let parts = ask("ar", &["tvO"], &package);
        assert!(parts.lines().all(|line| line.contains(" 0/0 ")), "{parts}");
    }
    assert_eq!(times.len(), 1, "{times:?}");
}
