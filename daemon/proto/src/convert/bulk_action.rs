//! The records of bulk actions.

use std::collections::BTreeSet;

use linecamp_model::limits::{LABELS_PER_OWNER_MAX, SITES_PER_BULK_ACTION_MAX};
use linecamp_model::{
    BulkAction, BulkActionSite, BulkOutcome, BulkRejection, CallerAccount, KeyId, LabelKey, LabelPatch, Name, SiteId,
    Text, WallTime,
};

use crate::convert::field::{bytes, field, generation, kind, list, message, set, word};
use crate::convert::label::{facts, from_facts};
use crate::convert::{FieldError, Wire, WireEnum};
use crate::wire::record::v1 as wire;
use crate::wire::record::v1::bulk_action::Account;
use crate::wire::record::v1::bulk_action_site::Outcome;

impl Wire for wire::BulkAction {
    type Model = BulkAction;

    fn from_model(action: &BulkAction) -> Self {
        let account = match &action.account {
            CallerAccount::User(user) => Some(Account::User(user.as_str().to_owned())),
            CallerAccount::Key(key) => Some(Account::Key(key.as_bytes().to_vec())),
            CallerAccount::Console => None,
        };
        Self {
            account,
            action: action.action.number(),
            set_labels: from_facts(&action.labels.set),
            removed_labels: action.labels.remove.iter().map(|key| key.as_str().to_owned()).collect(),
            actor: action.actor.as_str().to_owned(),
            at_millis: action.at.unix_millis(),
            sites: action.sites.iter().map(wire::BulkActionSite::from_model).collect(),
        }
    }

    fn into_model(self) -> Result<BulkAction, FieldError> {
        let sites = list("sites", self.sites, SITES_PER_BULK_ACTION_MAX)?;
        let mut seen = BTreeSet::new();
        if let Some(index) = sites.iter().position(|site: &BulkActionSite| !seen.insert(site.site)) {
            return Err(FieldError::new("site", "comes twice").within_element("sites", index));
        }
        let account = match self.account {
            Some(Account::User(user)) => CallerAccount::User(field("user", Name::parse(&user))?),
            Some(Account::Key(key)) => CallerAccount::Key(KeyId::from_bytes(bytes("key", &key)?)),
            None => CallerAccount::Console,
        };
        Ok(BulkAction {
            account,
            action: word("action", self.action)?,
            labels: LabelPatch {
                set: facts("set_labels", self.set_labels)?,
                remove: set("removed_labels", &self.removed_labels, LABELS_PER_OWNER_MAX, LabelKey::parse)?,
            },
            actor: field("actor", Text::parse(&self.actor))?,
            at: WallTime::from_unix_millis(self.at_millis),
            sites,
        })
    }
}

impl Wire for wire::BulkActionSite {
    type Model = BulkActionSite;

    fn from_model(site: &BulkActionSite) -> Self {
        let outcome = match &site.outcome {
            BulkOutcome::Requested(requested) => Outcome::Requested(requested.0),
            BulkOutcome::Rejected(rejection) => Outcome::Rejected(wire::BulkRejection::from_model(rejection)),
        };
        Self {
            site: site.site.as_bytes().to_vec(),
            environment: site.environment.as_str().to_owned(),
            name: site.name.as_str().to_owned(),
            outcome: Some(outcome),
        }
    }

    fn into_model(self) -> Result<BulkActionSite, FieldError> {
        Ok(BulkActionSite {
            site: SiteId::from_bytes(bytes("site", &self.site)?),
            environment: field("environment", Name::parse(&self.environment))?,
            name: field("name", Name::parse(&self.name))?,
            outcome: match kind("outcome", self.outcome)? {
                Outcome::Requested(requested) => BulkOutcome::Requested(generation("requested", requested)?),
                Outcome::Rejected(rejection) => BulkOutcome::Rejected(message("rejected", Some(rejection))?),
            },
        })
    }
}

impl Wire for wire::BulkRejection {
    type Model = BulkRejection;

    fn from_model(rejection: &BulkRejection) -> Self {
        Self { code: rejection.code.as_str().to_owned(), text: rejection.text.as_str().to_owned() }
    }

    fn into_model(self) -> Result<BulkRejection, FieldError> {
        Ok(BulkRejection {
            code: field("code", Text::parse(&self.code))?,
            text: field("text", Text::parse(&self.text))?,
        })
    }
}
