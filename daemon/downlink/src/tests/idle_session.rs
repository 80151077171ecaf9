//! The memory of an idle session.

use std::sync::Arc;

use linecamp_transport::Incoming;

use crate::session::{HandshakeStats, NewcomerPermit, SessionNotes, serve};

/// Memory limit of the task of an idle session. QUIC uses about 20 KB of the 40 KB allowed in total; the state machine
/// and the queue use about 2 KB.
const TASK_BYTES_MAX: usize = 2 * 1024;

#[test]
fn an_idle_session_costs_little() {
    type Serve<F> = fn(Incoming, NewcomerPermit, Arc<HandshakeStats>, SessionNotes) -> F;
    fn task_bytes<F>(_: Serve<F>) -> usize {
        size_of::<F>()
    }
    let bytes = task_bytes(serve);
    assert!(bytes <= TASK_BYTES_MAX, "{bytes} bytes");
}
