//! The engine's settings, in one file that is compiled both into the plugin compiler and into the host that runs
//! plugins. The engine rejects an artifact that was compiled under any other settings.

use wasmtime::{Config, WasmBacktraceDetails, WasmFeatures};

/// Bytes of stack available to a plugin: several times what JSON nested as deep as parsers allow needs. A call that
/// exceeds it fails as broken.
pub(crate) const WASM_STACK_BYTES: usize = 512 * 1024;

/// Bytes of the stack that a call runs on: the plugin's stack, and as much again for the host calls on top of it.
const CALL_STACK_BYTES: usize = 2 * WASM_STACK_BYTES;

/// Returns the settings of the engine.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    // Epoch interruption stops a plugin in an infinite loop, and lets other calls run in the meantime.
    config.epoch_interruption(true);
    // Components wait only in host calls. With concurrency support every store would carry the bookkeeping for
    // concurrent tasks.
    config.concurrency_support(false);
    // Providers need none of these. Multiple memories stay enabled: a component composed of several components has
    // adapters with two.
    let unneeded =
        WasmFeatures::THREADS | WasmFeatures::MEMORY64 | WasmFeatures::RELAXED_SIMD | WasmFeatures::TAIL_CALL;
    config.wasm_features(unneeded, false);
    config.max_wasm_stack(WASM_STACK_BYTES);
    config.async_stack_size(CALL_STACK_BYTES);
    // A trap's location helps only the plugin's author, who has other tools; the address map would cost every site
    // memory.
    config.generate_address_map(false);
    config.native_unwind_info(false);
    config.wasm_backtrace_max_frames(None);
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}
