//! Tokens: given for a password, another token or an agency; kept as digests, so a stolen state file opens nothing.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use crate::auth::Secret;
use crate::platform::error::Error;
use crate::platform::state;

use super::{AGENCY, Caller, Identity, account, milliseconds, timestamp};

/// Kind of the documents in `state`; the id is the token's digest, the body the description that IAM answers.
const KIND: &str = "iam-token";

/// Life of a token, as in the cloud.
const LIFE: Duration = Duration::hours(24);

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The account: global services only.
    Domain,
    /// The project: regional services.
    Project,
}

/// How the owner of a new token proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// User name and password.
    Password,
    /// Another token.
    Token,
    /// The built-in agency, on behalf of the caller.
    AssumeRole,
}

impl Identity {
    /// Makes a token; returns it with its description (the `token` object, without the catalogue of services).
    ///
    /// # Errors
    /// The state cannot be written, or the system gives no random numbers.
    pub(crate) fn issue_token(&self, method: Method, scope: Scope, now: OffsetDateTime) -> Result<(Secret, Value), Error> {
        let token = account::random_secret::<96>()?;
        let description = self.describe(method, scope, now);
        self.state.write(|transaction| {
            transaction
                .execute("DELETE FROM document WHERE kind = ?1 AND body ->> '$.expires_at' < ?2", [KIND, &timestamp(now)])?;
            state::put(transaction, KIND, &digest(token.expose()), milliseconds(now), &description)
        })?;
        Ok((token, description))
    }

    /// The description of a token that is valid at `now`.
    ///
    /// # Errors
    /// The state cannot be read.
    pub(crate) fn find_token(&self, token: &str, now: OffsetDateTime) -> Result<Option<Value>, Error> {
        let description = self.state.read(|connection| state::get(connection, KIND, &digest(token)))?;
        Ok(description.filter(|found| found["expires_at"].as_str().is_some_and(|end| end > timestamp(now).as_str())))
    }

    fn describe(&self, method: Method, scope: Scope, now: OffsetDateTime) -> Value {
        let account = &self.account;
        let domain = json!({"id": account.domain_id, "name": account.domain_name});
        let user = |id: &str, name: &str| json!({"domain": domain, "id": id, "name": name, "password_expires_at": ""});
        let mut description = json!({
            "methods": [match method { Method::Password => "password", Method::Token => "token", Method::AssumeRole => "assume_role" }],
            "expires_at": timestamp(now + LIFE),
            "issued_at": timestamp(now),
            "roles": [{"id": "0", "name": "te_admin"}],
            "user": user(&account.user_id, &account.user_name),
        });
        if method == Method::AssumeRole {
            description["assumed_by"] = json!({"user": description["user"]});
            description["user"] = user(&agency_id(&account.domain_id), &format!("{}/{AGENCY}", account.domain_name));
        }
        match scope {
            Scope::Domain => description["domain"] = domain,
            Scope::Project => {
                description["project"] = json!({"domain": domain, "id": account.project_id, "name": account.region});
            }
        }
        description
    }
}

/// Who acts with a token of that description.
pub(crate) fn caller(description: &Value) -> Caller {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let user = &description["user"];
    Caller {
        domain_id: text(&user["domain"]["id"]),
        domain_name: text(&user["domain"]["name"]),
        user_id: text(&user["id"]),
        user_name: text(&user["name"]),
        project_id: description["project"]["id"].as_str().map(str::to_owned),
    }
}

/// A stable id for the agency of an account.
fn agency_id(domain_id: &str) -> String {
    hex::encode(&Sha256::digest(format!("{AGENCY}@{domain_id}"))[..16])
}

fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use time::macros::datetime;

    use crate::platform::identity::{Account, Identity};
    use crate::platform::state::{self, State};

    use super::{KIND, LIFE, Method, Scope, caller};

    #[test]
    fn tokens_end_and_are_not_kept_in_plain_text() {
        let state = Arc::new(State::in_memory().unwrap());
        let identity = Identity::new(Arc::new(Account::random().unwrap()), Arc::clone(&state));
        let now = datetime!(2026-01-15 08:30 UTC);
        let (token, description) = identity.issue_token(Method::Password, Scope::Project, now).unwrap();
        assert_eq!(identity.find_token(token.expose(), now).unwrap().as_ref(), Some(&description));
        assert_eq!(caller(&description), identity.user(Some(identity.account().project_id.clone())));
        assert_eq!(identity.find_token(token.expose(), now + LIFE).unwrap(), None);
        assert_eq!(identity.find_token("other", now).unwrap(), None);
        let kept = state.read(|connection| state::list(connection, KIND)).unwrap();
        assert_eq!(kept.len(), 1);
        assert!(!kept[0].to_string().contains(token.expose()));
        let (_, account) = identity.issue_token(Method::Token, Scope::Domain, now + LIFE * 2).unwrap();
        assert_eq!(caller(&account).project_id, None);
        assert_eq!(state.read(|connection| state::list(connection, KIND)).unwrap(), [account], "expired ones are forgotten");
    }
}
