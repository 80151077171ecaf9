//! An OpenID Connect provider: panva's oidc-provider, which is certified, with its own pages for logins.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::binaries::target_directory;
use crate::certificates::CompanyCa;
use crate::fleet::Fleet;
use crate::name_server::find;
use crate::ports::Port;
use crate::process::Process;
use crate::skip::skip;
use crate::wait::{PATIENCE, wait_until};

/// Where `cargo xtask test` installs the provider, below cargo's target directory. `packaging/xtask/src/toolchain.rs`
/// has the same value.
const MODULES: &str = "tools/oidc-provider-9.13.3";

/// Starts the provider.
const SCRIPT: &str = include_str!("oidc_provider.mjs");

/// A provider in front of which a server stands as the client `linecamp`.
#[derive(Debug)]
pub struct OidcProvider {
    process: Process,
    port: Port,
    people: PathBuf,
    authority: PathBuf,
    secret_file: PathBuf,
}

impl OidcProvider {
    /// Starts a provider for the server of `fleet`, with a certificate of an authority of its own; `None` if Node.js,
    /// the provider or OpenSSL is not installed, and the skip is recorded.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(fleet: &Fleet) -> Option<Self> {
        let modules = Self::modules()?;
        let node = find("node", "oidc-provider")?;
        let home = fleet.directory().join("provider");
        let authority = CompanyCa::create(&home)?;
        let port = Port::take();
        let (certificate, key) = authority.issue(&port.address().ip().to_string());
        let write = |name: &str, text: &str| {
            fs::write(home.join(name), text).expect("a file can be written");
            home.join(name)
        };
        let (people, secret_file) = (write("people.json", "{}"), write("secret", "only for tests\n"));
        let settings = json!({
            "issuer": format!("https://{}", port.address()),
            "listen": [port.address().ip().to_string(), port.address().port()],
            "secret": "only for tests",
            "redirect_uri": format!("{}/api/v1/login/oidc/callback", fleet.url()),
            "people": people, "certificate": certificate, "key": key,
        });
        let (script, settings) = (write("provider.mjs", SCRIPT), write("settings.json", &settings.to_string()));
        let arguments = [script, modules, settings].map(|path| path.display().to_string());
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let process = fleet.process("oidc-provider", &arguments, "oidc-provider.log").at(node);
        let authority = authority.file();
        let mut provider = Self { process, port, people, authority, secret_file };
        provider.restart();
        Some(provider)
    }

    /// Returns where the provider is installed; `None` if it is not, and the skip is recorded.
    pub fn modules() -> Option<PathBuf> {
        let modules = target_directory().join(MODULES);
        // Written last by the installation.
        if modules.join("complete").is_file() {
            return Some(modules);
        }
        let place = modules.display();
        let why = format!("an identity provider: {place} not found, and `cargo xtask test` could not install it");
        skip("oidc-provider", &why);
        None
    }

    /// Starts it again after it was stopped.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.process.start();
        let (address, process) = (self.port.address(), &mut self.process);
        let is_up = wait_until(PATIENCE, || {
            let is_listening = TcpStream::connect(address).is_ok();
            (is_listening || !process.is_running()).then_some(is_listening)
        });
        assert_eq!(is_up, Some(true), "the provider did not start:\n{}", self.process.log());
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    /// Returns its issuer.
    pub fn issuer(&self) -> String {
        format!("https://{}", self.port.address())
    }

    /// Returns the file of the authority that issued its certificate.
    pub fn authority(&self) -> &std::path::Path {
        &self.authority
    }

    /// Sets the people: for each subject the claims `preferred_username` and `groups`.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn set_people(&self, people: &Value) {
        fs::write(&self.people, people.to_string()).expect("a file can be written");
    }

    /// Returns the settings of a server that uses it, without `oidc_groups`.
    pub fn server_settings(&self) -> String {
        format!(
            "oidc_issuer = {:?}\noidc_client_secret_file = {:?}\noidc_ca_file = {:?}\n",
            self.issuer(),
            self.secret_file,
            self.authority
        )
    }
}
