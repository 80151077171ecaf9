//! Invalid plugin files, and corrupt or stale caches.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use linecamp_model::{PluginDigest, PluginRef, ProviderFailure, ProviderReply, ProviderRequest, ProviderSpec};
use tempfile::TempDir;

use super::fixture::{Bench, Setup, config, guest, malicious, malicious_mode, replaced, spec};
use crate::{HostConfig, PluginHost, PluginHostError, PublisherKey, inspect};

fn bench_with(bytes: &[u8]) -> Bench {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("malicious.wasm"), bytes).unwrap();
    Setup::default().start_in(directory)
}

async fn missing(bench: &mut Bench, spec: &ProviderSpec) -> String {
    match bench.ask(spec, ProviderRequest::Validate).await {
        ProviderReply::Failed(ProviderFailure::Missing { reason }) => reason.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_is_not_a_plugin_is_rejected_with_advice() {
    let module = b"\0asm\x01\0\0\0".to_vec();
    let newer = replaced(malicious(), b"linecamp:provider/http@1.0.0", b"linecamp:provider/http@2.0.0");
    let older = replaced(malicious(), b"linecamp:provider/dns@1.0.0", b"linecamp:provider/dns@0.9.0");
    let no_dns = replaced(malicious(), b"linecamp:provider/dns@1.0.0", b"linecamp:reseller/dns@1.0.0");
    let files = fs::read(guest("examples/reaches_out")).unwrap();
    let cut = malicious()[..20_000].to_vec();
    let cases = [
        (Vec::new(), "not a WebAssembly component"),
        (b"#!/bin/sh\n".to_vec(), "not a WebAssembly component"),
        (module, "--target wasm32-wasip2"),
        (cut, "failed to compile"),
        (newer, "built for linecamp:provider@2.0.0; this daemon supports linecamp:provider@1.0.x: update the daemon"),
        (older, "linecamp:provider@0.9.0"),
        (no_dns, "does not export linecamp:provider/dns@1.0.0"),
        (files, "wasi:filesystem/"),
    ];
    for (bytes, words) in cases {
        let mut bench = bench_with(&bytes);
        let reason = missing(&mut bench, &spec("nothing")).await;
        assert!(reason.contains(words) && reason.contains("malicious.wasm"), "{words}: {reason}");
        // A second call gets the remembered reason.
        assert_eq!(missing(&mut bench, &spec("nothing")).await, reason);
    }
}

#[tokio::test]
async fn a_plugin_that_imports_sockets_is_rejected_before_it_runs() {
    let error = inspect(&guest("examples/reaches_out"), &config(Path::new("/nowhere"))).unwrap_err();
    let words = error.to_string();
    assert!(matches!(error, PluginHostError::ForbiddenImport { .. }), "{words}");
    assert!(words.contains("wasi:filesystem/") && words.contains("wasi:sockets/"), "{words}");
}

#[tokio::test]
async fn an_invalid_description_rejects_the_plugin() {
    let cases = [
        ("other", "it is named `dns-powerdns`"),
        ("noname", "invalid name"),
        ("long", "summary"),
        ("schema", "config schema"),
        ("one", "max-batch-size is 1"),
        ("ttl", "TTL range"),
        ("cloud", "not a DNS provider"),
        ("secrets", "1000 secrets"),
        ("panic", "cannot describe itself"),
        ("spin", "of CPU time"),
    ];
    for (mode, words) in cases {
        let mut bench = bench_with(&malicious_mode(mode));
        let reason = missing(&mut bench, &spec("nothing")).await;
        assert!(reason.contains(words), "{mode}: {reason}");
    }
}

#[tokio::test]
async fn a_missing_plugin_is_reported_with_its_expected_path() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Setup::default().start_in(directory);
    let reason = missing(&mut bench, &spec("nothing")).await;
    assert!(reason.contains("malicious.wasm") && reason.contains("copy the component there"), "{reason}");
    fs::write(bench.directory.path().join("malicious.wasm"), malicious()).unwrap();
    bench.goes_on().await;
}

#[tokio::test]
async fn a_pushed_plugin_must_match_its_digest() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = malicious();
    let digest = PluginDigest::of(&bytes);
    let pushed = directory.path().join("pushed");
    fs::create_dir(&pushed).unwrap();
    let path = pushed.join(format!("{}.wasm", HEXLOWER.encode(digest.as_bytes())));
    let mut bench = Setup::default().start_in(directory);
    let plugin = PluginRef { digest: Some(digest), ..spec("nothing").plugin };
    let spec = ProviderSpec { plugin, ..spec("nothing") };

    let reason = missing(&mut bench, &spec).await;
    assert!(reason.contains("comes from the server"), "{reason}");
    fs::write(&path, malicious_mode("panic")).unwrap();
    let reason = missing(&mut bench, &spec).await;
    assert!(reason.contains("does not match the pushed digest"), "{reason}");
    fs::write(&path, &bytes).unwrap();
    let reply = bench.ask(&spec, ProviderRequest::Validate).await;
    assert!(matches!(reply, ProviderReply::Validated(_)), "{reply:?}");
}

