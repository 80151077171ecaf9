//! Join tokens. Their secrets are generated here, shown once and stored as hashes.

use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{delete, get};
use axum::{Json, Router};
use linecamp_core::{FleetCommand, NewToken, SiteRef};
use linecamp_model::{JoinSecret, JoinTarget, JoinToken, TokenId, TokenView};
use linecamp_proto::api::{LabelChange, List, Token, TokenCreated, TokenRequest, path};
use linecamp_transport::{TransportError, error_chain, random_bytes};

use super::Api;
use super::error::ApiError;
use super::extract::{Body, parse_name, path_param};

pub(super) fn router() -> Router<Api> {
    Router::new().route(path::TOKENS, get(list).post(create)).route(path::TOKEN, delete(revoke))
}

async fn list(State(api): State<Api>) -> Result<Json<List<Token>>, ApiError> {
    let tokens = api.query(|fleet, now| fleet.view().tokens(now)).await?;
    Ok(Json(tokens.iter().map(Token::from).collect()))
}

async fn create(
    State(api): State<Api>,
    Body(request): Body<TokenRequest>,
) -> Result<(StatusCode, Json<TokenCreated>), ApiError> {
    let environment = parse_name("environment", &request.environment)?;
    let replaces = request.replaces.as_deref().map(|site| parse_name("replaces", site)).transpose()?;
    let replaces = replaces.map(|name| SiteRef { environment: Some(environment.clone()), name });
    let labels = LabelChange { set: request.labels, ..LabelChange::default() };
    let labels = labels.to_patch().map_err(|error| ApiError::labels(&error))?;
    let token = JoinToken {
        id: TokenId::from_bytes(random_bytes().map_err(|error| no_random_bytes(&error))?),
        secret: JoinSecret::from_bytes(random_bytes().map_err(|error| no_random_bytes(&error))?),
        pin: api.info().pin,
    };
    let new = NewToken {
        id: token.id,
        secret: token.secret.hash(),
        environment,
        ttl: Duration::from_secs(request.ttl_seconds),
        uses: request.uses,
        labels,
        replaces,
    };
    api.command(FleetCommand::CreateToken(new)).await?;
    let view = view(&api, token.id).await?;
    let target = JoinTarget { token, servers: api.info().addresses().links };
    let info = api.info();
    let install = info.site_packages.line(&info.addresses().server_url, &target);
    let packages = info.site_packages.all().iter().map(|package| package.name.clone()).collect();
    Ok((StatusCode::CREATED, Json(TokenCreated { install, packages, ..TokenCreated::new(&view, &target) })))
}

async fn revoke(State(api): State<Api>, TokenIdParam(id): TokenIdParam) -> Result<Json<Token>, ApiError> {
    api.command(FleetCommand::RevokeToken(id)).await?;
    Ok(Json((&view(&api, id).await?).into()))
}

async fn view(api: &Api, id: TokenId) -> Result<TokenView, ApiError> {
    let view = api.query(move |fleet, now| fleet.view().token(id, now)).await?;
    view.ok_or_else(|| ApiError::not_found(format!("token {id} not found")))
}

fn no_random_bytes(error: &TransportError) -> ApiError {
    tracing::error!(error = error_chain(error), "failed to create a join token");
    ApiError::internal()
}

/// The ID in the path.
#[derive(Debug)]
struct TokenIdParam(TokenId);

impl<S: Send + Sync> FromRequestParts<S> for TokenIdParam {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = path_param(parts, state).await?;
        let bad = || ApiError::bad_request("a token ID has 16 hexadecimal digits; list them with `linecamp token ls`");
        TokenId::parse(&text).map(Self).ok_or_else(bad)
    }
}
