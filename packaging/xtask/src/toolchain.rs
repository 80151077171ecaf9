//! Rust targets, a C compiler for musl, and the third-party programs of the end-to-end tests: installed if missing; a
//! failed installation is reported.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};

use crate::commands::{binaries, cargo, program, read, root, say, step, succeeds};

/// The target of plugins.
const WASM: &str = "wasm32-wasip2";

/// Name servers that plugins are tested against, and the clients that query them: a file that exists if it is
/// installed, and its Debian package.
const NAME_SERVERS: [(&str, &str); 7] = [
    ("/usr/sbin/pdns_server", "pdns-server"),
    ("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql", "pdns-backend-sqlite3"),
    ("/usr/bin/sqlite3", "sqlite3"),
    ("/usr/sbin/named", "bind9"),
    ("/usr/bin/dig", "bind9-dnsutils"),
    ("/usr/bin/nsupdate", "bind9-dnsutils"),
    ("/usr/sbin/knotd", "knot"),
];

/// The proxy in front of the server.
const NGINX: (&str, &str) = ("/usr/sbin/nginx", "nginx");

/// Brokers that broadcast a message to all clients.
const BROKERS: [(&str, &str); 2] = [("/usr/sbin/mosquitto", "mosquitto"), ("/usr/sbin/nats-server", "nats-server")];

/// Prometheus's metrics checker, which comes with its server.
const PROMTOOL: (&str, &str) = ("/usr/bin/promtool", "prometheus");

/// The emulator of 64-bit ARM programs.
pub(crate) const EMULATOR: &str = "/usr/bin/qemu-aarch64-static";

/// Debian's package checker.
const LINTIAN: (&str, &str) = ("/usr/bin/lintian", "lintian");

