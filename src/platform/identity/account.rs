//! The account that a platform makes for itself at its first start.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::auth::Secret;

/// Region and project of a new platform. It is no region of the cloud, so no endpoint can be derived from it by mistake.
pub const REGION: &str = "local-1";

/// Name of the account; differs from the user's, so that a client that mixes them up is found out.
const DOMAIN_NAME: &str = "local-account";
const USER_NAME: &str = "local-user";

/// Letters of an access key id.
const KEY_LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Names, ids and secrets of the account, its user and its project.
#[derive(Clone, Debug)]
pub struct Account {
    /// Id of the account, 32 hex digits.
    pub domain_id: String,
    /// Name of the account.
    pub domain_name: String,
    /// Id of the user, 32 hex digits.
    pub user_id: String,
    /// Name of the user.
    pub user_name: String,
    /// The user's password.
    pub password: Secret,
    /// Region of all services; the project has the same name.
    pub region: String,
    /// Id of the project, 32 hex digits.
    pub project_id: String,
    /// The permanent access key.
    pub access_key: String,
    /// Its secret key.
    pub secret_key: Secret,
}

impl Account {
    /// A new account with random ids and secrets.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        Ok(Self {
            domain_id: hex_id()?,
            domain_name: DOMAIN_NAME.to_owned(),
            user_id: hex_id()?,
            user_name: USER_NAME.to_owned(),
            password: random_secret::<18>()?,
            region: REGION.to_owned(),
            project_id: hex_id()?,
            access_key: access_key()?,
            secret_key: secret_key()?,
        })
    }

    /// The account as kept in the data directory, secrets in plain text.
    pub(crate) fn to_document(&self) -> Value {
        json!({
            "domain_id": self.domain_id,
            "domain_name": self.domain_name,
            "user_id": self.user_id,
            "user_name": self.user_name,
            "password": self.password.expose(),
            "region": self.region,
            "project_id": self.project_id,
            "access_key": self.access_key,
            "secret_key": self.secret_key.expose(),
        })
    }

    /// Reads what [`Account::to_document`] wrote; `None` when a field is missing.
    pub(crate) fn from_document(document: &Value) -> Option<Self> {
        let text = |name: &str| document[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Some(Self {
            domain_id: text("domain_id")?,
            domain_name: text("domain_name")?,
            user_id: text("user_id")?,
            user_name: text("user_name")?,
            password: text("password")?.into(),
            region: text("region")?,
            project_id: text("project_id")?,
            access_key: text("access_key")?,
            secret_key: text("secret_key")?.into(),
        })
    }
}

fn bytes<const COUNT: usize>() -> Result<[u8; COUNT], getrandom::Error> {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// 32 random hex digits.
///
/// # Errors
/// The system gives no random numbers.
pub(crate) fn hex_id() -> Result<String, getrandom::Error> {
    Ok(hex::encode(bytes::<16>()?))
}

/// `COUNT` random bytes as text that needs no quoting in a shell, a URL or YAML.
///
/// # Errors
/// The system gives no random numbers.
pub(crate) fn random_secret<const COUNT: usize>() -> Result<Secret, getrandom::Error> {
    // A leading letter: a value that begins with a dash would be taken for an option.
    Ok(Secret::new(format!("L{}", URL_SAFE_NO_PAD.encode(bytes::<COUNT>()?))))
}

/// A new access key id: 20 letters and digits, as the cloud's.
///
/// # Errors
/// The system gives no random numbers.
pub(crate) fn access_key() -> Result<String, getrandom::Error> {
    let letters = bytes::<19>()?.map(|byte| char::from(KEY_LETTERS[usize::from(byte % 32)]));
    Ok(std::iter::once('L').chain(letters).collect())
}

/// A new secret key: 40 letters and digits, as the cloud's, with 160 random bits.
///
/// # Errors
/// The system gives no random numbers.
pub(crate) fn secret_key() -> Result<Secret, getrandom::Error> {
    Ok(Secret::new(hex::encode(bytes::<20>()?)))
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn accounts_differ_and_survive_being_written() {
        let (one, other) = (Account::random().unwrap(), Account::random().unwrap());
        assert_ne!(one.access_key, other.access_key);
        assert_ne!(one.secret_key, other.secret_key);
        assert_ne!(one.password, other.password);
        assert_eq!((one.access_key.len(), one.secret_key.expose().len(), one.project_id.len()), (20, 40, 32));
        let document = one.to_document();
        let again = Account::from_document(&document).unwrap();
        assert_eq!(again.to_document(), document);
        assert!(Account::from_document(&serde_json::json!({"domain_id": "x"})).is_none());
        assert!(!format!("{one:?}").contains(one.secret_key.expose()));
    }
}
