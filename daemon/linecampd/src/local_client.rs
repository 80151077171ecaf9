//! The client of the local socket, for `linecampd status` and similar commands.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use hyper::Request;
use hyper::header::{CONTENT_TYPE, HOST};
use linecamp_doctor::http_exchange;
use linecamp_model::shell_quoted;
use linecamp_proto::api::{DnsRecord, ErrorBody};
use linecamp_proto::command_error::FailureCode;
use linecamp_proto::local::{
    CreatedHostToken, LocalHost, LocalHostToken, LocalProvider, LocalRequest, LocalStatus, NewHostToken,
    RESPONSE_BYTES_MAX, WhyLine,
};
use linecamp_store::DirectoryLock;
use linecamp_table::OutputFormat;
use linecamp_transport::error_chain;
use rustix::fs::StatVfsMountFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::data_directory::DataDirectory;
use crate::error::DaemonError;
use crate::socket_path::SocketPath;
use crate::table;

/// Time limit for an answer: longer than the daemon waits for a slow disk.
const ANSWER_LIMIT: Duration = Duration::from_secs(35);

/// Sends a request to the daemon of `directory` and returns its formatted answer.
///
/// # Errors
/// [`DaemonError::NoDaemon`] if no daemon runs there, [`DaemonError::NoSocket`] if one runs but cannot be reached,
/// [`DaemonError::Refused`] with the daemon's message.
pub fn ask(directory: &DataDirectory, request: &LocalRequest, format: OutputFormat) -> Result<String, DaemonError> {
    match request {
        LocalRequest::Status => show(directory, request, format, table::status),
        LocalRequest::Leave => show(directory, request, format, |_: &LocalStatus| {
            "leaving the site; the daemon stops when its gateway has confirmed it\n".to_owned()
        }),
        LocalRequest::Why => show(directory, request, format, |lines: &Vec<WhyLine>| table::why(lines)),
        LocalRequest::Hosts | LocalRequest::RemoveHost(_) => {
            show(directory, request, format, |hosts: &Vec<LocalHost>| table::hosts(hosts))
        }
        LocalRequest::HostTokens | LocalRequest::RevokeHostToken(_) => {
            show(directory, request, format, |tokens: &Vec<LocalHostToken>| table::host_tokens(tokens))
        }
        LocalRequest::CreateHostToken(_) => show(directory, request, format, table::host_token),
        LocalRequest::Providers => {
            show(directory, request, format, |providers: &Vec<LocalProvider>| table::providers(providers))
        }
        LocalRequest::Records | LocalRequest::PlanRecords | LocalRequest::AdoptRecord(_) => {
            show(directory, request, format, |records: &Vec<DnsRecord>| table::records(records))
        }
        LocalRequest::Labels | LocalRequest::ChangeLabels { .. } => show(directory, request, format, table::labels),
        LocalRequest::Metrics => {
            let text = String::from_utf8_lossy(&send(directory, request, ANSWER_LIMIT)?).into_owned();
            Ok(formatted(&text, format, String::clone))
        }
    }
}

/// Lets the daemon of `directory` create a host token. Returns the argument of the join, with the token.
///
/// # Errors
/// As [`ask`].
pub fn create_host_token(directory: &DataDirectory, new: NewHostToken) -> Result<String, DaemonError> {
    let created: CreatedHostToken = exchange_within(directory, &LocalRequest::CreateHostToken(new), ANSWER_LIMIT)?;
    Ok(created.join)
}

fn show<T: DeserializeOwned + Serialize>(
    directory: &DataDirectory,
    request: &LocalRequest,
    format: OutputFormat,
    table: impl FnOnce(&T) -> String,
) -> Result<String, DaemonError> {
    let answer: T = exchange_within(directory, request, ANSWER_LIMIT)?;
    Ok(formatted(&answer, format, table))
}

