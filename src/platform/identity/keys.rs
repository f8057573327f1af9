//! Access keys: the permanent one, and temporary ones with a security token and an end.

use serde_json::json;
use subtle::ConstantTimeEq as _;
use time::{Duration, OffsetDateTime, PrimitiveDateTime, macros::format_description};

use crate::auth::{Credential, Secret};
use crate::platform::error::Error;
use crate::platform::obs::{AccessKey, KeyRing};
use crate::platform::state;

use super::{Identity, Refusal, account, milliseconds, timestamp};

/// Kind of the documents in `state`.
const KIND: &str = "iam-temporary-key";

/// Shortest life of temporary keys; also what a request without a duration gets.
pub(crate) const SHORTEST: Duration = Duration::seconds(900);

/// Longest life of temporary keys.
pub(crate) const LONGEST: Duration = Duration::seconds(86_400);

impl Identity {
    /// The key with that id; expired temporary keys are found too, so that the caller can say what is wrong.
    ///
    /// # Errors
    /// The state cannot be read.
    pub(crate) fn find_key(&self, access_key: &str) -> Result<Option<Credential>, Error> {
        if access_key == self.account.access_key {
            let secret_key = self.account.secret_key.clone();
            return Ok(Some(Credential {
                access_key: access_key.to_owned(),
                secret_key,
                security_token: None,
                expires_at: None,
            }));
        }
        let document = self.state.read(|connection| state::get(connection, KIND, access_key))?;
        let Some(document) = document else { return Ok(None) };
        let text = |name: &str| document[name].as_str().unwrap_or_default();
        // A time that cannot be read counts as long past.
        let expires_at = parse_timestamp(text("expires_at")).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Ok(Some(Credential {
            access_key: access_key.to_owned(),
            secret_key: text("secret").into(),
            security_token: Some(text("securitytoken").into()),
            expires_at: Some(expires_at),
        }))
    }

    /// The key with that id, if the security token belongs to it and it has not expired.
    ///
    /// # Errors
    /// The outer error: the state cannot be read. The inner one: why the key may not be used.
    pub(crate) fn usable_key(
        &self,
        access_key: &str,
        security_token: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Result<Credential, Refusal>, Error> {
        let Some(key) = self.find_key(access_key)? else {
            return Ok(Err(Refusal::UnknownKey));
        };
        if let Some(expected) = &key.security_token {
            let given = security_token.unwrap_or_default();
            if expected.is_empty() || !bool::from(expected.expose().as_bytes().ct_eq(given.as_bytes())) {
                return Ok(Err(Refusal::WrongSecurityToken));
            }
        }
        if key.expires_at.is_some_and(|end| end <= now) {
            return Ok(Err(Refusal::ExpiredKey));
        }
        Ok(Ok(key))
    }

    /// Makes a temporary key that ends after `life` and forgets expired ones.
    ///
    /// # Errors
    /// The state cannot be written, or the system gives no random numbers.
    pub(crate) fn issue_key(&self, life: Duration, now: OffsetDateTime) -> Result<Credential, Error> {
        let credential = Credential {
            access_key: account::access_key()?,
            secret_key: account::secret_key()?,
            security_token: Some(Secret::new(account::random_secret::<96>()?.expose())),
            expires_at: Some(now + life),
        };
        let document = json!({
            "access": credential.access_key,
            "secret": credential.secret_key.expose(),
            "securitytoken": credential.security_token.as_ref().map(Secret::expose),
            "expires_at": timestamp(now + life),
        });
        self.state.write(|transaction| {
            transaction
                .execute("DELETE FROM document WHERE kind = ?1 AND body ->> '$.expires_at' < ?2", [KIND, &timestamp(now)])?;
            state::put(transaction, KIND, &credential.access_key, milliseconds(now), &document)
        })?;
        Ok(credential)
    }
}

impl KeyRing for Identity {
    fn find(&self, access_key: &str) -> Option<AccessKey> {
        let key = self.find_key(access_key).unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "the keys cannot be read");
            None
        })?;
        Some(AccessKey { secret_key: key.secret_key, security_token: key.security_token, expires_at: key.expires_at })
    }
}

/// Reads what [`timestamp`] wrote.
pub(crate) fn parse_timestamp(text: &str) -> Option<OffsetDateTime> {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    PrimitiveDateTime::parse(text, format).ok().map(PrimitiveDateTime::assume_utc)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use time::macros::datetime;

    use crate::platform::identity::{Account, Identity, Refusal};
    use crate::platform::state::State;

    use super::{SHORTEST, parse_timestamp, timestamp};

    #[test]
    fn temporary_keys_need_their_token_and_end() {
        let identity = Identity::new(Arc::new(Account::random().unwrap()), Arc::new(State::in_memory().unwrap()));
        let now = datetime!(2026-01-15 08:30:00.5 UTC);
        let key = identity.issue_key(SHORTEST, now).unwrap();
        let token = key.security_token.clone().unwrap();
        let usable = |token, at| identity.usable_key(&key.access_key, token, at).unwrap();
        let found = usable(Some(token.expose()), now + SHORTEST - time::Duration::SECOND).unwrap();
        assert_eq!(found.secret_key, key.secret_key);
        assert_eq!(found.expires_at, key.expires_at);
        assert_eq!(usable(None, now).unwrap_err(), Refusal::WrongSecurityToken);
        assert_eq!(usable(Some("other"), now).unwrap_err(), Refusal::WrongSecurityToken);
        assert_eq!(usable(Some(token.expose()), now + SHORTEST).unwrap_err(), Refusal::ExpiredKey);
        assert_eq!(identity.usable_key("AAAA", None, now).unwrap().unwrap_err(), Refusal::UnknownKey);
        identity.issue_key(SHORTEST, now + SHORTEST * 2).unwrap();
        assert!(identity.find_key(&key.access_key).unwrap().is_none(), "expired keys are forgotten");
    }

    #[test]
    fn times_survive_being_written() {
        for time in [datetime!(2026-01-15 08:30:00 UTC), datetime!(2026-12-01 00:00:00.000_001 UTC)] {
            assert_eq!(parse_timestamp(&timestamp(time)), Some(time));
        }
        assert_eq!(timestamp(datetime!(2026-01-05 08:03:00.25 UTC)), "2026-01-05T08:03:00.250000Z");
    }
}
