//! Reads the `auth` documents that ask for tokens and temporary keys.

use serde_json::Value;
use subtle::ConstantTimeEq as _;
use time::Duration;

use super::tokens::Scope;
use super::{AGENCY, Account, keys};

/// What is wrong with such a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    /// A field is missing or cannot be read.
    #[error("Request body is invalid: {0}.")]
    Body(&'static str),
    /// It names something that does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The proof is wrong.
    #[error("{0}")]
    Unauthorized(&'static str),
}

/// How the document proves who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// By name and password.
    Password,
    /// By a token in the document, or else by the request's own credentials.
    Token(Option<String>),
    /// By the request's own credentials, to act under an agency.
    AssumeRole,
}

/// Reads the body.
pub(super) fn parse(body: &[u8]) -> Result<Value, Invalid> {
    let document: Value = serde_json::from_slice(body).map_err(|_| Invalid::Body("it is not JSON"))?;
    if document["auth"]["identity"].is_object() { Ok(document) } else { Err(Invalid::Body("auth.identity is missing")) }
}

/// Which proof the document offers.
pub(super) fn proof(document: &Value) -> Result<Proof, Invalid> {
    let identity = &document["auth"]["identity"];
    let methods = identity["methods"].as_array().ok_or(Invalid::Body("auth.identity.methods is missing"))?;
    let methods: Option<Vec<&str>> = methods.iter().map(Value::as_str).collect();
    match methods.as_deref() {
        Some(["password"]) => Ok(Proof::Password),
        Some(["token"]) => Ok(Proof::Token(identity["token"]["id"].as_str().map(str::to_owned))),
        Some(["assume_role"]) => Ok(Proof::AssumeRole),
        Some(["password", "totp"]) => Err(Invalid::Unauthorized("The user has no virtual MFA device.")),
        _ => Err(Invalid::Body("auth.identity.methods names no known method")),
    }
}

/// Checks user, account and password; the answer never says which of them was wrong.
pub(super) fn check_password(document: &Value, account: &Account) -> Result<(), Invalid> {
    let user = &document["auth"]["identity"]["password"]["user"];
    let given = user["password"].as_str().ok_or(Invalid::Body("auth.identity.password.user.password is missing"))?;
    let known = match (user["id"].as_str(), user["name"].as_str()) {
        (Some(id), _) => id == account.user_id,
        (None, Some(name)) => name == account.user_name && is_account(&user["domain"], account)?,
        (None, None) => return Err(Invalid::Body("auth.identity.password.user.name is missing")),
    };
    let right = bool::from(given.as_bytes().ct_eq(account.password.expose().as_bytes()));
    if known && right { Ok(()) } else { Err(Invalid::Unauthorized("The username or password is wrong.")) }
}

/// Checks that the document names the built-in agency of this account.
pub(super) fn check_agency(document: &Value, account: &Account) -> Result<(), Invalid> {
    let role = &document["auth"]["identity"]["assume_role"];
    let name = role["agency_name"].as_str().ok_or(Invalid::Body("auth.identity.assume_role.agency_name is missing"))?;
    let id = role["domain_id"].as_str().map(|id| id == account.domain_id);
    let own = id.or_else(|| role["domain_name"].as_str().map(|name| name == account.domain_name));
    let own = own.ok_or(Invalid::Body("auth.identity.assume_role names no domain_id or domain_name"))?;
    if own && name == AGENCY { Ok(()) } else { Err(Invalid::NotFound(format!("Could not find agency: {name}."))) }
}

/// The wanted scope; without one, the token is for the account.
pub(super) fn scope(document: &Value, account: &Account) -> Result<Scope, Invalid> {
    let scope = &document["auth"]["scope"];
    if let Some(project) = scope["project"].as_object() {
        let text = |name: &str| project.get(name).and_then(Value::as_str);
        let (wanted, found) = match (text("id"), text("name")) {
            (Some(id), _) => (id, id == account.project_id),
            (None, Some(name)) => (name, name == account.region),
            (None, None) => return Err(Invalid::Body("auth.scope.project has neither id nor name")),
        };
        return if found { Ok(Scope::Project) } else { Err(Invalid::NotFound(format!("Could not find project: {wanted}."))) };
    }
    if scope["domain"].is_object() && !is_account(&scope["domain"], account)? {
        return Err(Invalid::NotFound("Could not find the account in auth.scope.domain.".to_owned()));
    }
    Ok(Scope::Domain)
}