/// Tools that boot Debian in a namespace, inspect packages and units, put a router between two hosts, send HTTP
/// requests (h2load: HTTP/2), issue certificates, decrypt backups, and show a program a terminal.
const MACHINE_TOOLS: [(&str, &str); 14] = [
    ("/usr/bin/age", "age"),
    ("/usr/bin/curl", "curl"),
    ("/usr/bin/h2load", "nghttp2-client"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/pgrep", "procps"),
    ("/usr/bin/script", "bsdutils"),
    ("/usr/bin/systemd-analyze", "systemd"),
    ("/usr/bin/systemd-nspawn", "systemd-container"),
    ("/usr/sbin/debootstrap", "debootstrap"),
    LINTIAN,
    ("/usr/sbin/nft", "nftables"),
    ("/usr/sbin/iptables", "iptables"),
    ("/usr/sbin/conntrack", "conntrack"),
    ("/usr/sbin/ip", "iproute2"),
];

/// The machines on which packages are installed: a Debian release, with the packages of a small machine at a site: no
/// curl, no OpenSSL. The last one also has the RPM package manager: no other distribution's root is available here.
/// `tests/harness/machine.rs` uses the same paths.
const MACHINES: [(&str, &str, &str); 3] = [
    ("bookworm", "bookworm", MACHINE_PACKAGES),
    ("trixie", "trixie", MACHINE_PACKAGES),
    ("trixie-rpm", "trixie", "systemd,systemd-sysv,dbus,procps,iproute2,rpm"),
];
const ROOTS: &str = "tools/roots";
const MACHINE_PACKAGES: &str = "systemd,systemd-sysv,dbus,procps,iproute2";

/// The directory of the Route 53 stand-in, below cargo's target directory. `tests/harness/moto.rs` uses the same path.
const MOTO: &str = "tools/moto-5.2.5";

/// The Route 53 stand-in, pinned, and the two packages of its server; its whole `server` extra is twice as large, for
/// services that we do not use.
const MOTO_PACKAGES: [&str; 3] = ["moto==5.2.5", "flask", "flask-cors"];

/// What makes requests from the API's document, and its directory below cargo's target directory. The file has the
/// versions, too. `tests/it/api_document.rs` uses the same path.
const SCHEMATHESIS: &str = "tools/schemathesis-4.32.5";
const SCHEMATHESIS_PACKAGES: &str = "tests/api/requirements.txt";

/// The C cross compiler, and its directory. Zig includes the headers of all C libraries.
const ZIG: &str = "tools/zig-0.17.1";
const ZIG_PACKAGES: [&str; 1] = ["ziglang==0.17.1"];

/// The JavaScript example, and its build tool; its `package-lock.json` has the version, too.
const JAVASCRIPT: &str = "sdk/examples/javascript";
const COMPONENTIZE: &str = "tools/componentize-qjs-0.4.5";

/// The identity provider of the end-to-end tests, and its directory below cargo's target directory; the package files
/// have the version, too. `tests/harness/oidc_provider.rs` uses the same path.
const OIDC_PROVIDER: &str = "tests/oidc-provider";
const OIDC_PROVIDER_MODULES: &str = "tools/oidc-provider-9.13.3";

/// The files that determine what npm installs.
const NPM_FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// Returns the target of the static daemon on this machine.
pub(crate) fn musl() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// Adds the targets the tests build for. Returns a line for each one that could not be added.
pub(crate) fn add_targets() -> Vec<String> {
    let wanted = [musl(), WASM.to_owned()];
    let missed = |reason: &str| {
        let line = |target| format!("target {target}: {reason}; nothing built for it is tested");
        wanted.iter().map(line).collect()
    };
    let Ok(installed) = read(program("rustup", ["target", "list", "--installed"])) else {
        return missed("rustup is not installed");
    };
    let mut skipped = Vec::new();
    for target in wanted.iter().filter(|target| !installed.lines().any(|line| line == target.as_str())) {
        if let Err(error) = add_target(target) {
            skipped.push(format!("target {target}: {error:#}; nothing built for it is tested"));
        }
    }
    skipped
}

/// Adds one target.
pub(crate) fn add_target(target: &str) -> anyhow::Result<()> {
    step(&format!("adding the target {target}"), program("rustup", ["target", "add", target]))
        .context("failed to add it (is this machine offline?)")
}

/// Installs a cargo subcommand that builds packages, in a directory of its own below cargo's target directory, and
/// returns the program.
pub(crate) fn cargo_tool(name: &str, version: &str) -> anyhow::Result<PathBuf> {
    let directory = target_directory()?.join(format!("tools/{name}-{version}"));
    let tool = directory.join("bin").join(name);
    if !tool.exists() {
        // Optimized for build time: each runs for seconds only.
        let mut install = cargo(["install", "--debug", "--locked", "--quiet", "--version", version, "--root"]);
        install.env("CARGO_PROFILE_DEV_DEBUG", "0");
        install.arg(&directory).arg(name);
        step(&format!("installing {name}"), install)?;
    }
    Ok(tool)
}

/// A C compiler for one target, and its archiver.
#[derive(Debug)]
pub(crate) struct CCompiler {
    pub(crate) cc: PathBuf,
    pub(crate) ar: PathBuf,
}

/// Installs a C compiler for one of Rust's musl targets: Zig's, in a Python environment of its own.
pub(crate) fn c_compiler(target: &str) -> anyhow::Result<CCompiler> {
    let directory = target_directory()?.join(ZIG);
    python_environment(&directory, &ZIG_PACKAGES)?;
    let python = directory.join("bin/python");
    let script = |name: String, text: String| -> anyhow::Result<PathBuf> {
        let path = directory.join("bin").join(name);
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        let all = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&path, all).with_context(|| format!("failed to make {} executable", path.display()))?;
        Ok(path)
    };
    // Zig spells targets differently, so the caller's target is left out. Zig also adds checks for undefined behavior,
    // whose functions Rust does not link; they are turned off.
    let zig_target = target.replace("-unknown", "");
    let cc = format!(
        "#!/bin/sh\nfor word do shift; case $word in --target=*) ;; *) set -- \"$@\" \"$word\" ;; esac; done\n\
         exec {python} -m ziglang cc -target {zig_target} -fno-sanitize=all \"$@\"\n",
        python = python.display()
    );
    let ar = format!("#!/bin/sh\nexec {} -m ziglang ar \"$@\"\n", python.display());
    Ok(CCompiler { cc: script(format!("cc-{target}"), cc)?, ar: script("ar".to_owned(), ar)? })
}

