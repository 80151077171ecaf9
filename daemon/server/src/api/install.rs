//! The installation of a site: the script and the packages it downloads. Neither is secret, so no key is required: the
//! client is a machine that is not set up yet.
//!
//! Downloads are subject to the limits and timeouts of their connections (`drive::https`).

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use linecamp_install::{PACKAGE_TYPE, SCRIPT_TYPE, package_body};
use linecamp_proto::api::operation::{ShowInstaller, ShowPackage};

use super::call::Call;
use super::error::ApiError;

pub(super) async fn script(Call { api, .. }: Call<ShowInstaller>) -> Result<Response, ApiError> {
    let script = api.info().site_packages.script(&api.info().install_source());
    let none = || ApiError::not_found("this server has no packages for new sites; install linecampd manually");
    Ok(([(CONTENT_TYPE, SCRIPT_TYPE)], script.ok_or_else(none)?).into_response())
}

pub(super) async fn package(Call { api, parameter: name, .. }: Call<ShowPackage>) -> Result<Response, ApiError> {
    let found = api.info().site_packages.get(&name);
    let path = found.ok_or_else(|| ApiError::not_found("package not found"))?.path().to_owned();
    Ok(([(CONTENT_TYPE, PACKAGE_TYPE)], Body::new(package_body(path))).into_response())
}