#[tokio::test]
async fn an_oversized_file_is_not_read() {
    let bench = bench_with(b"");
    let file = fs::File::create(bench.directory.path().join("malicious.wasm")).unwrap();
    file.set_len(linecamp_model::limits::PLUGIN_BYTES_MAX + 1).unwrap();
    let mut bench = bench;
    let reason = missing(&mut bench, &spec("nothing")).await;
    assert!(reason.contains("is larger than"), "{reason}");
}

#[tokio::test]
async fn a_named_pipe_is_rejected_without_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("malicious.wasm");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let mut bench = Setup::default().start_in(directory);
    let reason = missing(&mut bench, &spec("nothing")).await;
    assert!(reason.contains("not a regular file"), "{reason}");
}

/// Returns the compiled artifact and its checksum file.
fn cached(directory: &Path) -> (PathBuf, PathBuf) {
    let mut files = fs::read_dir(directory.join("cache")).unwrap().map(|file| file.unwrap().path());
    let form = files.find(|path| path.extension().is_some_and(|ending| ending == "cwasm")).unwrap();
    let checksum = form.with_extension("cwasm.crc32");
    assert!(checksum.exists());
    (form, checksum)
}

/// Fills a cache, and stops the host that did so.
async fn filled() -> TempDir {
    let mut bench = Setup::default().start();
    bench.goes_on().await;
    let Bench { directory, host, .. } = bench;
    drop(host);
    directory
}

#[tokio::test]
async fn a_plugin_is_compiled_once() {
    let directory = filled().await;
    let config = HostConfig { compiler: "/nowhere/compiler".into(), ..config(directory.path()) };
    let secrets = super::fixture::StaticSecrets::new(&[]);
    let mut host = PluginHost::start(config.clone(), secrets).unwrap();
    let ask = |host: &mut PluginHost| {
        host.call(super::fixture::check(1, &spec("nothing")));
    };
    ask(&mut host);
    let event = super::fixture::soon(host.event()).await;
    assert!(matches!(event, crate::HostEvent::Replied { plugin: Some(_), .. }), "{event:?}");

    drop(host);
    fs::remove_file(cached(directory.path()).0).unwrap();
    let mut host = PluginHost::start(config, super::fixture::StaticSecrets::new(&[])).unwrap();
    ask(&mut host);
    let event = super::fixture::soon(host.event()).await;
    let words = format!("{event:?}");
    assert!(words.contains("failed to run the plugin compiler /nowhere/compiler"), "{words}");
}

/// A full disk is not the plugin's error: the next call compiles it again.
#[tokio::test]
async fn an_interrupted_compilation_is_retried() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("malicious.wasm"), malicious()).unwrap();
    let (full, script) = (directory.path().join("full"), directory.path().join("compiler"));
    fs::write(&full, "").unwrap();
    let lines = format!(
        "#!/bin/sh\n[ -e {full} ] && exec {compiler} >/dev/full\nexec {compiler}\n",
        full = full.display(),
        compiler = super::fixture::compiler().display()
    );
    fs::write(&script, lines).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let config = HostConfig { compiler: script, ..config(directory.path()) };
    let mut host = PluginHost::start(config, super::fixture::StaticSecrets::new(&[])).unwrap();

    host.call(super::fixture::check(1, &spec("nothing")));
    let words = format!("{:?}", super::fixture::soon(host.event()).await);
    assert!(words.contains("was interrupted: No space left on device"), "{words}");
    fs::remove_file(full).unwrap();
    host.call(super::fixture::check(2, &spec("nothing")));
    let event = super::fixture::soon(host.event()).await;
    assert!(matches!(event, crate::HostEvent::Replied { plugin: Some(_), .. }), "{event:?}");
}

