//! A host in a temporary directory, with the malicious plugin in it, and a network whose names are set by the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use linecamp_model::{
    CallId, DnsSettings, DomainName, Endpoint, Grant, Name, NameTemplate, OwnerId, PluginRef, ProviderConfig,
    ProviderFailure, ProviderReply, ProviderRequest, ProviderSpec, SecretName, Selector, Ttl,
};
use tempfile::TempDir;

use crate::{
    HostConfig, HostEvent, Limits, Network, Outbound, OutboundError, OutboundFuture, PluginHost, ProviderCall, Secret,
    SecretBinding, SecretScope, SecretUse, Secrets, SiteSecret, Target,
};

/// Nothing in the tests takes this long, not even the compiler on a busy machine; a test that waits this long has
/// failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits with a timeout.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens within the patience of a test")
}

/// Returns the path of a built component; `examples/NAME` is another component of the same package.
pub(super) fn guest(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| match std::env::var_os("LINECAMP_PLUGINS") {
        Some(directory) => directory.into(),
        None => {
            cargo(&["--release", "--target", "wasm32-wasip2", "-p", "malicious-plugin", "--lib", "--examples"]);
            target_directory().join("wasm32-wasip2/release")
        }
    });
    let path = directory.join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is not there", path.display());
    path
}

/// The bytes of the malicious plugin.
pub(super) fn malicious() -> Vec<u8> {
    fs::read(guest("malicious_plugin")).unwrap()
}

/// The bytes of the malicious plugin, modified to describe itself in another way.
pub(super) fn malicious_mode(mode: &str) -> Vec<u8> {
    let marker = format!("MODE={mode:<11}");
    replaced(malicious(), b"MODE=honest     ", marker.as_bytes())
}

/// Replaces all occurrences of `what` with something of the same length.
pub(super) fn replaced(mut bytes: Vec<u8>, what: &[u8], instead: &[u8]) -> Vec<u8> {
    assert_eq!(what.len(), instead.len());
    let places: Vec<_> =
        bytes.windows(what.len()).enumerate().filter(|(_, at)| *at == what).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{}", String::from_utf8_lossy(what));
    for at in places {
        bytes[at..at + what.len()].copy_from_slice(instead);
    }
    bytes
}

/// Returns the path of the compiler program.
pub(super) fn compiler() -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| match std::env::var_os("LINECAMP_BINARIES") {
        Some(directory) => directory.into(),
        None => {
            cargo(&["-p", "linecamp-plugin-compiler"]);
            target_directory().join("debug")
        }
    });
    let path = directory.join("linecamp-plugin-compiler");
    assert!(path.exists(), "{} is not there", path.display());
    path
}

fn target_directory() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(3).unwrap().to_owned()
}

fn cargo(arguments: &[&str]) {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--target-dir"]).arg(target_directory()).args(arguments);
    assert!(cargo.current_dir(Path::new(&manifest)).status().unwrap().success(), "{arguments:?}");
}

