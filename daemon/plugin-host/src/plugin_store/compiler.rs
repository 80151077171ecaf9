//! Runs the compiler: a child process that reads a component on stdin, writes the compiled artifact and exits.

use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::error::PluginHostError;
use crate::limits::COMPILE_LIMIT;

/// Bytes read of the compiler's error message. The rest is not read.
const COMPILER_MESSAGE_BYTES_MAX: u64 = 4 * 1024;

/// The compiler program.
pub(super) struct Compiler {
    program: PathBuf,
}

impl Compiler {
    pub(super) fn new(program: PathBuf) -> Self {
        // The child runs in `/`, so a relative path is made absolute; a name without a directory is looked up in
        // `PATH`.
        let is_place = program.components().count() > 1;
        let absolute = std::path::absolute(&program).ok().filter(|_| is_place);
        Self { program: absolute.unwrap_or(program) }
    }

    /// Compiles the bytes of `plugin` into `output`.
    pub(super) async fn run(&self, plugin: &Path, bytes: &[u8], output: File) -> Result<(), PluginHostError> {
        let cannot_run = |source| PluginHostError::Compiler { compiler: self.program.clone(), source };
        let child = Command::new(&self.program)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(Stdio::piped())
            // Dropping the call, or the host, kills the child.
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot_run)?;
        let plugin = plugin.to_owned();
        let (status, message) = match timeout(COMPILE_LIMIT, feed(child, bytes)).await {
            Ok(Ok((status, _))) if status.success() => return Ok(()),
            Ok(Ok(ended)) => ended,
            Ok(Err(source)) => return Err(cannot_run(source)),
            Err(_) => {
                let problem = format!("it took longer than {} s", COMPILE_LIMIT.as_secs());
                return Err(PluginHostError::CompileInterrupted { plugin, problem });
            }
        };
        let problem = match message.as_str() {
            "" => format!("the compiler ended with {status}: compiling takes too much memory or time"),
            _ => message,
        };
        Err(match is_component_at_fault(status) {
            true => PluginHostError::Compile { plugin, problem },
            false => PluginHostError::CompileInterrupted { plugin, problem },
        })
    }
}

/// Whether the same component would fail again: the compiler reported so with its exit code, or exceeded one of the
/// limits that it sets for itself (memory, CPU time, output size). Anything else, such as a full disk or a kill, is
/// temporary.
fn is_component_at_fault(status: ExitStatus) -> bool {
    const LIMITS: [Signal; 3] = [Signal::ABORT, Signal::XCPU, Signal::XFSZ];
    status.code() == Some(1) || LIMITS.iter().any(|limit| status.signal() == Some(limit.as_raw()))
}

/// Sends the component to the child, and returns the child's exit status and error message.
async fn feed(mut child: Child, bytes: &[u8]) -> io::Result<(ExitStatus, String)> {
    let mut stdin = child.stdin.take().expect("the stream is piped");
    let stderr = child.stderr.take().expect("the stream is piped");
    let mut message = Vec::new();
    let mut limited = stderr.take(COMPILER_MESSAGE_BYTES_MAX);
    let (_fed, read) = tokio::join!(
        async {
            // A child that exits early reports the reason on stderr and in its exit status.
            drop(stdin.write_all(bytes).await);
            drop(stdin);
        },
        limited.read_to_end(&mut message),
    );
    read?;
    // Closing the pipe makes a child that writes more fail instead of blocking.
    drop(limited);
    let status = child.wait().await?;
    let message = String::from_utf8_lossy(&message).split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    Ok((status, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_compilers_verdict_blames_the_component() {
        let exited = |code: i32| ExitStatus::from_raw(code << 8);
        let killed = |signal: Signal| ExitStatus::from_raw(signal.as_raw());
        for lasting in [exited(1), killed(Signal::ABORT), killed(Signal::XCPU), killed(Signal::XFSZ)] {
            assert!(is_component_at_fault(lasting), "{lasting}");
        }
        for passing in [exited(2), exited(101), killed(Signal::KILL), killed(Signal::TERM), killed(Signal::SEGV)] {
            assert!(!is_component_at_fault(passing), "{passing}");
        }
    }
}
