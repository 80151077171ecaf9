//! Every limit of a plugin, and what happens at it.

use std::time::Duration;

/// Calls at work at once. Each may hold its plugin's memory, so this times [`Limits::memory_bytes`] is the most that
/// plugins take together; the next call waits.
pub(crate) const CALLS_AT_ONCE_MAX: usize = 4;

/// Calls that wait for their turn: one for each provider a site may have, twice. One more is answered at once: come
/// back later.
pub(crate) const CALLS_WAITING_MAX: usize = 32;

/// Events that nobody has taken yet. Past it calls wait with their replies, and then new ones queue.
pub(crate) const EVENTS_MAX: usize = 64;

/// Plugins known at once, and files in the plugin directory that are looked at. The one not used for longest is
/// forgotten, and loaded again when it is needed; files past it are not watched.
pub(crate) const PLUGINS_KNOWN_MAX: usize = 64;

/// Compiled forms in the cache. Past it the oldest is deleted, and compiled again when it is needed.
pub(crate) const CACHED_MAX: usize = 64;

/// Time for the compiler. A plugin with a whole Python in it takes 8 s; past it the child is killed, and the plugin
/// refused.
pub(crate) const COMPILE_LIMIT: Duration = Duration::from_secs(120);

/// Bytes of what a plugin writes to stderr, which is where a panic says why. The rest is dropped.
pub(crate) const STDERR_BYTES_MAX: usize = 8 * 1024;

/// Bytes of randomness in one answer to a plugin. More ends the call.
pub(crate) const RANDOM_BYTES_MAX: u64 = 64 * 1024;

/// How often a running plugin is interrupted, so that others get a turn and its time is counted.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// The part of a call's time that is kept for the plugin to say that a service was too slow: one in ten.
pub(crate) const LAST_WORDS_SHARE: u32 = 10;

/// Record sets that an observation may bring. Of a listing with more, only those of claims are taken; with more of what
/// was asked for the call fails.
pub(crate) const OBSERVED_SETS_MAX: usize = 10_000;

/// Values of one observed record set. One with more is there and cannot be read: nothing is written over it.
pub(crate) const OBSERVED_VALUES_MAX: usize = 256;

/// Bytes of one observed value: a TXT record of 64 KiB, which is all DNS can carry, each byte of it escaped. A set with
/// a longer one cannot be read.
pub(crate) const OBSERVED_VALUE_BYTES_MAX: usize = 4 * 64 * 1024;

/// The longest that a plugin can ask for patience. A longer one is cut to this.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// Bytes of a config schema in a description. A longer one refuses the plugin.
pub(crate) const SCHEMA_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a plugin's words that go to the server: of why a call failed, and of what an instance said last. Room for
/// the host's own reason with its hint, which a plugin passes on (up to 340), and little for what else it may carry.
pub(crate) const PLUGIN_WORDS_BYTES_MAX: usize = 384;

/// Secrets, reaches and extra words of a description, each. More refuse the plugin.
pub(crate) const DESCRIBED_MAX: usize = 32;

/// What one call of a plugin may take. A limit that is exceeded ends that call and names itself; the plugin's memory
/// goes with the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first instruction to the reply, waiting for services included.
    pub call_time: Duration,
    /// Time on the processor, counted in ticks of 10 ms. A large zone is parsed in a tenth of it.
    pub cpu_time: Duration,
    /// Bytes of linear memory, all memories of the instance together. A plugin in Rust takes 1 MiB, one with a
    /// JavaScript engine 2 MiB, one with a Python 13 MiB.
    pub memory_bytes: usize,
    /// Elements of tables, all tables together. A plugin in Rust has some hundreds.
    pub table_elements: usize,
    /// Core instances of a component. One in Rust has about ten.
    pub instances: usize,
    /// Resources (streams, pollables) held at once.
    pub resources: usize,
    /// Bytes that the plugin hands over in one host call, or in its answer.
    pub handover_bytes: usize,
    /// HTTP requests and DNS exchanges.
    pub requests: u32,
    /// Bytes of requests, all together.
    pub sent_bytes: u64,
    /// Bytes of one answer from a service.
    pub answer_bytes: u64,
    /// Bytes of answers, all together.
    pub received_bytes: u64,
    /// Lines in the daemon's log. The rest is counted, and the count logged.
    pub log_lines: u32,
    /// Bytes of one such line. The rest of it is cut.
    pub log_line_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call_time: Duration::from_secs(30),
            cpu_time: Duration::from_secs(2),
            memory_bytes: 16 * 1024 * 1024,
            table_elements: 20_000,
            instances: 40,
            resources: 256,
            handover_bytes: 8 * 1024 * 1024,
            requests: 64,
            sent_bytes: 1024 * 1024,
            answer_bytes: 4 * 1024 * 1024,
            received_bytes: 16 * 1024 * 1024,
            log_lines: 100,
            log_line_bytes: 1024,
        }
    }
}