/// The secrets of a test.
pub(super) struct StaticSecrets(BTreeMap<&'static str, Mutex<(String, SecretScope)>>);

impl StaticSecrets {
    /// Secrets without a binding.
    pub(super) fn new(secrets: &[(&'static str, &str)]) -> Arc<Self> {
        let bare = |text: &str| Mutex::new((text.to_owned(), SecretScope::LocalProviders));
        Arc::new(Self(secrets.iter().map(|(name, text)| (*name, bare(text))).collect()))
    }

    pub(super) fn rotate(&self, name: &str, text: &str) {
        self.0[name].lock().unwrap().0 = text.to_owned();
    }

    /// Binds a secret to one host, including plain HTTP, for the tests' provider.
    pub(super) fn bind(&self, name: &str, place: &str, uses: &[SecretUse]) {
        let hosts = BTreeSet::from([endpoint(place)]);
        let (uses, providers) = (uses.iter().copied().collect(), [Name::parse("the-provider").unwrap()].into());
        let binding = SecretBinding { plain_http: hosts.clone(), hosts, uses, providers };
        self.0[name].lock().unwrap().1 = SecretScope::Bound(binding);
    }
}

impl Secrets for StaticSecrets {
    fn find(&self, name: &SecretName) -> SiteSecret {
        match self.0.get(name.as_str()) {
            Some(secret) => {
                let (text, scope) = secret.lock().unwrap().clone();
                SiteSecret { scope, content: Ok(Secret::new(text.into_bytes())) }
            }
            None => SiteSecret::missing(name, "the test"),
        }
    }
}

/// The real network with names set by the test, which records the addresses it was asked to reach.
pub(super) struct Names {
    network: Network,
    names: BTreeMap<&'static str, Vec<IpAddr>>,
    reached: Mutex<Vec<SocketAddr>>,
}

impl Names {
    pub(super) fn new(names: &[(&'static str, &[&str])], ca_file: Option<&Path>) -> Arc<Self> {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self {
            network: Network::new(ca_file).unwrap(),
            names: names.iter().map(|(name, texts)| (*name, addresses(texts))).collect(),
            reached: Mutex::default(),
        })
    }

    /// Returns the addresses of all connections so far.
    pub(super) fn reached(&self) -> Vec<SocketAddr> {
        self.reached.lock().unwrap().clone()
    }
}

impl Outbound for Names {
    fn resolve<'a>(&'a self, endpoint: &'a Endpoint) -> OutboundFuture<'a, Vec<IpAddr>> {
        let found = self.names.get(endpoint.host()).cloned();
        Box::pin(async { found.ok_or_else(|| OutboundError::Unreachable("no such name".into())) })
    }

    fn send<'a>(
        &'a self,
        target: &'a Target,
        request: http::Request<Bytes>,
        response_bytes_max: u64,
    ) -> OutboundFuture<'a, http::Response<Bytes>> {
        self.reached.lock().unwrap().extend(&target.addresses);
        self.network.send(target, request, response_bytes_max)
    }

    fn send_dns<'a>(&'a self, target: &'a Target, message: Bytes) -> OutboundFuture<'a, Bytes> {
        self.reached.lock().unwrap().extend(&target.addresses);
        self.network.send_dns(target, message)
    }
}

/// A host, its plugin directory, and its calls.
pub(super) struct Bench {
    pub(super) directory: TempDir,
    pub(super) host: PluginHost,
    pub(super) outbound: Arc<Names>,
    /// Whether the called providers count as defined by the site's own configuration.
    pub(super) is_local: bool,
    calls: u64,
}

/// What a bench is created from; its directory contains the malicious plugin.
pub(super) struct Setup {
    pub(super) validates_settings: bool,
    pub(super) limits: Limits,
    pub(super) secrets: Arc<StaticSecrets>,
    pub(super) outbound: Arc<Names>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            validates_settings: false,
            secrets: StaticSecrets::new(&[]),
            outbound: Names::new(&[], None),
        }
    }
}

impl Setup {
    pub(super) fn start(self) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("malicious.wasm"), malicious()).unwrap();
        share_cache(directory.path());
        self.start_in(directory)
    }

    pub(super) fn start_in(self, directory: TempDir) -> Bench {
        let Self { limits, validates_settings, .. } = self;
        let config = HostConfig { limits, validates_settings, ..config(directory.path()) };
        let outbound = Arc::clone(&self.outbound);
        let host = PluginHost::start_on(config, self.secrets, self.outbound).unwrap();
        Bench { directory, host, outbound, is_local: false, calls: 0 }
    }
}

/// The default configuration of a host for a directory.
pub(super) fn config(directory: &Path) -> HostConfig {
    HostConfig {
        directory: directory.to_owned(),
        compiler: compiler(),
        ca_file: None,
        publishers: Vec::new(),
        validates_settings: false,
        limits: Limits::default(),
    }
}

