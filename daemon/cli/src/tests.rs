use clap::{CommandFactory as _, Parser as _};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn valid_command_lines_are_accepted() {
    for line in [
        "linecamp site ls -l region=eu,tier!=lab --environment lab",
        "linecamp site ls --state active --link offline --condition clock-skew --text shop --sort joined --descending",
        "linecamp host ls --sort link-since --limit 10",
        "linecamp token ls --limit 3",
        "linecamp -o json site show camp-042",
        "linecamp site show camp-042 -o json --timeout 5s",
        "linecamp site label camp-042 rack=r7 tier-",
        "linecamp site label -l region=eu rack=r7 --yes",
        "linecamp site edit camp-042 --description x",
        "linecamp site deactivate -l region=eu",
        "linecamp site rm camp-042 --force",
        "linecamp site accept -l region=eu --yes",
        "linecamp site rm --from preview.json --yes",
        "linecamp bulk-action ls --limit 3",
        "linecamp bulk-action wait 0707070707070707 --connected --at-most 5min",
        "linecamp host ls --site camp-042 -l gpu",
        "linecamp host show camp-042/box-1",
        "linecamp host label camp-042/box-1 rack=r7 tier-",
        "linecamp host edit box-1 --name box-2",
        "linecamp token create -q --ttl 7days --uses 50 --label a=1 --label b=2 --environment lab",
        "linecamp token revoke 0707070707070707",
        "linecamp environment edit lab --approval on",
        "linecamp event tail --site camp-042",
        "linecamp audit ls --user anna --operation site.remove --outcome refused --limit 7",
        "linecamp audit tail -o json",
        "linecamp audit verify a.jsonl --against b.jsonl",
        "linecamp audit export a.jsonl --after 7",
        "linecamp provider add main-dns --plugin dns-powerdns --owner acme --zone example.org --sites tier=web \
         --set api=http://10.0.0.5:8081 --secret api-key=pdns-key --reach-private 10.0.0.5:8081 --plain-http \
         --allow-deletes",
        "linecamp provider add --file main-dns.toml --sites tier=web --replace",
        "linecamp provider ls --environment lab",
        "linecamp provider show main-dns -o json",
        "linecamp provider rm main-dns",
        "linecamp plugin new dns-example --sdk sdk",
        "linecamp plugin check dns.wasm --config {} --zone example.org --compiler c -o json",
        "linecamp plugin push dns_powerdns.wasm --name dns-powerdns",
        "linecamp plugin push dns_powerdns.wasm --no-describe",
        "linecamp plugin show sha256:07",
        "linecamp plugin ls",
        "linecamp plugin rm sha256:07",
        "linecamp dns ls --site camp-042 -l tier=web --provider main-dns --state conflict",
        "linecamp dns plan camp-042",
        "linecamp login https://h:1 --ca x.pem --key-file -",
        "linecamp doctor request -o json",
        "linecamp login https://h:1 --ca x.pem --user anna --password-file p --context lab",
        "linecamp whoami --context lab",
        "linecamp context use lab",
        "linecamp user create anna --role operator --environment-role lab=admin --environment-role shop=viewer",
        "linecamp user edit anna --role none",
        "linecamp user password",
        "linecamp key create ci --user deploy --role viewer --ttl 90days --file ci.key",
        "linecamp key rotate 0707070707070707 --grace 1h",
        "linecamp session end --user anna",
        "linecamp settings edit --url https://h:1",
        "linecamp version",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).expect_err("rejected"));
    }
}

