//! Join tokens. Their secrets are generated here, shown once and stored as hashes.

use std::time::Duration;

use linecamp_core::{FleetCommand, FleetView, ItemKey, JoinsAs, NewToken, SiteRef};
use linecamp_model::{JoinSecret, JoinTarget, JoinToken, TokenId, TokenView};
use linecamp_proto::api::operation::{CreateToken, ListTokens, RevokeToken};
use linecamp_proto::api::{LabelChange, List, Token, TokenCreated};
use linecamp_transport::{TransportError, error_chain, random_bytes};

use super::call::Call;
use super::error::ApiError;
use super::paging::Paging;
use super::parse::{optional_name, parse_name};
use crate::fleet_access::FleetAccess;

pub(super) async fn list(call: Call<ListTokens>) -> Result<List<Token>, ApiError> {
    let paging = Paging::of(&call)?;
    let tokens = call.fleet.query(|fleet, now| fleet.tokens(now)).await?;
    let newest_first = |token: &TokenView| u64::MAX - token.created_at.unix_millis();
    Ok(paging.list_of(
        &tokens,
        |token| ItemKey::new(newest_first(token), []).with_id(token.id.as_bytes()),
        |token| Token::from(token),
    ))
}

pub(super) async fn create(call: Call<CreateToken>) -> Result<TokenCreated, ApiError> {
    let (info, request) = (call.api.info(), call.body);
    let environment = parse_name("environment", &request.environment)?;
    let site_in = |field, name| -> Result<_, ApiError> {
        Ok(optional_name(field, name)?.map(|name| SiteRef { environment: Some(environment.clone()), name }))
    };
    let replaces = site_in("replaces", request.replaces.as_deref())?;
    let joins_as = match (replaces, site_in("hosts_of", request.hosts_of.as_deref())?) {
        (None, None) => JoinsAs::Site,
        (Some(site), None) => JoinsAs::Replacement(site),
        (None, Some(site)) => JoinsAs::Host(site),
        (Some(_), Some(_)) => {
            let problem = "a token is for the replacement of a machine or for hosts, not for both";
            return Err(ApiError::invalid("hosts_of", &problem, None));
        }
    };
    let labels = LabelChange { set: request.labels, ..LabelChange::default() };
    let labels = labels.to_patch().map_err(|error| ApiError::invalid("labels", &error, None))?;
    let token = JoinToken {
        id: TokenId::from_bytes(random_bytes().map_err(|error| no_random_bytes(&error))?),
        secret: JoinSecret::from_bytes(random_bytes().map_err(|error| no_random_bytes(&error))?),
        pin: info.pin(),
    };
    let new = NewToken {
        id: token.id,
        secret: token.secret.hash(),
        environment,
        ttl: Duration::from_secs(request.ttl_seconds),
        uses: request.uses,
        labels,
        joins_as,
    };
    let id = token.id;
    let read = move |fleet: FleetView<'_>, now| fleet.token(id, now).map(|view| Token::from(&view));
    let created = call.fleet.create(FleetCommand::CreateToken(new), read).await?;
    let view = created.value.ok_or_else(ApiError::answer_not_kept)?;
    if created.is_replayed {
        return Ok(TokenCreated::without_secret(view));
    }
    let target = JoinTarget { token, servers: info.addresses().links };
    let install = info.site_packages.line(&info.install_source(), &target, view.hosts_of.as_deref());
    let packages = info.site_packages.all().iter().map(|package| package.name().to_owned()).collect();
    Ok(TokenCreated { install, packages, ..TokenCreated::new(view, &target) })
}

pub(super) async fn revoke(call: Call<RevokeToken>) -> Result<Token, ApiError> {
    let bad = "a token ID has 16 hexadecimal digits; list them with `linecamp token ls`";
    let id = TokenId::parse(&call.parameter).ok_or_else(|| ApiError::invalid("id", &bad, None))?;
    call.fleet.command(FleetCommand::RevokeToken(id)).await?;
    Ok((&view(&call.fleet, id).await?).into())
}

async fn view(fleet: &FleetAccess, id: TokenId) -> Result<TokenView, ApiError> {
    let view = fleet.query(move |fleet, now| fleet.token(id, now)).await?;
    view.ok_or_else(|| ApiError::not_found(format!("token {id} not found")))
}

fn no_random_bytes(error: &TransportError) -> ApiError {
    tracing::error!(error = error_chain(error), "failed to create a join token");
    ApiError::internal()
}
