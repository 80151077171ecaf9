//! What an operator writes about a provider: as options, or in a file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use linecamp_model::{Name, Selector};
use linecamp_proto::api::{ProviderBody, ProviderRequest};
use serde_json::{Map, Value};

use crate::argument::{self, ArgumentError};

/// Bytes of a file about a provider: several times what a provider may have. A longer one is refused.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Add a provider, or change one with --replace
///
/// The sites that --sites selects keep a record for each of their hosts in every zone. What is somebody else's stays:
/// --owner tells this fleet's records from all others. Nothing is deleted in DNS without --deletes. Secrets stay at
/// the sites: --secret says which of a site's secrets the plugin uses, by name. The site's configuration has to let
/// this provider have it, in a table [secrets.NAME].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp provider add main-dns --plugin dns-powerdns --owner acme --zone example.org \\
      --sites 'tier=web' --set api=http://10.0.0.5:8081 --secret api-key=pdns-key \\
      --reach-private 10.0.0.5:8081 --plain-http --dry-run
  linecamp dns plan camp-042                                     shows what that would do
  linecamp provider add --file main-dns.toml --sites tier=web --replace

A file holds the same words as a [[provider]] of linecampd.toml, `sites` and `match_facts`:
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
    /// Which sites get it, by the labels assigned to them; without it, all of the environment
    ///
    /// Labels that a site sets locally are not read, so that no site gives itself a provider.
    #[arg(long, value_name = "SELECTOR", value_parser = argument::selector)]
    sites: Option<Selector>,
    /// Let --sites also match what the sites' machines report about themselves
    #[arg(long)]
    match_facts: bool,
    /// Show which sites would get it, and change nothing
    #[arg(long)]
    preview: bool,
    /// Change the provider of this name, if there is one; what is not given is as in a new one
    #[arg(long)]
    replace: bool,
    /// Everything about the provider, as TOML or as JSON
    #[arg(long, value_name = "FILE", conflicts_with = "Settings")]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, clap::Args)]
struct Settings {
    /// The plugin that does it, such as dns-powerdns
    #[arg(long, value_name = "PLUGIN", value_parser = argument::name, required_unless_present = "file")]
    plugin: Option<Name>,
    /// The component, as `linecamp plugin ls` shows it; without it, the one of that name at the site
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Whose the records are: one word for this fleet, which no other that writes to the zone has
    #[arg(long, value_name = "OWNER", required_unless_present = "file")]
    owner: Option<String>,
    /// A zone that gets the records; may be repeated
    #[arg(long = "zone", value_name = "ZONE", required_unless_present = "file")]
    zones: Vec<String>,
    /// How hosts are named, with {host}, {site} and {environment}
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<String>,
    /// How long others may remember the records, in seconds
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u32>,
    /// Which hosts get a record; without it, all
    #[arg(long, value_name = "SELECTOR")]
    hosts: Option<String>,
    /// A setting of the plugin: KEY=TEXT, or KEY:=JSON for what is no text; may be repeated
    #[arg(long = "set", value_name = "KEY=TEXT")]
    set: Vec<String>,
    /// A secret: what the plugin calls it, and the name it has at the site; may be repeated
    #[arg(long = "secret", value_name = "NAME=SECRET")]
    secrets: Vec<String>,
    /// What the plugin may reach, at a public address; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    reach: Vec<String>,
    /// What the plugin may reach, at a private, loopback or link-local address; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    reach_private: Vec<String>,
    /// Let the plugin speak HTTP without TLS there
    #[arg(long)]
    plain_http: bool,
    /// Give a gateway without an address of its own the one that the server sees it come from
    #[arg(long)]
    observed_address: bool,
    /// Delete records that are not wanted any more
    #[arg(long)]
    deletes: bool,
    /// Withdraw the records of hosts that are out of service
    #[arg(long)]
    withdraw_inactive: bool,
    /// TextStyle and plan, and change nothing; `linecamp dns plan` shows it
    #[arg(long)]
    dry_run: bool,
}

