//! Providers, plugins and DNS records, as a peer or a disk may corrupt them.

use linecamp_model::limits::{PLUGIN_BYTES_MAX, PLUGIN_PIECE_BYTES_MAX};

use super::*;
use crate::wire::link::v1::{provider_spec, provider_status, spec_document};

/// The index of the one document with a body in the samples.
const ALIVE: usize = 0;

fn check_spec_entry(change: impl FnOnce(&mut wire::SpecEntry), path_and_problem: &str) {
    let bytes = server_message("spec-provider", |kind| match kind {
        from_parent::Kind::Spec(delta) => change(&mut delta.documents[ALIVE]),
        other => panic!("{other:?} is no spec"),
    });
    check_server(&bytes, &format!("spec.documents[{ALIVE}].{path_and_problem}"));
}

fn check_spec(change: impl FnOnce(&mut wire::ProviderSpec), path_and_problem: &str) {
    let change = |entry: &mut wire::SpecEntry| match entry.document.as_mut().map(|document| &mut document.body) {
        Some(Some(spec_document::Body::Provider(provider))) => change(provider),
        other => panic!("{other:?} is no provider"),
    };
    check_spec_entry(change, &format!("provider.{path_and_problem}"));
}

fn check_dns(change: impl FnOnce(&mut wire::DnsSettings), path_and_problem: &str) {
    check_spec(|provider| change(dns_of(provider)), &format!("dns.{path_and_problem}"));
}

fn dns_of(provider: &mut wire::ProviderSpec) -> &mut wire::DnsSettings {
    match provider.kind.as_mut() {
        Some(provider_spec::Kind::Dns(dns)) => dns,
        None => panic!("the sample is a DNS provider"),
    }
}

fn check_status(change: impl FnOnce(&mut wire::ProviderStatus), path_and_problem: &str) {
    let bytes = site_message("status-provider", |kind| match kind {
        from_member::Kind::Status(delta) => {
            match delta.documents[ALIVE].document.as_mut().map(|document| &mut document.body) {
                Some(Some(status_document::Body::Provider(provider))) => change(provider),
                other => panic!("{other:?} is no provider"),
            }
        }
        other => panic!("{other:?} is no status"),
    });
    check_site(&bytes, &format!("status.documents[{ALIVE}].provider.{path_and_problem}"));
}

fn check_records(change: impl FnOnce(&mut wire::DnsStatus), path_and_problem: &str) {
    let change = |provider: &mut wire::ProviderStatus| match provider.kind.as_mut() {
        Some(provider_status::Kind::Dns(dns)) => change(dns),
        None => panic!("the sample is a DNS provider"),
    };
    check_status(change, &format!("dns.{path_and_problem}"));
}

#[test]
fn a_provider_of_an_unknown_kind_is_rejected() {
    // An older peer does not see a kind that it does not know: to it the field is absent.
    let problem = "kind: is absent, or of a kind that this build does not know";
    check_spec(|provider| provider.kind = None, problem);
    check_status(|provider| provider.kind = None, problem);
}

#[test]
fn a_provider_under_a_wrong_key_is_rejected() {
    check_spec_entry(
        |entry| entry.provider[0] ^= 1,
        "provider.name: `shop-zone` is not the name that the key is made of",
    );
    check_spec_entry(|entry| entry.provider.clear(), "body: is of a provider under a site's or a host's key");
    check_spec_entry(
        |entry| entry.key = std::mem::take(&mut entry.provider),
        "body: is of a provider under a site's or a host's key",
    );
    check_spec_entry(|entry| entry.key = vec![1; 16], "provider: cannot stand beside a host's key");
    check_spec_entry(|entry| entry.provider.truncate(15), "provider: has 15 bytes, not 16");
    check_spec_entry(
        |entry| {
            let body = Some(spec_document::Body::Site(Box::default()));
            entry.document = Some(Box::new(wire::SpecDocument { generation: 21, body }));
        },
        "site.name: a name cannot be empty",
    );
    let record = sample::named(sample::site_records(), "spec-site");
    let (_, body) = site_change(&record);
    let error = site_record(b"spec/provider/22222222222222222222222222222222", &body.expect("a record"));
    assert!(error.expect_err("a site's").to_string().ends_with("body: is of a site or a host under a provider's key"));
}

#[test]
fn invalid_provider_settings_are_rejected_with_their_location() {
    check_spec(|provider| provider.plugin.clear(), "plugin: a name cannot be empty");
    check_spec(|provider| provider.digest.truncate(31), "digest: has 31 bytes, not 32");
    check_spec(|provider| provider.grant = None, "grant: is absent");
    check_spec(|provider| provider.secrets.push(provider.secrets[0].clone()), "secrets[1].name: comes twice");
    check_spec(
        |provider| provider.secrets[0].secret = "../../etc/shadow".to_owned(),
        "secrets[0].secret: `../../etc/shadow` is not a secret name: at most 64 of a-z, 0-9, `-`, `_` and `.`, \
         starting with a letter or digit",
    );
    check_spec(
        |provider| provider.grant.as_mut().expect("a grant").reach.push("*:443".to_owned()),
        "grant.reach[1]: `*:443` is not HOST:PORT, such as dns.example.org:443 or [2001:db8::1]:53",
    );
    check_spec(
        |provider| provider.grant.as_mut().expect("a grant").reach = vec![String::new(); 17],
        "grant.reach: has 17 elements; at most 16 are allowed",
    );
}

