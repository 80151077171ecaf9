//! A server process that is killed without closing its sessions, and its successor on the same port.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use tokio::sync::oneshot;

use super::fixture::{ManualClock, START, Site, authority, loopback, platform, soon};
use crate::{Authority, Expected, Listener, ListenerSettings, SessionEnd, Trust};

/// A server in its own runtime, which ends without telling its peers.
struct Process {
    address: SocketAddr,
    kill: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Process {
    fn start(ca: &Path, address: SocketAddr) -> Self {
        let authority = Arc::new(Authority::load(ca).unwrap());
        let (kill, killed) = oneshot::channel();
        let (started, starts) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let clock = ManualClock::at(START);
            let kept = runtime.block_on(async {
                let settings = ListenerSettings::default();
                let listener = Arc::new(Listener::bind(address, authority, settings, platform(&clock)).unwrap());
                started.send(listener.local_addr()).unwrap();
                let greeting = Arc::clone(&listener);
                let greeted = tokio::spawn(async move {
                    let (_, session) = greeting.accept().await.unwrap().establish().await.unwrap();
                    let (mut sender, receiver) = session.split();
                    sender.send(b"welcome").await.unwrap();
                    (sender, receiver)
                });
                killed.await.unwrap();
                (listener, greeted)
            });
            // The runtime is dropped first, so that what is dropped later cannot send a close.
            drop(runtime);
            drop(kept);
        });
        let address = starts.recv().unwrap();
        Self { address, kill, thread }
    }

    fn kill(self) {
        self.kill.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

#[tokio::test]
async fn a_restarted_server_resets_old_sessions_at_their_next_packet() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca");
    let trust = Trust::Pin(authority(&ca).pin());
    let site = Site::start();

    let first = Process::start(&ca, loopback());
    let address = first.address;
    let (mut sender, mut receiver) =
        soon(site.dialer.dial(address, site.self_made(), &trust, Expected::Server)).await.unwrap().split();
    sender.send(b"hello").await.unwrap();
    assert_eq!(soon(receiver.recv(9)).await.as_deref(), Ok(&b"welcome"[..]));
    first.kill();

    let second = Process::start(&ca, address);
    sender.send(b"are you there?").await.unwrap();
    assert_eq!(soon(receiver.recv(9)).await, Err(SessionEnd::Reset));
    second.kill();
}
