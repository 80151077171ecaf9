//! The identity files on disk, and the errors for corrupt ones.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use linecamp_model::{KnownServers, ServerAddress, ServerSet};

use super::fixture::{DAY, GATEWAY, SITE, START, Site, authority, grant, issue, servers};
use crate::{Authority, RandomSource, SiteIdentity, SiteKey, TransportError};

#[tokio::test]
async fn a_membership_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority(&dir.path().join("ca"));
    let site = Site::start();
    assert!(SiteIdentity::load(&site.dir).unwrap().is_none());

    let adopted = site.adopt(&authority);
    let loaded = SiteIdentity::load(&site.dir).unwrap().expect("it has joined");
    assert_eq!((loaded.site_id(), loaded.host_id()), (SITE, GATEWAY));
    assert_eq!(*loaded.servers(), servers());
    assert_eq!(loaded.trust(), adopted.trust());
    assert_eq!(loaded.certificate_validity(), START..START + 30 * DAY);
    assert_eq!(SiteKey::load_or_create(&site.dir).unwrap().fingerprint(), site.key.fingerprint());
}

#[tokio::test]
async fn a_renewal_replaces_the_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority(&dir.path().join("ca"));
    let site = Site::start();
    site.adopt(&authority);
    let renewed = START + 20 * DAY..START + 50 * DAY;
    let certificate = authority.issue_member(site.key.public_key(), SITE.into(), renewed.clone()).unwrap();
    SiteIdentity::adopt(&site.dir, &grant(&authority, certificate), &servers()).unwrap();
    let loaded = SiteIdentity::load(&site.dir).unwrap().expect("it has joined");
    assert_eq!(loaded.certificate_validity(), renewed);
    assert_eq!(*loaded.servers(), servers());

    let of_another = issue(&authority, &Site::start().key);
    let error = SiteIdentity::adopt(&site.dir, &grant(&authority, of_another), &servers()).unwrap_err();
    assert!(matches!(error, TransportError::BadCertificate { .. }), "{error:?}");
    let loaded = SiteIdentity::load(&site.dir).unwrap().expect("it has joined");
    assert_eq!(loaded.certificate_validity(), renewed);
}

#[tokio::test]
async fn told_servers_are_stored_beside_those_that_carried_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority(&dir.path().join("ca"));
    let site = Site::start();
    let adopted = site.adopt(&authority);
    let told = ServerSet { number: 4, addresses: ServerAddress::parse_list("new.example:443,[::2]:444").unwrap() };
    let known = KnownServers { candidate: Some(told.clone()), ..servers() };
    let changed = adopted.with_servers(&site.dir, &known).unwrap();
    assert_eq!((changed.servers(), changed.trust()), (&known, adopted.trust()));
    assert_eq!(*SiteIdentity::load(&site.dir).unwrap().expect("it has joined").servers(), known);
    let known = KnownServers { confirmed: told, candidate: None };
    changed.with_servers(&site.dir, &known).unwrap();
    let path = site.dir.join("membership.pem");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    changed.with_servers(&site.dir, &known).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before, "what is stored is not written again");
    let loaded = SiteIdentity::load(&site.dir).unwrap().expect("it has joined");
    assert_eq!((loaded.servers(), loaded.certificate_validity()), (&known, adopted.certificate_validity()));
}

#[tokio::test]
async fn a_membership_of_release_0_1_0_has_the_addresses_of_its_join() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start();
    site.adopt(&authority(&dir.path().join("ca")));
    let text = fs::read_to_string(site.dir.join("membership.pem")).unwrap();
    let head: Vec<_> = text.lines().take_while(|line| !line.starts_with("-----")).skip(2).collect();
    assert_eq!(head, ["Server: camp.example:4433", "Server: [::1]:444"], "the file has no other lines of servers");
    assert_eq!(*SiteIdentity::load(&site.dir).unwrap().expect("it has joined").servers(), servers());
}

#[tokio::test]
async fn forgetting_leaves_an_empty_folder() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start();
    site.adopt(&authority(&dir.path().join("ca")));
    fs::write(site.dir.join("membership.new"), "left behind").unwrap();
    SiteIdentity::forget(&site.dir).unwrap();
    assert_eq!(fs::read_dir(&site.dir).unwrap().count(), 0);
    SiteIdentity::forget(&site.dir).unwrap();
    assert!(SiteIdentity::load(&site.dir).unwrap().is_none());
    assert_ne!(SiteKey::load_or_create(&site.dir).unwrap().fingerprint(), site.key.fingerprint());
}

