//! The installation of machines that are not set up yet: the packages of the daemon, and a script that installs one of
//! them and joins. The server offers them to new sites, and the gateway of a site to new hosts of its LAN.
//!
//! A minimal Debian has neither curl nor OpenSSL, but it has apt, which downloads a file of a known digest. Trust is
//! therefore based on digests: the command line that an operator is shown over a trusted connection contains the digest
//! of the script, and the script contains the digests of the packages. The other end's name and certificate are not
//! checked, and anything modified in transit is not run.
//!
//! The script of a gateway depends on nothing but the packages: it takes the addresses to download from out of the
//! token. It is therefore the same when a daemon has restarted, and has other addresses.

#![forbid(unsafe_code)]

mod body;
mod packages;

use linecamp_model::{JoinTarget, shell_quoted};

pub use self::body::package_body;
pub use self::packages::{DaemonPackage, DaemonPackages};

/// The script, with `@…@` placeholders for what is known only when it is offered.
const SCRIPT: &str = include_str!("install.sh");

/// The media type of the script.
pub const SCRIPT_TYPE: &str = "text/x-shellscript";

/// The media type of a package.
pub const PACKAGE_TYPE: &str = "application/vnd.debian.binary-package";

/// The path of the script at its parent. Packages are below it.
pub const PATH: &str = "/install";

/// The program that downloads a file of a known digest, with the options that every use needs.
const DOWNLOADER: &str = "/usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root";

/// What a machine joins, and where it downloads from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallSource {
    /// A server at this URL. The machine becomes a site, or a host of one.
    Server(String),
    /// A gateway, at the addresses in its token, over HTTP. The machine becomes a host.
    Gateway,
}

impl InstallSource {
    /// The values of the script's placeholders.
    fn placeholders(&self) -> [(&'static str, &str); 6] {
        let (url, parent, is_host, create) = match self {
            Self::Server(url) => (url.as_str(), "server", "", "linecamp token create"),
            Self::Gateway => ("", "gateway", "yes", "linecampd token create"),
        };
        let options = self.options();
        [
            ("@URL@", url),
            ("@PARENT@", parent),
            ("@HOST@", is_host),
            ("@CREATE@", create),
            ("@DOWNLOADER@", DOWNLOADER),
            ("@OPTIONS@", options),
        ]
    }

    /// The options of apt for a download.
    const fn options(&self) -> &'static str {
        match self {
            Self::Server(_) => "-o Acquire::https::Verify-Peer=false -o Acquire::https::Verify-Host=false",
            // A gateway has several addresses, of which some may be dead, and no proxy leads to them.
            Self::Gateway => "-o Acquire::http::Proxy=DIRECT -o Acquire::http::Timeout=10 -o Acquire::Retries=0",
        }
    }
}

impl DaemonPackages {
    /// Returns the script that installs a machine and lets it join; `None` if there are no packages.
    pub fn script(&self, source: &InstallSource) -> Option<String> {
        let arms: Vec<_> = self.all().iter().map(DaemonPackage::script_arm).collect();
        let filled = || {
            let script = SCRIPT.replace("@VERSION@", env!("CARGO_PKG_VERSION")).replace("@PACKAGES@", &arms.join("\n"));
            source.placeholders().iter().fold(script, |script, (name, value)| script.replace(name, value))
        };
        (!arms.is_empty()).then(filled)
    }

    /// Returns the command line that installs a machine and lets it join; `None` if there are no packages. A machine
    /// that joins a server becomes a host of the site `host_of`, if there is one.
    pub fn line(&self, source: &InstallSource, target: &JoinTarget, host_of: Option<&str>) -> Option<String> {
        let digest = packages::digest(self.script(source)?.as_bytes());
        let options = source.options();
        let servers: Vec<_> = target.servers.iter().map(ToString::to_string).collect();
        let join = shell_quoted(format!("{}@{}", target.token.reveal(), servers.join(",")));
        let download = |url: &str| format!("{DOWNLOADER} {options} download-file {url} $d/install SHA256:{digest}");
        let download = match source {
            InstallSource::Server(url) => download(&shell_quoted(format!("{url}{PATH}"))),
            InstallSource::Gateway => {
                let addresses: Vec<_> = servers.iter().map(shell_quoted).collect();
                let attempt = download(&format!("\"http://$a{PATH}\""));
                format!("for a in {}; do {attempt} && break; done", addresses.join(" "))
            }
        };
        // A private directory, because the script trusts the files beside it, and anyone may create files in /tmp.
        // `echo` is a shell builtin, so the token is in no process's arguments.
        let site = host_of.map_or_else(String::new, |site| format!(" --site {}", shell_quoted(site)));
        Some(format!("d=$(mktemp -d) && {download} && echo {join} | sh $d/install{site}"))
    }
}

#[cfg(test)]
mod tests;
