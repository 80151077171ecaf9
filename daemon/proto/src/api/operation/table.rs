//! The table of operations.
//!
//! A row is: the operation's type, its name, its method and path, its query and the body of its request, the status and
//! the body of its response, who may perform it, and its properties: `audited`, `etag` (the response has one, and the
//! request may have `If-Match`), and `keyed` (the request may have an `Idempotency-Key`).

use linecamp_model::Requirement::{Account, Login, Nothing, Role, RoleEverywhere};
use linecamp_model::Role::{Admin, Operator, Viewer};

use super::{
    Binary, DebianPackage, Empty, EventStream, Json, MergePatch, Method, Operation, OperationSpec, PlainText,
    ShellScript,
};
use crate::api::account::{
    CallerView, Key, KeyCreated, KeyRequest, KeyRotation, LoggedIn, LoginRequest, PasswordChange, PasswordReset,
    ServerEdit, Session, SessionsEnded, SetupRequest, User, UserEdit, UserRequest,
};
use crate::api::oidc_login::{
    DeviceLogin, DeviceLoginHandle, DeviceLoginState, OidcCallbackQuery, OidcCode, OidcLoginQuery,
};
#[cfg(test)]
use crate::api::openapi::{Generators, OperationShapes};
use crate::api::query::{
    AuditQuery, EventQuery, HostNameQuery, HostQuery, HostRemoveQuery, NameQuery, NoQuery, PageQuery, PluginQuery,
    PreviewQuery, ProviderQuery, RecordQuery, RemoveQuery, RestoreQuery, SelectionQuery, SiteQuery, StreamQuery,
};
use crate::api::{
    AuditPage, BulkAction, BulkActionRequest, CaRetirement, CaStatus, Candidate, Edit, Environment, EnvironmentEdit,
    EnvironmentRequest, Event, Health, HeldItems, HeldLeft, Host, LabelChange, LinkGap, List, PluginPushed, PluginView,
    ProviderEdit, ProviderRequest, ProviderView, Readiness, RecordView, RequestReport, Restore, Server, Site, Token,
    TokenCreated, TokenRequest,
};

