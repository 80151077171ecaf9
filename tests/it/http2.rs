//! HTTP/2 with the clients of others.

use std::process::{Command, Output};

use linecamp_tests::{Fleet, skip};

fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(said) => Some(said),
        Err(error) => {
            skip(program, &format!("HTTP/2 with {program}: {program} not found ({error})"));
            None
        }
    }
}

#[test]
fn curl_speaks_both_versions_of_http_and_is_answered_the_same() {
    let fleet = Fleet::start();
    let ca = fleet.server.data().join("ca/certificate.pem").display().to_string();
    let key = format!("Authorization: Bearer {}", fleet.key());
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let ask = |path: &str, more: &[&str]| {
            let url = format!("{}{path}", fleet.url());
            let format = "\n%{http_version} %{http_code}";
            let line = ["--silent", "--max-time", "20", option, "--cacert", &ca, "--write-out", format, &url];
            let said = run("curl", &[&line, more].concat())?;
            Some(String::from_utf8_lossy(&said.stdout).into_owned())
        };
        let Some(ready) = ask("/readyz", &[]) else { return };
        assert_eq!(ready, format!("{{\"status\":\"ready\"}}\n{version} 200"));
        let report = ask("/api/v1/doctor/request", &["--header", &key]).expect("curl is installed");
        assert!(report.contains("\"http_version\":\"HTTP/") && report.ends_with("200"), "{report}");
        assert!(!report.contains(fleet.key()), "{report}");
        let large = format!("X-Large: {}", "x".repeat(100 * 1024));
        let refused = ask("/readyz", &["--header", &large]).expect("curl is installed");
        // Over HTTP/2 a head this large may also end the connection.
        assert!(refused.ends_with(" 431") || (version == "2" && refused.ends_with("000")), "{refused}");
        assert!(ask("/readyz", &[]).is_some_and(|ready| ready.ends_with("200")), "the server goes on");
    }
}

#[test]
fn thousands_of_requests_on_a_few_connections_are_all_answered() {
    let fleet = Fleet::start();
    let url = format!("{}/healthz", fleet.url());
    let Some(said) = run("h2load", &["-n", "3000", "-c", "4", "-m", "32", &url]) else { return };
    let said = String::from_utf8_lossy(&said.stdout);
    assert!(said.contains("Application protocol: h2"), "{said}");
    assert!(said.contains("3000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
    assert!(said.contains("3000 2xx"), "{said}");
    fleet.cli(&["site", "ls"]).ok();
}
