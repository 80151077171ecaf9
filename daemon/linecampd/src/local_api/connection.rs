//! A connection of the local socket: one HTTP request, one response, then it closes.
//!
//! Connections only move bytes. The answer comes from the loop, so that it is a consistent snapshot.

use std::convert::Infallible;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use linecamp_model::excerpt;
use linecamp_proto::api::{Error, ErrorBody, ErrorCode};
use linecamp_proto::local::{LocalRequest, LocalRequestError, REQUEST_BYTES_MAX};
use linecamp_service::{ConnectionPermit, METRICS_CONTENT_TYPE, PEER_TEXT_BYTES_MAX};
use linecamp_transport::error_chain;
use tokio::net::UnixStream;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::admission::{Admission, CHANGE_COST, RATE};
use super::{CLIENT_LIMIT, LocalCall, REPLY_LIMIT, Reply};

/// Bytes of a request's head; ours has 60, and `curl` sends 100. A longer one, or one of more than 100 headers, is
/// answered with 431.
const HEAD_BYTES_MAX: usize = 16 * 1024;

const JSON: &str = "application/json";

type LocalResponse = Response<Full<Bytes>>;

/// Serves one request. A client that is too slow is disconnected.
pub(super) async fn serve(stream: UnixStream, user: u32, permit: &ConnectionPermit<u32>, admission: &Admission) {
    let (answering, is_answering) = watch::channel(false);
    let set_answering = |is_answering| {
        permit.set_busy(is_answering);
        answering.send_replace(is_answering);
    };
    let service = service_fn(async |request| {
        let received = receive(request).await;
        set_answering(true);
        let response = match received {
            Ok(request) => answer(user, request, admission).await,
            Err(rejection) => rejection,
        };
        set_answering(false);
        Ok::<_, Infallible>(response)
    });
    let mut builder = http1::Builder::new();
    // A client may close its half when it has sent its request. Time limits are in `overdue`.
    builder.keep_alive(false).half_close(true).header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
    tokio::select! {
        biased;
        ended = builder.serve_connection(TokioIo::new(stream), service) => {
            if let Err(error) = ended {
                let problem = excerpt(&error_chain(&error), PEER_TEXT_BYTES_MAX);
                tracing::debug!(name: "peer: local connection failed", user, problem, "local connection failed");
            }
        }
        () = overdue(is_answering) => {
            tracing::debug!(name: "peer: local connection failed", user, "a local client was too slow: disconnected");
        }
    }
}

/// Returns when the client needs longer than [`CLIENT_LIMIT`] to send its request, or to read the response. What the
/// daemon needs in between does not count.
async fn overdue(mut is_answering: watch::Receiver<bool>) {
    while matches!(timeout(CLIENT_LIMIT, is_answering.wait_for(|is_answering| *is_answering)).await, Ok(Ok(_))) {
        // The sender lives as long as the connection.
        drop(is_answering.wait_for(|is_answering| !*is_answering).await);
    }
}

/// Receives a request. Returns the response if it is rejected.
async fn receive(request: Request<Incoming>) -> Result<LocalRequest, LocalResponse> {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    let body = match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let problem = format!("a request may have at most {REQUEST_BYTES_MAX} bytes");
            return Err(failure(Error::new(ErrorCode::TooLarge, problem)));
        }
        Err(error) => {
            let problem = format!("cannot read the request: {}", error_chain(&*error));
            return Err(failure(Error::new(ErrorCode::BadRequest, problem)));
        }
    };
    LocalRequest::parse(head.method.as_str(), target, &body).map_err(|error| rejection(&error))
}

/// Returns the answer of the loop.
pub(super) async fn answer(user: u32, request: LocalRequest, admission: &Admission) -> LocalResponse {
    match admission.reserve(user, &request) {
        Ok(wait) => tokio::time::sleep(wait).await,
        Err(wait) => return too_many_requests(user, wait.as_secs() + 1),
    }
    let content_type = match request {
        LocalRequest::Metrics => METRICS_CONTENT_TYPE,
        _ => JSON,
    };
    let (reply, answer) = oneshot::channel();
    let call = LocalCall { request, reply: Reply(reply) };
    let busy = |message| failure(Error::new(ErrorCode::Busy, message));
    match admission.calls.send(call).await {
        Ok(()) => match timeout(REPLY_LIMIT, answer).await {
            Ok(Ok(Ok(body))) => response(StatusCode::OK, content_type, body),
            Ok(Ok(Err(error))) => failure(error),
            Ok(Err(_)) => busy("the daemon is stopping"),
            Err(_) => busy("the disk is slow: check later whether the change was made"),
        },
        Err(_) => busy("the daemon is stopping"),
    }
}

fn too_many_requests(user: u32, seconds: u64) -> LocalResponse {
    let text = format!(
        "rate limit exceeded: user {user} may make {} changes or {} reads per second; nothing was done, retry in {seconds} s",
        1_000 / (RATE.interval * CHANGE_COST).as_millis(),
        1_000 / RATE.interval.as_millis(),
    );
    let mut response = failure(Error::new(ErrorCode::TooManyRequests, text));
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

fn rejection(error: &LocalRequestError) -> LocalResponse {
    let mut response = failure(error.to_error());
    if let LocalRequestError::Method { allowed } = error {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    response
}

fn failure(error: Error) -> LocalResponse {
    let status = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response(status, JSON, super::json(&ErrorBody { error }))
}

fn response(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> LocalResponse {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
