//! Traces: what a collector receives from a server.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use linecamp_tests::Fleet;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;

use crate::cli_json::connected_site;

/// How long the exporter may collect spans before it sends them: 5 s by default, and a margin.
const PATIENCE: Duration = Duration::from_secs(30);

/// A span: its name and its attributes as text.
#[derive(Clone, Debug)]
struct Span {
    name: String,
    attributes: BTreeMap<String, String>,
}

/// A collector that keeps the spans it receives.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let received = Arc::clone(&spans);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let spans = receive(stream);
                received.lock().expect("no panic").extend(spans);
            }
        });
        Self { url, spans }
    }

    fn find(&self, name: &str) -> Vec<Span> {
        let spans = self.spans.lock().expect("no panic");
        spans.iter().filter(|span| span.name == name).cloned().collect()
    }
}

/// Answers one export request and returns its spans.
fn receive(stream: TcpStream) -> Vec<Span> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).expect("the server sends"), 0, "{head}");
    }
    let head = head.to_lowercase();
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/x-protobuf\r\n"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    reader.read_exact(&mut body).expect("the server sends it all");
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
    reader.get_mut().write_all(answer.as_bytes()).expect("the server reads");
    let request = ExportTraceServiceRequest::decode(&*body).expect("it is OTLP");
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let spans = scopes.flat_map(|scope| scope.spans).map(|span| {
        let attributes = span.attributes.into_iter().filter_map(|attribute| {
            let value = match attribute.value?.value? {
                Value::StringValue(text) => text,
                Value::IntValue(number) => number.to_string(),
                other => format!("{other:?}"),
            };
            Some((attribute.key, value))
        });
        Span { name: span.name, attributes: attributes.collect() }
    });
    spans.collect()
}

#[test]
fn a_collector_receives_requests_and_handshakes_without_secrets() {
    let collector = Collector::start();
    let mut fleet = Fleet::start();
    fleet.server.kill();
    let config = fleet.server.data().join("server.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration is there");
    std::fs::write(&config, format!("{text}\notlp_collector = \"{}\"\n", collector.url)).expect("it is writable");
    fleet.start_server();
    let _site = connected_site(&fleet, "camp");
    fleet.cli(&["site", "show", "camp"]).ok();
    let shown = fleet.wait_for("spans at the collector", PATIENCE, || {
        let found = collector.find("GET /api/v1/sites/{name}");
        (!found.is_empty() && !collector.find("link.handshake").is_empty()).then_some(found)
    });
    let attributes = &shown[0].attributes;
    assert_eq!(attributes["linecamp.operation"], "site.show");
    assert_eq!(attributes["url.path"], "/api/v1/sites/camp");
    assert_eq!(attributes["http.response.status_code"], "200");
    assert_eq!(attributes["enduser.id"], "key admin");
    assert_eq!(attributes["linecamp.request"].len(), 16);
    assert!(!collector.find("fleet.query").is_empty() && !collector.find("fleet.command").is_empty());
    let all = format!("{:?}", collector.spans.lock().expect("no panic"));
    assert!(!all.contains(&fleet.key()["lck_".len()..]) && !all.contains("lct_"), "{all}");
    assert!(!fleet.server.log().contains("request{"), "the log has no spans");
}

#[test]
fn a_server_without_its_collector_works() {
    let mut fleet = Fleet::start();
    fleet.server.kill();
    let config = fleet.server.data().join("server.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration is there");
    std::fs::write(&config, format!("{text}\notlp_collector = \"http://127.0.0.1:1\"\n")).expect("it is writable");
    fleet.start_server();
    let _site = connected_site(&fleet, "camp");
    fleet.cli(&["site", "ls"]).ok();
    // With spans that it cannot send.
    let stopped = fleet.server.terminate();
    assert!(stopped.success(), "{stopped}\n{}", fleet.server.log());
}