impl Add {
    /// Whether only to show which sites would get it.
    pub(super) const fn previews(&self) -> bool {
        self.preview
    }

    /// Whether one of this name may be changed.
    pub(super) const fn replaces(&self) -> bool {
        self.replace
    }

    /// Returns the request, all of it checked.
    pub(super) fn request(self, environment: String) -> Result<ProviderRequest, ArgumentError> {
        let sites = match self.sites {
            Some(sites) if sites.is_all() => return Err(ArgumentError::SelectsAll),
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
        let pair = |word: String| match word.split_once('=') {
            Some((name, secret)) => Ok((name.to_owned(), secret.to_owned())),
            None => Err(ArgumentError::NoSecret { word }),
        };
        Ok(ProviderBody {
            name: name.map(ToString::to_string).unwrap_or_default(),
            plugin: self.plugin.map(|plugin| plugin.to_string()).unwrap_or_default(),
            digest: self.digest,
            owner: self.owner.unwrap_or_default(),
            zones: self.zones,
            template: self.template,
            ttl: self.ttl,
            hosts: self.hosts,
            observed_address: self.observed_address,
            deletes: self.deletes,
            withdraw_inactive: self.withdraw_inactive,
            dry_run: self.dry_run,
            leaving: false,
            records: Vec::new(),
            config: self.set.into_iter().map(setting).collect::<Result<Map<_, _>, _>>()?,
            secrets: self.secrets.into_iter().map(pair).collect::<Result<BTreeMap<_, _>, _>>()?,
            reach: self.reach,
            reach_private: self.reach_private,
            plain_http: self.plain_http,
        })
    }
}

/// Reads `KEY=TEXT` or `KEY:=JSON`.
fn setting(word: String) -> Result<(String, Value), ArgumentError> {
    let Some((key, value)) = word.split_once('=') else {
        return Err(ArgumentError::NoSetting { word });
    };
    let (key, value) = match key.strip_suffix(':') {
        Some(key) => (key, serde_json::from_str(value).ok()),
        None => (key, Some(Value::from(value))),
    };
    match (key, value) {
        ("", _) | (_, None) => Err(ArgumentError::NoSetting { word }),
        (key, Some(value)) => Ok((key.into(), value)),
    }
}

/// What a file says about the sites that get a provider.
#[derive(Clone, Debug, Default)]
struct Placement {
    sites: Option<String>,
    match_facts: bool,
}

/// Reads a file: which sites, if it says so, and the rest.
fn read(path: &Path, name: Option<&Name>) -> Result<(Placement, ProviderBody), ArgumentError> {
    let bad = |problem: String| ArgumentError::File { path: path.into(), problem };
    let text = read_text(path).map_err(|error| bad(error.to_string()))?;
    if FILE_BYTES_MAX < text.len() as u64 {
        return Err(bad(format!("a file about a provider has at most {} KiB", FILE_BYTES_MAX / 1024)));
    }
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let mut keys: Map<String, Value> = match is_json {
        true => serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?,
        false => toml::from_str(&text).map_err(|error| bad(error.to_string().trim_end().to_owned()))?,
    };
    let sites = match keys.remove("sites") {
        None => None,
        Some(Value::String(text)) => {
            Some(Selector::parse(&text).map_err(|error| bad(format!("sites: {error}")))?.to_string())
        }
        Some(_) => return Err(bad("sites: is a text, such as \"tier=web\"".into())),
    };
    let match_facts = match keys.remove("match_facts") {
        None => false,
        Some(Value::Bool(is_set)) => is_set,
        Some(_) => return Err(bad("match_facts: is true or false".into())),
    };
    if let Some(name) = name {
        let named = keys.entry("name").or_insert_with(|| Value::from(name.as_str()));
        if let Some(in_file) = named.as_str().filter(|in_file| *in_file != name.as_str()) {
            return Err(ArgumentError::OtherName { in_file: in_file.into(), given: name.to_string() });
        }
    }
    let body = serde_json::from_value(Value::Object(keys)).map_err(|error| bad(error.to_string()))?;
    Ok((Placement { sites, match_facts }, body))
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// Returns what is worth a word about settings that read.
pub(super) fn note(settings: &ProviderBody) -> Option<&'static str> {
    let is_plain = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("http://"));
    (!settings.plain_http && settings.config.values().any(is_plain))
        .then_some("note: a setting is an address of HTTP without TLS, which the plugin may use with --plain-http only")
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