/// Installs the tools of the end-to-end tests where available and possible; a test without its tool reports that it is
/// skipped.
pub(crate) fn add_test_tools() {
    let faketime = format!("/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1", std::env::consts::ARCH);
    let steps = [
        ("libfaketime", add_packages(&[(&faketime, "libfaketime")])),
        ("systemd and network tools", add_packages(&MACHINE_TOOLS)),
        ("Debian root directories", add_roots()),
        ("name servers", add_servers(&NAME_SERVERS)),
        ("promtool", add_servers(&[PROMTOOL])),
        ("nginx", add_servers(&[NGINX])),
        ("moto (the Route 53 stand-in)", add_moto()),
        ("schemathesis (for the API's document)", add_schemathesis()),
        ("componentize-qjs (for the JavaScript plugin)", add_npm_packages(COMPONENTIZE, JAVASCRIPT)),
        ("oidc-provider (an identity provider)", add_npm_packages(OIDC_PROVIDER_MODULES, OIDC_PROVIDER)),
    ];
    for (what, added) in steps {
        if let Err(error) = added {
            say(&format!("failed to install {what}: {error:#}"));
        }
    }
}

/// Installs third-party servers only where installation does not start them: several servers on port 53 are unwelcome.
fn add_servers(wanted: &[(&str, &str)]) -> anyhow::Result<()> {
    let missing = missing(wanted);
    if !missing.is_empty() && Path::new("/run/systemd/system").exists() {
        bail!("systemd would start them as services; install them yourself: apt-get install {}", missing.join(" "));
    }
    add_packages(wanted)
}

/// Installs the brokers that the link is compared with; the table has a line for a missing one.
pub(crate) fn add_brokers() {
    if let Err(error) = add_servers(&BROKERS) {
        say(&format!("failed to install the brokers: {error:#}"));
    }
}

/// Installs the emulator of 64-bit ARM.
pub(crate) fn add_emulator() -> anyhow::Result<()> {
    add_packages(&[(EMULATOR, "qemu-user-static")])
}

/// Installs the package checker.
pub(crate) fn add_lintian() -> anyhow::Result<()> {
    add_packages(&[LINTIAN])
}

/// Creates the root of each machine, once: a minute each.
fn add_roots() -> anyhow::Result<()> {
    let roots = target_directory()?.join(ROOTS);
    fs::create_dir_all(&roots).with_context(|| format!("failed to create {}", roots.display()))?;
    for (name, release, packages) in MACHINES {
        let (root, part) = (roots.join(name), roots.join(format!("{name}.part")));
        if root.exists() {
            continue;
        }
        if part.exists() {
            fs::remove_dir_all(&part).with_context(|| format!("failed to remove {}", part.display()))?;
        }
        let mut make = program("debootstrap", ["--variant=minbase", &format!("--include={packages}"), release]);
        make.arg(&part).stdout(Stdio::null());
        step(&format!("creating the test machine {name}"), make)?;
        // Renamed last: an incomplete root does not have the final name.
        fs::rename(&part, &root).with_context(|| format!("failed to rename to {}", root.display()))?;
    }
    Ok(())
}

/// Installs the packages whose files are missing.
fn add_packages(wanted: &[(&str, &str)]) -> anyhow::Result<()> {
    let missing = missing(wanted);
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

fn missing<'a>(wanted: &[(&str, &'a str)]) -> Vec<&'a str> {
    let absent = wanted.iter().filter(|(file, _)| !Path::new(file).exists());
    let packages: BTreeSet<_> = absent.map(|(_, package)| *package).collect();
    packages.into_iter().collect()
}

