//! The replacement of a server's authority: what its clients and sites accept at each step, and what is on the disk.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use linecamp_model::{AuthoritySet, Pin, RotationPhase, RotationStep};

use RotationStep::{Abort, Add, Retire, Switch};

use super::fixture::{DAY, START, Server, Site, authority, grant, issue, servers};
use crate::{Authority, Credential, DialError, SiteCredentials, SiteIdentity, TransportError, Trust};

fn rotate(authority: &Authority, step: RotationStep) {
    authority.rotate(step, START).unwrap();
}

/// Returns what the server tells its sites.
fn told(authority: &Authority, number: u64) -> AuthoritySet {
    AuthoritySet { number, authorities: authority.rotation().authorities }
}

fn pins(authority: &Authority) -> Vec<Pin> {
    authority.rotation().authorities.iter().map(|found| found.pin).collect()
}

#[tokio::test]
async fn pins_of_both_authorities_are_valid_until_the_old_one_is_retired() {
    let (mut server, site) = (Server::start(), Site::start());
    let old = server.authority.pin();
    rotate(&server.authority, Add);
    assert_eq!(server.authority.pin(), old, "the current one issues certificates");
    rotate(&server.authority, Switch);
    let next = server.authority.pin();
    assert_ne!(next, old);
    for pin in [old, next] {
        server.link(&site, site.self_made(), &Trust::Pin(pin)).await.unwrap();
    }
    rotate(&server.authority, Retire);
    server.link(&site, site.self_made(), &Trust::Pin(next)).await.unwrap();
    let Err(error) = server.link(&site, site.self_made(), &Trust::Pin(old)).await else { panic!("it was retired") };
    assert!(matches!(&error, DialError::Replaced { found, .. } if *found == [next]), "{error:?}");
    assert!(error.needs_operator() && error.to_string().contains("was replaced"), "{error}");
}

/// A site that trusts only the old authority verifies the server at every step, also after the next replacement's
/// switch, and its certificate is accepted until the authority that issued it is retired.
#[tokio::test]
async fn a_site_of_the_old_authority_verifies_the_server_at_every_step() {
    let (mut server, site) = (Server::start(), Site::start());
    let identity = site.adopt(&server.authority);
    let mut is_issued = true;
    for step in [Add, Switch, Retire, Add, Switch] {
        rotate(&server.authority, step);
        is_issued &= step != Retire;
        let credentials = SiteCredentials::Issued(&identity);
        let linked = server.link(&site, credentials, &identity.trust()).await.unwrap();
        assert_eq!(matches!(linked.peer.credential, Credential::Issued { .. }), is_issued, "{step:?}");
        assert_eq!(linked.peer.credential == Credential::Foreign, !is_issued, "{step:?}");
    }
    rotate(&server.authority, Retire);
    let credentials = SiteCredentials::Issued(&identity);
    let Err(error) = server.link(&site, credentials, &identity.trust()).await else { panic!("two were retired") };
    assert!(matches!(error, DialError::ForeignAuthority { .. }), "{error:?}");
}

/// The server was restored from a backup of before the switch; its sites know that the old authority was retired.
#[tokio::test]
async fn a_server_before_the_switch_serves_a_site_that_trusts_only_the_next_authority() {
    let (mut server, site) = (Server::start(), Site::start());
    let before = site.adopt(&server.authority);
    rotate(&server.authority, Add);
    let mut set = told(&server.authority, 2);
    set.authorities.remove(0);
    let identity = before.with_authorities(Some(&site.dir), &set).unwrap();
    assert_eq!(identity.trust().pins(), [pins(&server.authority)[1]]);
    server.link(&site, SiteCredentials::Issued(&identity), &identity.trust()).await.unwrap();
    server.link(&site, SiteCredentials::Issued(&before), &before.trust()).await.unwrap();
}

#[tokio::test]
async fn a_site_stores_only_authorities_that_a_trusted_one_has_certified() {
    let (dir, site) = (tempfile::tempdir().unwrap(), Site::start());
    let [ours, foreign] = ["ours", "foreign"].map(|name| authority(&dir.path().join(name)));
    let identity = site.adopt(&ours);
    assert_eq!((identity.authorities().number, identity.issuer()), (0, Some(ours.pin())));
    rotate(&ours, Add);
    rotate(&foreign, Add);
    let mut set = told(&ours, 1);
    // A foreign authority, also under the pin or with the cross-certificate of the right one, is left out.
    for forged in told(&foreign, 1).authorities {
        let genuine = set.authorities[1].clone();
        set.authorities[1].certificate = forged.certificate;
        let stored = identity.with_authorities(Some(&site.dir), &set).unwrap();
        assert_eq!(stored.trust().pins(), [ours.pin()]);
        set.authorities[1].pin = forged.pin;
        assert_eq!(identity.with_authorities(None, &set).unwrap().trust().pins(), [ours.pin()]);
        set.authorities[1] = genuine;
    }
    let error = identity.with_authorities(Some(&site.dir), &told(&foreign, 1)).unwrap_err();
    assert!(matches!(error, TransportError::BadCertificate { .. }), "{error:?}");

    let stored = identity.with_authorities(Some(&site.dir), &set).unwrap();
    let loaded = SiteIdentity::load(&site.dir).unwrap().unwrap();
    for identity in [&stored, &loaded] {
        assert_eq!((identity.authorities().number, identity.authorities().pins), (1, pins(&ours)));
    }
    // A renewal changes the certificate, and not which authorities the site trusts.
    rotate(&ours, Switch);
    let renewal = grant(&foreign, issue(&ours, &site.key));
    let renewed = loaded.renew(&site.dir, &renewal, &servers()).unwrap();
    assert_eq!((renewed.trust().pins(), renewed.issuer()), (stored.trust().pins(), Some(ours.pin())));
    let loaded = SiteIdentity::load(&site.dir).unwrap().unwrap();
    assert_eq!((loaded.authorities(), loaded.issuer()), (stored.authorities(), Some(ours.pin())));
}

