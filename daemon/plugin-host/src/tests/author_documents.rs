//! What plugin authors read states what the host does: the imports in the contract, and the limits in the guide.

use std::collections::BTreeSet;
use std::time::Duration;

use linecamp_model::limits::{
    DESCRIBED_MAX, GRANTS_PER_PROVIDER_MAX, PLUGIN_BYTES_MAX, PROVIDER_CONFIG_BYTES_MAX, RECORD_VALUE_BYTES_MAX,
    RECORD_VALUES_MAX, RECORDS_PER_PROVIDER_MAX, SCHEMA_BYTES_MAX, SECRETS_PER_PROVIDER_MAX,
};

use crate::limits::{
    COMPILE_LIMIT, LOG_LINE_INTERVAL, LOG_LINES_AT_ONCE, Limits, OBSERVED_SETS_MAX, OBSERVED_VALUE_BYTES_MAX,
    OBSERVED_VALUES_MAX, PLUGIN_TEXT_BYTES_MAX, RETRY_AFTER_MAX,
};
use crate::sandbox::{LINKED, LINKED_RANDOM};

const CONTRACT: &str = include_str!("../../../../sdk/wit/v1/provider.wit");
const GUIDE: &str = include_str!("../../../../sdk/GUIDE.md");

/// The first cells of the rows whose numbers other crates define; a test of each crate checks them.
const ELSEWHERE: [&str; 3] = ["names of an `observe` call", "compiler", "recommended size of a component"];

#[test]
fn the_contract_names_every_wasi_import_that_is_linked() {
    let (_, list) = CONTRACT.split_once("\n//\n//   wasi:").expect("the contract lists the imports");
    let (list, _) = list.split_once("\nworld").expect("the list is before the world");
    let named: BTreeSet<_> = list.split_whitespace().filter(|word| *word != "//").map(str::to_owned).collect();
    let linked = LINKED.iter().chain(&LINKED_RANDOM).map(|name| (*name).to_owned());
    // The first name follows the prefix at which the list was found.
    let linked: BTreeSet<_> = linked.map(|name| name.replace("wasi:cli/environment", "cli/environment")).collect();
    assert_eq!(named, linked);
}

#[test]
fn the_guide_states_every_limit() {
    let (_, table) = GUIDE.split_once("\n### Limits\n").expect("the guide has a chapter on limits");
    let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|')).map(|row| {
        let mut cells = row.split(" | ");
        let name = cells.next().unwrap_or_default().trim_start_matches("| ");
        (name.to_owned(), cells.next().unwrap_or_default().to_owned())
    });
    let rows: Vec<_> = rows.filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())).collect();
    let expected: Vec<_> = expected().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(rows, expected);
}

fn expected() -> Vec<(&'static str, String)> {
    let Limits {
        call_time,
        cpu_time,
        memory_bytes,
        host_call_bytes,
        requests,
        sent_bytes,
        response_bytes,
        received_bytes,
        log_lines,
        log_line_bytes,
        ..
    } = Limits::default();
    let a_minute = Duration::from_secs(60).as_secs() / LOG_LINE_INTERVAL.as_secs();
    vec![
        ("size of a component", bytes(PLUGIN_BYTES_MAX)),
        ("compile time", seconds(COMPILE_LIMIT)),
        (
            "description",
            format!("a schema of {}; {DESCRIBED_MAX} secrets; {DESCRIBED_MAX} endpoints", size(SCHEMA_BYTES_MAX)),
        ),
        (
            "settings of a provider",
            format!(
                "a config of {} as JSON; {SECRETS_PER_PROVIDER_MAX} secrets; {GRANTS_PER_PROVIDER_MAX} endpoints per kind of grant",
                size(PROVIDER_CONFIG_BYTES_MAX)
            ),
        ),
        ("record sets of a provider at a site", format!("{RECORDS_PER_PROVIDER_MAX}, and their ownership TXT records")),
        ("time of a call", format!("{}, of which {} of CPU time", seconds(call_time), seconds(cpu_time))),
        ("memory of a call", size(memory_bytes)),
        ("requests of a call", requests.to_string()),
        (
            "bytes of a call",
            format!(
                "{} sent; {} received, {} per response",
                bytes(sent_bytes),
                bytes(received_bytes),
                bytes(response_bytes)
            ),
        ),
        ("result of a call", size(host_call_bytes)),
        ("record sets of a result", thousands(OBSERVED_SETS_MAX)),
        ("values of an observed set", format!("{OBSERVED_VALUES_MAX} of {}", size(OBSERVED_VALUE_BYTES_MAX))),
        ("values of a written set", format!("{RECORD_VALUES_MAX} of {}", size(RECORD_VALUE_BYTES_MAX))),
        ("`Retry-After`", format!("{} h", RETRY_AFTER_MAX.as_secs() / 3600)),
        ("message of an error", format!("{PLUGIN_TEXT_BYTES_MAX} bytes")),
        ("log lines of a call", format!("{log_lines} of {}", size(log_line_bytes))),
        ("log lines of all calls of a provider", format!("{LOG_LINES_AT_ONCE} at once, then {a_minute} a minute")),
    ]
}

fn size(count: usize) -> String {
    bytes(count as u64)
}

fn bytes(count: u64) -> String {
    match count {
        0x10_0000.. => format!("{} MiB", count >> 20),
        _ => format!("{} KiB", count >> 10),
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

fn thousands(count: usize) -> String {
    format!("{},{:03}", count / 1000, count % 1000)
}