fn formatted<T: Serialize>(answer: &T, format: OutputFormat, table: impl FnOnce(&T) -> String) -> String {
    match format {
        OutputFormat::Table => table(answer),
        OutputFormat::Json => serde_json::to_string_pretty(answer).expect("the response is plain JSON") + "\n",
    }
}

/// Sends a request to the daemon of `directory` and waits at most `limit` for the answer.
///
/// # Errors
/// As [`ask`].
pub(crate) fn exchange_within<T: DeserializeOwned>(
    directory: &DataDirectory,
    request: &LocalRequest,
    limit: Duration,
) -> Result<T, DaemonError> {
    let body = send(directory, request, limit)?;
    serde_json::from_slice(&body).map_err(|error| other_version(directory, &error))
}

/// Returns the body of the response, on a runtime of its own.
fn send(directory: &DataDirectory, request: &LocalRequest, limit: Duration) -> Result<Vec<u8>, DaemonError> {
    let path = directory.socket();
    let request = Request::builder()
        .method(request.method())
        .uri(request.path())
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, "application/json")
        .body(request.body())
        .expect("methods and paths are constants");
    // This waits for a place in the socket's queue, where a non-blocking call would fail.
    let stream = SocketPath::of(&path).and_then(|address| UnixStream::connect(address.as_path()));
    let stream = stream.map_err(|error| connect_error(directory, &path, &error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| DaemonError::System { what: "start the runtime", source })?;
    let exchange = async {
        stream.set_nonblocking(true)?;
        http_exchange(tokio::net::UnixStream::from_std(stream)?, request, RESPONSE_BYTES_MAX).await
    };
    let response = runtime.block_on(async { timeout(limit, exchange).await });
    match response.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(response) if RESPONSE_BYTES_MAX <= response.body().len() => Err(DaemonError::NoDaemon(
            FailureCode::InvalidAnswer,
            format!("the response from {} has more than {} MiB", path.display(), RESPONSE_BYTES_MAX >> 20),
        )),
        Ok(response) if response.status().is_success() => Ok(response.into_body()),
        Ok(response) => match serde_json::from_slice::<ErrorBody>(response.body()) {
            Ok(body) => Err(DaemonError::Refused(body.error)),
            Err(error) => Err(other_version(directory, &error)),
        },
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(other_version(directory, &error)),
        Err(error) => {
            let code = match error.kind() {
                io::ErrorKind::TimedOut => FailureCode::TimedOut,
                _ => FailureCode::ConnectionLost,
            };
            let problem = error_chain(&error);
            Err(DaemonError::NoDaemon(code, format!("the daemon at {} does not answer: {problem}", path.display())))
        }
    }
}

fn other_version(directory: &DataDirectory, error: &dyn std::error::Error) -> DaemonError {
    let path = directory.socket();
    let problem = format!("invalid response from {}; the daemon there has another version: {error}", path.display());
    DaemonError::NoDaemon(FailureCode::InvalidAnswer, problem)
}

/// The lock tells whether a daemon runs: if the disk could not hold a socket, the socket alone cannot tell.
fn connect_error(directory: &DataDirectory, path: &Path, error: &io::Error) -> DaemonError {
    let is_absent = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
    if let Some(pid) = DirectoryLock::holder(directory.path()).filter(|_| is_absent) {
        return DaemonError::NoSocket(format!(
            "linecampd (pid {pid}) is running in {}, but its local socket {} is not available: {}. It opens the socket \
             within 30 s when the disk is writable. Diagnose with: linecampd doctor",
            directory.path().display(),
            path.display(),
            disk_problem(path.parent().unwrap_or(path))
        ));
    }
    let (data, directory) = (shell_quoted(directory.path()), directory.path().display());
    let (code, problem) = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => (
            FailureCode::NotRunning,
            format!("no daemon is running in {directory}. Start it with: linecampd run --data {data}"),
        ),
        io::ErrorKind::PermissionDenied => (
            FailureCode::SocketUnavailable,
            format!(
                "permission denied: {} is open to root and the daemon's user and group. Retry with sudo",
                path.display()
            ),
        ),
        _ => (FailureCode::SocketUnavailable, format!("cannot open {}: {error}", path.display())),
    };
    DaemonError::NoDaemon(code, problem)
}

