use super::*;

fn resolve(text: &str) -> Result<Config, ServerError> {
    let mut written = LayeredConfig::default();
    written.add_text::<ConfigFile>(Path::new("server.toml"), text)?;
    Config::resolve(Layout::new("/d"), &written, Overrides::default())
}

/// Uncomments every key in the text.
fn commented_in(text: &str) -> String {
    let is_key = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_lowercase());
    text.lines().map(|line| line.strip_prefix('#').filter(is_key).unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_first_configuration_names_the_server_and_all_defaults() {
    let url = ServerUrl::parse("https://camp.example:8443").unwrap();
    let text = template(&url);
    let shown = |config: Config| Config { layout: Layout::new("/d"), ..config };
    let (written, said) = (shown(resolve(&text).unwrap()), shown(resolve(&commented_in(&text)).unwrap()));
    let bare = resolve("server_url = \"https://camp.example:8443\"").unwrap();
    assert_eq!(format!("{written:?}"), format!("{bare:?}"), "as it stands");
    assert_eq!(format!("{said:?}"), format!("{bare:?}"), "with all it says");
    assert_eq!(written.server_url, url);
}

#[test]
fn the_sample_documents_every_key() {
    assert!(resolve(SAMPLE).unwrap_err().to_string().contains("server_url is missing"));
    let error = resolve("no_such_key = 1").unwrap_err().to_string();
    let (_, known) = error.split_once("expected ").unwrap();
    for key in known.split('`').skip(1).step_by(2) {
        assert!(SAMPLE.contains(&format!("\n#{key} = ")), "{key}");
    }
    assert!(SAMPLE.contains("\n#   LINECAMP_LOG "));
}

/// The packaged file overrides what `init` wrote, and drop-ins override each.
#[test]
fn the_directorys_file_is_read_first_and_drop_ins_follow_each_file() {
    let dir = tempfile::tempdir().unwrap();
    let (data, etc) = (dir.path().join("data"), dir.path().join("etc"));
    for folder in [data.join("ca"), etc.join("server.d")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let write = |path: PathBuf, text: &str| std::fs::write(path, text).unwrap();
    write(data.join("server.toml"), "server_url = \"https://h:1\"\nlog = \"warn\"");
    write(etc.join("server.toml"), SAMPLE);
    write(etc.join("server.d/10-own.toml"), "log = \"debug\"\n");
    let load = || Config::load(Layout::new(&data), Some(&etc.join("server.toml")), Overrides::default());
    let config = load().unwrap();
    assert_eq!((config.server_url.port(), &*config.log), (1, "debug"));
    write(etc.join("server.d/20-odd.toml"), "\nidle_timeout_max = \"1s\"");
    let error = load().unwrap_err().to_string();
    assert!(error.contains("server.d/20-odd.toml: line 2: idle_timeout_max is 1s; allowed: from 10s to 1h"), "{error}");
}

#[test]
fn a_value_out_of_range_is_rejected_with_location_key_and_range() {
    let check = |line: &str, expected: &str| {
        let text = format!("server_url = \"https://h\"\n{line}");
        assert_eq!(resolve(&text).unwrap_err().to_string(), expected);
    };
    check("certificate_life = \"59s\"", "server.toml: line 2: certificate_life is 59s; allowed: from 1m to 3660d");
    check(
        "https = \"8443\"",
        "server.toml: line 2: https is `8443`; use ADDRESS:PORT, for example 0.0.0.0:8443 or [::]:8443",
    );
    check(
        "link_addresses = [\"h:1\", \"h\"]",
        "server.toml: line 2: link_addresses is invalid: `h` is not a server address; write HOST:PORT, or [IPV6]:PORT",
    );
    check(
        "http = \"8080\"",
        "server.toml: line 2: http is `8080`; use ADDRESS:PORT, for example 127.0.0.1:8080, or \"off\"",
    );
    check(
        "trusted_proxies = [\"10.0.0.1/8\"]",
        "server.toml: line 2: trusted_proxies contains `10.0.0.1/8`, which has bits below /8; set them to 0",
    );
    check("https_key = \"/k\"", "server.toml: line 2: https_key is set without https_certificate; set both");
    check("https_certificate = \"/c\"", "server.toml: line 2: https_certificate is set without https_key; set both");
    assert!(resolve("").unwrap_err().to_string().contains("server_url is missing"));
}

#[test]
fn an_unknown_key_is_rejected_with_file_line_and_key() {
    let error = resolve("server_url = \"https://h\"\ncertifcate_life = \"1d\"\n").unwrap_err();
    let text = error.to_string();
    assert!(error.blames_input());
    for part in ["server.toml", "line 2", "certifcate_life"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_server_url_is_https_with_a_host() {
    let check = |text: &str, expected: Option<&str>| {
        let found = ServerUrl::parse(text).ok().map(|url| url.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    };
    check("https://camp.example:8443/", Some("https://camp.example:8443"));
    check("https://camp.example", Some("https://camp.example"));
    check("https://[::1]:8443", Some("https://[::1]:8443"));
    check("https://[::1]", Some("https://[::1]:443"));
    for bad in ["http://h:1", "https://", "https://h:0", "https://h:1/path", "https://u@h:1", "h:1"] {
        check(bad, None);
    }
}
