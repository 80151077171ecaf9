//! The server's certificate authorities, and the steps of replacing one.
//!
//! The state machine decides whether a step is possible; the step itself is one atomic change of the `ca` directory.
//! One step runs at a time, so nothing changes between the two but what the sites report.

use linecamp_core::{Force, Lack, WaitingSite};
use linecamp_model::RotationStep;
use linecamp_proto::api::operation::{AbortCa, AddCa, Operation, RetireCa, ShowCa, SwitchCa};
use linecamp_proto::api::{CA_WAITING_SITES_MAX, CaStatus, CaWaitingSite, ErrorCode};
use linecamp_transport::{SystemClock, WallClock as _, error_chain};

use super::call::Call;
use super::error::ApiError;

pub(super) async fn show(call: Call<ShowCa>) -> Result<CaStatus, ApiError> {
    status(&call).await
}

pub(super) async fn add(call: Call<AddCa>) -> Result<CaStatus, ApiError> {
    step(call, RotationStep::Add, Force::No).await
}

pub(super) async fn switch(call: Call<SwitchCa>) -> Result<CaStatus, ApiError> {
    step(call, RotationStep::Switch, Force::No).await
}

pub(super) async fn retire(call: Call<RetireCa>) -> Result<CaStatus, ApiError> {
    let force = if call.body.force { Force::Yes } else { Force::No };
    step(call, RotationStep::Retire, force).await
}

pub(super) async fn abort(call: Call<AbortCa>) -> Result<CaStatus, ApiError> {
    step(call, RotationStep::Abort, Force::No).await
}

/// Performs a step and returns the state after it. What sites report about it follows later. If sites are left waiting
/// by a forced retirement, the answer names them.
async fn step<O: Operation>(call: Call<O>, step: RotationStep, force: Force) -> Result<CaStatus, ApiError> {
    let _one_at_a_time = call.api.info().rotation.lock().await;
    let is_possible = call.fleet.check_rotation(step, force).await?;
    let before = if force == Force::Yes { Some(status(&call).await?) } else { None };
    if is_possible {
        let authority = std::sync::Arc::clone(&call.api.info().authority);
        let done = tokio::task::spawn_blocking(move || {
            authority.rotate(step, SystemClock.now()).map(|()| authority.rotation())
        });
        let rotation = match done.await {
            Ok(Ok(rotation)) => rotation,
            Ok(Err(error)) => {
                tracing::error!(
                    error = error_chain(&error),
                    ?step,
                    "a step of the replacement of the authority failed"
                );
                let text = format!("nothing changed: {}", error_chain(&error));
                return Err(ApiError::new(ErrorCode::StoreFailed, text));
            }
            Err(_) => return Err(ApiError::internal()),
        };
        let pin = rotation.authorities.first().map(|authority| authority.pin.to_string());
        tracing::info!(?step, pin, "certificate authorities changed");
        call.fleet.authorities_changed(rotation).await?;
    }
    let mut status = status(&call).await?;
    if let Some(before) = before {
        (status.waiting, status.waiting_sites) = (before.waiting, before.waiting_sites);
    }
    Ok(status)
}

async fn status<O: Operation>(call: &Call<O>) -> Result<CaStatus, ApiError> {
    let found = call.fleet.authority_status().await?.ok_or_else(ApiError::internal)?;
    let ends = call.api.info().authority.ends();
    Ok(CaStatus {
        set: found.told.map(|(number, _)| number),
        since: found.told.map(|(_, since)| since.to_string()),
        sites: found.sites,
        waiting: found.waiting.len(),
        waiting_sites: found.waiting.iter().take(CA_WAITING_SITES_MAX).map(waiting_site).collect(),
        old_tokens: found.old_tokens,
        ..CaStatus::new(&found.rotation, &ends)
    })
}

fn waiting_site(site: &WaitingSite) -> CaWaitingSite {
    let lacks = match site.lacks {
        Lack::Authority => "authority",
        Lack::Certificate => "certificate",
    };
    CaWaitingSite {
        environment: site.environment.to_string(),
        name: site.name.to_string(),
        lacks: lacks.to_owned(),
        link: site.link.0.as_str().to_owned(),
        since: site.link.1.to_string(),
    }
}
