//! The link: newcomers become sessions, and the machine's words reach them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use linecamp_core::{self as core, IssueRequest, SessionEvent};
use linecamp_model::{FromServer, IdentityGrant, Refusal, RefusalCode, SessionId, Text};
use linecamp_proto::{encode_refusal, refusal_code_number};
use linecamp_transport::{Authority, Credential, Listener};
use tokio::task::JoinSet;

use super::session::{HandshakeStats, SessionHandle, SessionNote, SessionNotes, serve};
use crate::error::describe;

/// Lets newcomers in until the listener is closed: a task for each. Those that have not said their first message yet
/// are shared fairly among the networks they come from; sessions are bounded by the machine, which refuses whom it does
/// not know.
pub async fn accept(listener: Arc<Listener>, notes: SessionNotes) {
    accept_counted(listener, notes, Arc::default()).await;
}

/// The same, and counts them.
pub(crate) async fn accept_counted(listener: Arc<Listener>, notes: SessionNotes, handshakes: Arc<HandshakeStats>) {
    // Dropping the set ends its sessions, so this task leaves nothing behind.
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = sessions.join_next() => {}
            incoming = listener.accept() => match incoming {
                Some(incoming) => {
                    if let Some((incoming, permit)) = handshakes.admit(incoming) {
                        sessions.spawn(serve(incoming, permit, Arc::clone(&handshakes), notes.clone()));
                    }
                }
                None => break,
            },
        }
    }
    while sessions.join_next().await.is_some() {}
}

/// Carries the machine's words to the sessions, and makes certificates for those who hold them open.
#[derive(Debug)]
pub struct LinkDriver {
    authority: Arc<Authority>,
    /// In order, so that dropping all of them is the same in every run.
    sessions: BTreeMap<SessionId, Open>,
}

#[derive(Debug)]
struct Open {
    handle: SessionHandle,
    /// What the peer proved to hold, `SubjectPublicKeyInfo` in DER.
    public_key: Box<[u8]>,
}

impl LinkDriver {
    /// Makes a driver without sessions, which issues certificates of `authority`.
    pub const fn new(authority: Arc<Authority>) -> Self {
        Self { authority, sessions: BTreeMap::new() }
    }

    /// Keeps what is needed to answer, and returns what the machine is to hear.
    pub fn note(&mut self, id: SessionId, note: SessionNote) -> SessionEvent {
        match note {
            SessionNote::Opened { peer, address, handle } => {
                let open = Open { handle, public_key: peer.public_key.into() };
                self.sessions.insert(id, open);
                SessionEvent::Opened(core::Peer {
                    fingerprint: peer.fingerprint,
                    credential: credential(peer.credential),
                    address: written(address),
                })
            }
            SessionNote::Received(message) => SessionEvent::Received(message),
            SessionNote::Moved(address) => SessionEvent::Moved(written(address)),
            SessionNote::Closed(end) => {
                self.sessions.remove(&id);
                SessionEvent::Closed(Text::lossy(&end.to_string()))
            }
        }
    }

    /// Returns the end of a session at which it is answered later, unless it is over.
    pub(crate) fn handle(&self, id: SessionId) -> Option<&SessionHandle> {
        self.sessions.get(&id).map(|open| &open.handle)
    }

    /// Sends a message, unless the session is over: the machine hears of that by itself.
    pub fn send(&self, id: SessionId, message: &FromServer) {
        if let Some(open) = self.sessions.get(&id) {
            open.handle.send(message);
        }
    }

    /// Makes a certificate for the key that the peer proved to hold, and sends it.
    pub fn issue(&self, id: SessionId, request: IssueRequest) {
        let Some(open) = self.sessions.get(&id) else { return };
        let validity = request.not_before..request.not_after;
        match self.authority.issue_site(&open.public_key, request.site, validity) {
            Ok(certificate) => open.handle.send(&FromServer::Identity(IdentityGrant {
                name: request.name,
                environment: request.environment,
                certificate,
                authorities: vec![self.authority.certificate_der().to_vec()],
            })),
            Err(error) => {
                let (site, error) = (request.site, describe(&error));
                tracing::warn!(session = %id, site_id = %site, error, "failed to issue a certificate");
                let text = "the server failed to make a certificate for this site's key";
                self.hang_up(id, &Refusal::new(RefusalCode::Busy, text));
            }
        }
    }

    /// Closes a session and says why.
    pub fn hang_up(&self, id: SessionId, refusal: &Refusal) {
        tracing::debug!(session = %id, code = %refusal.code, text = %refusal.text, "hanging up");
        if let Some(open) = self.sessions.get(&id) {
            open.handle.hang_up(refusal);
        }
    }
}

/// Closes the listener: who is shaking hands is told that the server is stopping.
pub fn close(listener: &Listener) {
    let refusal = Refusal::new(RefusalCode::ServerStopping, "the server is stopping");
    listener.close(refusal_code_number(refusal.code), &encode_refusal(&refusal));
}

const fn credential(shown: Credential) -> core::Credential {
    match shown {
        Credential::SelfMade => core::Credential::SelfMade,
        Credential::Issued { .. } => core::Credential::Issued,
        Credential::Expired { .. } => core::Credential::Expired,
        Credential::Foreign => core::Credential::Foreign,
    }
}

fn written(address: SocketAddr) -> Text {
    Text::lossy(&address.to_string())
}
