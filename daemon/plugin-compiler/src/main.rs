//! `linecamp-plugin-compiler`: reads a component on stdin, writes the compiled artifact to stdout, and exits.
//!
//! A compiler given an untrusted program may use any amount of memory and time: a component of 7 MB can be crafted to
//! need more than 1 GiB. The compiler is therefore a separate program, which the plugin host starts for each new plugin
//! with an empty environment. It limits its own resources before it reads the first byte, and is killed when its parent
//! process dies. Keeping the compiler out of the resident daemon also saves megabytes of memory.
//!
//! The output is native code, trusted only by the process that started this one: the host writes it to a directory of
//! its own, and never loads such a file from anywhere else.
//!
//! Exit codes: 0 success; 1 the component was rejected, and always will be; 2 the machine caused the failure, for
//! example with a full disk, and a retry may succeed. Both failures print the reason to stderr. A process that exceeds
//! a limit dies by a signal.

#![forbid(unsafe_code)]

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use wasmtime::{Engine, OptLevel};

#[path = "../../plugin-host/src/engine_config.rs"]
mod engine_config;

/// Bytes of address space. A plugin that bundles the Python interpreter needs 325 MB. Past this limit the compiler runs
/// out of memory and aborts.
const ADDRESS_SPACE_BYTES: u64 = 1024 * 1024 * 1024;

/// Seconds of CPU time. A plugin that bundles the Python interpreter needs 8 on a fast machine. Past this limit the
/// kernel kills the compiler.
const CPU_SECONDS: u64 = 60;

/// Bytes of output. A plugin that bundles the Python interpreter compiles to 32 MB. Past this limit the kernel kills
/// the compiler.
const OUTPUT_BYTES: u64 = 256 * 1024 * 1024;

/// Open files: the three standard streams, and those that the runtime opens to detect CPU features.
const OPEN_FILES: u64 = 8;

/// Bytes of a component: the most that the daemon accepts (`PLUGIN_BYTES_MAX`). A larger component is rejected.
const INPUT_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Why compilation failed.
enum Failure {
    /// The component is at fault.
    Refused(String),
    /// The machine is at fault.
    Machine(io::Error),
}

fn main() -> ExitCode {
    let (text, code) = match compile() {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Refused(reason)) => (reason, 1),
        Err(Failure::Machine(error)) => (error.to_string(), 2),
    };
    // If stderr is closed, there is no other place to report to.
    drop(writeln!(io::stderr(), "{text}"));
    ExitCode::from(code)
}

fn compile() -> Result<(), Failure> {
    let compiled = compiled(&read_component()?).map_err(Failure::Refused)?;
    let mut stdout = io::stdout();
    stdout.write_all(&compiled).and_then(|()| stdout.flush()).map_err(Failure::Machine)
}

/// Limits this process before it reads the component.
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

/// Whether the preamble is that of a component and not of a core module: its last two bytes, the layer, differ.
fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm") && bytes.get(6..8) == Some(&[1, 0])
}

fn limit(resource: Resource, most: u64) -> Result<(), rustix::io::Errno> {
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_states_the_limits_of_the_compiler() {
        let guide = include_str!("../../../sdk/GUIDE.md");
        let (memory, output) = (ADDRESS_SPACE_BYTES >> 30, OUTPUT_BYTES >> 20);
        let row =
            format!("\n| compiler | {CPU_SECONDS} s of CPU time; {memory} GiB of memory; {output} MiB of output | ");
        assert!(guide.contains(&row), "{row}");
    }
}
