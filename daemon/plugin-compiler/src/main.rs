//! `linecamp-plugin-compiler`: reads a component on stdin, writes its compiled form on stdout, exits.
//!
//! A compiler fed with a stranger's program may take any amount of memory and time: a component of 7 MB can be made to
//! want more than 1 GiB. So it is a program of its own, which the plugin host starts for each new plugin with an empty
//! environment; it limits itself before it reads the first byte, and it dies with whoever started it. The resident
//! daemon then has no compiler in it, which also saves it megabytes.
//!
//! What comes out is native code and is believed by whoever started this, and by nobody else: the host writes it to a
//! directory of its own, and never takes such a file from elsewhere.
//!
//! Exit codes: 0 done; 1 the component is refused, and always will be; 2 the machine did not let it, as when its disk
//! is full, and another time it may. Either has its reason on stderr. By a signal when it hit a limit.

#![forbid(unsafe_code)]

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use wasmtime::{Engine, OptLevel};

#[path = "../../plugin-host/src/engine_config.rs"]
mod engine_config;

/// Bytes of address space. A plugin with a whole Python in it takes 325 MB; past this the compiler is out of memory and
/// aborts.
const ADDRESS_SPACE_BYTES: u64 = 1024 * 1024 * 1024;

/// Seconds of computing. A plugin with a whole Python in it takes 8 on a good machine; past this the kernel kills it.
const CPU_SECONDS: u64 = 60;

/// Bytes of what it writes. A plugin with a whole Python in it becomes 32 MB; past this the kernel kills it.
const OUTPUT_BYTES: u64 = 256 * 1024 * 1024;

/// Open files: the three it was given, and what the runtime opens to learn of the processor.
const OPEN_FILES: u64 = 8;

/// Bytes of a component: what the daemon takes at most (`PLUGIN_BYTES_MAX`). A longer one is refused.
const INPUT_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Why nothing was compiled.
enum Failure {
    /// It is the component's fault.
    Refused(String),
    /// It is the machine's.
    Machine(io::Error),
}

fn main() -> ExitCode {
    let (text, code) = match compile() {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Refused(reason)) => (reason, 1),
        Err(Failure::Machine(error)) => (error.to_string(), 2),
    };
    // There is nowhere to say that stderr is gone.
    drop(writeln!(io::stderr(), "{text}"));
    ExitCode::from(code)
}

fn compile() -> Result<(), Failure> {
    let compiled = compiled(&read_component()?).map_err(Failure::Refused)?;
    let mut stdout = io::stdout();
    stdout.write_all(&compiled).and_then(|()| stdout.flush()).map_err(Failure::Machine)
}

/// Limits this process, and only then reads.
fn read_component() -> Result<Vec<u8>, Failure> {
    limit_all().map_err(|error| Failure::Machine(error.into()))?;
    let mut component = Vec::new();
    io::stdin().take(INPUT_BYTES_MAX + 1).read_to_end(&mut component).map_err(Failure::Machine)?;
    Ok(component)
}

fn limit_all() -> rustix::io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Cpu, CPU_SECONDS)?;
    limit(Resource::Fsize, OUTPUT_BYTES)?;
    limit(Resource::Nofile, OPEN_FILES)?;
    limit(Resource::As, ADDRESS_SPACE_BYTES)
}

fn compiled(component: &[u8]) -> Result<Vec<u8>, String> {
    if INPUT_BYTES_MAX < component.len() as u64 {
        return Err(format!("it has more than {INPUT_BYTES_MAX} bytes"));
    }
    if !is_component(component) {
        return Err("it is not a WebAssembly component; build it with `--target wasm32-wasip2`".to_owned());
    }
    let mut config = engine_config::config();
    config.cranelift_opt_level(OptLevel::SpeedAndSize);
    let compiled = Engine::new(&config).and_then(|engine| engine.precompile_component(component));
    compiled.map_err(|error| format!("{error:#}"))
}

/// Whether the preamble is a component's and not a plain module's: the layer, its last two bytes, tells.
fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm") && bytes.get(6..8) == Some(&[1, 0])
}

fn limit(resource: Resource, most: u64) -> Result<(), rustix::io::Errno> {
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}
