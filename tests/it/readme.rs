//! The commands of the README and of the pages that lead from nothing to a fleet, as pasted.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use linecamp_tests::{Fleet, Machine, NameServer as _, Port, PowerDns, plugin, program};
use rustix::process::{Pid, Signal, kill_process};

use crate::markdown_page::{Block, Page};
use crate::shell::Shell;

/// The port in the tour by hand; the test uses a free one.
const PORT: &str = "8443";

/// `cargo xtask dev`, on the programs under test.
#[derive(Debug)]
struct Dev {
    process: Child,
    /// Kept open: it prints more than the line.
    _output: Lines<BufReader<ChildStdout>>,
    /// The line that it tells the reader to paste.
    export: String,
}

impl Dev {
    fn start() -> Self {
        let programs = program("xtask");
        let plugins = plugin("dns-fake");
        let mut process = Command::new(&programs)
            .arg("dev")
            .env("LINECAMP_BINARIES", programs.parent().expect("programs are in a folder"))
            .env("LINECAMP_PLUGINS", plugins.parent().expect("plugins are in a folder"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("xtask can be run");
        let mut output = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut lines = output.by_ref().map_while(Result::ok);
        let export = lines.find(|line| line.trim_start().starts_with("export "));
        Self { process, _output: output, export: export.expect("it prints an export line") }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::INT);
        let _ = self.process.wait();
    }
}

#[test]
fn every_command_of_the_readmes_tour_works_as_pasted() {
    let readme = Page::read("README.md");
    let blocks = readme.section("## Five-minute tour");
    let (first, blocks) = blocks.split_first().expect("the tour has commands");
    assert_eq!(*first, Block { language: "sh", text: "cargo xtask dev\n" });
    let dev = Dev::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shell = Shell::start(folder.path(), &[]);
    shell.run(&dev.export);
    shell.follow(blocks);
}

/// The commands that start every program by hand, from the first key to the last removal.
#[test]
fn every_command_of_the_tour_by_hand_works_as_pasted() {
    let port = Port::take();
    let page = Page::read("packaging/docs/tour.md").with(&[(PORT, &port.address().port().to_string())]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shell = Shell::start(folder.path(), &[]);
    let blocks = page.blocks();
    let (build, blocks) = blocks.split_first().expect("the tour has commands");
    assert!(build.text.starts_with("cargo build"), "the first block builds and locates the programs: {}", build.text);
    shell.follow(blocks);
    for words in ["tier", "reconnecting", "site-joined", "the daemon ended with 3"] {
        assert!(shell.transcript().contains(words), "the tour shows {words}: {}", shell.transcript());
    }
    assert!(!folder.path().join("tour").exists(), "it cleans up after itself");
}

/// The page on DNS names, with a real PowerDNS at the address it gives, and a name that is taken.
#[test]
fn every_command_about_names_in_dns_works_as_pasted() {
    const NAME: &str = "camp-042.camp-042.default.example.org";
    let Some(mut server) = PowerDns::start() else { return };
    server.create_zone("example.org");
    server.seed("example.org", &[&format!("{NAME}. 300 A 198.51.100.7")]);
    let setup = server.provider();
    let fleet = Fleet::start();
    let site = fleet.join("camp-042", &[]);
    std::fs::write(fleet.directory().join("pdns.key"), &setup.secrets[0].value).expect("a file");
    let plugins = plugin(setup.plugin);

    let page = Page::read("packaging/docs/dns.md").with(&[
        ("/etc/linecamp", &fleet.directory().display().to_string()),
        ("/var/lib/linecamp", &site.data().display().to_string()),
        ("target/wasm32-wasip2/release", &plugins.parent().expect("a folder").display().to_string()),
        ("10.0.0.5:8081", &setup.reach.to_string()),
    ]);
    let login = [("LINECAMP_URL", fleet.url()), ("LINECAMP_PIN", fleet.pin()), ("LINECAMP_KEY", fleet.key())];
    let mut shell = Shell::start(fleet.directory(), &login);
    shell.run("daemon=");
    for block in page.blocks() {
        match block.language {
            "toml" => {
                shell.run(&format!("cat >> linecampd.toml <<'END'\n{}END\n", block.text));
                shell.run(&RESTART.replace("DATA", &site.data().display().to_string()));
            }
            _ => {
                let text = block.text.split_inclusive('\n').filter(|line| !line.starts_with("cargo build"));
                shell.follow(&[Block { text: &text.collect::<String>(), ..block }]);
            }
        }
    }
    for words in ["conflict, left unchanged", "record-conflict", "own-dns", "Manages DNS records"] {
        assert!(shell.transcript().contains(words), "it shows {words}: {}", shell.transcript());
    }
    assert_eq!(server.query(NAME, "A"), ["192.0.2.7"], "the site's own provider keeps it in the end");
}

/// The restart after a change of a site's configuration.
const RESTART: &str = "\
[ -z \"$daemon\" ] || { kill $daemon; wait $daemon; }
linecampd run --data DATA --config linecampd.toml >> linecampd.log 2>&1 &
daemon=$!
";

/// From nothing to three sites on three machines and a server on a fourth, and to its backup and upgrade; only the
/// server's name and port differ from the pages.
#[test]
fn every_command_about_real_machines_works_as_pasted() {
    let port = Port::take();
    let page = Page::read("packaging/docs/install.md").with(&[("camp.example:8443", &port.address().to_string())]);
    let [server_side, look, at_site, settings] = page.blocks()[..] else {
        panic!("the page has other blocks than the test knows");
    };
    let Some(server) = Machine::boot("trixie") else { return };
    let begun = server.run(&format!("set -e; cd /packages/current; cp *.deb /srv; cd /srv; {}", server_side.text)).ok();
    assert!(begun.stdout.contains("region") || begun.stdout.contains("token"), "{}", begun.stdout);
    let line = begun.stdout.lines().find(|line| line.contains("apt-helper")).expect("it prints the line").to_owned();
    let mut sites = Vec::new();
    for (name, release) in [("camp-001", "bookworm"), ("camp-002", "trixie"), ("camp-003", "bookworm")] {
        let Some(site) = Machine::boot(release) else { return };
        site.run(&format!("hostname {name}")).ok();
        let said = site.run(&line).ok();
        assert!(
            said.stderr.contains(&format!("{name} has joined; its daemon is running and connected to ")),
            "{}",
            said.stderr
        );
        sites.push(site);
    }
    let seen = server.run(look.text).ok().stdout;
    assert_eq!(seen.matches("connected").count(), 6, "three sites, twice: {seen}");
    for site in &sites {
        let said = site.run(&format!("set -e; {}", at_site.text)).ok().stdout;
        assert!(said.contains("link up"), "{said}");
        site.run(&format!("set -e; {}", settings.text)).ok();
    }
    for block in Page::read("packaging/docs/upgrading.md").blocks() {
        server.run(&format!("set -e; cd /srv; {}", block.text)).ok();
    }
    server.run("linecamp site ls").ok();
}
