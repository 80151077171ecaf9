//! One call: a fresh instance, its limits, its deadline, and its result.

use std::sync::Arc;
use std::time::Duration;

use linecamp_model::{
    Grant, Name, PluginDescription, ProviderFailure, ProviderReply, ProviderRequest, ProviderSpec, SecretName, Text,
};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use wasmtime::component::ResourceTableError;
use wasmtime::{Store, Trap};
use wasmtime_wasi::I32Exit;

use crate::contract::{Invocation, Prepared};
use crate::engine::WasmEngine;
use crate::engine_config::WASM_STACK_BYTES;
use crate::host_calls::CallGrant;
use crate::limits::{ERROR_REPORT_SHARE, Limits, PLUGIN_TEXT_BYTES_MAX};
use crate::log_rate::LogRates;
use crate::outbound::Outbound;
use crate::sandbox::{LimitReached, Sandbox};
use crate::secret::{Secrets, SiteSecret};

/// What all calls share.
pub(crate) struct CallContext {
    pub(crate) engine: WasmEngine,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) outbound: Arc<dyn Outbound>,
    pub(crate) validates_settings: bool,
    pub(crate) limits: Limits,
    pub(crate) log_rates: LogRates,
}

impl CallContext {
    /// Runs a plugin's `describe`, without any grant.
    pub(crate) async fn describe(&self, prepared: &Prepared) -> Result<PluginDescription, String> {
        let provider = Name::parse("describe").expect("a constant that is a name");
        let (until, grant) = self.call_grant(&provider, Grant::default());
        let mut store = Sandbox::store(&self.engine, grant, &self.limits, self.log_rates.clone());
        let _ticking = self.engine.ticking();
        let ended = timeout_at(until, prepared.describe(&mut store)).await;
        self.finish(ended, &store)
    }

    /// Calls a plugin under a provider's grant. Settings that do not fit the plugin's description are invalid, and the
    /// plugin is not called.
    pub(crate) async fn call(
        &self,
        prepared: &Prepared,
        (spec, is_local): (&ProviderSpec, bool),
        (description, request): (&PluginDescription, ProviderRequest),
    ) -> ProviderReply {
        if self.validates_settings
            && let (ProviderRequest::Validate, Some(reason)) = (&request, why_invalid(spec, description))
        {
            return ProviderReply::Failed(ProviderFailure::Refused { reason, part: None });
        }
        let (until, grant) = self.call_grant(&spec.name, spec.grant.clone());
        let grant = CallGrant { is_local, handles: spec.secrets.clone(), secrets: Arc::clone(&self.secrets), ..grant };
        let mut store = Sandbox::store(&self.engine, grant, &self.limits, self.log_rates.clone());
        let invocation = Invocation { config: spec.config.as_str(), capabilities: description.capabilities, request };
        let _ticking = self.engine.ticking();
        let ended = timeout_at(until, prepared.call(&mut store, invocation)).await;
        let reply = self.finish(ended, &store).unwrap_or_else(|why| {
            let reason = Text::lossy(&format!("the plugin {} {why}", description.name));
            ProviderReply::Failed(ProviderFailure::Broken { reason })
        });
        match reply {
            ProviderReply::Failed(failure) if store.data().host_calls.is_exceeded() => {
                ProviderReply::Failed(limit_exceeded(failure))
            }
            reply => reply,
        }
    }

    /// Returns the deadline of a call that starts now, and a call grant that allows nothing beyond `grant`.
    fn call_grant(&self, provider: &Name, grant: Grant) -> (Instant, CallGrant) {
        let now = Instant::now();
        let waiting = self.limits.call_time - self.limits.call_time / ERROR_REPORT_SHARE;
        let grant = CallGrant {
            provider: provider.clone(),
            is_local: false,
            grant,
            handles: Default::default(),
            secrets: Arc::new(NoSecrets),
            outbound: Arc::clone(&self.outbound),
            until: now + waiting,
        };
        (now + self.limits.call_time, grant)
    }

    /// Returns the plugin's result, or the reason it failed: redacted, and with what the plugin wrote to stderr.
    fn finish<T>(
        &self,
        ended: Result<wasmtime::Result<Result<T, String>>, Elapsed>,
        store: &Store<Sandbox>,
    ) -> Result<T, String> {
        let why = match ended {
            Ok(Ok(Ok(result))) => return Ok(result),
            Ok(Ok(Err(invalid))) => format!("violated the contract: {invalid}"),
            Ok(Err(trapped)) => trap_reason(&trapped, &self.limits),
            Err(Elapsed { .. }) => format!("did not finish within {}", seconds(self.limits.call_time)),
        };
        let sandbox = store.data();
        let text = sandbox.stderr_text();
        let stderr = if text.is_empty() { String::new() } else { format!("; stderr: {text}") };
        Err(sandbox.redactor.redact_text(&format!("{why}{stderr}"), PLUGIN_TEXT_BYTES_MAX))
    }
}

/// Returns all problems that a provider's settings have with its plugin, as one text.
fn why_invalid(spec: &ProviderSpec, plugin: &PluginDescription) -> Option<Text> {
    let problems: Vec<_> = spec.problems(plugin).iter().map(ToString::to_string).collect();
    let text = format!("the settings do not fit plugin {} {}: {}", plugin.name, plugin.version, problems.join("; "));
    (!problems.is_empty()).then(|| Text::lossy(&text))
}

/// Turns a failure of a call that exceeded a limit into `LimitExceeded`, however the plugin reported it. Failures about
/// one name, about credentials or with a retry delay are kept.
fn limit_exceeded(failure: ProviderFailure) -> ProviderFailure {
    match failure {
        ProviderFailure::Retry { after: None, reason } | ProviderFailure::Refused { reason, part: None } => {
            ProviderFailure::LimitExceeded { reason }
        }
        failure => failure,
    }
}

/// Describes which limit or fault ended an instance.
fn trap_reason(error: &wasmtime::Error, limits: &Limits) -> String {
    if let Some(reached) = error.downcast_ref::<LimitReached>() {
        return reached.to_string();
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return format!("exited with code {code}");
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return format!("exceeded {} resources", limits.resources);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => format!("exceeded {} of CPU time", seconds(limits.cpu_time)),
        Some(Trap::StackOverflow) => format!("exceeded its stack of {} KiB", WASM_STACK_BYTES >> 10),
        Some(Trap::UnreachableCodeReached) => "panicked".into(),
        Some(trap) => format!("trapped: {trap}"),
        // The engine has no type for this error.
        None if format!("{error:#}").contains("too much data is being copied") => {
            format!("passed more than {} MiB in one host call", limits.host_call_bytes >> 20)
        }
        None => format!("failed: {error:#}"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f32())
}

/// A secret store without secrets.
pub(crate) struct NoSecrets;

impl Secrets for NoSecrets {
    fn find(&self, name: &SecretName) -> SiteSecret {
        SiteSecret::missing(name, "a provider's secrets")
    }
}
