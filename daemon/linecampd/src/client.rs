//! The client of the local socket, for `linecampd status` and similar commands.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use linecamp_proto::api::DnsRecord;
use linecamp_proto::local::{LocalHost, LocalProvider, LocalRequest, LocalResponse, RESPONSE_BYTES_MAX, WhyLine};
use linecamp_store::DirectoryLock;
use linecamp_table::OutputFormat;
use rustix::fs::StatVfsMountFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::data_directory::DataDirectory;
use crate::error::DaemonError;
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
        LocalRequest::Status {} => show(directory, request, format, table::status),
        LocalRequest::Why {} => show(directory, request, format, |lines: &Vec<WhyLine>| table::why(lines)),
        LocalRequest::HostList {} => show(directory, request, format, |hosts: &Vec<LocalHost>| table::hosts(hosts)),
        LocalRequest::Metrics {} => show(directory, request, format, String::clone),
        LocalRequest::ProviderList {} => {
            show(directory, request, format, |providers: &Vec<LocalProvider>| table::providers(providers))
        }
        LocalRequest::DnsList {} | LocalRequest::DnsPlan {} | LocalRequest::DnsAdopt { .. } => {
            show(directory, request, format, |records: &Vec<DnsRecord>| table::records(records))
        }
        LocalRequest::LabelList {} | LocalRequest::LabelSet { .. } | LocalRequest::LabelRemove { .. } => {
            show(directory, request, format, table::labels)
        }
    }
}

fn show<T: DeserializeOwned + Serialize>(
    directory: &DataDirectory,
    request: &LocalRequest,
    format: OutputFormat,
    table: impl FnOnce(&T) -> String,
) -> Result<String, DaemonError> {
    let answer: T = exchange(directory, request)?;
    Ok(match format {
        OutputFormat::Table => table(&answer),
        OutputFormat::Json => serde_json::to_string_pretty(&answer).expect("the response was JSON") + "\n",
    })
}

fn exchange<T: DeserializeOwned>(directory: &DataDirectory, request: &LocalRequest) -> Result<T, DaemonError> {
    exchange_within(directory, request, ANSWER_LIMIT)
}

/// Sends a request to the daemon of `directory`, with `limit` as the timeout of each read and write.
///
/// # Errors
/// As [`ask`].
pub(crate) fn exchange_within<T: DeserializeOwned>(
    directory: &DataDirectory,
    request: &LocalRequest,
    limit: Duration,
) -> Result<T, DaemonError> {
    let path = directory.socket();
    let mut stream = UnixStream::connect(&path).map_err(|error| connect_error(directory, &path, &error))?;
    let failed =
        |error: io::Error| DaemonError::NoDaemon(format!("the daemon at {} does not answer: {error}", path.display()));
    stream.set_read_timeout(Some(limit)).map_err(failed)?;
    stream.set_write_timeout(Some(limit)).map_err(failed)?;
    let mut line = serde_json::to_vec(request).expect("a request is plain JSON");
    line.push(b'\n');
    stream.write_all(&line).map_err(failed)?;
    let mut answer = Vec::new();
    let bytes_max = RESPONSE_BYTES_MAX as u64 + 1;
    stream.take(bytes_max).read_to_end(&mut answer).map_err(failed)?;
    match serde_json::from_slice(&answer) {
        Ok(LocalResponse::Ok(answer)) => Ok(answer),
        Ok(LocalResponse::Error(error)) => Err(DaemonError::Refused(error)),
        Err(_) if answer.is_empty() => Err(failed(io::ErrorKind::UnexpectedEof.into())),
        Err(error) => {
            let path = path.display();
            Err(DaemonError::NoDaemon(format!(
                "invalid response from {path}; the daemon there has another version: {error}"
            )))
        }
    }
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
    let directory = directory.path().display();
    DaemonError::NoDaemon(match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("no daemon is running in {directory}. Start it with: linecampd run --data {directory}")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "permission denied: {} is open to root and the daemon's user and group. Retry with sudo",
                path.display()
            )
        }
        _ => format!("cannot open {}: {error}", path.display()),
    })
}

/// Explains, as far as can be determined, why no socket could be created on the disk of `directory`.
fn disk_problem(directory: &Path) -> String {
    let place = directory.display();
    match rustix::fs::statvfs(directory) {
        Ok(disk) if disk.f_flag.contains(StatVfsMountFlags::RDONLY) => {
            format!("{place} is on a read-only disk (check dmesg, then mount -o remount,rw)")
        }
        Ok(disk) if disk.f_files != 0 && disk.f_favail == 0 => {
            format!("the disk of {place} has no free inodes; remove files there (df -i {place})")
        }
        Ok(disk) if disk.f_bavail == 0 => format!("the disk of {place} is full; free space there (df -h {place})"),
        Ok(_) | Err(_) => "the daemon is starting, or could not open the socket when it started".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_daemon_without_a_socket_is_recognized() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::new(directory.path());
        let _lock = data.lock().unwrap();
        let check = || {
            let error = ask(&data, &LocalRequest::Status {}, OutputFormat::Table).unwrap_err();
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
            let error = ask(&data, &LocalRequest::Status {}, OutputFormat::Table).unwrap_err();
            assert_eq!(error.exit_code(), 1);
            assert!(error.to_string().contains("Start it with: linecampd run --data"), "{error}");
        };
        check();
        drop(std::os::unix::net::UnixListener::bind(data.socket()).unwrap());
        check();
    }

    #[test]
    fn the_daemons_error_message_is_shown() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::new(directory.path());
        let listener = std::os::unix::net::UnixListener::bind(data.socket()).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let bytes = stream.read(&mut request).unwrap();
            stream.write_all(b"{\"error\":{\"code\":\"limit\",\"message\":\"too many\"}}\n").unwrap();
            String::from_utf8_lossy(&request[..bytes]).into_owned()
        });
        let error = ask(&data, &LocalRequest::Why {}, OutputFormat::Json).unwrap_err();
        assert_eq!(error.to_string(), "too many");
        assert_eq!(server.join().unwrap(), "{\"do\":\"why\"}\n");
    }
}