/// Explains, as far as can be determined, why no socket could be created on the disk of `directory`.
fn disk_problem(directory: &Path) -> String {
    let (place, quoted) = (directory.display(), shell_quoted(directory));
    match rustix::fs::statvfs(directory) {
        Ok(disk) if disk.f_flag.contains(StatVfsMountFlags::RDONLY) => {
            format!("{place} is on a read-only disk (check dmesg, then mount -o remount,rw)")
        }
        Ok(disk) if disk.f_files != 0 && disk.f_favail == 0 => {
            format!("the disk of {place} has no free inodes; remove files there (df -i {quoted})")
        }
        Ok(disk) if disk.f_bavail == 0 => format!("the disk of {place} is full; free space there (df -h {quoted})"),
        Ok(_) | Err(_) => "the daemon is starting, or could not open the socket when it started".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn a_running_daemon_without_a_socket_is_recognized() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::new(directory.path());
        let _lock = data.lock().unwrap();
        let check = || {
            let error = ask(&data, &LocalRequest::Status, OutputFormat::Table).unwrap_err();
            assert_eq!(error.exit_code(), 1);
            assert!(matches!(error, DaemonError::NoSocket(_)), "{error}");
            assert!(error.to_string().contains(&format!("(pid {})", std::process::id())), "{error}");
        };
        check();
        drop(std::os::unix::net::UnixListener::bind(data.socket()).unwrap());
        check();
        // If the disk was read-only at the start, the lock file names the previous daemon.
        std::fs::write(directory.path().join("lock"), "4194304\n").unwrap();
        check();
    }

    #[test]
    fn without_a_daemon_the_error_names_the_start_command() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::new(directory.path());
        let check = || {
            let error = ask(&data, &LocalRequest::Status, OutputFormat::Table).unwrap_err();
            assert_eq!(error.exit_code(), 1);
            assert!(error.to_string().contains("Start it with: linecampd run --data"), "{error}");
            assert_eq!(error.code(), FailureCode::NotRunning.into());
        };
        check();
        drop(std::os::unix::net::UnixListener::bind(data.socket()).unwrap());
        check();
    }

    /// A daemon that answers one request with `answer`. Returns the client's error and the request.
    fn error_after(request: &LocalRequest, answer: &'static str) -> (DaemonError, String) {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::new(directory.path());
        let listener = std::os::unix::net::UnixListener::bind(data.socket()).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let bytes = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..bytes]).into_owned()
        });
        let error = ask(&data, request, OutputFormat::Json).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        (error, server.join().unwrap())
    }

    #[test]
    fn the_daemons_error_message_is_shown() {
        let body = r#"{"error":{"code":"limit","message":"too many"}}"#;
        let answer = format!("HTTP/1.1 409 Conflict\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let (error, request) = error_after(&LocalRequest::Why, answer.leak());
        assert_eq!(error.to_string(), "too many");
        assert!(request.starts_with("GET /v1/why HTTP/1.1\r\n"), "{request}");
    }

    #[test]
    fn an_invalid_response_differs_from_an_incomplete_one() {
        let (version, silent) = ("the daemon there has another version", "does not answer");
        for (answer, expected, code) in [
            ("{\"ok\":{}}\n", version, FailureCode::InvalidAnswer),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", version, FailureCode::InvalidAnswer),
            ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", version, FailureCode::InvalidAnswer),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", silent, FailureCode::ConnectionLost),
            ("", silent, FailureCode::ConnectionLost),
        ] {
            let (error, _) = error_after(&LocalRequest::Status, answer);
            assert!(error.to_string().contains(expected), "{answer}: {error}");
            assert_eq!(error.code(), code.into(), "{answer}: {error}");
        }
    }
}