    fn request(words: &[&str]) -> Result<ProviderRequest, ArgumentError> {
        let line = Line::try_parse_from(["add"].iter().chain(words)).expect("well-formed");
        line.add.request("default".into())
    }

    const LEAST: [&str; 7] = ["main-dns", "--plugin", "dns-fake", "--owner", "acme", "--zone", "example.org"];

    fn with(words: &[&str]) -> Result<ProviderRequest, ArgumentError> {
        request(&[&LEAST[..], words].concat())
    }

    fn in_file(name: &str, text: &str, words: &[&str]) -> Result<ProviderRequest, ArgumentError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        request(&[&["--file", path.to_str().expect("plain")], words].concat())
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
    fn options_and_a_file_say_the_same() {
        let words = with(&["--sites", "tier=web", "--set", "port:=53"]).expect("valid");
        assert_eq!(in_file("a.toml", TOML, &[]).expect("valid"), words);
        let json = serde_json::to_string(&words.settings).expect("serialises");
        assert_eq!(in_file("a.json", &json, &["--sites", "tier=web"]).expect("valid"), words);
        let unnamed = TOML.replace("name = \"main-dns\"", "");
        assert_eq!(in_file("a.toml", &unnamed, &["main-dns"]).expect("valid"), words);
    }

    #[test]
    fn settings_are_texts_or_json() {
        let settings =
            with(&["--set", "api=http://h:1/?a=b", "--set", "deep:={\"a\":[1]}", "--secret", "key=pdns-key"]);
        let settings = settings.expect("valid").settings;
        assert_eq!(
            Value::Object(settings.config.clone()),
            serde_json::json!({"api": "http://h:1/?a=b", "deep": {"a": [1]}})
        );
        assert_eq!(settings.secrets["key"], "pdns-key");
        assert!(note(&settings).expect("a word").contains("--plain-http"));
        assert_eq!(note(&with(&["--set", "api=https://h"]).expect("valid").settings), None);
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let check = |found: Result<ProviderRequest, ArgumentError>, expected: &str| {
            let text = format!("{:#}", anyhow::Error::from(found.expect_err(expected)));
            assert!(text.contains(expected), "{text}");
        };
        check(with(&["--sites", ""]), "an empty selector means every site");
        check(with(&["--set", "port"]), "`port` is neither KEY=TEXT nor KEY:=JSON");
        check(with(&["--set", "port:=x"]), "`port:=x` is neither");
        check(with(&["--secret", "key"]), "NAME=SECRET");
        check(with(&["--digest", "7"]), "do not read: digest: is not `sha256:`");
        check(with(&["--reach", "api"]), "reach[0]: ");
        check(in_file("a.toml", TOML, &["other"]), "is about provider main-dns, not other");
        check(in_file("a.toml", &format!("{TOML}\nsecret = 1"), &[]), "unknown field `secret`");
        check(in_file("a.toml", "name =", &[]), "a.toml: TOML parse error at line 1");
        check(in_file("a.json", "[]", &[]), "a.json: invalid type");
        check(in_file("a.toml", &" ".repeat(300_000), &[]), "at most 256 KiB");
        check(request(&["--file", "/absent.toml"]), "/absent.toml: ");
    }
}
