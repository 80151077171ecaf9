//! A minimal server: handshake, read one frame, answer one frame. A child process of the bench.
//!
//! It uses the product's listener and TLS, so that the difference is due to the rest of the product: its loop, its
//! state machine, its session tasks.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use linecamp_model::limits::FIRST_FRAME_BYTES_MAX;
use linecamp_transport::{Authority, Incoming, Listener, ListenerSettings, Platform};

/// The size of a welcome, so that both send answers of the same size.
const ANSWER: [u8; 70] = [7; 70];

/// Serves with the CA in `ca` until stdin is closed; prints its address first.
pub(crate) fn run(ca: &Path) -> anyhow::Result<()> {
    end_with_stdin();
    crate::runtime()?.block_on(async {
        let authority = Arc::new(Authority::load(ca)?);
        let any = ([127, 0, 0, 1], 0).into();
        let listener = Listener::bind(any, authority, ListenerSettings::default(), Platform::default())?;
        println!("{}", listener.local_addr());
        std::io::stdout().flush().context("failed to print")?;
        while let Some(incoming) = listener.accept().await {
            tokio::spawn(serve(incoming));
        }
        Ok(())
    })
}

async fn serve(incoming: Incoming) {
    let Ok((_, session)) = incoming.establish().await else {
        return;
    };
    let (mut sender, mut receiver) = session.split();
    // Ends when the client closes the session.
    while receiver.recv(FIRST_FRAME_BYTES_MAX).await.is_ok() {
        if sender.send(&ANSWER).await.is_err() {
            return;
        }
    }
}

/// Exits when stdin is closed: a child ends with its parent, however the parent ends.
pub(crate) fn end_with_stdin() {
    std::thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
}