#[test]
fn a_config_that_is_not_a_json_object_is_rejected() {
    check_spec(
        |provider| provider.config = "[]".to_owned(),
        "config: is not a JSON object: invalid type: sequence, expected a map at line 1 column 0",
    );
    check_spec(
        |provider| provider.config = "{\"a\":\n1}".to_owned(),
        "config: has a control character; in JSON it is written `\\uXXXX`",
    );
    check_spec(
        |provider| provider.config = format!("{{\"a\":\"{}\"}}", "a".repeat(8 * 1024)),
        "config: a provider's config has at most 8192 bytes, not 8200",
    );
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(4_000), "]".repeat(4_000));
    check_spec(
        |provider| provider.config = deep,
        "config: is not a JSON object: recursion limit exceeded at line 1 column 132",
    );
}

#[test]
fn invalid_dns_settings_are_rejected_with_their_location() {
    check_dns(|dns| dns.owner.clear(), "owner: a name cannot be empty");
    check_dns(|dns| dns.zones[1] = "ACME.example.".to_owned(), "zones[1]: `ACME.example.` comes twice");
    check_dns(
        |dns| dns.zones[0] = "b\u{fc}cher".to_owned(),
        "zones[0]: the label `b\u{fc}cher` is not ASCII: write its IDNA form, `xn--\u{2026}`",
    );
    check_dns(|dns| dns.ttl = u32::MAX, "ttl: DNS cannot say 4294967295 seconds");
    check_dns(
        |dns| dns.template = "{hots}".to_owned(),
        "template: `{hots}` stands for nothing: there are {host}, {site} and {environment}",
    );
    check_dns(|dns| dns.extra[0].rtype = 0, "extra[0].rtype: number 0 has no meaning in this build");
    check_dns(
        |dns| dns.extra[0].values = vec![String::new(); 17],
        "extra[0].values: has 17 elements; at most 16 are allowed",
    );
    check_dns(
        |dns| dns.extra[0].values.push("a\nb".to_owned()),
        "extra[0].values[1]: a text has no control or format characters: column 2 is U+000A",
    );
}

/// Each part keeps its limit, but all together exceed the total.
#[test]
fn settings_too_large_for_a_frame_are_rejected() {
    check_spec(
        |provider| {
            let dns = dns_of(provider);
            dns.extra[0].values = vec!["x".repeat(512); 16];
            dns.extra = vec![dns.extra[0].clone(); 4];
        },
        "name: all settings of `shop-zone` together have 33317 bytes; 32768 are allowed",
    );
}

#[test]
fn invalid_records_of_a_status_are_rejected_with_their_location() {
    let id = |provider: &mut wire::DnsStatus, index: usize, change: fn(&mut wire::RecordId)| {
        change(provider.records[index].id.as_mut().expect("an id"));
    };
    check_records(|provider| provider.records[1].id = None, "records[1].id: is absent");
    check_records(
        |provider| id(provider, 1, |id| id.name.clear()),
        "records[1].id.name: a DNS name has no empty label",
    );
    check_records(
        |provider| id(provider, 1, |id| id.rtype = "txt".to_owned()),
        "records[1].id.rtype: `txt` is no type of record: at most 16 of A-Z, 0-9 and `-`",
    );
    check_records(|provider| provider.records.push(provider.records[0].clone()), "records[4].id: comes twice");
    check_records(|provider| provider.records[0].state = 9, "records[0].state: number 9 has no meaning in this build");
    check_records(
        |provider| provider.records[0].values.push("camp-042.acme.example".to_owned()),
        "records[0].values[1]: `camp-042.acme.example` comes twice",
    );
    check_records(
        |provider| provider.records[0].values[0] = "a\u{1b}".to_owned(),
        "records[0].values[0]: has a control or format character",
    );
    check_records(
        |provider| provider.records[0].values[0] = "a".repeat(4097),
        "records[0].values[0]: a value has at most 4096 bytes, not 4097",
    );
    check_records(
        |provider| provider.records = vec![wire::RecordStatus::default(); 257],
        "records: has 257 elements; at most 256 are allowed",
    );
    check_records(
        |provider| provider.records[0].values = (0..32).map(|index| format!("{index:04096}")).collect(),
        "records: report 131694 bytes; 131072 are allowed",
    );
    check_status(|provider| provider.plugin = "x".repeat(513), "plugin: a text has at most 512 bytes, not 513");
}

