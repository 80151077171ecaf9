//! Provider settings, from options or from a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::key_line::line_of_key;
use linecamp_files::problem_at;
use linecamp_model::{Name, Selector};
use linecamp_proto::api::{ProviderBody, ProviderKindName, ProviderRequest, ProviderView};
use serde_json::{Map, Value};

use crate::argument::{self, ArgumentError};
use crate::input_file;
use crate::plugin::problem;

/// Maximum size of a provider file: several times the largest valid provider. A larger file is rejected.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Add a provider, or update one with --replace
///
/// Each site selected by --sites publishes a record for each of its hosts in every --zone. Records not owned by --owner
/// are never changed, and no record is deleted without --allow-deletes. Secrets stay at the sites: --secret names a
/// secret of the site's configuration, which must allow this provider in its table [secrets.NAME].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp provider add main-dns --plugin dns-powerdns --owner acme --zone example.org \\
      --sites 'tier=web' --set api=http://10.0.0.5:8081 --secret api-key=pdns-key \\
      --reach-private 10.0.0.5:8081 --plain-http --dry-run
  linecamp dns plan camp-042                     show what it would change
  linecamp provider add --file main-dns.toml --sites tier=web --replace

A file has the keys of a [[provider]] in linecampd.toml, and `sites` and `match_facts`:
  name = \"main-dns\"
  sites = \"tier=web\"
  plugin = \"dns-powerdns\"
  owner = \"acme\"
  zones = [\"example.org\"]
  config = { api = \"https://dns.example.org\" }
  secrets = { api-key = \"pdns-key\" }
  reach = [\"dns.example.org:443\"]")]
pub(crate) struct Add {
    /// The provider's name
    #[arg(value_parser = argument::name, required_unless_present = "file")]
    name: Option<Name>,
    /// Sites that get the provider, selected by assigned labels [default: all in the environment]
    ///
    /// Labels set locally at a site are ignored, so that a site cannot give itself a provider.
    #[arg(long, value_name = "SELECTOR", value_parser = argument::selector)]
    sites: Option<Selector>,
    /// Let --sites also match the facts that sites report
    #[arg(long)]
    match_facts: bool,
    /// Validate the provider and show the sites that would get it; change nothing
    #[arg(long)]
    preview: bool,
    /// Update an existing provider; options not given are reset to their defaults
    #[arg(long)]
    replace: bool,
    /// Read the provider from a TOML or JSON file
    #[arg(long, value_name = "FILE", conflicts_with = "Settings")]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, clap::Args)]
struct Settings {
    /// Plugin, such as dns-powerdns
    #[arg(long, value_name = "PLUGIN", value_parser = argument::name, required_unless_present = "file")]
    plugin: Option<Name>,
    /// Plugin digest, as shown by `linecamp plugin ls` [default: use the site's plugin of that name]
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Owner id written to ownership TXT records; unique among all writers of the zone
    #[arg(long, value_name = "OWNER", required_unless_present = "file")]
    owner: Option<String>,
    /// Zone to publish records in; repeatable
    #[arg(long = "zone", value_name = "ZONE", required_unless_present = "file")]
    zones: Vec<String>,
    /// Record name template with {host}, {site} and {environment}
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<String>,
    /// TTL of the records in seconds
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u32>,
    /// Hosts that get a record, selected by labels [default: all]
    #[arg(long, value_name = "SELECTOR")]
    hosts: Option<String>,
    /// Plugin setting: KEY=TEXT, or KEY:=JSON for other types; repeatable
    #[arg(long = "set", value_name = "KEY=TEXT")]
    set: Vec<String>,
    /// Secret: the plugin's name for it and the site's name for it; repeatable
    #[arg(long = "secret", value_name = "NAME=SECRET")]
    secrets: Vec<String>,
    /// Public endpoint that the plugin may connect to; repeatable
    #[arg(long, value_name = "HOST:PORT")]
    reach: Vec<String>,
    /// Private, loopback or link-local endpoint that the plugin may connect to; repeatable
    #[arg(long, value_name = "HOST:PORT")]
    reach_private: Vec<String>,
    /// Allow HTTP without TLS
    #[arg(long)]
    plain_http: bool,
    /// Publish the address seen by the server for a gateway without a public address
    #[arg(long)]
    observed_address: bool,
    /// Allow deleting records that are no longer desired
    #[arg(long)]
    allow_deletes: bool,
    /// Delete the records of inactive hosts
    #[arg(long)]
    withdraw_inactive: bool,
    /// Plan changes without applying them; see `linecamp dns plan`
    #[arg(long)]
    dry_run: bool,
}

impl Add {
    /// Whether to only show which sites would get it.
    pub(super) const fn previews(&self) -> bool {
        self.preview
    }

    /// Whether to update an existing provider.
    pub(super) const fn replaces(&self) -> bool {
        self.replace
    }

    /// Returns the validated request.
    pub(super) fn request(self, environment: String) -> Result<ProviderRequest, ArgumentError> {
        let sites = match self.sites {
            Some(sites) if sites.is_all() => return Err(ArgumentError::EmptySelector),
            sites => sites.map(|sites| sites.to_string()),
        };
        let (in_file, settings) = match &self.file {
            Some(path) => read(path, self.name.as_ref())?,
            None => (Placement::default(), self.settings.body(self.name.as_ref())?),
        };
        settings.to_spec().map_err(ArgumentError::Provider)?;
        let match_facts = self.match_facts || in_file.match_facts;
        Ok(ProviderRequest { environment, sites: sites.or(in_file.sites).unwrap_or_default(), match_facts, settings })
    }
}

impl Settings {
    fn body(self, name: Option<&Name>) -> Result<ProviderBody, ArgumentError> {
        let pair = |argument: String| match argument.split_once('=') {
            Some((name, secret)) => Ok((name.to_owned(), secret.to_owned())),
            None => Err(ArgumentError::InvalidSecret { argument }),
        };
        Ok(ProviderBody {
            kind: ProviderKindName::Dns,
            name: name.map(ToString::to_string).unwrap_or_default(),
            plugin: self.plugin.map(|plugin| plugin.to_string()).unwrap_or_default(),
            digest: self.digest,
            owner: self.owner.unwrap_or_default(),
            zones: self.zones,
            template: self.template,
            ttl: self.ttl,
            hosts: self.hosts,
            observed_address: self.observed_address,
            allow_deletes: self.allow_deletes,
            withdraw_inactive: self.withdraw_inactive,
            dry_run: self.dry_run,
            withdraw: false,
            records: Vec::new(),
            config: self.set.into_iter().map(setting).collect::<Result<Map<_, _>, _>>()?,
            secrets: self.secrets.into_iter().map(pair).collect::<Result<BTreeMap<_, _>, _>>()?,
            reach: self.reach,
            reach_private: self.reach_private,
            plain_http: self.plain_http,
        })
    }
}

/// Parses `KEY=TEXT` or `KEY:=JSON`.
fn setting(argument: String) -> Result<(String, Value), ArgumentError> {
    let Some((key, value)) = argument.split_once('=') else {
        return Err(ArgumentError::InvalidSetting { argument });
    };
    let (key, value) = match key.strip_suffix(':') {
        Some(key) => (key, serde_json::from_str(value).ok()),
        None => (key, Some(Value::from(value))),
    };
    match (key, value) {
        ("", _) | (_, None) => Err(ArgumentError::InvalidSetting { argument }),
        (key, Some(value)) => Ok((key.into(), value)),
    }
}

/// The sites that get a provider, as given in a file.
#[derive(Clone, Debug, Default)]
struct Placement {
    sites: Option<String>,
    match_facts: bool,
}

/// Reads a provider file.
fn read(path: &Path, name: Option<&Name>) -> Result<(Placement, ProviderBody), ArgumentError> {
    let text = input_file::read_text(path, FILE_BYTES_MAX)?;
    let invalid = |problem: String| input_file::invalid(path, problem);
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let mut keys: Map<String, Value> = match is_json {
        true => serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?,
        false => toml::from_str(&text).map_err(|error| invalid(error.to_string().trim_end().to_owned()))?,
    };
    let sites = match keys.remove("sites") {
        None => None,
        Some(Value::String(text)) => {
            Some(Selector::parse(&text).map_err(|error| invalid(format!("sites: {error}")))?.to_string())
        }
        Some(_) => return Err(invalid("sites: expected a string such as \"tier=web\"".into())),
    };
    let match_facts = match keys.remove("match_facts") {
        None => false,
        Some(Value::Bool(is_set)) => is_set,
        Some(_) => return Err(invalid("match_facts: expected true or false".into())),
    };
    if let Some(name) = name {
        let named = keys.entry("name").or_insert_with(|| Value::from(name.as_str()));
        if let Some(in_file) = named.as_str().filter(|in_file| *in_file != name.as_str()) {
            return Err(ArgumentError::NameMismatch { in_file: in_file.into(), given: name.to_string() });
        }
    }
    let written = (!is_json).then_some(&*text);
    let body = serde_path_to_error::deserialize(Value::Object(keys))
        .map_err(|error| invalid(key_problem(written, &error.path().to_string(), &error.into_inner().to_string())))?;
    Ok((Placement { sites, match_facts }, body))
}

/// Describes a problem of a key, with its line in a TOML file.
fn key_problem(toml: Option<&str>, path: &str, message: &str) -> String {
    let path = if path == "." { "" } else { path };
    let problem = problem_at(path, message);
    match toml.and_then(|text| line_of_key(text, path)) {
        Some(line) => format!("line {line}: {problem}"),
        None => problem,
    }
}

/// Returns a warning about valid but suspicious settings.
pub(super) fn warning(settings: &ProviderBody) -> Option<&'static str> {
    let is_plain_http =
        |text: &str| text.split_once("://").is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("http"));
    let is_plain = |value: &Value| value.as_str().is_some_and(is_plain_http);
    (!settings.plain_http && settings.config.values().any(is_plain))
        .then_some("warning: a setting is an http:// URL, which the plugin can use only with --plain-http")
}

/// Returns a warning about settings that the server stored without validating them against the plugin's description.
pub(super) fn not_validated(provider: &ProviderView) -> Option<String> {
    let why = match &provider.settings.digest {
        _ if provider.validated => return None,
        _ if !provider.problems.is_empty() => {
            let lines: String = provider.problems.iter().map(|one| format!("\n  {}", problem(one))).collect();
            return Some(format!("warning: the settings do not fit the plugin:{lines}"));
        }
        Some(_) => "its plugin was pushed without a description; push it again with `linecamp plugin push FILE`",
        None => "without --digest, each site uses its own plugin of that name",
    };
    Some(format!("warning: the settings were not validated: {why}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        add: Add,
    }

    fn request(arguments: &[&str]) -> Result<ProviderRequest, ArgumentError> {
        let line = Line::try_parse_from(["add"].iter().chain(arguments)).expect("well-formed");
        line.add.request("default".into())
    }

    const LEAST: [&str; 7] = ["main-dns", "--plugin", "dns-fake", "--owner", "acme", "--zone", "example.org"];

    fn with(arguments: &[&str]) -> Result<ProviderRequest, ArgumentError> {
        request(&[&LEAST[..], arguments].concat())
    }

    fn in_file(name: &str, text: &str, arguments: &[&str]) -> Result<ProviderRequest, ArgumentError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        request(&[&["--file", path.to_str().expect("plain")], arguments].concat())
    }

    const TOML: &str = r#"
        name = "main-dns"
        sites = "tier=web"
        plugin = "dns-fake"
        owner = "acme"
        zones = ["example.org"]
        config = { port = 53 }
    "#;

    #[test]
    fn options_and_a_file_are_equivalent() {
        let arguments = with(&["--sites", "tier=web", "--set", "port:=53"]).expect("valid");
        assert_eq!(in_file("a.toml", TOML, &[]).expect("valid"), arguments);
        let json = serde_json::to_string(&arguments.settings).expect("serializes");
        assert_eq!(in_file("a.json", &json, &["--sites", "tier=web"]).expect("valid"), arguments);
        let unnamed = TOML.replace("name = \"main-dns\"", "");
        assert_eq!(in_file("a.toml", &unnamed, &["main-dns"]).expect("valid"), arguments);
    }

    #[test]
    fn settings_are_strings_or_json() {
        let settings =
            with(&["--set", "api=http://h:1/?a=b", "--set", "deep:={\"a\":[1]}", "--secret", "key=pdns-key"]);
        let settings = settings.expect("valid").settings;
        assert_eq!(
            Value::Object(settings.config.clone()),
            serde_json::json!({"api": "http://h:1/?a=b", "deep": {"a": [1]}})
        );
        assert_eq!(settings.secrets["key"], "pdns-key");
        assert!(warning(&settings).expect("a warning").contains("--plain-http"));
        assert!(warning(&with(&["--set", "api=HTTP://h"]).expect("valid").settings).is_some());
        assert_eq!(warning(&with(&["--set", "api=https://h"]).expect("valid").settings), None);
    }

    #[test]
    fn invalid_input_is_reported() {
        let check = |found: Result<ProviderRequest, ArgumentError>, expected: &str| {
            let text = format!("{:#}", anyhow::Error::from(found.expect_err(expected)));
            assert!(text.contains(expected), "{text}");
        };
        check(with(&["--sites", ""]), "empty selector rejected");
        check(with(&["--set", "port"]), "invalid setting `port`: use KEY=TEXT or KEY:=JSON");
        check(with(&["--set", "port:=x"]), "invalid setting `port:=x`");
        check(with(&["--secret", "key"]), "NAME=SECRET");
        check(with(&["--digest", "7"]), "invalid provider settings: digest: is not `sha256:`");
        check(with(&["--reach", "api"]), "reach[0]: ");
        check(in_file("a.toml", TOML, &["other"]), "defines provider main-dns, but the argument is other");
        check(in_file("a.toml", &format!("{TOML}\nsecret = 1"), &[]), "unknown field `secret`");
        let template = "line 2: key `records[0].template` is missing";
        let record = format!("zones = []\nrecords = [{{ type = \"A\" }}]\n{}", TOML.replace("zones", "#"));
        check(in_file("a.toml", &record, &[]), &format!("a.toml: {template}"));
        let record = record.replace("{ type = \"A\" }", "7");
        check(
            in_file("a.toml", &record, &[]),
            "line 2: key `records[0]`: invalid type: integer `7`, expected a record",
        );
        check(in_file("a.json", "{\"name\": \"a\"}", &[]), "a.json: key `plugin` is missing");
        check(in_file("a.toml", "name =", &[]), "a.toml: TOML parse error at line 1");
        check(in_file("a.json", "[]", &[]), "a.json: invalid type");
        check(in_file("a.toml", &" ".repeat(300_000), &[]), "at most 256 KiB");
        check(request(&["--file", "/absent.toml"]), "/absent.toml: ");
    }
}