#[tokio::test]
async fn a_corrupt_or_stale_artifact_is_recompiled() {
    let corruptions: [fn(&Path, &Path); 5] = [
        |form, _| {
            let mut bytes = fs::read(form).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(form, bytes).unwrap();
        },
        |form, _| fs::write(form, b"").unwrap(),
        |form, _| fs::write(form, &fs::read(form).unwrap()[..10_000]).unwrap(),
        |_, checksum| fs::remove_file(checksum).unwrap(),
        // Complete, but not an artifact that the engine accepts.
        |form, checksum| {
            fs::write(form, b"\x7fELF").unwrap();
            fs::write(checksum, format!("{:08x}", crc32fast::hash(b"\x7fELF"))).unwrap();
        },
    ];
    for corruption in corruptions {
        let directory = filled().await;
        let (form, checksum) = cached(directory.path());
        let whole = fs::read(&form).unwrap();
        corruption(&form, &checksum);
        let mut bench = Setup::default().start_in(directory);
        bench.goes_on().await;
        let (form, _) = cached(bench.directory.path());
        assert_eq!(fs::read(&form).unwrap().len(), whole.len());
        assert_eq!(fs::metadata(form).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn artifacts_of_other_engines_and_partial_ones_are_deleted() {
    let directory = filled().await;
    let cache = directory.path().join("cache");
    let (form, checksum) = cached(directory.path());
    let stale = cache.join(format!("{}-47.0.0-0123456789abcdef.cwasm", "ab".repeat(32)));
    fs::copy(&form, &stale).unwrap();
    fs::copy(&checksum, stale.with_extension("cwasm.crc32")).unwrap();
    fs::write(cache.join("x.cwasm.aside"), b"half").unwrap();
    fs::remove_file(&form).unwrap();

    let mut bench = Setup::default().start_in(directory);
    bench.goes_on().await;
    let mut left: Vec<_> = fs::read_dir(&cache).unwrap().map(|file| file.unwrap().path()).collect();
    left.sort();
    assert_eq!(left, [form, checksum]);
}

#[tokio::test]
async fn a_directory_writable_by_others_is_rejected() {
    let directory = filled().await;
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let cache = directory.path().join("cache");
    let start = || PluginHost::start(config(directory.path()), super::fixture::StaticSecrets::new(&[]));
    for (path, mode, usual) in [(cache.as_path(), 0o770, 0o700), (directory.path(), 0o707, 0o700)] {
        open(path, mode);
        let error = start().unwrap_err();
        assert!(matches!(error, PluginHostError::Exposed { .. }), "{error}");
        assert!(error.to_string().contains("chmod go-w"), "{error}");
        open(path, usual);
    }
    let mut bench = Setup::default().start_in(directory);
    open(&cache, 0o777);
    let reason = missing(&mut bench, &spec("nothing")).await;
    assert!(reason.contains("writable by other users"), "{reason}");
    open(&cache, 0o700);
    bench.goes_on().await;
}

/// The publisher key from the documentation of `minisign-verify`.
const PUBLISHER: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

#[tokio::test]
async fn a_component_without_a_publishers_signature_is_rejected() {
    let directory = filled().await;
    let key = PublisherKey::parse(&format!("untrusted comment: minisign public key\n{PUBLISHER}\n")).unwrap();
    let config = HostConfig { publishers: vec![key], ..config(directory.path()) };
    let path = directory.path().join("malicious.wasm");
    let check = |words: &str| {
        let error = inspect(&path, &config).unwrap_err();
        assert!(matches!(error, PluginHostError::Unsigned { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    check("malicious.wasm.minisig");
    let signature = directory.path().join("malicious.wasm.minisig");
    assert!(std::process::Command::new("mkfifo").arg(&signature).status().unwrap().success());
    check("malicious.wasm.minisig: not a regular file but a pipe");
    fs::remove_file(&signature).unwrap();
    fs::write(&signature, "not a signature").unwrap();
    check("malicious.wasm.minisig");
    fs::write(&signature, SIGNATURE_OF_TEST).unwrap();
    check("not from a trusted publisher, or is the signature of another file");
    assert!(PublisherKey::parse("nonsense").is_err());
}

#[test]
fn a_file_with_a_publishers_signature_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let key = PublisherKey::parse(PUBLISHER).unwrap();
    let config = HostConfig { publishers: vec![key], ..config(directory.path()) };
    let path = directory.path().join("a.wasm");
    fs::write(&path, "test").unwrap();
    fs::write(directory.path().join("a.wasm.minisig"), SIGNATURE_OF_TEST).unwrap();
    let error = inspect(&path, &config).unwrap_err();
    assert!(matches!(error, PluginHostError::Compile { .. }), "{error}");
}

/// A signature of the four bytes `test`, from the documentation of `minisign-verify`.
const SIGNATURE_OF_TEST: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";

#[test]
fn inspecting_a_component_returns_its_description() {
    let directory = tempfile::tempdir().unwrap();
    let path = guest("malicious_plugin");
    let report = inspect(&path, &config(directory.path())).unwrap();
    assert_eq!(report.digest, PluginDigest::of(&malicious()));
    assert_eq!(report.bytes, malicious().len() as u64);
    assert_eq!(report.description.name.as_str(), "malicious");
    let absent = inspect(Path::new("/absent.wasm"), &config(directory.path())).unwrap_err().to_string();
    assert_eq!(absent, "plugin /absent.wasm not found; check the path");
    assert_eq!(report.description.version.as_str(), "6.6.6");
    assert_eq!(report.description.config_schema, r#"{"type":"object"}"#);
    assert!(report.imports.iter().any(|name| name == "linecamp:provider/http@1.0.0"), "{:?}", report.imports);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is written");
}