#[tokio::test]
async fn a_corrupt_or_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca");
    let site = Site::start();
    site.adopt(&authority(&ca));
    for (folder, file) in [
        (&site.dir, "key.pem"),
        (&site.dir, "membership.pem"),
        (&ca, "key.pem"),
        (&ca, "certificate.pem"),
        (&ca, "names"),
        (&ca, "quic-secrets"),
    ] {
        let path = folder.join(file);
        let load = || match folder == &ca {
            true => Authority::load(folder).map(drop),
            false => SiteIdentity::load(folder).map(drop),
        };
        let good = fs::read(&path).unwrap();
        fs::write(&path, b"\xff no such thing").unwrap();
        let error = load().unwrap_err();
        assert!(matches!(error, TransportError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains(file), "{error}");
        if file != "membership.pem" {
            fs::remove_file(&path).unwrap();
            let error = load().unwrap_err();
            assert!(matches!(error, TransportError::Missing { .. }), "{error:?}");
            assert!(error.to_string().contains(file), "{error}");
        }
        fs::write(&path, good).unwrap();
        load().unwrap();
    }
}

#[test]
fn an_authority_is_made_once_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca");
    let made = authority(&ca);
    let error = Authority::create(&ca, &[], START).unwrap_err();
    assert!(matches!(error, TransportError::AuthorityExists { .. }), "{error:?}");
    assert_eq!(Authority::load(&ca).unwrap().pin(), made.pin());

    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&ca), 0o700);
    for file in fs::read_dir(&ca).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn a_name_that_no_certificate_can_carry_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca");
    let error = Authority::create(&ca, &["not a name".to_owned()], START).unwrap_err();
    assert!(matches!(error, TransportError::BadName { .. }), "{error:?}");
    assert!(!ca.exists());
}

#[test]
fn a_seed_determines_keys_secrets_and_serial_numbers() {
    let made = |seed| {
        let random = RandomSource::seeded([seed; 32]);
        let authority = Authority::generate(&["camp.example".to_owned()], START, random.clone()).unwrap();
        let key = SiteKey::generate(&random).unwrap();
        let leaf = authority.server_leaf(None, START).unwrap().cert.clone();
        (authority.certificate_der().to_vec(), leaf, issue(&authority, &key), *authority.secrets().as_bytes())
    };
    assert_eq!(made(1), made(1));
    let (one, other) = (made(1), made(2));
    assert!(one.0 != other.0 && one.1 != other.1 && one.2 != other.2 && one.3 != other.3);
}

#[test]
fn a_site_without_a_disk_can_join() {
    let random = RandomSource::System;
    let authority = Authority::generate(&[], START, random.clone()).unwrap();
    let key = Arc::new(SiteKey::generate(&random).unwrap());
    let certificate = issue(&authority, &key);
    let identity = SiteIdentity::in_memory(Arc::clone(&key), &grant(&authority, certificate), &servers()).unwrap();
    assert_eq!((identity.site_id(), identity.servers()), (SITE, &servers()));
    let renewed = START + 20 * DAY..START + 50 * DAY;
    let certificate = authority.issue_member(key.public_key(), SITE.into(), renewed.clone()).unwrap();
    let identity = identity.renewed(&grant(&authority, certificate)).unwrap();
    assert_eq!(identity.certificate_validity(), renewed);

    let of_another = issue(&authority, &SiteKey::generate(&random).unwrap());
    let error = SiteIdentity::in_memory(key, &grant(&authority, of_another), &servers()).unwrap_err();
    assert!(matches!(error, TransportError::BadCertificate { .. }), "{error:?}");
}

/// A pipe instead of a file of an identity must not keep a program from starting without a word.
#[test]
fn a_pipe_instead_of_an_identity_file_or_a_ca_file_is_rejected_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let [key, membership] = ["key.pem", "membership.pem"].map(|name| dir.path().join(name));
    assert!(std::process::Command::new("mkfifo").args([&key, &membership]).status().unwrap().success());
    let of_key = SiteKey::load_or_create(dir.path()).unwrap_err();
    let of_membership = SiteIdentity::load(dir.path()).unwrap_err();
    for (error, file) in [(of_key, &key), (of_membership, &membership)] {
        let TransportError::Read { path, source } = &error else { panic!("{error:?}") };
        assert_eq!((path, source.to_string().as_str()), (file, "not a regular file but a pipe"));
    }
    let error = crate::https::read_ca_file(&key).unwrap_err();
    assert_eq!(error.to_string(), "not a regular file but a pipe");
}
