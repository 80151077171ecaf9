//! Delays each packet of a netfilter queue, to simulate a high-latency link. For kernels without netem.
//!
//! `hold-packets QUEUE MILLISECONDS` prints `ready` once it owns the queue, and exits when its standard input closes,
//! so that it never outlives a test. Packets keep their order. The kernel queues 1,024 packets and drops any others, as
//! a router does. A packet is held up to 20 ms longer than requested, because the queue is polled every 20 ms.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use linecamp_tests::wait_until;
use nfq::{Message, Queue, Verdict};

/// How long to wait for a packet if none is held.
const IDLE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let queue = arguments.next().and_then(|text| text.parse().ok());
    let held = arguments.next().and_then(|text| text.parse().ok());
    let (Some(queue), Some(held)) = (queue, held.map(Duration::from_millis)) else {
        return failed("usage: hold-packets QUEUE MILLISECONDS");
    };
    thread::spawn(|| {
        // No input is expected: this process exits with the process that started it.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    match hold(queue, held) {
        Ok(never) => match never {},
        Err(error) => failed(&format!("queue {queue}: {error}")),
    }
}

fn failed(what: &str) -> ExitCode {
    // If this cannot be written, the error cannot be reported at all.
    let _ = writeln!(io::stderr(), "hold-packets: {what}");
    ExitCode::FAILURE
}

fn hold(number: u16, delay: Duration) -> io::Result<Infallible> {
    let mut queue = Queue::open()?;
    queue.bind(number)?;
    queue.set_nonblocking(true);
    let mut out = io::stdout();
    writeln!(out, "ready")?;
    out.flush()?;
    let mut held: VecDeque<(Instant, Message)> = VecDeque::new();
    loop {
        let next = held.front().map_or(IDLE, |(due, _)| due.saturating_duration_since(Instant::now()));
        if let Some(packet) = wait_until(next, || arrived(&mut queue).transpose()) {
            held.push_back((Instant::now() + delay, packet?));
        }
        while held.front().is_some_and(|(due, _)| *due <= Instant::now()) {
            let (_, mut packet) = held.pop_front().expect("the first packet is due");
            packet.set_verdict(Verdict::Accept);
            queue.verdict(packet)?;
        }
    }
}

fn arrived(queue: &mut Queue) -> io::Result<Option<Message>> {
    match queue.recv() {
        Ok(packet) => Ok(Some(packet)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
