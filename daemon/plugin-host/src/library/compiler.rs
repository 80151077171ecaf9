//! Runs the compiler: a child that gets a component on stdin, writes what it compiled, and ends.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::error::PluginHostError;
use crate::limits::COMPILE_LIMIT;

/// Bytes of what the compiler says about a component it refuses. The rest is not read.
const COMPLAINT_BYTES_MAX: u64 = 4 * 1024;

/// The program that compiles.
pub(super) struct Compiler {
    program: PathBuf,
}

impl Compiler {
    pub(super) fn new(program: PathBuf) -> Self {
        // The child begins at the root; a name without a folder is looked for where programs are.
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
            // Whoever gives up on this call, or on the host, ends the child with it.
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot_run)?;
        let problem = match timeout(COMPILE_LIMIT, feed(child, bytes)).await {
            Ok(Ok((status, _))) if status.success() => return Ok(()),
            Ok(Ok((status, complaint))) if complaint.is_empty() => {
                format!("the compiler ended with {status}: it takes too much memory or time to compile")
            }
            Ok(Ok((_, complaint))) => complaint,
            Ok(Err(source)) => return Err(cannot_run(source)),
            Err(_) => format!("it took more than {} s", COMPILE_LIMIT.as_secs()),
        };
        Err(PluginHostError::Compile { plugin: plugin.to_owned(), problem })
    }
}

/// Gives the child what to compile, and returns how it ended and what it said.
async fn feed(mut child: Child, bytes: &[u8]) -> io::Result<(ExitStatus, String)> {
    let mut stdin = child.stdin.take().expect("it was asked for");
    let stderr = child.stderr.take().expect("it was asked for");
    let mut complaint = Vec::new();
    let mut limited = stderr.take(COMPLAINT_BYTES_MAX);
    let (_fed, read) = tokio::join!(
        async {
            // A child that ended early says why on stderr and by its status.
            drop(stdin.write_all(bytes).await);
            drop(stdin);
        },
        limited.read_to_end(&mut complaint),
    );
    read?;
    // Nobody reads the rest; whoever writes more is told so, and ends.
    drop(limited);
    let status = child.wait().await?;
    let complaint = String::from_utf8_lossy(&complaint).split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    Ok((status, complaint))
}