/// Installs moto in a Python environment of its own.
fn add_moto() -> anyhow::Result<()> {
    python_environment(&target_directory()?.join(MOTO), &MOTO_PACKAGES)
}

/// Installs schemathesis in a Python environment of its own.
fn add_schemathesis() -> anyhow::Result<()> {
    let packages = root().join(SCHEMATHESIS_PACKAGES);
    let requirement = format!("--requirement={}", packages.display());
    python_environment(&target_directory()?.join(SCHEMATHESIS), &[&requirement])
}

/// Creates a Python environment with these packages at `directory`, unless it exists.
fn python_environment(directory: &Path, packages: &[&str]) -> anyhow::Result<()> {
    // Written last: an incomplete environment does not have it.
    let complete = directory.join("complete");
    if complete.exists() {
        return Ok(());
    }
    let make = || program("python3", ["-m".as_ref(), "venv".as_ref(), "--clear".as_ref(), directory.as_os_str()]);
    if !succeeds(make()) {
        install(&["python3-venv"])?;
        step("creating a Python environment", make())?;
    }
    let pip = directory.join("bin/pip");
    let arguments = ["install", "--quiet", "--disable-pip-version-check"].iter().chain(packages);
    step(&format!("installing {}", packages.join(", ")), program(&pip.to_string_lossy(), arguments))?;
    fs::write(&complete, "").with_context(|| format!("failed to write {}", complete.display()))
}

/// Returns the script for `node` that builds components from JavaScript, if it could be installed.
pub(crate) fn componentize() -> Option<PathBuf> {
    let directory = target_directory().ok()?.join(COMPONENTIZE);
    directory.join("complete").exists().then(|| directory.join("node_modules/componentize-qjs/cli.mjs"))
}

/// Installs what the package files in `from` list, to `directory` below cargo's target directory, unless it is there.
fn add_npm_packages(directory: &str, from: &str) -> anyhow::Result<()> {
    let directory = target_directory()?.join(directory);
    // Written last: an incomplete installation does not have it.
    let complete = directory.join("complete");
    if complete.exists() {
        return Ok(());
    }
    if !succeeds(program("npm", ["--version"])) {
        install(&["nodejs", "npm"])?;
    }
    fs::create_dir_all(&directory).with_context(|| format!("failed to create {}", directory.display()))?;
    for file in NPM_FILES {
        let from = root().join(from).join(file);
        fs::copy(&from, directory.join(file)).with_context(|| format!("failed to copy {}", from.display()))?;
    }
    // Not `npm ci`: it requires the lock file to list optional packages for other platforms, which are not available.
    let mut install = program("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"]);
    install.current_dir(&directory);
    step(&format!("installing the packages of {from}"), install)?;
    fs::write(&complete, "").with_context(|| format!("failed to write {}", complete.display()))
}

pub(crate) fn target_directory() -> anyhow::Result<PathBuf> {
    Ok(binaries()?.parent().context("cargo's directory has no parent")?.to_owned())
}

/// Installs Debian packages, as root on Debian; elsewhere that is the user's decision.
pub(crate) fn install(packages: &[&str]) -> anyhow::Result<()> {
    let list = packages.join(" ");
    if !rustix::process::geteuid().is_root() || !Path::new("/etc/debian_version").exists() {
        bail!("install {list} with your system's package manager");
    }
    let line = format!("apt-get install {list}");
    let install = || {
        let arguments = ["install", "--yes", "--no-install-recommends"].iter().chain(packages);
        program("apt-get", arguments)
    };
    // A fresh machine has no package lists yet.
    if step(&line, install()).is_err() {
        step("apt-get update", program("apt-get", ["update"]))?;
        step(&line, install())?;
    }
    Ok(())
}
