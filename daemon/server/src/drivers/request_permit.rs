//! Who a request is charged to, and the guard that holds its place until its response has been sent.
//!
//! A connection of HTTP/1.1 has one request in progress, and the connection's place is the request's too. A connection
//! of HTTP/2 has several, and each takes a place of its own among the streams, so that a client gets no more requests
//! in progress by using one connection.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use linecamp_model::SecretHash;
use linecamp_service::{Class, ConnectionPermit, Network};

/// The account that an API connection or stream is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    /// The source network.
    Network(Network),
    /// The API key that was presented on the connection.
    Key(SecretHash),
}

/// A place among connections or streams.
pub(crate) type Permit = ConnectionPermit<Client>;

/// The place of a connection, and who it is charged to.
#[derive(Debug)]
pub(crate) struct ConnectionPlace {
    permit: Permit,
    charged: Mutex<(Client, Class)>,
}

impl ConnectionPlace {
    pub(crate) fn new(permit: Permit, network: Client) -> Self {
        Self { permit, charged: Mutex::new((network, Class::Unauthenticated)) }
    }

    pub(crate) const fn permit(&self) -> &Permit {
        &self.permit
    }

    /// Returns who the connection is charged to.
    pub(super) fn charged(&self) -> (Client, Class) {
        *self.charged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_charged(&self, charged: (Client, Class)) {
        *self.charged.lock().unwrap_or_else(PoisonError::into_inner) = charged;
    }
}

/// The places that a request holds, available to request handlers as an extension.
#[derive(Clone, Debug)]
pub(crate) struct RequestPermit {
    connection: Arc<ConnectionPlace>,
    stream: Option<Arc<Permit>>,
}

impl RequestPermit {
    pub(super) const fn of_connection(connection: Arc<ConnectionPlace>) -> Self {
        Self { connection, stream: None }
    }

    pub(super) fn of_stream(connection: Arc<ConnectionPlace>, stream: Permit) -> Self {
        Self { connection, stream: Some(Arc::new(stream)) }
    }

    /// Charges the request, and its connection from now on, to the API key that was presented.
    pub(crate) fn authenticate(&self, key: SecretHash) {
        let client = Client::Key(key);
        self.connection.permit.authenticate(client);
        self.connection.set_charged((client, Class::Authenticated));
        if let Some(stream) = &self.stream {
            stream.authenticate(client);
        }
    }

    /// Restarts the time limit of the request, and of its connection.
    pub(crate) fn renew(&self) {
        self.connection.permit.set_busy(true);
        if let Some(stream) = &self.stream {
            stream.set_busy(true);
        }
    }

    /// Charges the connection of a proxy to the client that it forwards for, until its next request. A proxy is not
    /// offered HTTP/2, so this is the only request in progress.
    pub(crate) fn forward_for(&self, network: Network) {
        let client = Client::Network(network);
        self.connection.permit.charge(client);
        self.connection.set_charged((client, Class::Unauthenticated));
    }
}

/// A response body that holds what its request holds until it is dropped.
pub(super) struct GuardedBody<G> {
    body: Body,
    _guard: G,
}

impl<G> GuardedBody<G> {
    pub(super) const fn new(body: Body, guard: G) -> Self {
        Self { body, _guard: guard }
    }
}

impl<G: Unpin> HttpBody for GuardedBody<G> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
