//! The engine's settings: one file, compiled into the program that compiles plugins and into the host that runs them,
//! because the two refuse each other's work over any difference.

use wasmtime::{Config, WasmBacktraceDetails, WasmFeatures};

/// Bytes of stack that a plugin may use: JSON nested as deep as parsers allow fits several times. Past it the call ends
/// as broken.
pub(crate) const WASM_STACK_BYTES: usize = 512 * 1024;

/// Bytes of the stack that a call runs on: the plugin's, and as much again for what the host does on top of it.
const CALL_STACK_BYTES: usize = 2 * WASM_STACK_BYTES;

/// Returns the settings of the engine.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    // How a plugin that computes for ever is stopped, and how all others get a turn meanwhile.
    config.epoch_interruption(true);
    // Components wait in host calls only; without this every store keeps the books of concurrent ones.
    config.concurrency_support(false);
    // Nothing a provider needs. Multiple memories stay: a component made of several components has adapters with two.
    let unneeded =
        WasmFeatures::THREADS | WasmFeatures::MEMORY64 | WasmFeatures::RELAXED_SIMD | WasmFeatures::TAIL_CALL;
    config.wasm_features(unneeded, false);
    config.max_wasm_stack(WASM_STACK_BYTES);
    config.async_stack_size(CALL_STACK_BYTES);
    // Where in the plugin it trapped is of use to its author, who has other means; it would cost every site memory.
    config.generate_address_map(false);
    config.native_unwind_info(false);
    config.wasm_backtrace_max_frames(None);
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}
