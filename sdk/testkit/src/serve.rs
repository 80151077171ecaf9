//! A model service on a port: for journeys, for `curl`, for a daemon under development.
//!
//! One thread for each connection, HTTP/1.1 without chunks or pipelining, on loopback. It is for tests and believes its
//! clients no more than it has to: what is too long or strange costs the connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use linecamp_provider::http::{HttpResponse, Method};

use crate::service::{Request, Service};

/// Connections at once. More are closed at once.
const CONNECTIONS_MAX: usize = 64;

/// Bytes of a request's first line and headers. More cost the connection.
const HEAD_BYTES_MAX: u64 = 64 * 1024;

/// Bytes of a request's body. More cost the connection.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long a client may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A service that is served. Dropping it closes the port.
pub struct Served<S> {
    address: SocketAddr,
    service: Arc<Mutex<S>>,
    is_over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl<S> std::fmt::Debug for Served<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Serves a model on this address; port 0 takes a free one.
///
/// # Errors
/// If the address cannot be listened on.
pub fn serve<S: Service + 'static>(service: S, address: SocketAddr) -> io::Result<Served<S>> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    let service = Arc::new(Mutex::new(service));
    let is_over = Arc::new(AtomicBool::new(false));
    let accepting = thread::spawn({
        let (service, is_over) = (Arc::clone(&service), Arc::clone(&is_over));
        move || accept(&listener, &service, &is_over)
    });
    Ok(Served { address, service, is_over, accepting: Some(accepting) })
}

impl<S> Served<S> {
    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks at the service, or changes it behind its clients' backs.
    pub fn with<T>(&self, act: impl FnOnce(&mut S) -> T) -> T {
        act(&mut self.service.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves until the process ends.
    pub fn wait(mut self) {
        if let Some(accepting) = self.accepting.take() {
            // It ends with a panic only, and that has been printed.
            let _ = accepting.join();
        }
    }
}

impl<S> Drop for Served<S> {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn accept<S: Service + 'static>(listener: &TcpListener, service: &Arc<Mutex<S>>, is_over: &AtomicBool) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        if is_over.load(Ordering::Acquire) {
            break;
        }
        let Ok(stream) = stream else { continue };
        if CONNECTIONS_MAX <= open.load(Ordering::Acquire) {
            continue;
        }
        open.fetch_add(1, Ordering::AcqRel);
        let (service, open) = (Arc::clone(service), Arc::clone(&open));
        thread::spawn(move || {
            // A client that goes away or talks nonsense has lost its connection: there is nobody to tell.
            let _ = converse(&stream, &service);
            open.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

fn converse<S: Service>(stream: &TcpStream, service: &Mutex<S>) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        let is_last = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let answer = service.lock().unwrap_or_else(PoisonError::into_inner).handle(&request);
        write(stream, &answer, request.method)?;
        if is_last {
            break;
        }
    }
    Ok(())
}

/// Reads a request; `None` at the end of the stream.
fn read(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Request>> {
    let strange = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let mut head = reader.by_ref().take(HEAD_BYTES_MAX);
    let mut line = String::new();
    if head.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let method = method(words.next().unwrap_or_default()).ok_or_else(|| strange("no method"))?;
    let target = words.next().ok_or_else(|| strange("no target"))?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Err(strange("the head is cut or too long"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| strange("no header"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let header = |name: &str| headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    if header("transfer-encoding").is_some() {
        return Err(strange("a body in chunks"));
    }
    let bytes = header("content-length").map_or(Ok(0), str::parse).map_err(|_| strange("no length"))?;
    if BODY_BYTES_MAX < bytes {
        return Err(strange("the body is too long"));
    }
    let mut body = vec![0; bytes];
    reader.read_exact(&mut body)?;
    let url = format!("http://{}{target}", header("host").unwrap_or("localhost"));
    Ok(Some(Request::new(method, &url, headers, body)))
}

fn method(word: &str) -> Option<Method> {
    let methods = [Method::Get, Method::Head, Method::Post, Method::Put, Method::Patch, Method::Delete];
    methods.into_iter().find(|method| method.as_str() == word)
}

fn write(mut stream: &TcpStream, answer: &HttpResponse, method: Method) -> io::Result<()> {
    let mut bytes = format!("HTTP/1.1 {} -\r\n", answer.status).into_bytes();
    for (name, value) in &answer.headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if answer.status != 204 {
        bytes.extend_from_slice(format!("content-length: {}\r\n", answer.body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    if method != Method::Head {
        bytes.extend_from_slice(&answer.body);
    }
    stream.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ZoneService;

    fn talk(address: SocketAddr, words: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SILENCE_MAX)).unwrap();
        stream.write_all(words.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_zone_is_served_and_the_port_closed_after() {
        let served = serve(ZoneService::new("x", "t"), SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let auth = "Authorization: Bearer t\r\n";
        let body = r#"{"key": "k", "changes": [{"before": null, "after":
            {"name": "a.x", "type": "A", "ttl": 60, "values": ["192.0.2.1"]}}]}"#;
        let post = format!(
            "POST /zones/x/changes HTTP/1.1\r\n{auth}Content-Length: {}\r\n\r\n{body}\
             GET /zones/x/records HTTP/1.1\r\n{auth}Connection: close\r\n\r\n",
            body.len()
        );
        let answer = talk(served.address(), &post);
        assert!(answer.starts_with("HTTP/1.1 204") && answer.contains("192.0.2.1"), "{answer}");
        assert!(served.with(|zone| zone.record("a.x", "A").is_some()));
        let address = served.address();
        drop(served);
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn nonsense_costs_the_connection() {
        let served = serve(ZoneService::new("x", "t"), SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        for words in [
            "FLY / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nno header\r\n\r\n",
            "GET\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert_eq!(talk(served.address(), words), "", "{words}");
        }
        assert!(talk(served.address(), "GET /zones HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 401"));
    }
}
