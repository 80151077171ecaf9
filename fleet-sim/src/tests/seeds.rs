//! The seed determines everything.

use super::{check_passes, run_alone};

#[test]
fn the_same_seed_gives_the_same_trace() {
    let hash = |line| run_alone(line).trace_hash;
    let line = "smoke seed=5 sites=15 days=0.5";
    assert_eq!(hash(line), hash(line));
    assert_ne!(hash(line), hash("smoke seed=6 sites=15 days=0.5"));
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_the_wire() {
    let line = "smoke seed=5 sites=6 days=0.25 mode=quic";
    let (first, second) = (run_alone(line), run_alone(line));
    assert_eq!((&first.trace_hash, &first.wire_hash), (&second.trace_hash, &second.wire_hash));
    assert_ne!(first.wire_hash, run_alone("smoke seed=6 sites=6 days=0.25 mode=quic").wire_hash);
}

/// The bytes that the model counts match those of the real links within a quarter.
#[test]
fn the_model_counts_bytes_like_the_real_transport() {
    let bytes = |mode| check_passes(&format!("metered sites=6 days=3 mode={mode}")).figures.bytes;
    let (model, quic) = (bytes("model"), bytes("quic"));
    assert!(model * 3 < quic * 4 && quic * 3 < model * 4, "model {model}, quic {quic}");
}
