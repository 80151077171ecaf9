//! Serves a fake service on a port: for end-to-end tests, for `curl`, for a daemon under development.
//!
//! One thread per connection, HTTP/1.1 without chunks or pipelining, on loopback. It is for tests and trusts its
//! clients only as far as needed: a request that is too long or malformed closes the connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use linecamp_provider::http::{HttpResponse, Method};

use crate::fake_service::{Request, Service};

/// Maximum number of concurrent connections. Further ones are closed immediately.
const CONNECTIONS_MAX: usize = 64;

/// Maximum length of a request line and its headers in bytes. A longer head closes the connection.
const HEAD_BYTES_MAX: u64 = 64 * 1024;

/// Maximum length of a request body in bytes. A longer body closes the connection.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The read and write timeout of a connection.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A running server. Dropping it closes the port.
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

/// Serves a fake at this address; port 0 picks a free one.
///
/// # Errors
/// If the address cannot be bound.
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
    /// Returns the listening address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs a function on the service, to inspect it or to change it independently of its clients.
    pub fn with<T>(&self, act: impl FnOnce(&mut S) -> T) -> T {
        act(&mut self.service.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves until the process ends.
    pub fn wait(mut self) {
        if let Some(accepting) = self.accepting.take() {
            // The thread ends only by a panic, which has already been printed.
            let _ = accepting.join();
        }
    }
}

impl<S> Drop for Served<S> {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // Wake the accepting thread.
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
            // An error ends the connection; there is no one to report it to.
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
        let response = service.lock().unwrap_or_else(PoisonError::into_inner).handle(&request);
        write(stream, &response, request.method)?;
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

fn write(mut stream: &TcpStream, response: &HttpResponse, method: Method) -> io::Result<()> {
    let mut bytes = format!("HTTP/1.1 {} -\r\n", response.status).into_bytes();
    for (name, value) in &response.headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if response.status != 204 {
        bytes.extend_from_slice(format!("content-length: {}\r\n", response.body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    if method != Method::Head {
        bytes.extend_from_slice(&response.body);
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
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    #[test]
    fn a_zone_is_served_until_the_server_is_dropped() {
        let served = serve(ZoneService::new("x", "t"), SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let auth = "Authorization: Bearer t\r\n";
        let body = r#"{"key": "k", "changes": [{"before": null, "after":
            {"name": "a.x", "type": "A", "ttl": 60, "values": ["192.0.2.1"]}}]}"#;
        let post = format!(
            "POST /zones/x/changes HTTP/1.1\r\n{auth}Content-Length: {}\r\n\r\n{body}\
             GET /zones/x/records HTTP/1.1\r\n{auth}Connection: close\r\n\r\n",
            body.len()
        );
        let response = talk(served.address(), &post);
        assert!(response.starts_with("HTTP/1.1 204") && response.contains("192.0.2.1"), "{response}");
        assert!(served.with(|zone| zone.record("a.x", "A").is_some()));
        let address = served.address();
        drop(served);
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn a_malformed_request_closes_the_connection() {
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
