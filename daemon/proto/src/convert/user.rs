//! Records of users, their API keys and their sessions, of the server's settings, and of the answers that are kept for
//! requests that are sent again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use linecamp_model::limits::{ENVIRONMENTS_MAX, KEPT_ANSWER_BYTES_MAX};
use linecamp_model::{
    Access, ApiKey, CallerAccount, KeptAnswer, KeyId, Name, OidcIdentity, PasswordHash, RequestDigest, RequestId,
    ServerAddress, ServerSettings, Text, User, UserSession, UserSessionId, WallTime,
};

use crate::convert::field::{bytes, count, field, message, moment, word};
use crate::convert::{FieldError, Wire, WireEnum};
use crate::wire::record::v1 as wire;
use crate::wire::record::v1::kept_answer::Account;

/// The most environments that an access names: those that exist, and as many that do not exist any more.
const ENVIRONMENT_ROLES_MAX: usize = 2 * ENVIRONMENTS_MAX;

impl Wire for wire::Access {
    type Model = Access;

    fn from_model(access: &Access) -> Self {
        let named = access.environments.iter();
        let environments = named
            .map(|(name, role)| wire::EnvironmentRole {
                environment: name.as_str().to_owned(),
                role: WireEnum::number(*role),
            })
            .collect();
        Self { everywhere: access.everywhere.map(WireEnum::number), environments }
    }

    fn into_model(self) -> Result<Access, FieldError> {
        count("environments", self.environments.len(), ENVIRONMENT_ROLES_MAX)?;
        let mut environments = BTreeMap::new();
        for (index, given) in self.environments.iter().enumerate() {
            let within = |error: FieldError| error.within_element("environments", index);
            let name = field("environment", Name::parse(&given.environment)).map_err(within)?;
            if environments.insert(name, word("role", given.role).map_err(within)?).is_some() {
                return Err(within(FieldError::new("environment", "comes twice")));
            }
        }
        let everywhere = self.everywhere.map(|number| word("everywhere", number)).transpose()?;
        Ok(Access { everywhere, environments })
    }
}

impl Wire for wire::OidcIdentity {
    type Model = OidcIdentity;

    fn from_model(identity: &OidcIdentity) -> Self {
        Self { issuer: identity.issuer().to_owned(), subject: identity.subject().to_owned() }
    }

    fn into_model(self) -> Result<OidcIdentity, FieldError> {
        field("subject", OidcIdentity::new(&self.issuer, &self.subject))
    }
}

impl Wire for wire::User {
    type Model = User;

    fn from_model(user: &User) -> Self {
        Self {
            password: user.password.as_ref().map(|hash| hash.as_str().to_owned()),
            must_change_password: user.must_change_password,
            access: Some(wire::Access::from_model(&user.access)),
            created_at_millis: user.created_at.unix_millis(),
            disabled_at_millis: user.disabled_at.map(WallTime::unix_millis),
            oidc: user.oidc.as_ref().map(wire::OidcIdentity::from_model),
        }
    }

    fn into_model(self) -> Result<User, FieldError> {
        let password = self.password.as_deref().map(PasswordHash::parse).transpose();
        Ok(User {
            password: field("password", password)?,
            oidc: self.oidc.map(|identity| message("oidc", Some(identity))).transpose()?,
            must_change_password: self.must_change_password,
            access: message("access", self.access)?,
            created_at: WallTime::from_unix_millis(self.created_at_millis),
            disabled_at: moment(self.disabled_at_millis),
        })
    }
}

impl wire::ApiKey {
    /// Encodes a key that is stored under the ID that follows from its secret, or under one of its own.
    pub(crate) fn from_model(key: &ApiKey, derived: KeyId) -> Self {
        let id = if key.id == derived { Vec::new() } else { key.id.as_bytes().to_vec() };
        Self {
            id,
            name: key.name.as_str().to_owned(),
            user: key.user.as_ref().map(|user| user.as_str().to_owned()),
            limit: key.limit.as_ref().map(wire::Access::from_model),
            created_at_millis: key.created_at.unix_millis(),
            expires_at_millis: key.expires_at.map(WallTime::unix_millis),
            is_replaced: key.is_replaced,
        }
    }

