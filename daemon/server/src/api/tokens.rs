//! Join tokens. Their secrets are generated here, shown once and stored as hashes.

use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{delete, get};
use axum::{Json, Router};
use linecamp_core::{FleetCommand, NewToken};
use linecamp_model::{JoinSecret, JoinTarget, JoinToken, TokenId, TokenView};
use linecamp_proto::api::{LabelChange, List, Token, TokenCreated, TokenRequest, path};

use super::Api;
use super::ask::parse_name;
use super::extract::{Body, word};
use super::refused::Refused;
use crate::error::{ServerError, describe};
use crate::secret;

pub(super) fn router() -> Router<Api> {
    Router::new().route(path::TOKENS, get(list).post(create)).route(path::TOKEN, delete(revoke))
}

async fn list(State(api): State<Api>) -> Result<Json<List<Token>>, Refused> {
    let tokens = api.query(|fleet, now| fleet.tokens(now)).await?;
    Ok(Json(tokens.iter().map(Token::from).collect()))
}

async fn create(
    State(api): State<Api>,
    Body(request): Body<TokenRequest>,
) -> Result<(StatusCode, Json<TokenCreated>), Refused> {
    let environment = parse_name("environment", &request.environment)?;
    let labels = LabelChange { set: request.labels, ..LabelChange::default() };
    let labels = labels.to_patch().map_err(|error| Refused::labels(&error))?;
    let token = JoinToken {
        id: TokenId::from_bytes(secret::random().map_err(|error| no_secret(&error))?),
        secret: JoinSecret::from_bytes(secret::random().map_err(|error| no_secret(&error))?),
        pin: api.about().pin,
    };
    let new = NewToken {
        id: token.id,
        secret: token.secret.hash(),
        environment,
        ttl: Duration::from_secs(request.ttl_seconds),
        uses: request.uses,
        labels,
    };
    api.command(FleetCommand::CreateToken(new)).await?;
    let view = view(&api, token.id).await?;
    let target = JoinTarget { token, servers: api.about().addresses().links };
    let about = api.about();
    let install = about.site_packages.line(&about.addresses().server_url, &target);
    let packages = about.site_packages.all().iter().map(|package| package.name.clone()).collect();
    Ok((StatusCode::CREATED, Json(TokenCreated { install, packages, ..TokenCreated::new(&view, &target) })))
}

async fn revoke(State(api): State<Api>, TokenIn(id): TokenIn) -> Result<Json<Token>, Refused> {
    api.command(FleetCommand::RevokeToken(id)).await?;
    Ok(Json((&view(&api, id).await?).into()))
}

async fn view(api: &Api, id: TokenId) -> Result<TokenView, Refused> {
    let view = api.query(move |fleet, now| fleet.token(id, now)).await?;
    view.ok_or_else(|| Refused::not_found(format!("there is no token {id}")))
}

fn no_secret(error: &ServerError) -> Refused {
    Refused::internal(describe(error))
}

/// The ID in the path.
#[derive(Debug)]
struct TokenIn(TokenId);

impl<S: Send + Sync> FromRequestParts<S> for TokenIn {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let text = word(parts, state).await?;
        let bad = || Refused::bad_request("a token's id has 16 hexadecimal digits; `linecamp token ls` shows it");
        TokenId::parse(&text).map(Self).ok_or_else(bad)
    }
}
