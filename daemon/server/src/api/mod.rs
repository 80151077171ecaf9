//! The REST API: the operations of `linecamp_proto::api::operation`.
//!
//! A request passes these stages, each in one place:
//!
//! 1. Its origin is decided (`origin`), and it gets its name and is logged (`request_log`).
//! 2. Its operation is found by path and method (`routes`). Without HTTPS it is redirected first.
//! 3. Its caller is authenticated, and admitted if the operation allows (`authenticate`, with the rules of
//!    `linecamp_core::Authorization`).
//! 4. It is parsed completely (`parse`).
//! 5. The handler of the operation reads and changes the fleet through the access of the caller (`call`), which has
//!    nothing that the caller may not see. A change is answered when it is durable.
//!    A long list is built and encoded from a snapshot of the fleet, on another thread than the loop's.
//! 6. The answer, or the problem (`error`), is encoded.

mod account;
mod audit;
mod audit_guard;
mod authenticate;
mod bulk_actions;
mod ca;
mod call;
mod doctor;
mod environments;
mod error;
mod events;
mod history;
mod hosts;
mod install;
mod keys;
mod limits;
mod metrics;
mod oidc;
mod openapi;
mod origin;
mod overview;
mod paging;
mod parse;
mod plugins;
mod providers;
mod records;
mod request_log;
mod restore;
mod routes;
mod session_cookie;
mod sessions;
mod sites;
mod state;
mod stream;
mod tokens;
mod uploads;
mod users;

#[cfg(test)]
pub(crate) use limits::CHANGE_RATE;
pub(crate) use state::{Api, ServerInfo};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};

use self::error::ApiError;
use self::limits::BODY_BYTES_MAX;
use self::routes::Routes;

/// Returns the API's router.
pub(crate) fn router(api: Api) -> Router {
    let routes = operations()
        .into_router()
        .fallback(async || ApiError::no_such_path())
        .method_not_allowed_fallback(async || ApiError::no_such_method())
        .layer(from_fn_with_state(api.clone(), origin::require_https))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    guarded(routes, &api).with_state(api)
}

/// Decides where the requests of `routes` came from, counts and logs them, and contains the panics of their handlers.
pub(crate) fn guarded(routes: Router<Api>, api: &Api) -> Router<Api> {
    routes
        .layer(from_fn(request_log::catch_panics))
        .layer(from_fn_with_state(api.clone(), request_log::log))
        .layer(from_fn_with_state(api.clone(), origin::evaluate))
}

/// Serves every operation of the table.
fn operations() -> Routes {
    accounts(Routes::default())
        .on(overview::health)
        .on(overview::ready)
        .on_raw(install::script)
        .on_raw(install::package)
        .on_raw(metrics::show)
        .on_raw(openapi::show)
        .on(overview::show)
        .on(doctor::show_request)
        .on(restore::show)
        .on(restore::accept)
        .on(restore::reject)
        .on(overview::edit)
        .on_encoded(sites::list)
        .on_versioned(sites::show)
        .on(history::list)
        .on_versioned(sites::edit)
        .on_versioned(sites::remove)
        .on_versioned(sites::label)
        .on_versioned(sites::deactivate)
        .on_versioned(sites::activate)
        .on_versioned(sites::accept)
        .on_encoded(bulk_actions::create)
        .on_encoded(bulk_actions::list)
        .on_encoded(bulk_actions::show)
        .on_encoded(hosts::list)
        .on_encoded(hosts::select)
        .on_versioned(hosts::show)
        .on_versioned(hosts::edit)
        .on_versioned(hosts::remove)
        .on_versioned(hosts::label)
        .on_versioned(hosts::deactivate)
        .on_versioned(hosts::activate)
        .on(tokens::list)
        .on(tokens::create)
        .on(tokens::revoke)
        .on(audit::list)
        .on(events::list)
        .on_stream(stream::follow)
        .on(environments::list)
        .on(environments::create)
        .on(environments::edit)
        .on_encoded(providers::list)
        .on(providers::create)
        .on(providers::show)
        .on(providers::edit)
        .on(providers::remove)
        .on(providers::preview)
        .on(plugins::list)
        .on_upload(plugins::push)
        .on(plugins::show)
        .on(plugins::remove)
        .on(ca::show)
        .on(ca::add)
        .on(ca::switch)
        .on(ca::retire)
        .on(ca::abort)
        .on_encoded(records::list)
}

/// Serves the operations on users, API keys and sessions.
fn accounts(routes: Routes) -> Routes {
    routes
        .on_session(account::log_in)
        .on_session(account::log_out)
        .on_raw(oidc::begin)
        .on_raw(oidc::finish)
        .on_session(oidc::redeem)
        .on(oidc::begin_device)
        .on_session(oidc::finish_device)
        .on(account::show)
        .on(account::change_password)
        .on(account::complete_setup)
        .on(users::list)
        .on(users::create)
        .on(users::show)
        .on(users::edit)
        .on(users::remove)
        .on(users::reset_password)
        .on(users::end_sessions)
        .on(keys::list)
        .on(keys::create)
        .on(keys::show)
        .on(keys::rotate)
        .on(keys::revoke)
        .on(sessions::list)
        .on(sessions::show)
        .on(sessions::end)
}

/// Returns the code of the response to a command that fails.
#[cfg(test)]
pub(crate) fn code_of(error: linecamp_core::FleetCommandError) -> &'static str {
    ApiError::from(error).code().as_str()
}

#[cfg(test)]
mod tests {
    use linecamp_proto::api::operation;

    use super::*;

    #[test]
    fn the_router_serves_exactly_the_operations_of_the_table() {
        let mut served: Vec<_> = operations().served().iter().map(|spec| spec.name).collect();
        let mut table: Vec<_> = operation::ALL.iter().map(|spec| spec.name).collect();
        served.sort_unstable();
        table.sort_unstable();
        assert_eq!(served, table);
    }
}