/// Every step is one change of the directory: a crash leaves the state before it or the one after it.
#[test]
fn each_step_is_durable_and_survives_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca");
    let made = authority(&ca);
    let check = |phase, expected: &[Pin]| {
        let loaded = Authority::load(&ca).unwrap();
        assert_eq!((loaded.rotation().phase, &*pins(&loaded)), (phase, expected));
    };
    let old = made.pin();
    // A crash before the next authority is complete.
    fs::write(ca.join("next.new"), "half a key").unwrap();
    check(RotationPhase::Stable, &[old]);
    rotate(&made, Add);
    let next = pins(&made)[1];
    assert_eq!(fs::metadata(ca.join("next.pem")).unwrap().permissions().mode() & 0o777, 0o600);
    check(RotationPhase::Added, &[old, next]);
    rotate(&made, Abort);
    check(RotationPhase::Stable, &[old]);
    rotate(&made, Add);
    let next = pins(&made)[1];
    rotate(&made, Switch);
    check(RotationPhase::Switched, &[next, old]);
    // A crash after the retirement, before the retired key is removed.
    let (key, certificate) = (fs::read(ca.join("key.pem")).unwrap(), fs::read(ca.join("certificate.pem")).unwrap());
    rotate(&made, Retire);
    check(RotationPhase::Stable, &[next]);
    fs::write(ca.join("key.pem"), key).unwrap();
    fs::write(ca.join("certificate.pem"), certificate).unwrap();
    check(RotationPhase::Stable, &[next]);
    Authority::load(&ca).unwrap().remove_leftovers().unwrap();
    assert!(!ca.join("key.pem").exists(), "the key of a retired authority is removed");
    check(RotationPhase::Stable, &[next]);
    // The next replacement starts from there.
    let loaded = Authority::load(&ca).unwrap();
    [Add, Switch, Retire].into_iter().for_each(|step| rotate(&loaded, step));
    check(RotationPhase::Stable, &pins(&loaded));
}

#[test]
fn a_corrupt_file_of_the_next_authority_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca");
    rotate(&authority(&ca), Add);
    let (next, other) = (ca.join("next.pem"), authority(&dir.path().join("other")));
    let text = fs::read_to_string(&next).unwrap();
    let key = text.split_inclusive("-----END PRIVATE KEY-----\n").next().unwrap();
    rotate(&other, Add);
    let foreign = fs::read_to_string(dir.path().join("other/next.pem")).unwrap();
    let foreign = foreign.split_inclusive("-----END PRIVATE KEY-----\n").nth(1).unwrap();
    for content in ["", key, "-----BEGIN", &format!("{key}{foreign}")] {
        fs::write(&next, content).unwrap();
        let error = Authority::load(&ca).unwrap_err().to_string();
        assert!(error.contains("next.pem"), "{error}");
    }
}

/// Steps that are not possible change nothing.
#[test]
fn a_step_out_of_order_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let made = authority(&dir.path().join("ca"));
    for step in [Switch, Retire, Abort] {
        rotate(&made, step);
        assert_eq!((made.rotation().phase, pins(&made).len()), (RotationPhase::Stable, 1));
    }
    let files = |dir: &Path| fs::read_dir(dir).unwrap().count();
    assert_eq!(files(&dir.path().join("ca")), 4);
}

/// The clock was set back after the next authority was made: its certificates are valid at once.
#[tokio::test]
async fn a_clock_that_was_set_back_prevents_no_handshake_after_the_switch() {
    let (mut server, site) = (Server::start(), Site::start());
    let identity = site.adopt(&server.authority);
    server.authority.rotate(Add, START + 30 * DAY).unwrap();
    rotate(&server.authority, Switch);
    server.link(&site, SiteCredentials::Issued(&identity), &identity.trust()).await.unwrap();
}

#[test]
fn names_are_added_to_the_next_certificate_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let made = authority(&dir.path().join("ca"));
    let leaf = || made.server_leaf(None, START).unwrap().cert[0].clone();
    let has = |name: &str| {
        let (leaf, name) = (leaf(), rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap());
        rustls::client::verify_server_name(&rustls::server::ParsedCertificate::try_from(&leaf).unwrap(), &name).is_ok()
    };
    assert!(has("localhost") && !has("moved.example"));
    let before = leaf();
    made.add_name("localhost").unwrap();
    assert_eq!(leaf(), before, "a known name changes nothing");
    made.add_name("moved.example").unwrap();
    made.add_name("192.0.2.1").unwrap();
    assert!(["localhost", "moved.example", "192.0.2.1"].into_iter().all(has));
    assert!(matches!(made.add_name("not a name"), Err(TransportError::BadName { .. })));
    (0..9).for_each(|number| made.add_name(&format!("{number}.example")).unwrap());
    assert!(has("localhost") && has("8.example") && !has("moved.example"), "the oldest added name leaves");
}
