//! The server's overview and health check.

use std::time::Duration;

use linecamp_core::{AccountCommand, FleetCommandError, StoreFault};
use linecamp_proto::api::operation::{EditServer, Operation, ShowHealth, ShowReadiness, ShowServer};
use linecamp_proto::api::{ErrorCode, Health, Readiness, Server};

use super::call::Call;
use super::error::ApiError;
use super::{parse, restore};

/// How long the loop may take to answer before the server counts as unhealthy.
const HEALTH_LIMIT: Duration = Duration::from_secs(5);

/// Reports whether the loop answers and whether its store commits. Requires no key, and reveals nothing else but the
/// version.
pub(super) async fn health(Call { api, .. }: Call<ShowHealth>) -> Result<Health, ApiError> {
    match tokio::time::timeout(HEALTH_LIMIT, api.store_fault()).await {
        Ok(answered) => answered.map(|fault| Health {
            status: "ok".to_owned(),
            store: fault.map_or("ok", StoreFault::as_str).to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }),
        Err(_) => Err(ApiError::new(ErrorCode::Busy, "the server did not answer in time")),
    }
}

/// Reports whether the server can do everything: it listens, its loop answers, its store accepts changes and it is not
/// stopping. Otherwise a load balancer should send requests elsewhere. Requires no key.
pub(super) async fn ready(Call { api, .. }: Call<ShowReadiness>) -> Result<Readiness, ApiError> {
    let answered = tokio::time::timeout(HEALTH_LIMIT, api.store_fault()).await;
    match answered.map_err(|_| ApiError::new(ErrorCode::Busy, "the server did not answer in time"))?? {
        None => Ok(Readiness { status: "ready".to_owned() }),
        Some(fault) => Err(FleetCommandError::Store(fault).into()),
    }
}

pub(super) async fn show(call: Call<ShowServer>) -> Result<Server, ApiError> {
    server(&call).await
}

pub(super) async fn edit(call: Call<EditServer>) -> Result<Server, ApiError> {
    if let Some(url) = &call.body.server_url {
        let url = parse::server_url(url)?;
        call.fleet.command(AccountCommand::SetServerUrl(url).into()).await?;
        call.api.info().add_url_to_certificate();
    }
    server(&call).await
}

async fn server<O: Operation>(call: &Call<O>) -> Result<Server, ApiError> {
    let (counts, restored) = call.fleet.query(|fleet, _| (fleet.link_counts(), restore::restored(fleet))).await?;
    let info = call.api.info();
    Ok(Server {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pin: info.pin().to_string(),
        server_url: info.addresses().server_url.to_string(),
        uptime_seconds: info.started.now().instant.since_origin().as_secs(),
        connected: counts.connected as u64,
        reconnecting: counts.reconnecting as u64,
        disconnected: counts.disconnected as u64,
        restored,
    })
}
