//! Running a system program with limits of time and output.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

/// The result of a system program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutput {
    /// Whether it exited successfully.
    pub is_ok: bool,
    /// Its standard output, up to the limit.
    pub stdout: String,
}

/// Runs `program` with no input and the C locale, and reads at most `bytes_max` of its output. A program that takes
/// longer than `limit` is killed.
///
/// # Errors
/// Why there is no result, for people.
pub fn run_command(
    program: &str,
    arguments: &[&str],
    limit: Duration,
    bytes_max: u64,
) -> Result<CommandOutput, String> {
    let child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|error| format!("cannot run {program}: {error}"))?;
    let stdout = child.stdout.take().expect("stdout is piped");
    let (sender, receiver) = sync_channel(1);
    let reading = thread::Builder::new().name("command".to_owned()).spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(bytes_max).read_to_end(&mut bytes);
        // Fails if the receiver has timed out.
        drop(sender.send(read.map(|_| bytes)));
    });
    let answered = match reading {
        Ok(_) => receiver.recv_timeout(limit).map_err(|_| format!("{program} did not answer within {limit:?}")),
        Err(error) => Err(format!("cannot start a thread to read {program}: {error}")),
    };
    // Output beyond the limit is not read; the program would block on it forever.
    let is_whole = |read: &std::io::Result<Vec<u8>>| read.as_ref().is_ok_and(|bytes| (bytes.len() as u64) < bytes_max);
    if !answered.as_ref().is_ok_and(is_whole) {
        // It may have exited already.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("cannot wait for {program}: {error}"))?;
    let bytes = answered?.map_err(|error| format!("cannot read the output of {program}: {error}"))?;
    Ok(CommandOutput { is_ok: status.success(), stdout: String::from_utf8_lossy(&bytes).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_captured_truncated_or_timed_out() {
        let limit = Duration::from_secs(30);
        let ran = run_command("sh", &["-c", "echo hello; exit 3"], limit, 100).unwrap();
        assert_eq!(ran, CommandOutput { is_ok: false, stdout: "hello\n".to_owned() });
        let ran = run_command("sh", &["-c", "while :; do echo y; done"], limit, 10).unwrap();
        assert_eq!(ran.stdout.len(), 10);
        let late = run_command("tail", &["-f", "/dev/null"], Duration::from_millis(50), 10).unwrap_err();
        assert!(late.contains("did not answer"), "{late}");
        let absent = run_command("linecamp-no-such-program", &[], limit, 10).unwrap_err();
        assert!(absent.starts_with("cannot run linecamp-no-such-program"), "{absent}");
    }
}
