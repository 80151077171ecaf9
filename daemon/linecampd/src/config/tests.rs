use linecamp_plugin_host::SecretScope;
use linecamp_service::LayeredConfig;
use linecamp_transport::error_chain;

use super::*;

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let env = |name: &str| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let mut layers = LayeredConfig::new(&file::CONCATENATED);
    layers.add_text::<ConfigFile>(Path::new("c.toml"), text)?;
    Loaded::of(&layers, &env)
}

fn resolve(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load(text, variables).map(|loaded| loaded.config)
}

/// Uncomments the sample's commented-out keys, except those of examples.
fn uncommented(with_examples: bool) -> String {
    let mut is_example = false;
    let lines = SAMPLE.lines().filter_map(|line| {
        let words = line.strip_prefix("# ");
        is_example = words.map_or(is_example, |words| words.ends_with("Example:"));
        // There are no default providers, so their tables are examples throughout.
        match line.strip_prefix('#').filter(|_| words.is_none()) {
            Some(key) if with_examples || !is_example => Some(key),
            Some(_) => None,
            None => Some(line),
        }
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    if with_examples { text } else { text.split("\n[[provider]]").next().unwrap_or_default().to_owned() }
}

#[test]
fn the_sample_equals_the_defaults_as_shipped_and_uncommented() {
    let default = resolve("", &[]).unwrap();
    assert_eq!(resolve(SAMPLE, &[]).unwrap(), default);
    let mut config = resolve(&uncommented(false), &[]).unwrap();
    let memory = config.plugins.memory_mib.take().expect("the sample sets it");
    assert_eq!(config, default);
    assert_eq!(memory as usize * 1024 * 1024, linecamp_plugin_host::Limits::default().memory_bytes);
}

#[test]
fn the_sample_documents_every_key_and_is_valid_uncommented() {
    let uncommented = uncommented(true);
    let config = resolve(&uncommented, &[]).unwrap();
    assert_eq!(config.join.unwrap().name.as_str(), "camp-042");
    assert_eq!(config.providers[0].name.as_str(), "main-dns");
    let unset = |text: &str| format!("{text}\nno_such_key = 1\n");
    let lines: Vec<_> = uncommented.lines().collect();
    for table in ["", "[link]", "[join]", "[plugins]", "[secrets.pdns-key]", "[[provider]]"] {
        // On an unknown key, serde lists all keys that it knows.
        let error = resolve(&unset(table), &[]).unwrap_err().to_string();
        let (_, known) = error.split_once("expected ").unwrap_or_else(|| panic!("{error}"));
        let from = lines.iter().position(|line| *line == table).filter(|_| !table.is_empty());
        let section = from.map_or(&lines[..], |from| &lines[from + 1..]);
        for key in known.split('`').skip(1).step_by(2) {
            let is_there = |line: &&str| {
                line.starts_with(&format!("{key} ="))
                    || line.starts_with('[') && line.trim_matches(['[', ']']).ends_with(key)
            };
            assert!(section.iter().any(is_there), "the sample does not document {key} of {table}");
        }
    }
    for variable in VARIABLES {
        assert!(SAMPLE.contains(&format!("\n#   {variable} ")), "the sample does not list {variable}");
    }
}

#[test]
fn the_files_and_variables_read_are_listed() {
    let loaded =
        load("log = \"warn\"", &[("LINECAMP_LOG", "debug"), ("CATTLE_HOST_LABELS", ""), ("HOME", "/")]).unwrap();
    assert_eq!(loaded.files, [Path::new("c.toml")]);
    assert_eq!(loaded.variables, ["LINECAMP_LOG"]);
}

#[test]
fn every_key_is_read() {
    let config = resolve(
        "servers = [\"a:1\", \"[::1]:2\"]\nrancher_labels = false\ndocker_socket = \"/d\"\nlog = \"warn\"\n\
         [link]\nmetered = true\n[join]\ntoken_file = \"/t\"\nname = \"camp\"",
        &[],
    )
    .unwrap();
    assert_eq!(config.servers[1].to_string(), "[::1]:2");
    assert!(!config.rancher_labels && config.is_metered);
    assert_eq!(config.docker_socket, Path::new("/d"));
    assert_eq!(config.log, LevelFilter::WARN);
    assert_eq!(config.join.unwrap().token_file, Path::new("/t"));
}

#[test]
fn an_error_names_file_line_and_key() {
    let check = |text: &str, words: &[&str]| {
        let error = error_chain(&resolve(text, &[]).unwrap_err());
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    check("log = \"info\"\nlabel = 1", &["c.toml: line 2: ", "unknown field `label`"]);
    check("[link]\n\nmeterd = true", &["c.toml: line 3: ", "unknown field `meterd`"]);
    check("rancher_labels = \"yes\"", &["c.toml: line 1: key `rancher_labels`: ", "boolean"]);
    check("a = ", &["c.toml: line 1: "]);
    check("[join]\nname = \"x\"", &["c.toml: line 2: ", "`join.name`", "`join.token_file` is not"]);
    check("log = \"loud\"", &["c.toml: line 1: key `log`", "`loud`", "error, warn, info, debug, trace"]);
    check("servers = [\"camp\"]", &["c.toml: line 1: key `servers`", "`camp`", "HOST:PORT"]);
    let many = format!("servers = [{}]", "\"a:1\",".repeat(9));
    check(&many, &["key `servers`", "9 addresses", "at most 8"]);
    check("[plugins]\nmemory_mib = 300", &["c.toml: line 2: key `plugins.memory_mib`", "1 to 256"]);
    check("[[provider]]\nname = \"n\"\nplugin = \"P\"\nowner = \"o\"\nzones = []", &["c.toml: line 1: ", "number 1"]);
    check("[join]\ntoken_file = \"t\"\nname = \"Camp\"", &["c.toml: line 3: key `join.name`", "column 1"]);
    check("[secrets]\n\"A b\" = \"/x\"", &["c.toml: line 2: table `[secrets]`", "A b"]);
    let record = "[[provider]]\nname = \"n\"\nplugin = \"p\"\nowner = \"o\"\nzones = [\"z\"]\n[[provider.records]]\ntype = \"A\"";
    check(record, &["c.toml: line 6: key `provider[0].records[0].template` is missing"]);
    let word = record.split("[[provider.records]]").next().unwrap().to_owned() + "records = [\"A\"]";
    check(&word, &["c.toml: line 6: key `provider[0].records[0]`: ", "expected a record with the keys `template`"]);
    check("[secrets]\na = 1", &["c.toml: line 2: key `secrets.a`", "a file path or a table"]);
    check("\n[secrets.a]\nhost = []", &["c.toml: line 3: ", "unknown field `host`", "`hosts`", "`use`"]);
}

#[test]
fn the_environment_overrides_the_file() {
    let config = resolve("log = \"warn\"", &[("LINECAMP_LOG", "debug")]).unwrap();
    assert_eq!(config.log, LevelFilter::DEBUG);
    let error = resolve("", &[("LINECAMP_LOG", "all")]).unwrap_err();
    assert!(error.to_string().contains("LINECAMP_LOG"), "{error}");
}

#[test]
fn labels_from_the_environment_belong_to_the_gateway_and_ours_win() {
    let config =
        resolve("", &[("CATTLE_HOST_LABELS", "rack=r1&old=1"), ("LINECAMP_HOST_LABELS", "rack=r6&rack=r7")]).unwrap();
    let labels: Vec<_> =
        config.labels.labels[&Level::Host].iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(labels, ["old=1", "rack=r7"]);
    let repeated = "variable LINECAMP_HOST_LABELS sets rack more than once; the last value wins";
    assert_eq!(config.labels.repeated.unwrap().as_str(), repeated);
    assert_eq!(config.warnings, [repeated]);
}

#[test]
fn an_invalid_label_in_the_environment_is_skipped_and_named() {
    let variables = [("CATTLE_HOST_LABELS", "rack=r1&-x=1"), ("LINECAMP_HOST_LABELS", "tier=lab&a%20b=x")];
    let config = resolve("", &variables).unwrap();
    let labels: Vec<_> =
        config.labels.labels[&Level::Host].iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(labels, ["rack=r1", "tier=lab"]);
    let invalid = config.labels.invalid.unwrap();
    let (first, second) = invalid.as_str().split_once("; variable ").unwrap();
    assert!(first.starts_with("variable CATTLE_HOST_LABELS: label key `-x`: column 1"), "{invalid}");
    assert!(second.starts_with("LINECAMP_HOST_LABELS: label key `a b`: column 2"), "{invalid}");
    assert_eq!(config.warnings, [invalid.to_string()], "`config check` and the log show it as well");
}

/// A table that binds a secret, with one key replaced or left out.
fn table(key: &str, instead: &str) -> String {
    let keys = [
        ("file", "\"/f\""),
        ("hosts", "[\"10.0.0.5:8081\", \"PDNS.example.:443\"]"),
        ("plain_http", "[\"10.0.0.5:8081\"]"),
        ("use", "\"header\""),
        ("providers", "[\"main-dns\"]"),
    ];
    let lines = keys.map(|(known, value)| match (known == key, instead) {
        (true, "") => String::new(),
        (true, instead) => format!("{key} = {instead}\n"),
        (false, _) => format!("{known} = {value}\n"),
    });
    format!("[secrets.pdns-key]\n{}", lines.concat())
}

#[test]
fn a_table_binds_a_secret_and_a_path_alone_does_not() {
    let config = resolve(&table("", ""), &[]).unwrap();
    let secret = &config.plugins.secrets[&SecretName::parse("pdns-key").unwrap()];
    assert_eq!(secret.file.as_deref(), Some(Path::new("/f")));
    let expected = "as header to 10.0.0.5:8081 (also over plain HTTP), pdns.example:443, for main-dns";
    assert_eq!(secret.to_string(), expected);
    assert_eq!(config.warnings, [""; 0]);
    let secret = |text: &str| {
        let config = resolve(text, &[]).unwrap();
        config.plugins.secrets.values().next().unwrap().clone()
    };
    assert_eq!(secret(&table("file", "")).file, None, "a systemd credential");
    assert!(secret(&table("plain_http", "")).to_string().starts_with("as header to 10.0.0.5:8081, pdns"));
    assert_eq!(secret("[secrets]\na = \"/x\"").scope, SecretScope::LocalProviders);
}

#[test]
fn an_incomplete_secret_table_is_rejected_with_file_line_and_key() {
    let check = |key: &str, instead: &str, words: &[&str]| {
        let error = error_chain(&resolve(&format!("\n{}", table(key, instead)), &[]).unwrap_err());
        let start = "c.toml: line 2: table `[secrets.pdns-key]`: ";
        assert!(error.contains(start) && words.iter().all(|word| error.contains(word)), "{error}");
    };
    for key in ["hosts", "use", "providers"] {
        check(key, "", &[&*format!("`{key}` is missing"), "`hosts`, `use` and `providers`"]);
    }
    for key in ["hosts", "providers"] {
        check(key, "[]", &[&*format!("`{key}` is missing")]);
    }
    check("hosts", "[\"10.0.0.5\"]", &["`hosts`", "10.0.0.5", "HOST:PORT"]);
    check("hosts", "[\"*.example.org:443\"]", &["`hosts`", "HOST:PORT"]);
    check("plain_http", "[\"http://h:1\"]", &["`plain_http`", "HOST:PORT"]);
    check("plain_http", "[\"10.0.0.6:8081\"]", &["10.0.0.6:8081, which is not in `hosts`"]);
    check("use", "\"cookie\"", &["`use` is `cookie`", "bearer, basic, header, sigv4", "tsig"]);
    check("providers", "[\"Main\"]", &["`providers`", "column 1"]);
}

#[test]
fn a_drop_in_may_replace_a_path_with_a_table() {
    let mut layers = LayeredConfig::new(&file::CONCATENATED);
    layers.add_text::<ConfigFile>(Path::new("c.toml"), "[secrets]\npdns-key = \"/old\"").unwrap();
    layers.add_text::<ConfigFile>(Path::new("c.d/1.toml"), &table("", "")).unwrap();
    layers.add_text::<ConfigFile>(Path::new("c.d/2.toml"), "[secrets.pdns-key]\nuse = \"bearer\"").unwrap();
    let loaded = Loaded::of(&layers, &|_| None).unwrap();
    let secret = loaded.config.plugins.secrets.values().next().unwrap();
    assert!(secret.to_string().starts_with("as bearer to 10.0.0.5:8081"), "{secret}");
}

#[test]
fn an_unusable_secret_is_a_warning_and_an_undeclared_one_is_a_credential() {
    let provider = "[[provider]]\nname = \"n\"\nplugin = \"p\"\nowner = \"o\"\nzones = [\"a.example\"]\n\
                    secrets = { key = \"named\", other = \"credential\" }\n";
    let config = resolve(&format!("{provider}[secrets]\nidle = \"/x\"\nnamed = \"/y\""), &[]).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].contains("no provider can use the secret idle"), "{:?}", config.warnings);
    assert!(config.warnings[0].contains("[secrets.idle]"), "{:?}", config.warnings);
    let files: Vec<_> = config.plugins.secrets.values().map(|secret| secret.file.as_deref()).collect();
    assert_eq!(files, [None, Some(Path::new("/x")), Some(Path::new("/y"))], "credential, idle, named");
    assert!(config.plugins.secrets.values().all(|secret| secret.scope == SecretScope::LocalProviders));
}