/// Declares the operations, and [`ALL`] of them.
macro_rules! operations {
    ($(
        $(#[doc = $summary:literal])+
        $operation:ident = $name:literal: $method:ident $path:literal ($query:ty, $request:ty)
            -> $status:literal $response:ty, $requires:expr $(, $property:ident)*;
    )+) => {
        $(
            $(#[doc = $summary])+
            #[derive(Clone, Copy, Debug)]
            pub struct $operation;

            impl Operation for $operation {
                type Query = $query;
                type Request = $request;
                type Response = $response;
                const SPEC: OperationSpec = OperationSpec::new::<Self>(
                    ($name, concat!($($summary),+)),
                    (Method::$method, $path),
                    $status,
                    $requires,
                )$(.$property())*;
            }
        )+

        /// All operations.
        pub const ALL: &[OperationSpec] = &[$($operation::SPEC),+];

        /// The shapes of all operations.
        #[cfg(test)]
        pub(in crate::api) const SHAPES: &[fn(&mut Generators) -> OperationShapes] =
            &[$(OperationShapes::of::<$operation>),+];
    };
}

operations! {
    /// Report whether the server's loop answers, and whether its store can be written.
    ShowHealth = "health.show": Get "/healthz" (NoQuery, Empty) -> 200 Json<Health>, Nothing;
    /// Report whether the server can do everything; 503 otherwise.
    ShowReadiness = "readiness.show": Get "/readyz" (NoQuery, Empty) -> 200 Json<Readiness>, Nothing;
    /// Download the script that installs a site.
    ShowInstaller = "installer.show": Get "/install" (NoQuery, Empty) -> 200 ShellScript, Nothing;
    /// Download a package that the script installs.
    ShowPackage = "package.show": Get "/install/{name}" (NoQuery, Empty) -> 200 DebianPackage, Nothing;
    /// Show the description of the API: this table as an OpenAPI document.
    ShowOpenApi = "openapi.show": Get "/api/v1/openapi.json" (NoQuery, Empty)
        -> 200 Json<serde_json::Map<String, serde_json::Value>>, Nothing;
    /// Show the metrics in the Prometheus text format.
    ShowMetrics = "metrics.show": Get "/metrics" (NoQuery, Empty) -> 200 PlainText, RoleEverywhere(Viewer);
    /// Show the server: its version, its pin and the number of links.
    ShowServer = "server.show": Get "/api/v1/server" (NoQuery, Empty) -> 200 Json<Server>, Login;
    /// Show what arrived with this request, and what of it was believed.
    ShowRequest = "request.show": Get "/api/v1/doctor/request" (NoQuery, Empty) -> 200 Json<RequestReport>, Login;

    /// Show what is held since the server was restored from a backup.
    ShowRestore = "restore.show": Get "/api/v1/restore" (RestoreQuery, Empty)
        -> 200 Json<Restore>, RoleEverywhere(Admin);
    /// Accept sites, join tokens and API keys that are held since a restore.
    AcceptHeld = "restore.accept": Post "/api/v1/restore/accept" (NoQuery, Json<HeldItems>)
        -> 200 Json<HeldLeft>, RoleEverywhere(Admin), audited, keyed;
    /// Reject sites, join tokens and API keys that are held since a restore: remove, revoke or delete them.
    RejectHeld = "restore.reject": Post "/api/v1/restore/reject" (NoQuery, Json<HeldItems>)
        -> 200 Json<HeldLeft>, RoleEverywhere(Admin), audited, keyed;
    /// Change the URL at which operators reach the server.
    EditServer = "server.edit": Patch "/api/v1/server" (NoQuery, MergePatch<ServerEdit>)
        -> 200 Json<Server>, RoleEverywhere(Admin), audited;

    /// Log in with a name and a password. The response sets a cookie, and has the session's secret if asked for.
    LogIn = "session.login": Post "/api/v1/login" (NoQuery, Json<LoginRequest>) -> 200 Json<LoggedIn>, Nothing, audited;
    /// Log in at the identity provider: redirects the browser to it.
    BeginOidcLogin = "session.begin-oidc": Get "/api/v1/login/oidc" (OidcLoginQuery, Empty) -> 303 Empty, Nothing;
    /// Take the browser back from the identity provider. The response sets a cookie, or redirects to a waiting program.
    FinishOidcLogin = "session.finish-oidc": Get "/api/v1/login/oidc/callback" (OidcCallbackQuery, Empty)
        -> 303 Empty, Nothing, audited;
    /// Exchange the code that the browser brought to a program for a session.
    RedeemOidcLogin = "session.redeem-oidc": Post "/api/v1/login/oidc/token" (NoQuery, Json<OidcCode>)
        -> 200 Json<LoggedIn>, Nothing, audited;
    /// Log in at the identity provider with a code that a person enters in a browser on any device.
    BeginDeviceLogin = "session.begin-device": Post "/api/v1/login/oidc/device" (NoQuery, Empty)
        -> 200 Json<DeviceLogin>, Nothing, audited;
    /// Ask whether the person has confirmed, and begin the session.
    FinishDeviceLogin = "session.finish-device": Post "/api/v1/login/oidc/device/token"
        (NoQuery, Json<DeviceLoginHandle>) -> 200 Json<DeviceLoginState>, Nothing, audited;
    /// End the session of the request.
    LogOut = "session.logout": Post "/api/v1/logout" (NoQuery, Empty) -> 200 Json<Session>, Account, audited;
    /// Show who performs the request, and what they may do.
    ShowCaller = "caller.show": Get "/api/v1/whoami" (NoQuery, Empty) -> 200 Json<CallerView>, Account;
    /// Change the own password. The other sessions of the user end.
    ChangePassword = "password.change": Post "/api/v1/password" (NoQuery, Json<PasswordChange>)
        -> 200 Json<CallerView>, Account, audited;
    /// Complete the first login: change the password, and confirm the server's URL.
    CompleteSetup = "server.setup": Post "/api/v1/setup" (NoQuery, Json<SetupRequest>)
        -> 200 Json<CallerView>, Account, audited;

    /// List the users, by name.
    ListUsers = "user.list": Get "/api/v1/users" (PageQuery, Empty) -> 200 Json<List<User>>, RoleEverywhere(Admin);
    /// Create a user.
    CreateUser = "user.create": Post "/api/v1/users" (NoQuery, Json<UserRequest>)
        -> 201 Json<User>, RoleEverywhere(Admin), audited, keyed;
    /// Show a user.
    ShowUser = "user.show": Get "/api/v1/users/{name}" (NoQuery, Empty) -> 200 Json<User>, RoleEverywhere(Admin);
    /// Change the roles of a user, or disable or enable the user. It takes effect at once.
    EditUser = "user.edit": Patch "/api/v1/users/{name}" (NoQuery, MergePatch<UserEdit>)
        -> 200 Json<User>, RoleEverywhere(Admin), audited;
    /// Remove a user with all API keys and sessions. The response shows the user as it was.
    RemoveUser = "user.remove": Delete "/api/v1/users/{name}" (NoQuery, Empty)
        -> 200 Json<User>, RoleEverywhere(Admin), audited;
    /// Set the password of a user, who must change it. The user's sessions end.
    ResetPassword = "user.password": Post "/api/v1/users/{name}/password" (NoQuery, Json<PasswordReset>)
        -> 200 Json<User>, RoleEverywhere(Admin), audited;
    /// End all sessions of a user.
    EndUserSessions = "user.logout": Post "/api/v1/users/{name}/logout" (NoQuery, Empty)
        -> 200 Json<SessionsEnded>, Login, audited;

    /// List the own API keys, oldest first; an admin in all environments sees those of all users.
    ListKeys = "key.list": Get "/api/v1/keys" (PageQuery, Empty) -> 200 Json<List<Key>>, Login;
    /// Create an API key. Only this response has its secret.
    CreateKey = "key.create": Post "/api/v1/keys" (NoQuery, Json<KeyRequest>)
        -> 201 Json<KeyCreated>, Login, audited, keyed;
    /// Show an API key.
    ShowKey = "key.show": Get "/api/v1/keys/{id}" (NoQuery, Empty) -> 200 Json<Key>, Login;
    /// Replace the secret of an API key. Only this response has the new one.
    RotateKey = "key.rotate": Post "/api/v1/keys/{id}/rotate" (NoQuery, Json<KeyRotation>)
        -> 200 Json<KeyCreated>, Login, audited, keyed;
    /// Revoke an API key. The response shows it as it was.
    RevokeKey = "key.revoke": Delete "/api/v1/keys/{id}" (NoQuery, Empty) -> 200 Json<Key>, Login, audited;

    /// List the own sessions, oldest first; an admin in all environments sees those of all users.
    ListSessions = "session.list": Get "/api/v1/sessions" (PageQuery, Empty) -> 200 Json<List<Session>>, Login;
    /// Show a session.
    ShowSession = "session.show": Get "/api/v1/sessions/{id}" (NoQuery, Empty) -> 200 Json<Session>, Login;
    /// End a session. The response shows it as it was.
    EndSession = "session.end": Delete "/api/v1/sessions/{id}" (NoQuery, Empty) -> 200 Json<Session>, Login, audited;

    /// List the sites that a filter matches.
    ListSites = "site.list": Get "/api/v1/sites" (SiteQuery, Empty) -> 200 Json<List<Site>>, Role(Viewer);
    /// Show a site.
    ShowSite = "site.show": Get "/api/v1/sites/{name}" (NameQuery, Empty) -> 200 Json<Site>, Role(Viewer), etag;
    /// List the times in which a site had no connection, with their causes, oldest first.
    ListSiteHistory = "site.history": Get "/api/v1/sites/{name}/history" (NameQuery, Empty)
        -> 200 Json<List<LinkGap>>, Role(Viewer);
    /// Change the name or the description of a site.
    EditSite = "site.edit": Patch "/api/v1/sites/{name}" (NameQuery, MergePatch<Edit>)
        -> 200 Json<Site>, Role(Operator), audited, etag;
    /// Remove a site. The response shows it as it is afterwards.
    RemoveSite = "site.remove": Delete "/api/v1/sites/{name}" (RemoveQuery, Empty)
        -> 200 Json<Site>, Role(Operator), audited, etag;
    /// Change the labels assigned to a site.
    PatchSiteLabels = "site.label": Post "/api/v1/sites/{name}/labels" (NameQuery, Json<LabelChange>)
        -> 200 Json<Site>, Role(Operator), audited, etag;
    /// Take a site out of service.
    DeactivateSite = "site.deactivate": Post "/api/v1/sites/{name}/deactivate" (NameQuery, Empty)
        -> 200 Json<Site>, Role(Operator), audited, etag;
    /// Return a site to service.
    ActivateSite = "site.activate": Post "/api/v1/sites/{name}/activate" (NameQuery, Empty)
        -> 200 Json<Site>, Role(Operator), audited, etag;
    /// Accept a site that waits for approval.
    AcceptSite = "site.accept": Post "/api/v1/sites/{name}/accept" (NameQuery, Empty)
        -> 200 Json<Site>, Role(Operator), audited, etag;

    /// Change many sites at once. A site that has changed since it was listed, or rejects the change, stays as it is.
    CreateBulkAction = "bulk-action.create": Post "/api/v1/bulk-actions" (NoQuery, Json<BulkActionRequest>)
        -> 201 Json<BulkAction>, Role(Operator), audited, keyed;
    /// List the bulk actions of the last 30 days, newest first.
    ListBulkActions = "bulk-action.list": Get "/api/v1/bulk-actions" (PageQuery, Empty)
        -> 200 Json<List<BulkAction>>, Role(Viewer);
    /// Show a bulk action, with the state of each site.
    ShowBulkAction = "bulk-action.show": Get "/api/v1/bulk-actions/{id}" (NoQuery, Empty)
        -> 200 Json<BulkAction>, Role(Viewer);

    /// List the hosts that a filter matches.
    ListHosts = "host.list": Get "/api/v1/hosts" (HostQuery, Empty) -> 200 Json<List<Host>>, Role(Viewer);
    /// List the hosts that are eligible for something new: active, connected, and matched by a selector. With `all`,
    /// also the others, each with the reason.
    SelectHosts = "host.select": Get "/api/v1/selection" (SelectionQuery, Empty)
        -> 200 Json<List<Candidate>>, Role(Viewer);
    /// Show a host.
    ShowHost = "host.show": Get "/api/v1/hosts/{name}" (HostNameQuery, Empty) -> 200 Json<Host>, Role(Viewer), etag;
    /// Change the name or the description of a host.
    EditHost = "host.edit": Patch "/api/v1/hosts/{name}" (HostNameQuery, MergePatch<Edit>)
        -> 200 Json<Host>, Role(Operator), audited, etag;
    /// Remove a host that joined its gateway or the server. The response shows it as it is afterwards.
    RemoveHost = "host.remove": Delete "/api/v1/hosts/{name}" (HostRemoveQuery, Empty)
        -> 200 Json<Host>, Role(Operator), audited, etag;
    /// Change the labels assigned to a host.
    PatchHostLabels = "host.label": Post "/api/v1/hosts/{name}/labels" (HostNameQuery, Json<LabelChange>)
        -> 200 Json<Host>, Role(Operator), audited, etag;
    /// Take a host out of service.
    DeactivateHost = "host.deactivate": Post "/api/v1/hosts/{name}/deactivate" (HostNameQuery, Empty)
        -> 200 Json<Host>, Role(Operator), audited, etag;
    /// Return a host to service.
    ActivateHost = "host.activate": Post "/api/v1/hosts/{name}/activate" (HostNameQuery, Empty)
        -> 200 Json<Host>, Role(Operator), audited, etag;

    /// List the join tokens, newest first.
    ListTokens = "token.list": Get "/api/v1/tokens" (PageQuery, Empty) -> 200 Json<List<Token>>, Role(Viewer);
    /// Create a join token. Only this response has its secret.
    CreateToken = "token.create": Post "/api/v1/tokens" (NoQuery, Json<TokenRequest>)
        -> 201 Json<TokenCreated>, Role(Operator), audited, keyed;
    /// Revoke a join token.
    RevokeToken = "token.revoke": Delete "/api/v1/tokens/{id}" (NoQuery, Empty)
        -> 200 Json<Token>, Role(Operator), audited;

    /// List entries of the audit log, oldest first.
    ListAudit = "audit.list": Get "/api/v1/audit" (AuditQuery, Empty) -> 200 Json<AuditPage>, RoleEverywhere(Admin);

    /// List events, oldest first, or wait for the next one.
    ListEvents = "event.list": Get "/api/v1/events" (EventQuery, Empty) -> 200 Json<List<Event>>, Role(Viewer);
    /// Follow events and the states of sites and hosts, as server-sent events.
    FollowEvents = "event.stream": Get "/api/v1/stream" (StreamQuery, Empty) -> 200 EventStream, Role(Viewer);

    /// List the environments.
    ListEnvironments = "environment.list": Get "/api/v1/environments" (NoQuery, Empty)
        -> 200 Json<List<Environment>>, Role(Viewer);
    /// Create an environment.
    CreateEnvironment = "environment.create": Post "/api/v1/environments" (NoQuery, Json<EnvironmentRequest>)
        -> 201 Json<Environment>, RoleEverywhere(Admin), audited, keyed;
    /// Change the rules of an environment.
    EditEnvironment = "environment.edit": Patch "/api/v1/environments/{name}" (NoQuery, MergePatch<EnvironmentEdit>)
        -> 200 Json<Environment>, Role(Admin), audited;

    /// List the providers.
    ListProviders = "provider.list": Get "/api/v1/providers" (ProviderQuery, Empty)
        -> 200 Json<List<ProviderView>>, Role(Viewer);
    /// Create a provider.
    CreateProvider = "provider.create": Post "/api/v1/providers" (NoQuery, Json<ProviderRequest>)
        -> 201 Json<ProviderView>, Role(Operator), audited, keyed;
    /// Show a provider.
    ShowProvider = "provider.show": Get "/api/v1/providers/{name}" (NameQuery, Empty)
        -> 200 Json<ProviderView>, Role(Viewer);
    /// Change a provider.
    EditProvider = "provider.edit": Patch "/api/v1/providers/{name}" (NameQuery, MergePatch<ProviderEdit>)
        -> 200 Json<ProviderView>, Role(Operator), audited;
    /// Remove a provider. The response shows it as it is afterwards.
    RemoveProvider = "provider.remove": Delete "/api/v1/providers/{name}" (RemoveQuery, Empty)
        -> 200 Json<ProviderView>, Role(Operator), audited;
    /// Validate a provider as if it were created or replaced, and store nothing.
    PreviewProvider = "provider.preview": Post "/api/v1/providers/{name}/preview" (PreviewQuery, Json<ProviderRequest>)
        -> 200 Json<ProviderView>, Role(Operator);

    /// List the plugins.
    ListPlugins = "plugin.list": Get "/api/v1/plugins" (NoQuery, Empty) -> 200 Json<List<PluginView>>, Login;
    /// Store a plugin: its description in JSON, followed by its component.
    PushPlugin = "plugin.push": Post "/api/v1/plugins" (PluginQuery, Binary)
        -> 201 Json<PluginPushed>, RoleEverywhere(Admin), audited;
    /// Show a plugin, by the digest of its component.
    ShowPlugin = "plugin.show": Get "/api/v1/plugins/{digest}" (NoQuery, Empty) -> 200 Json<PluginView>, Login;
    /// Remove a plugin that no provider uses. The response shows it as it was.
    RemovePlugin = "plugin.remove": Delete "/api/v1/plugins/{digest}" (NoQuery, Empty)
        -> 200 Json<PluginView>, RoleEverywhere(Admin), audited;

    /// Show the certificate authorities, and the sites that the retirement of one waits for.
    ShowCa = "ca.show": Get "/api/v1/ca" (NoQuery, Empty) -> 200 Json<CaStatus>, RoleEverywhere(Admin);
    /// Create the next certificate authority, and tell the sites to trust it.
    AddCa = "ca.add": Post "/api/v1/ca/add" (NoQuery, Empty) -> 200 Json<CaStatus>, RoleEverywhere(Admin), audited;
    /// Let the next certificate authority issue all certificates.
    SwitchCa = "ca.switch": Post "/api/v1/ca/switch" (NoQuery, Empty)
        -> 200 Json<CaStatus>, RoleEverywhere(Admin), audited;
    /// Retire the certificate authority that was replaced.
    RetireCa = "ca.retire": Post "/api/v1/ca/retire" (NoQuery, Json<CaRetirement>)
        -> 200 Json<CaStatus>, RoleEverywhere(Admin), audited;
    /// Drop the next certificate authority before the switch.
    AbortCa = "ca.abort": Post "/api/v1/ca/abort" (NoQuery, Empty)
        -> 200 Json<CaStatus>, RoleEverywhere(Admin), audited;

    /// List the DNS records of the sites that a filter matches.
    ListRecords = "record.list": Get "/api/v1/records" (RecordQuery, Empty) -> 200 Json<List<RecordView>>, Role(Viewer);
}