/// Reads `duration_seconds`: 900 to 86,400, and 900 when it is left out.
pub(super) fn life(seconds: &Value) -> Result<Duration, Invalid> {
    const WRONG: Invalid = Invalid::Body("duration_seconds is not between 900 and 86400");
    let seconds = match seconds {
        Value::Null => return Ok(keys::SHORTEST),
        // The cloud takes the number as text, too.
        Value::String(text) => text.parse().map_err(|_| WRONG)?,
        _ => seconds.as_i64().ok_or(WRONG)?,
    };
    let life = Duration::seconds(seconds);
    if (keys::SHORTEST..=keys::LONGEST).contains(&life) { Ok(life) } else { Err(WRONG) }
}

/// Whether `domain` names this account, by id or by name.
fn is_account(domain: &Value, account: &Account) -> Result<bool, Invalid> {
    match (domain["id"].as_str(), domain["name"].as_str()) {
        (Some(id), _) => Ok(id == account.domain_id),
        (None, Some(name)) => Ok(name == account.domain_name),
        (None, None) => Err(Invalid::Body("the domain has neither id nor name")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::Duration;

    use super::{Account, Invalid, Proof, Scope, check_agency, check_password, life, parse, proof, scope};

    fn password(user: &Value) -> Value {
        json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}})
    }

    #[test]
    fn passwords_are_checked_with_name_and_account() {
        let account = Account::random().unwrap();
        let right = account.password.expose();
        let domain = json!({"name": account.domain_name});
        let good = json!({"name": account.user_name, "password": right, "domain": domain});
        assert_eq!(check_password(&password(&good), &account), Ok(()));
        let by_id = json!({"id": account.user_id, "password": right});
        assert_eq!(check_password(&password(&by_id), &account), Ok(()));
        for wrong in [
            json!({"name": account.user_name, "password": "x", "domain": domain}),
            json!({"name": "x", "password": right, "domain": domain}),
            json!({"name": account.user_name, "password": right, "domain": {"name": "x"}}),
            json!({"id": "x", "password": right}),
        ] {
            assert!(matches!(check_password(&password(&wrong), &account), Err(Invalid::Unauthorized(_))), "{wrong}");
        }
        for incomplete in [json!({}), json!({"name": "x"}), json!({"name": account.user_name, "password": right})] {
            assert!(matches!(check_password(&password(&incomplete), &account), Err(Invalid::Body(_))), "{incomplete}");
        }
    }

    #[test]
    fn scopes_are_by_id_or_name() {
        let account = Account::random().unwrap();
        let of = |value: Value| scope(&json!({"auth": {"scope": value}}), &account);
        assert_eq!(of(json!({"project": {"name": account.region}})), Ok(Scope::Project));
        assert_eq!(of(json!({"project": {"id": account.project_id}})), Ok(Scope::Project));
        assert_eq!(of(json!({"domain": {"id": account.domain_id}})), Ok(Scope::Domain));
        assert_eq!(of(json!({"domain": {"name": account.domain_name}})), Ok(Scope::Domain));
        assert_eq!(of(Value::Null), Ok(Scope::Domain));
        assert!(matches!(of(json!({"project": {"name": "cn-north-4"}})), Err(Invalid::NotFound(_))));
        assert!(matches!(of(json!({"domain": {"name": "x"}})), Err(Invalid::NotFound(_))));
        assert!(matches!(of(json!({"project": {}})), Err(Invalid::Body(_))));
    }

    #[test]
    fn proofs_agencies_and_lives() {
        let methods = |value: Value| proof(&json!({"auth": {"identity": {"methods": value}}}));
        assert_eq!(methods(json!(["token"])), Ok(Proof::Token(None)));
        assert_eq!(methods(json!(["assume_role"])), Ok(Proof::AssumeRole));
        assert!(matches!(methods(json!(["password", "totp"])), Err(Invalid::Unauthorized(_))));
        for wrong in [json!([]), json!("password"), json!([1]), Value::Null] {
            assert!(matches!(methods(wrong), Err(Invalid::Body(_))));
        }
        assert!(matches!(parse(b"[]"), Err(Invalid::Body(_))));
        let account = Account::random().unwrap();
        let agency = |name: &str, domain: &str| {
            let role = json!({"agency_name": name, "domain_name": domain});
            check_agency(&json!({"auth": {"identity": {"assume_role": role}}}), &account)
        };
        assert_eq!(agency("modelarts_agency", &account.domain_name), Ok(()));
        assert!(matches!(agency("other", &account.domain_name), Err(Invalid::NotFound(_))));
        assert!(matches!(agency("modelarts_agency", "other"), Err(Invalid::NotFound(_))));
        assert_eq!(life(&Value::Null), Ok(Duration::seconds(900)));
        assert_eq!(life(&json!(86_400)), Ok(Duration::seconds(86_400)));
        assert_eq!(life(&json!("3600")), Ok(Duration::seconds(3_600)));
        for wrong in [json!(899), json!(86_401), json!(-1), json!("soon"), json!([])] {
            assert!(matches!(life(&wrong), Err(Invalid::Body(_))), "{wrong}");
        }
    }
}