    /// Decodes a key.
    pub(crate) fn into_model(self, derived: KeyId) -> Result<ApiKey, FieldError> {
        let id = match self.id.is_empty() {
            true => derived,
            false => KeyId::from_bytes(bytes("id", &self.id)?),
        };
        Ok(ApiKey {
            id,
            name: field("name", Name::parse(&self.name))?,
            user: field("user", self.user.as_deref().map(Name::parse).transpose())?,
            limit: self.limit.map(|limit| message("limit", Some(limit))).transpose()?,
            created_at: WallTime::from_unix_millis(self.created_at_millis),
            expires_at: moment(self.expires_at_millis),
            is_replaced: self.is_replaced,
        })
    }
}

impl Wire for wire::UserSession {
    type Model = UserSession;

    fn from_model(session: &UserSession) -> Self {
        let address = session.address.as_ref().map(|address| wire::ObservedAddress::from_model(address).address);
        Self {
            id: session.id.as_bytes().to_vec(),
            user: session.user.as_str().to_owned(),
            created_at_millis: session.created_at.unix_millis(),
            ends_at_millis: session.ends_at.unix_millis(),
            address: address.unwrap_or_default(),
        }
    }

    fn into_model(self) -> Result<UserSession, FieldError> {
        let address: Option<IpAddr> = match self.address.is_empty() {
            true => None,
            false => Some(wire::ObservedAddress { address: self.address }.into_model()?),
        };
        Ok(UserSession {
            id: UserSessionId::from_bytes(bytes("id", &self.id)?),
            user: field("user", Name::parse(&self.user))?,
            created_at: WallTime::from_unix_millis(self.created_at_millis),
            ends_at: WallTime::from_unix_millis(self.ends_at_millis),
            address,
        })
    }
}

impl Wire for wire::ServerSettings {
    type Model = ServerSettings;

    fn from_model(settings: &ServerSettings) -> Self {
        Self { server_url: settings.server_url.to_string(), confirmed_at_millis: settings.confirmed_at.unix_millis() }
    }

    fn into_model(self) -> Result<ServerSettings, FieldError> {
        Ok(ServerSettings {
            server_url: field("server_url", ServerAddress::parse(&self.server_url))?,
            confirmed_at: WallTime::from_unix_millis(self.confirmed_at_millis),
        })
    }
}

impl Wire for wire::KeptAnswer {
    type Model = KeptAnswer;

    fn from_model(kept: &KeptAnswer) -> Self {
        let account = match &kept.account {
            CallerAccount::User(user) => Some(Account::User(user.as_str().to_owned())),
            CallerAccount::Key(key) => Some(Account::Key(key.as_bytes().to_vec())),
            CallerAccount::Console => None,
        };
        Self {
            account,
            operation: kept.operation.as_str().to_owned(),
            digest: kept.digest.as_bytes().to_vec(),
            request: kept.request.as_bytes().to_vec(),
            at_millis: kept.at.unix_millis(),
            answer: kept.answer.clone(),
        }
    }

    fn into_model(self) -> Result<KeptAnswer, FieldError> {
        let account = match self.account {
            Some(Account::User(user)) => CallerAccount::User(field("user", Name::parse(&user))?),
            Some(Account::Key(key)) => CallerAccount::Key(KeyId::from_bytes(bytes("key", &key)?)),
            None => CallerAccount::Console,
        };
        if KEPT_ANSWER_BYTES_MAX < self.answer.len() {
            let problem = format!("has {} bytes; at most {KEPT_ANSWER_BYTES_MAX} are allowed", self.answer.len());
            return Err(FieldError::new("answer", problem));
        }
        Ok(KeptAnswer {
            account,
            operation: field("operation", Text::parse(&self.operation))?,
            digest: RequestDigest::from_bytes(bytes("digest", &self.digest)?),
            request: RequestId::from_bytes(bytes("request", &self.request)?),
            at: WallTime::from_unix_millis(self.at_millis),
            answer: self.answer,
        })
    }
}
