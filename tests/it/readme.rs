//! The README's commands, as pasted.

use std::process::Command;

use linecamp_tests::{Fleet, Machine, NameServer as _, Port, PowerDns, plugin, program};

/// The port in the README's tour; the test uses a free one.
const PORT: &str = "8443";

#[test]
fn every_command_of_the_readmes_tour_works_as_pasted() {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the package's directory");
    let readme = std::fs::read_to_string(format!("{root}/../README.md")).expect("there is a README");
    let port = Port::take();
    let tour = tour(&readme).replace(PORT, &port.address().port().to_string());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let programs = program("linecamp");
    let programs = programs.parent().expect("programs are in a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let said = Command::new("timeout")
        .args(["60", "bash", "-e", "-c", &tour])
        .current_dir(folder.path())
        .env("PATH", format!("{programs}:{path}"))
        .output()
        .expect("bash can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(said.status.success(), "{}\n{}", text(&said.stdout), text(&said.stderr));
    for words in ["tier", "reconnecting", "site-joined", "the daemon ended with 3"] {
        assert!(text(&said.stdout).contains(words), "the tour shows {words}: {}", text(&said.stdout));
    }
    assert!(!folder.path().join("tour").exists(), "it cleans up after itself");
}

/// Returns the commands of the tour, except those that build and locate the programs.
fn tour(readme: &str) -> String {
    let lines: Vec<_> = blocks(readme, "## Five minutes").into_iter().flat_map(|(_, block)| block.lines()).collect();
    let lines = lines.into_iter().filter(|line| !line.starts_with("cargo build") && !line.starts_with("export PATH"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the blocks of a section: the language of each, and its lines.
fn blocks<'a>(readme: &'a str, heading: &str) -> Vec<(&'a str, &'a str)> {
    let (_, section) = readme.split_once(heading).expect("the README has the section");
    let (section, _) = section.split_once("\n## ").expect("and goes on after it");
    // Every other fence closes a block; an opening fence is followed by its language.
    section.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').expect("a block has lines")).collect()
}

/// The README's section on DNS names, with a real PowerDNS at the address it gives, and a name that is taken.
#[test]
fn every_command_about_names_in_dns_works_as_pasted() {
    const NAME: &str = "camp-042.camp-042.default.example.org";
    let Some(mut server) = PowerDns::start() else { return };
    server.create_zone("example.org");
    server.plant("example.org", &[&format!("{NAME}. 300 A 198.51.100.7")]);
    let setup = server.provider();
    let fleet = Fleet::start();
    let site = fleet.join("camp-042", &[]);
    let folder = fleet.directory().display().to_string();
    std::fs::write(fleet.directory().join("pdns.key"), &setup.secrets[0].value).expect("a file");
    let plugins = plugin(setup.plugin).parent().expect("plugins are in a folder").display().to_string();

    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the package's directory");
    let readme = std::fs::read_to_string(format!("{root}/../README.md")).expect("there is a README");
    let story = blocks(&readme, "## Names in DNS").into_iter().map(|(language, text)| match language {
        "sh" => text.lines().filter(|line| !line.starts_with("cargo build")).map(|line| format!("{line}\n")).collect(),
        "toml" => format!("cat >> /etc/linecamp/linecampd.toml <<'END'\n{text}END\n{RESTART}"),
        other => panic!("nobody knows what to do with {other}"),
    });
    let story = format!("daemon=\ntrap 'kill $daemon' EXIT\n{}", story.collect::<String>());
    let story = story
        .replace("/etc/linecamp", &folder)
        .replace("/var/lib/linecamp", &site.data().display().to_string())
        .replace("target/wasm32-wasip2/release", &plugins)
        .replace("10.0.0.5:8081", &setup.reach.to_string());
    let programs = program("linecamp");
    let programs = programs.parent().expect("programs are in a folder").display();
    let said = Command::new("timeout")
        .args(["120", "bash", "-e", "-c", &story])
        .current_dir(fleet.directory())
        .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()))
        .envs([("LINECAMP_URL", fleet.url()), ("LINECAMP_PIN", fleet.pin()), ("LINECAMP_KEY", fleet.key())])
        .output()
        .expect("bash can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let log = std::fs::read_to_string(fleet.directory().join("linecampd.log")).unwrap_or_default();
    assert!(said.status.success(), "{}\n{}\n{log}", text(&said.stdout), text(&said.stderr));
    for words in ["conflict, left unchanged", "record-conflict", "own-dns", "Keeps records"] {
        assert!(text(&said.stdout).contains(words), "it shows {words}: {}", text(&said.stdout));
    }
    assert_eq!(server.ask(NAME, "A"), ["192.0.2.7"], "the site's own provider keeps it in the end");
}

/// The restart after a change of a site's configuration.
const RESTART: &str = "\
[ -z \"$daemon\" ] || { kill $daemon; wait $daemon; }
linecampd run --data /var/lib/linecamp --config /etc/linecamp/linecampd.toml >> /etc/linecamp/linecampd.log 2>&1 &
daemon=$!
";

/// From nothing to three sites on three machines, and a server on a fourth; only its name and port differ from the
/// README.
#[test]
fn every_command_about_real_machines_works_as_pasted() {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the package's directory");
    let readme = std::fs::read_to_string(format!("{root}/../README.md")).expect("there is a README");
    let port = Port::take();
    let readme = readme.replace("camp.example:8443", &port.address().to_string());
    let [server_side, look, at_site, settings] = blocks(&readme, "## On real machines")[..] else {
        panic!("the README has other blocks than the test knows");
    };
    let Some(server) = Machine::boot("trixie") else { return };
    let begun = server.run(&format!("set -e; cd /packages/current; cp *.deb /srv; cd /srv; {}", server_side.1)).ok();
    assert!(begun.stdout.contains("region") || begun.stdout.contains("token"), "{}", begun.stdout);
    let line = begun.stdout.lines().find(|line| line.contains("apt-helper")).expect("it prints the line").to_owned();
    let mut sites = Vec::new();
    for (name, release) in [("camp-001", "bookworm"), ("camp-002", "trixie"), ("camp-003", "bookworm")] {
        let Some(site) = Machine::boot(release) else { return };
        site.run(&format!("hostname {name}")).ok();
        let said = site.run(&line).ok();
        assert!(
            said.stderr.contains(&format!("{name} is a site, its daemon runs and is linked to ")),
            "{}",
            said.stderr
        );
        sites.push(site);
    }
    let seen = server.run(look.1).ok().stdout;
    assert_eq!(seen.matches("connected").count(), 6, "three sites, twice: {seen}");
    for site in &sites {
        let said = site.run(&format!("set -e; {}", at_site.1)).ok().stdout;
        assert!(said.contains("link up"), "{said}");
        site.run(&format!("set -e; {}", settings.1)).ok();
    }
}
