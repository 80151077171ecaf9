//! The driver of members: accepts sessions and delivers the state machine's messages to them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use linecamp_core::{self as core, IssueRequest, SessionEvent};
use linecamp_model::{FromParent, IdentityGrant, MemberKind, Parent, Refusal, RefusalCode, SessionId, Text};
use linecamp_proto::{encode_refusal, refusal_code_number};
use linecamp_transport::{Authority, Credential, Listener, TransportError, error_chain};
use tokio::task::JoinSet;

use crate::session::{HandshakeStats, SessionHandle, SessionNote, SessionNotes, serve};

/// Accepts connections until the listener is closed, with one task per connection. Newcomers, which have not sent their
/// first message yet, share the limit of a server fairly among source networks. The state machine bounds sessions: it
/// rejects members that it does not know.
pub async fn accept(listener: Arc<Listener>, notes: SessionNotes) {
    accept_counted(listener, notes, Arc::default()).await;
}

/// Like [`accept`], with handshake statistics and their limit for newcomers.
pub async fn accept_counted(listener: Arc<Listener>, notes: SessionNotes, handshakes: Arc<HandshakeStats>) {
    // Dropping the set aborts its sessions, so none of them outlives this task.
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

/// Delivers the state machine's messages to the sessions, and issues certificates to their peers.
#[derive(Debug)]
pub struct MemberDriver {
    authority: Arc<Authority>,
    /// Ordered, so that all sessions are dropped in the same order in every run.
    sessions: BTreeMap<SessionId, Open>,
}

#[derive(Debug)]
struct Open {
    handle: SessionHandle,
    /// The peer's proven public key, `SubjectPublicKeyInfo` in DER.
    public_key: Box<[u8]>,
}

impl MemberDriver {
    /// Creates a driver without sessions that issues certificates of `authority`.
    pub const fn new(authority: Arc<Authority>) -> Self {
        Self { authority, sessions: BTreeMap::new() }
    }

    /// Keeps the session handle for answers, and converts the note to an event for the state machine.
    pub fn note(&mut self, id: SessionId, note: SessionNote) -> SessionEvent {
        match note {
            SessionNote::Opened { peer, address, handle } => {
                let open = Open { handle, public_key: peer.public_key.into() };
                self.sessions.insert(id, open);
                SessionEvent::Opened(core::Peer {
                    fingerprint: peer.fingerprint,
                    credential: credential(peer.credential),
                    address: text_of(address),
                })
            }
            SessionNote::Received(message) => SessionEvent::Received(message),
            SessionNote::Moved(address) => SessionEvent::Moved(text_of(address)),
            SessionNote::Closed(end) => {
                self.sessions.remove(&id);
                SessionEvent::Closed(Text::lossy(&end.to_string()))
            }
        }
    }

    /// Returns the handle of a session for a later answer, unless the session ended.
    pub fn handle(&self, id: SessionId) -> Option<&SessionHandle> {
        self.sessions.get(&id).map(|open| &open.handle)
    }

    /// Sends a message unless the session ended, which is a separate event for the state machine.
    pub fn send(&self, id: SessionId, message: &FromParent) {
        if let Some(open) = self.sessions.get(&id) {
            open.handle.send(message);
        }
    }

    /// Issues a certificate for the peer's proven key, and sends it. `also_trusted` are authorities in DER that the
    /// peer is to trust beside those that issue its certificates.
    pub fn issue(&self, id: SessionId, request: IssueRequest, also_trusted: Vec<Vec<u8>>) {
        let Some(open) = self.sessions.get(&id) else { return };
        match self.grant(&open.public_key, &request, also_trusted) {
            Ok(grant) => open.handle.send(&FromParent::Identity(grant)),
            Err(error) => {
                let (member, error) = (request.member(), error_chain(&error));
                tracing::warn!(session = %id, kind = %request.kind, id = %member, error, "failed to issue a certificate");
                let text = format!("no certificate could be issued for this {}", request.kind);
                self.hang_up(id, &Refusal::new(RefusalCode::Busy, &text));
            }
        }
    }

    fn grant(
        &self,
        key: &[u8],
        request: &IssueRequest,
        also_trusted: Vec<Vec<u8>>,
    ) -> Result<IdentityGrant, TransportError> {
        let validity = request.not_before..request.not_after;
        let certificate = self.authority.issue_member(key, request.member(), validity.clone())?;
        let gateway_chain = match request.kind {
            MemberKind::Site => {
                let gateway = self.authority.issue_gateway(key, request.site, validity)?;
                [gateway].into_iter().chain(self.authority.issuing_chain()).collect()
            }
            MemberKind::Host => Vec::new(),
        };
        let own = self.authority.rotation().authorities.into_iter().map(|one| one.certificate);
        Ok(IdentityGrant {
            kind: request.kind,
            name: request.name.clone(),
            environment: request.environment.clone(),
            site: request.site,
            host: request.host,
            certificate,
            gateway_chain,
            authorities: own.chain(also_trusted).collect(),
        })
    }

    /// Closes a session with a reason.
    pub fn hang_up(&self, id: SessionId, refusal: &Refusal) {
        tracing::debug!(name: "peer: session closed", session = %id, code = %refusal.code, text = %refusal.text, "closing session");
        if let Some(open) = self.sessions.get(&id) {
            open.handle.hang_up(refusal);
        }
    }
}

/// Closes the listener. Connections still in the handshake are told that the parent is stopping.
pub fn close(listener: &Listener, parent: Parent) {
    let refusal = Refusal::new(RefusalCode::ServerStopping, &format!("the {parent} is stopping"));
    listener.close(refusal_code_number(refusal.code), &encode_refusal(&refusal));
}

const fn credential(presented: Credential) -> core::Credential {
    match presented {
        Credential::SelfMade => core::Credential::SelfMade,
        Credential::Issued { .. } => core::Credential::Issued,
        Credential::Expired { .. } => core::Credential::Expired,
        Credential::Foreign => core::Credential::Foreign,
    }
}

fn text_of(address: SocketAddr) -> Text {
    Text::lossy(&address.to_string())
}