/// Copies the compiled malicious plugin from an earlier bench, because most tests are not about compiling.
fn share_cache(directory: &Path) {
    static COMPILED: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        let first = tempfile::tempdir().unwrap();
        fs::write(first.path().join("malicious.wasm"), malicious()).unwrap();
        let config = config(first.path());
        let call = async {
            let mut host = PluginHost::start_on(config, StaticSecrets::new(&[]), Names::new(&[], None)).unwrap();
            host.call(check(1, &spec("nothing")));
            soon(host.event()).await
        };
        // On a thread of its own, because this may be called where blocking on a runtime is not allowed.
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(call);
        let event = std::thread::scope(|scope| scope.spawn(runtime).join().unwrap());
        assert!(matches!(event, HostEvent::Replied { reply: ProviderReply::Validated(_), .. }), "{event:?}");
        let files = fs::read_dir(first.path().join("cache")).unwrap();
        files.map(|file| file.unwrap()).map(|file| (file.file_name().into(), fs::read(file.path()).unwrap())).collect()
    });
    let cache = directory.join("cache");
    fs::create_dir(&cache).unwrap();
    for (name, bytes) in compiled {
        fs::write(cache.join(name), bytes).unwrap();
    }
}

impl Bench {
    /// Calls the provider and returns its reply.
    pub(super) async fn ask(&mut self, spec: &ProviderSpec, request: ProviderRequest) -> ProviderReply {
        self.calls += 1;
        let call = ProviderCall { is_local: self.is_local, request, ..check(self.calls, spec) };
        self.host.call(call);
        match soon(self.host.event()).await {
            HostEvent::Replied { call, reply, .. } => {
                assert_eq!(call, CallId(self.calls));
                reply
            }
            other => panic!("{other:?}"),
        }
    }

    /// Has the plugin attempt something in its config check, and returns the outcome that it reports.
    pub(super) async fn attempt(&mut self, spec: &ProviderSpec) -> String {
        match self.ask(spec, ProviderRequest::Validate).await {
            ProviderReply::Failed(
                ProviderFailure::Refused { reason, .. } | ProviderFailure::LimitExceeded { reason },
            ) => reason.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// Has the plugin attempt something that ends the call, and returns why the call was ended.
    pub(super) async fn broken(&mut self, spec: &ProviderSpec, request: ProviderRequest) -> String {
        match self.ask(spec, request).await {
            ProviderReply::Failed(ProviderFailure::Broken { reason }) => reason.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// Checks that a subsequent harmless call works.
    pub(super) async fn goes_on(&mut self) {
        let reply = self.ask(&spec("nothing"), ProviderRequest::Validate).await;
        assert!(matches!(reply, ProviderReply::Validated(_)), "{reply:?}");
    }
}

/// A config check of a provider from the server.
pub(super) fn check(call: u64, spec: &ProviderSpec) -> ProviderCall {
    ProviderCall { call: CallId(call), spec: spec.clone().into(), is_local: false, request: ProviderRequest::Validate }
}

pub(super) fn endpoint(text: &str) -> Endpoint {
    Endpoint::parse(text).unwrap()
}

pub(super) fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

/// A provider of the malicious plugin that does `what`.
pub(super) fn spec(what: &str) -> ProviderSpec {
    spec_of(&format!(r#"{{"do":"{what}"}}"#), &Grant::default())
}

/// A provider of the malicious plugin that does `what` with `url`, with a grant of `granted` as public endpoints.
pub(super) fn spec_url(what: &str, url: &str, granted: &[&str]) -> ProviderSpec {
    let reach = granted.iter().map(|text| endpoint(text)).collect();
    let grant = Grant { reach, plain_http: true, ..Grant::default() };
    spec_of(&format!(r#"{{"do":"{what}","url":"{url}"}}"#), &grant)
}

/// A provider of the malicious plugin.
pub(super) fn spec_of(config: &str, grant: &Grant) -> ProviderSpec {
    ProviderSpec {
        name: Name::parse("the-provider").unwrap(),
        plugin: PluginRef { name: Name::parse("malicious").unwrap(), digest: None },
        config: ProviderConfig::of_json(config).unwrap(),
        secrets: BTreeMap::new(),
        grant: grant.clone(),
        kind: DnsSettings {
            owner: OwnerId::parse("owner").unwrap(),
            zones: [domain("zone.example")].into(),
            template: NameTemplate::parse("{host}").unwrap(),
            ttl: Ttl::DEFAULT,
            hosts: Selector::parse("").unwrap(),
            observed_address: false,
            allow_deletes: false,
            withdraw_inactive: false,
            extra: Vec::new(),
        }
        .into(),
        is_dry_run: false,
        is_withdrawing: false,
    }
}

/// Returns the resident memory of this process in MiB.
pub(super) fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
