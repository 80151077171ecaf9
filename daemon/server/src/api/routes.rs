//! The routes: each serves one operation of the table, and everything around its handler is done here, once.
//!
//! A request is authenticated and authorized, then parsed completely, then handled. A handler that is reached has a
//! caller who may perform the operation, and sees of the fleet what that caller may see ([`Call::fleet`]).

use std::marker::PhantomData;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on};
use linecamp_model::{RequestId, excerpt};
use linecamp_proto::api::operation::{Body as _, DecodedBody, EncodedBody, Method, Operation, OperationSpec};
use linecamp_proto::api::{Host, Site};
use linecamp_service::{PEER_TEXT_BYTES_MAX, SPAN_TARGET};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::Api;
use super::audit_guard::AuditGuard;
use super::authenticate::{Authenticated, Refused, authenticate};
use super::call::Call;
use super::error::ApiError;
use super::parse;

/// The header of an answer that is that of an earlier request with the same `Idempotency-Key`.
const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";

/// The routes of the API.
#[derive(Debug, Default)]
pub(super) struct Routes {
    router: Router<Api>,
    served: Vec<OperationSpec>,
}

/// An object with a generation, from which its entity tag is made.
pub(super) trait Versioned {
    /// Returns the generation of its spec.
    fn generation(&self) -> u64;
}

impl Versioned for Site {
    fn generation(&self) -> u64 {
        self.spec_generation
    }
}

impl Versioned for Host {
    fn generation(&self) -> u64 {
        self.spec_generation
    }
}

/// An encoded response of the operation `O`.
pub(super) struct Encoded<O> {
    bytes: Vec<u8>,
    operation: PhantomData<O>,
}

impl<O: Operation<Response: EncodedBody>> Encoded<O> {
    /// Encodes a response.
    pub(super) fn new(value: &Value<O::Response>) -> Self {
        Self { bytes: O::Response::encode(value), operation: PhantomData }
    }
}

type Value<B> = <B as linecamp_proto::api::operation::Body>::Value;

impl Routes {
    /// Serves the operation `O`.
    pub(super) fn on<O, F>(self, handler: fn(Call<O>) -> F) -> Self
    where
        O: Operation<Request: DecodedBody, Response: EncodedBody>,
        F: Future<Output = Result<Value<O::Response>, ApiError>> + Send + 'static,
    {
        debug_assert!(!O::SPEC.has_etag, "{} is served with an entity tag", O::SPEC.name);
        self.on_raw::<O, _>(move |call| async move { Ok(json::<O>(&handler(call).await?)) })
    }

    /// Serves the operation `O`, whose handler encodes its responses where it builds them: a long list, on another
    /// thread.
    pub(super) fn on_encoded<O, F>(self, handler: fn(Call<O>) -> F) -> Self
    where
        O: Operation<Request: DecodedBody, Response: EncodedBody>,
        F: Future<Output = Result<Encoded<O>, ApiError>> + Send + 'static,
    {
        self.on_raw::<O, _>(move |call| async move { Ok(response::<O>(handler(call).await?.bytes)) })
    }

    /// Serves the operation `O`, whose responses have an entity tag.
    pub(super) fn on_versioned<O, F>(self, handler: fn(Call<O>) -> F) -> Self
    where
        O: Operation<Request: DecodedBody, Response: EncodedBody<Value: Versioned + Sync>>,
        F: Future<Output = Result<Value<O::Response>, ApiError>> + Send + 'static,
    {
        debug_assert!(O::SPEC.has_etag, "{} has no entity tag", O::SPEC.name);
        self.on_raw::<O, _>(move |call| async move {
            let value = handler(call).await?;
            let mut response = json::<O>(&value);
            let tag = HeaderValue::try_from(parse::entity_tag(value.generation()));
            response.headers_mut().insert(ETAG, tag.map_err(|_| ApiError::internal())?);
            Ok(response)
        })
    }

