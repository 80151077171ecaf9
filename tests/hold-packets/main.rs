//! Holds each packet of a netfilter queue for a while: what a long line does. For kernels without netem.
//!
//! `hold-packets QUEUE MILLISECONDS` says `ready` when it has the queue, and ends when its input does, so that it
//! outlives no test. Packets keep their order. The kernel queues 1,024 of them and drops what comes on top, as a router
//! does. A packet is held up to 20 ms longer than asked: that is how often the queue is looked at.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use linecamp_tests::wait_until;
use nfq::{Message, Queue, Verdict};

/// How long to wait for a packet where none is held; no more than how often the loop turns.
const IDLE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let queue = arguments.next().and_then(|text| text.parse().ok());
    let held = arguments.next().and_then(|text| text.parse().ok());
    let (Some(queue), Some(held)) = (queue, held.map(Duration::from_millis)) else {
        return failed("the arguments are QUEUE MILLISECONDS");
    };
    thread::spawn(|| {
        // Nothing is said to it: this ends with whoever started it.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    match hold(queue, held) {
        Ok(never) => match never {},
        Err(error) => failed(&format!("queue {queue}: {error}")),
    }
}

fn failed(what: &str) -> ExitCode {
    // There is nobody to tell where this cannot be written.
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
            let (_, mut packet) = held.pop_front().expect("one is due");
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