#[test]
fn invalid_command_lines_are_rejected() {
    let check = |line: &str, expected: &str| {
        let error = parse(line).expect_err(line);
        let text = error.to_string();
        assert!(text.contains(expected), "{line}: {text}");
        assert_eq!(error.exit_code(), 2);
    };
    check("linecamp site ls -l region=eu,,x", "column 11");
    check("linecamp site ls --limit 0", "a number from 1");
    check("linecamp site ls --link up", "unknown variant `up`, expected one of `connected`");
    check("linecamp host ls --condition bad", "expected one of");
    check("linecamp site show Camp", "column 1 is `C`");
    check("linecamp site deactivate", "<NAME>");
    check("linecamp site deactivate camp-042 -l x", "cannot be used with");
    check("linecamp site deactivate camp-042 --yes", "cannot be used with");
    check("linecamp site label camp-042 rack=r7 --yes", "--selector");
    check("linecamp site deactivate --from x -l y", "cannot be used with");
    check("linecamp site deactivate camp-042 --from x", "cannot be used with");
    check("linecamp bulk-action show 07", "16 hexadecimal digits");
    check("linecamp bulk-action wait 0707070707070707 --at-most 0s", "out of range");
    check("linecamp site label", "required");
    check("linecamp site edit camp-042", "--description <TEXT>");
    check("linecamp environment edit lab", "--approval <SWITCH>");
    check("linecamp host edit camp-042", "--name <NEW_NAME>");
    check("linecamp environment edit lab --approval maybe", "expected `on` or `off`");
    check("linecamp host label camp-042", "required");
    check("linecamp host show camp-042/", "no host after `/`");
    check("linecamp host deactivate /box-1", "no site before `/`");
    check("linecamp host activate a/b/c", "more than one `/`");
    check("linecamp token create --ttl 500days", "out of range: expected 1s to 366days");
    check("linecamp token create --uses 0", "0 is not in 1..=100000");
    check("linecamp token create --label rack", "`rack` is not a label");
    check("linecamp login http://h --pin x --key y", "expected https://, not http://");
    check("linecamp login https://h --key y", "--pin");
    check("linecamp login https://h --ca x", "--key");
    check("linecamp login https://h --ca x --user a --key-file y", "cannot be used with");
    check("linecamp user create anna --role root", "viewer, operator and admin");
    check("linecamp user create anna --environment-role lab", "NAME=ROLE");
    check("linecamp key rotate 07", "16 hexadecimal digits");
    check("linecamp session end", "<ID>");
    check("linecamp event ls --limit 0", "from 1 to 1000");
    check("linecamp provider add", "<NAME>");
    check("linecamp provider add a --owner o --zone z", "--plugin");
    check("linecamp provider add a --file x --owner o", "cannot be used with");
    check("linecamp plugin new 1und1", "start with a digit");
    check("linecamp plugin check x --config {} --config-file y", "cannot be used with");
    check("linecamp plugin check x --zone a..b", "--zone");
    check("linecamp dns ls --state lost", "quarantined");
    check("linecamp dns plan", "<SITE>");
    check("linecamp site ls --timeout 0s", "out of range");
}

#[test]
fn every_command_has_examples() {
    fn check(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        assert!(command.get_about().is_some(), "{path} has a description");
        match command.get_subcommands().count() {
            0 => {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example"), "{path} has examples");
                assert!(help.contains(path.trim()), "{path} is in its own examples");
            }
            _ => command.get_subcommands().for_each(|below| check(below, &path)),
        }
    }
    check(&Cli::command(), "");
}

#[test]
fn every_line_of_help_fits_a_terminal() {
    fn check(command: &mut clap::Command) {
        let help = command.clone().term_width(100).render_long_help().to_string();
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{}: {line}", command.get_name());
        }
        command.get_subcommands_mut().for_each(check);
    }
    let mut command = Cli::command();
    command.build();
    check(&mut command);
}

#[test]
fn every_command_has_a_man_page() {
    linecamp_pages::write(&Cli::command());
}

/// The manual page of a subcommand is named like a program of that name.
#[test]
fn no_command_has_the_name_of_another_program() {
    let programs = ["server", "plugin-compiler"];
    let command = Cli::command();
    let taken: Vec<_> =
        command.get_subcommands().map(clap::Command::get_name).filter(|name| programs.contains(name)).collect();
    assert!(taken.is_empty(), "linecamp-{taken:?} has the page of the program");
}
