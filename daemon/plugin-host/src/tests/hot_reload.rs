//! Files that change while the host is running.

use std::fs;
use std::path::Path;

use linecamp_model::{PluginDigest, ProviderReply, ProviderRequest, Text};

use super::fixture::{Bench, Setup, check, malicious, malicious_mode, replaced, soon, spec};
use crate::HostEvent;

/// Replaces a file atomically, as a careful operator does.
fn replace(directory: &Path, bytes: &[u8]) {
    let aside = directory.join("new.part");
    fs::write(&aside, bytes).unwrap();
    fs::rename(aside, directory.join("malicious.wasm")).unwrap();
}

/// Waits for the event about the plugin.
async fn plugin_change(bench: &mut Bench) -> Result<PluginDigest, Text> {
    match soon(bench.host.event()).await {
        HostEvent::PluginChanged { name, result } => {
            assert_eq!(name.as_str(), "malicious");
            result
        }
        other => panic!("{other:?}"),
    }
}

/// The next version of the malicious plugin.
fn next_version() -> Vec<u8> {
    replaced(malicious(), b"6.6.6", b"6.6.7")
}

async fn version(bench: &mut Bench) -> String {
    bench.host.call(check(77, &spec("nothing")));
    match soon(bench.host.event()).await {
        HostEvent::Replied { plugin: Some(plugin), reply: ProviderReply::Validated(_), .. } => {
            plugin.version.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_changed_file_is_used_at_the_next_call() {
    let mut bench = Setup::default().start();
    assert_eq!(version(&mut bench).await, "6.6.6");
    replace(bench.directory.path(), &next_version());
    assert_eq!(plugin_change(&mut bench).await, Ok(PluginDigest::of(&next_version())));
    assert_eq!(version(&mut bench).await, "6.6.7");
}

#[tokio::test]
async fn an_overwritten_file_is_reloaded() {
    let mut bench = Setup::default().start();
    fs::write(bench.directory.path().join("malicious.wasm"), next_version()).unwrap();
    assert_eq!(plugin_change(&mut bench).await, Ok(PluginDigest::of(&next_version())));
    assert_eq!(version(&mut bench).await, "6.6.7");
}

#[tokio::test]
async fn the_old_plugin_stays_in_use_when_the_new_one_fails() {
    let mut bench = Setup::default().start();
    assert_eq!(version(&mut bench).await, "6.6.6");
    for bad in [b"not a plugin".to_vec(), malicious_mode("panic"), malicious_mode("other")] {
        replace(bench.directory.path(), &bad);
        let problem = plugin_change(&mut bench).await.unwrap_err();
        assert!(problem.as_str().contains("malicious.wasm"), "{problem}");
        assert_eq!(version(&mut bench).await, "6.6.6");
    }
    replace(bench.directory.path(), &next_version());
    assert_eq!(plugin_change(&mut bench).await, Ok(PluginDigest::of(&next_version())));
    assert_eq!(version(&mut bench).await, "6.6.7");
}

#[tokio::test]
async fn a_deleted_file_is_no_longer_used() {
    let mut bench = Setup::default().start();
    assert_eq!(version(&mut bench).await, "6.6.6");
    fs::remove_file(bench.directory.path().join("malicious.wasm")).unwrap();
    let problem = plugin_change(&mut bench).await.unwrap_err();
    assert!(problem.as_str().contains("deleted"), "{problem}");
    let reply = bench.ask(&spec("nothing"), ProviderRequest::Validate).await;
    assert!(matches!(reply, ProviderReply::Failed(_)), "{reply:?}");
    replace(bench.directory.path(), &malicious());
    assert!(plugin_change(&mut bench).await.is_ok());
    bench.goes_on().await;
}

#[tokio::test]
async fn a_file_present_at_startup_is_not_reported_as_changed() {
    let mut bench = Setup::default().start();
    fs::write(bench.directory.path().join("no_plugin.wasm"), "named like none").unwrap();
    fs::write(bench.directory.path().join("read.me"), "not a component").unwrap();
    bench.goes_on().await;
    replace(bench.directory.path(), &next_version());
    assert_eq!(plugin_change(&mut bench).await, Ok(PluginDigest::of(&next_version())));
}
