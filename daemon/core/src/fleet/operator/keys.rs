//! Commands on API keys.

use std::time::Duration;

use linecamp_model::limits::{API_KEY_LIFE_MAX, API_KEYS_MAX, ROTATION_GRACE_MAX};
use linecamp_model::{ApiKey, FleetChange, KeyId, Name, Now, SecretHash};

use crate::fleet::account_command::NewKey;
use crate::fleet::command::FleetCommandError;
use crate::fleet::decision::{Decided, Decision};
use crate::fleet::state::FleetState;

/// Creates an API key.
pub(super) fn create_key(state: &FleetState, new: NewKey, now: Now) -> Decided {
    let NewKey { id, secret, name, user, limit, ttl } = new;
    let is_taken = |key: &ApiKey| key.name == name && key.user == user && !key.is_replaced;
    if state.api_keys.values().any(is_taken) {
        let text = format!("an API key {name} of the same owner exists already; revoke it or choose another name");
        return Err(FleetCommandError::NameTaken(text));
    }
    check_room(state)?;
    if ttl.is_some_and(|ttl| ttl.is_zero() || API_KEY_LIFE_MAX < ttl) {
        let days = API_KEY_LIFE_MAX.as_secs() / 86_400;
        return Err(FleetCommandError::Invalid(format!("an API key's time is more than 0 and at most {days} days")));
    }
    let expires_at = ttl.map(|ttl| now.wall + ttl);
    let key = ApiKey { id, name, user, limit, created_at: now.wall, expires_at, is_replaced: false };
    Ok(Decision::of([FleetChange::ApiKey(secret, Some(key))]))
}

/// Replaces the secret of a key. The old one stays valid for `grace`; one that an earlier rotation replaced ends now.
pub(super) fn rotate_key(state: &FleetState, id: KeyId, secret: SecretHash, grace: Duration, now: Now) -> Decided {
    if ROTATION_GRACE_MAX < grace {
        let days = ROTATION_GRACE_MAX.as_secs() / 86_400;
        return Err(FleetCommandError::Invalid(format!("the old secret can stay valid for at most {days} days")));
    }
    if !grace.is_zero() {
        check_room(state)?;
    }
    let mut all = Vec::new();
    for (old, key) in state.api_keys.iter().filter(|(_, key)| key.id == id) {
        if key.is_replaced || grace.is_zero() {
            all.push(FleetChange::ApiKey(*old, None));
        } else {
            let until = now.wall + grace;
            let until = key.expires_at.map_or(until, |at| at.min(until));
            let replaced = ApiKey { expires_at: Some(until), is_replaced: true, ..key.clone() };
            all.push(FleetChange::ApiKey(*old, Some(replaced)));
        }
        if !key.is_replaced {
            all.push(FleetChange::ApiKey(secret, Some(key.clone())));
        }
    }
    Ok(Decision::of(all))
}

/// Revokes a key, with a secret that a rotation replaced.
pub(super) fn revoke_key(state: &FleetState, id: KeyId) -> Decided {
    let found = state.api_keys.iter().filter(|(_, key)| key.id == id);
    Ok(Decision::of(found.map(|(secret, _)| FleetChange::ApiKey(*secret, None))))
}

/// Returns the secrets of a user's keys.
pub(super) fn keys_of<'a>(state: &'a FleetState, name: &'a Name) -> impl Iterator<Item = SecretHash> {
    let own = state.api_keys.iter().filter(move |(_, key)| key.user.as_ref() == Some(name));
    own.map(|(secret, _)| *secret)
}

fn check_room(state: &FleetState) -> Result<(), FleetCommandError> {
    match API_KEYS_MAX <= state.api_keys.len() {
        true => {
            let text = format!("the limit of {API_KEYS_MAX} API keys is reached: revoke some");
            Err(FleetCommandError::Limit(text))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::account_testing::{KEY, KEY_ID, with_people};
    use crate::fleet::testing::{NOW, apply};

    #[test]
    fn a_rotated_key_keeps_its_id_and_its_old_secret_for_the_grace() {
        let mut state = with_people();
        let (second, third) = (SecretHash::from_bytes([2; 32]), SecretHash::from_bytes([3; 32]));
        let grace = Duration::from_secs(60);
        apply(&mut state, |state| rotate_key(state, KEY_ID, second, grace, NOW).unwrap().changes);
        assert_eq!(state.api_keys[&KEY].expires_at, Some(NOW.wall + grace));
        assert_eq!((state.api_keys[&second].id, state.api_keys[&second].expires_at), (KEY_ID, None));
        apply(&mut state, |state| rotate_key(state, KEY_ID, third, grace, NOW).unwrap().changes);
        assert_eq!(state.api_keys.keys().copied().collect::<Vec<_>>(), [second, third], "the first secret ended");
        apply(&mut state, |state| rotate_key(state, KEY_ID, KEY, Duration::ZERO, NOW).unwrap().changes);
        assert_eq!(state.api_keys.keys().copied().collect::<Vec<_>>(), [KEY], "without a grace only the new one");
        apply(&mut state, |state| revoke_key(state, KEY_ID).unwrap().changes);
        assert!(state.api_keys.is_empty());
    }
}