    /// Serves the operation `O`, whose handler may set a cookie.
    pub(super) fn on_session<O, F>(self, handler: fn(Call<O>) -> F) -> Self
    where
        O: Operation<Request: DecodedBody, Response: EncodedBody<Value: Sync>>,
        F: Future<Output = Result<(Value<O::Response>, Option<HeaderValue>), ApiError>> + Send + 'static,
    {
        self.on_raw::<O, _>(move |call| async move {
            let (value, cookie) = handler(call).await?;
            let mut response = json::<O>(&value);
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if let Some(cookie) = cookie {
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            Ok(response)
        })
    }

    /// Serves the operation `O` with a response of the handler's own.
    pub(super) fn on_raw<O, F>(self, handler: impl Fn(Call<O>) -> F + Clone + Send + Sync + 'static) -> Self
    where
        O: Operation<Request: DecodedBody>,
        F: Future<Output = Result<Response, ApiError>> + Send + 'static,
    {
        self.route::<O, _, _>(move |api: Api, authenticated: Authenticated, mut parts: Parts, body: Body| {
            let handler = handler.clone();
            async move {
                let bytes = parse::read(body).await?;
                let fleet = authenticated.access.with_key(parse::request_key(&parts, &O::SPEC, &bytes)?);
                let call = Call::<O> {
                    fleet: fleet.clone(),
                    presented: authenticated.presented,
                    parameter: parse::path_parameter::<O>(&mut parts).await?,
                    query: parse::query(&parts.uri)?,
                    body: parse::body::<O::Request>(&parts, &bytes)?,
                    head: parts,
                    api,
                };
                let mut response = handler(call).await?;
                if fleet.is_replayed() {
                    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
                }
                Ok(response)
            }
        })
    }

    /// Serves the operation `O`, whose handler reads the body itself.
    pub(super) fn on_upload<O, F>(self, handler: fn(Call<O>, Body) -> F) -> Self
    where
        O: Operation<Request: linecamp_proto::api::operation::Body<Value = ()>, Response: EncodedBody>,
        F: Future<Output = Result<Value<O::Response>, ApiError>> + Send + 'static,
    {
        self.route::<O, _, _>(move |api: Api, authenticated: Authenticated, parts: Parts, body: Body| async move {
            let call = call_without_body::<O>(api, authenticated, parts).await?;
            parse::check_media(&call.head.headers, O::Request::MEDIA.unwrap_or_default())?;
            Ok(json::<O>(&handler(call, body).await?))
        })
    }

    /// Serves the operation `O` with a response that does not end by itself. The handler checks the credentials again
    /// while it lasts.
    pub(super) fn on_stream<O, F>(self, handler: fn(Call<O>) -> F) -> Self
    where
        O: Operation<Request: linecamp_proto::api::operation::Body<Value = ()>>,
        F: Future<Output = Result<Response, ApiError>> + Send + 'static,
    {
        self.route::<O, _, _>(move |api: Api, authenticated: Authenticated, parts: Parts, _: Body| async move {
            handler(call_without_body::<O>(api, authenticated, parts).await?).await
        })
    }

    fn route<O, H, F>(mut self, handle: H) -> Self
    where
        O: Operation,
        H: Fn(Api, Authenticated, Parts, Body) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response, ApiError>> + Send + 'static,
    {
        let method = match O::SPEC.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Patch => MethodFilter::PATCH,
            Method::Delete => MethodFilter::DELETE,
        };
        let serve = move |State(api): State<Api>, request: Request| {
            let handle = handle.clone();
            async move {
                let (parts, body) = request.into_parts();
                let span = span(&O::SPEC, &parts);
                let mut audit = AuditGuard::begin(&api, &O::SPEC, &parts);
                let mut authenticated = match authenticate(&api, &O::SPEC, &parts).instrument(span.clone()).await {
                    Ok(authenticated) => authenticated,
                    Err(Refused { caller, error }) => return audit.end_refused(caller, error.into_response()).await,
                };
                authenticated.access = audit.begin_handling(authenticated.access);
                let caller = authenticated.caller.clone();
                span.record("enduser.id", caller.identity());
                let handled = handle(api, authenticated, parts, body).instrument(span.clone()).await;
                let mut response = handled.unwrap_or_else(|error| error.into_response());
                span.record("http.response.status_code", response.status().as_u16());
                response.extensions_mut().insert(caller);
                audit.end(response).instrument(span).await
            }
        };
        self.router = self.router.route(O::SPEC.path, on(method, serve));
        self.served.push(O::SPEC);
        self
    }

    /// Returns the router.
    pub(super) fn into_router(self) -> Router<Api> {
        self.router
    }

    /// Returns the operations that are served.
    #[cfg(test)]
    pub(super) fn served(&self) -> &[OperationSpec] {
        &self.served
    }
}

/// Parses everything of a request except its body.
async fn call_without_body<O>(api: Api, of: Authenticated, mut parts: Parts) -> Result<Call<O>, ApiError>
where
    O: Operation<Request: linecamp_proto::api::operation::Body<Value = ()>>,
{
    parse::request_key(&parts, &O::SPEC, &[])?;
    Ok(Call {
        fleet: of.access,
        presented: of.presented,
        parameter: parse::path_parameter::<O>(&mut parts).await?,
        query: parse::query(&parts.uri)?,
        body: (),
        head: parts,
        api,
    })
}

/// Begins the span of a request, which is exported as a trace if a collector is configured.
fn span(spec: &OperationSpec, parts: &Parts) -> Span {
    let request = parts.extensions.get::<RequestId>().map(ToString::to_string);
    tracing::info_span!(
        target: SPAN_TARGET,
        "request",
        otel.name = format!("{} {}", spec.method.as_str(), spec.path),
        otel.kind = "server",
        http.request.method = spec.method.as_str(),
        url.path = excerpt(parts.uri.path(), PEER_TEXT_BYTES_MAX),
        linecamp.operation = spec.name,
        linecamp.request = request,
        http.response.status_code = Empty,
        enduser.id = Empty,
    )
}

fn json<O: Operation<Response: EncodedBody>>(value: &Value<O::Response>) -> Response {
    response::<O>(O::Response::encode(value))
}

fn response<O: Operation<Response: EncodedBody>>(bytes: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(O::SPEC.status).unwrap_or(StatusCode::OK);
    let media = HeaderValue::from_static(O::Response::MEDIA.unwrap_or_default());
    (status, [(CONTENT_TYPE, media)], bytes).into_response()
}
