//! The LAN ↔ the state machine's outputs about hosts: the listener of a gateway, its authority, and its sessions.
//!
//! The listener opens when the state machine asks for it, and stays open until the daemon stops or starts another state
//! machine. The authority is
//! created with the first host token, or when the listener opens, whichever is first.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use linecamp_core::{HostOutput, SessionEvent};
use linecamp_downlink::{HandshakeStats, MemberDriver, SESSION_NOTES_MAX, SessionNote, accept_counted, close};
use linecamp_model::{Parent, Pin, SessionId, SiteId, WallTime};
use linecamp_transport::{Authority, GatewayCertificate, Listener, ListenerSettings, Platform, TransportError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::lan_install::{InstallServer, Installer};

/// The listener for hosts, and their sessions.
#[derive(Debug)]
pub(crate) struct LanDriver {
    /// The directory of the authority.
    directory: PathBuf,
    listen: SocketAddr,
    /// What machines of the LAN are installed from.
    installer: Installer,
    authority: Option<Arc<Authority>>,
    open: Option<Open>,
}

/// A listener that is open. Dropping it aborts all sessions; [`LanDriver::close`] ends them with a reason.
#[derive(Debug)]
struct Open {
    driver: MemberDriver,
    listener: Arc<Listener>,
    notes: mpsc::Receiver<(SessionId, SessionNote)>,
    /// The task that accepts hosts and has their sessions.
    accepting: JoinSet<()>,
    installs: InstallServer,
}

impl LanDriver {
    /// Creates a driver that does not listen yet. `directory` has the authority, or will have it.
    pub(crate) const fn new(directory: PathBuf, listen: SocketAddr, installer: Installer) -> Self {
        Self { directory, listen, installer, authority: None, open: None }
    }

    /// Returns the pin of the LAN's authority, which is created if there is none.
    pub(crate) fn pin(&mut self, site: SiteId, now: WallTime) -> Result<Pin, TransportError> {
        self.authority(site, now).map(|authority| authority.pin())
    }

    /// Returns what machines of the LAN are installed from.
    pub(crate) const fn installer(&self) -> &Installer {
        &self.installer
    }

    /// Returns the address that hosts are listened for at.
    pub(crate) fn address(&self) -> SocketAddr {
        match &self.open {
            Some(open) => open.listener.local_addr(),
            None => self.listen,
        }
    }

    /// Opens the listener for the hosts of a site.
    pub(crate) fn open(
        &mut self,
        site: SiteId,
        certificate: Option<GatewayCertificate>,
        now: WallTime,
    ) -> Result<(), TransportError> {
        let authority = self.authority(site, now)?;
        let settings = ListenerSettings::default();
        let listener = Listener::bind(self.listen, Arc::clone(&authority), settings, Platform::default())?;
        listener.set_gateway_certificate(certificate);
        let listener = Arc::new(listener);
        let (sender, notes) = mpsc::channel(SESSION_NOTES_MAX);
        let handshakes = Arc::new(HandshakeStats::for_gateway());
        let mut accepting = JoinSet::new();
        accepting.spawn(accept_counted(Arc::clone(&listener), sender, handshakes));
        tracing::info!(address = %listener.local_addr(), "listening for hosts");
        let installs = InstallServer::start(listener.local_addr(), self.installer.clone());
        let driver = MemberDriver::new(authority);
        self.open = Some(Open { driver, listener, notes, accepting, installs });
        Ok(())
    }

    /// Ends all sessions, those that were hung up with their own reasons, and waits until their peers are told and the
    /// ports are free. The caller limits the time.
    pub(crate) async fn close(&mut self) {
        let Some(Open { listener, accepting, installs, .. }) = self.open.take() else { return };
        close(&listener, Parent::Gateway);
        drop(accepting);
        tokio::join!(listener.release(), installs.close());
    }

    /// Presents another certificate of the server to hosts from now on.
    pub(crate) fn set_certificate(&self, certificate: Option<GatewayCertificate>) {
        if let Some(open) = &self.open {
            open.listener.set_gateway_certificate(certificate);
        }
    }

    /// Returns the next note of a session. Cancel-safe.
    pub(crate) async fn note(&mut self) -> (SessionId, SessionNote) {
        let note = match &mut self.open {
            Some(open) => open.notes.recv().await,
            None => None,
        };
        match note {
            Some(note) => note,
            None => std::future::pending().await,
        }
    }

    /// Converts a note to an event for the state machine.
    pub(crate) fn event(&mut self, session: SessionId, note: SessionNote) -> Option<SessionEvent> {
        self.open.as_mut().map(|open| open.driver.note(session, note))
    }

    /// Carries out an output about a session. `server_authorities` are those that the site trusts, in DER.
    pub(crate) fn perform(&self, output: HostOutput, server_authorities: impl FnOnce() -> Vec<Vec<u8>>) {
        let Some(open) = &self.open else { return };
        match output {
            HostOutput::Send { session, message } => open.driver.send(session, &message),
            HostOutput::Issue { session, request } => open.driver.issue(session, request, server_authorities()),
            HostOutput::HangUp { session, refusal } => open.driver.hang_up(session, &refusal),
            HostOutput::LinkUp { session, host, name } => {
                let name = name.map(|name| name.to_string());
                tracing::info!(%session, host_id = %host, name, "host linked");
            }
            HostOutput::LinkDown { session, host, name } => {
                let name = name.map(|name| name.to_string());
                tracing::info!(%session, host_id = %host, name, "host lost its link");
            }
            HostOutput::Listen(_) => {}
        }
    }

    fn authority(&mut self, site: SiteId, now: WallTime) -> Result<Arc<Authority>, TransportError> {
        if let Some(authority) = &self.authority {
            return Ok(Arc::clone(authority));
        }
        let authority = match self.directory.exists() {
            true => Authority::load_gateway(&self.directory, site)?,
            false => Authority::create_gateway(&self.directory, site, now)?,
        };
        Ok(Arc::clone(self.authority.insert(Arc::new(authority))))
    }
}