#[test]
fn an_invalid_piece_of_a_plugin_is_rejected() {
    let check = |change: fn(&mut wire::PluginPiece), path_and_problem: &str| {
        let bytes = server_message("plugin", |kind| match kind {
            from_parent::Kind::Plugin(piece) => change(piece),
            other => panic!("{other:?} is no piece"),
        });
        check_server(&bytes, &format!("plugin.{path_and_problem}"));
    };
    check(|piece| piece.digest.clear(), "digest: has 0 bytes, not 32");
    check(|piece| piece.offset = u64::MAX, "offset: a plugin has at most 33554432 bytes, not 18446744073709551615");
    check(|piece| piece.total = PLUGIN_BYTES_MAX + 1, "total: a plugin has at most 33554432 bytes, not 33554433");
    check(|piece| piece.total = 32_779, "bytes: end at 32780, behind the end at 32779");
    check(|piece| piece.total = 0, "bytes: end at 32780, behind the end at 0");
    check(|piece| piece.bytes.clear(), "bytes: are none, at 32768 of 32780");
    check(
        |piece| piece.bytes = vec![0; PLUGIN_PIECE_BYTES_MAX + 1],
        "bytes: a piece has at most 32768 bytes, not 32769",
    );
    let want = site_message("want-plugin", |kind| match kind {
        from_member::Kind::WantPlugin(want) => want.offset = PLUGIN_BYTES_MAX + 1,
        other => panic!("{other:?} is not a request"),
    });
    check_site(&want, "want_plugin.offset: a plugin has at most 33554432 bytes, not 33554433");
}

#[test]
fn the_key_of_an_owned_record_has_one_canonical_form() {
    let id = "22222222222222222222222222222222";
    let body = record::OwnedRecord { owner: "acme".to_owned(), site: vec![1; 16], state: 1, ..Default::default() }
        .encode_to_vec();
    let check = |place: &str, is_key: bool| {
        let found = site_record(format!("owned/{place}").as_bytes(), &body);
        assert_eq!(found.is_ok(), is_key, "{place}: {found:?}");
    };
    check(&format!("{id}/acme.example/*.acme.example/A"), true);
    check(&format!("{id}/acme.example/_a.acme.example/TYPE65280"), true);
    check(&format!("{id}/acme.example/a.acme.example/a"), false);
    check(&format!("{id}/acme.example/a.acme.example./A"), false);
    check(&format!("{id}/Acme.example/a.acme.example/A"), false);
    check(&format!("{id}/acme.example/a.acme.example"), false);
    check(&format!("{id}/acme.example/a.acme.example/A/"), false);
    check("2/acme.example/a.acme.example/A", false);
}

#[test]
fn a_provider_and_a_plugin_on_disk_are_checked_as_on_the_link() {
    let records = sample::fleet_records();
    let body_of = |name: &str| {
        let (_, change) = records.iter().find(|(found, _)| *found == name).expect("a sample");
        fleet_change(change).1.expect("a record")
    };
    let check = |key: &str, body: &[u8], problem: &str| {
        let error = fleet_record(key.as_bytes(), body).expect_err(problem).to_string();
        assert_eq!(error, format!("refused record {key}: {problem}"));
    };
    check("provider/default/other", &body_of("provider"), "spec.name: `shop-zone` is not the name in the key");
    check("provider/default/shop-zone", b"", "spec: is absent");
    let key = format!("plugin/{}", "b".repeat(64));
    let plugin =
        |bytes, description| record::PluginFile { name: "p".to_owned(), bytes, pushed_at_millis: 0, description };
    let too_large = plugin(PLUGIN_BYTES_MAX + 1, None);
    check(&key, &too_large.encode_to_vec(), "bytes: a plugin has at most 33554432 bytes, not 33554433");
    let described =
        record::PluginFile::decode(&*body_of("plugin-described")).expect("a sample").description.expect("it has one");
    let with = |change: fn(&mut record::PluginDescription), problem: &str| {
        let mut description = described.clone();
        change(&mut description);
        check(&key, &plugin(1, Some(description)).encode_to_vec(), &format!("description.{problem}"));
    };
    with(|found| found.version.clear(), "version: no version");
    with(
        |found| found.secrets[0].name = "../x".to_owned(),
        "secrets[0].name: `../x` is not a secret name: at most 64 of a-z, 0-9, `-`, `_` and `.`, starting with a \
         letter or digit",
    );
    with(|found| found.endpoints = vec![String::new(); 33], "endpoints: has 33 elements; at most 32 are allowed");
    with(
        |found| found.config_schema = " ".repeat(65_537),
        "config_schema: the config schema is larger than 65536 bytes",
    );
    with(|found| found.capabilities = None, "capabilities: is absent, or of a kind that this build does not know");
    assert!(fleet_record(b"provider/default", b"").is_err());
    assert!(site_record(b"observed-address", &[0x0a, 1, 7]).is_err());
}
