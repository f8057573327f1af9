//! Who the user is, and where that was looked for.

use crate::auth::report::{Link, Outcome, Step};
use crate::auth::secret::Secret;
use crate::settings::resolve::Reader;
use crate::settings::vault::{self, Store};
use crate::settings::{Agency, Error, Identity, Origin, Sourced};

/// What the settings say about the user.
#[derive(Debug)]
pub(super) struct Found {
    /// Who the user is, when that is configured.
    pub(super) identity: Option<Sourced<Identity>>,
    /// Where it was looked for.
    pub(super) steps: Vec<Step>,
}

impl Reader<'_> {
    /// Looks at options, environment and profile, in the order that holds for this run.
    ///
    /// # Errors
    /// Half an access key where one would be used; a value of the wrong form.
    pub(super) fn identity(&self, profile: &str) -> Result<Found, Error> {
        let mut steps = Vec::new();
        let identity = if self.is_profile_first {
            let named = self.look(Link::Options, self.profile_identity()?, &mut steps, || self.no_profile_keys(profile));
            let identity = match named {
                Some(identity) => {
                    steps.push(not_asked(Link::Environment));
                    Some(identity)
                }
                None => self.look(Link::Environment, self.environment_identity()?, &mut steps, no_variable),
            };
            steps.push(Step::new(Link::Profile, Outcome::NotAsked, "the options name the profile"));
            identity
        } else {
            steps.push(Step::new(Link::Options, Outcome::PassedOver, "neither --profile nor --config-file was given"));
            match self.look(Link::Environment, self.environment_identity()?, &mut steps, no_variable) {
                Some(identity) => {
                    steps.push(not_asked(Link::Profile));
                    Some(identity)
                }
                None => self.look(Link::Profile, self.profile_identity()?, &mut steps, || self.no_profile_keys(profile)),
            }
        };
        Ok(Found { identity, steps })
    }

    /// The agency that the profile names.
    ///
    /// # Errors
    /// It is not said which account made the agency.
    pub(super) fn agency(&self) -> Result<Option<Sourced<Agency>>, Error> {
        let Some(name) = self.text("agency_name")? else { return Ok(None) };
        let domain = match self.text("agency_domain")? {
            Some(domain) => domain,
            None => self
                .text("account")?
                .ok_or_else(|| self.wrong("agency_domain", "the account that made the agency is expected"))?,
        };
        Ok(Some(Sourced { value: Agency { name, domain }, origin: self.origin.clone() }))
    }

    /// Where the profile keeps its secrets.
    ///
    /// # Errors
    /// A place nobody knows.
    pub(super) fn store(&self) -> Result<Store, Error> {
        match self.text("store")? {
            None => Ok(Store::File),
            Some(word) => Store::parse(&word).ok_or_else(|| self.wrong("store", "file, keyring or keyutils is expected")),
        }
    }

    /// A secret of the profile, wherever it is kept. What stands in the file wins.
    fn secret(&self, key: &str) -> Result<Option<Secret>, Error> {
        let store = self.store()?;
        let Origin::Profile { name, path } = &self.origin else { return Ok(None) };
        match self.text(key)? {
            Some(text) => Ok(Some(Secret::new(text))),
            None if store == Store::File => Ok(None),
            None => vault::read(store, &vault::Entry::new(path, name, key))
                .map_err(|source| Error::Vault { profile: name.clone(), source }),
        }
    }

    fn look(
        &self,
        link: Link,
        found: Option<Sourced<Identity>>,
        steps: &mut Vec<Step>,
        missing: impl Fn() -> String,
    ) -> Option<Sourced<Identity>> {
        steps.push(match &found {
            Some(identity) => {
                let what = match &identity.value {
                    Identity::Keys { security_token: None, .. } => "an access key",
                    Identity::Keys { .. } => "a temporary access key",
                    Identity::Password { .. } => "user name and password",
                };
                Step::new(link, Outcome::Used, format!("{what} from {}", identity.origin))
            }
            None => Step::new(link, Outcome::PassedOver, missing()),
        });
        found
    }

    fn no_profile_keys(&self, profile: &str) -> String {
        let Origin::Profile { path, .. } = &self.origin else { return String::new() };
        if self.entry.is_empty() {
            format!("there is no profile [{profile}] in [{}]", path.display())
        } else {
            format!("profile [{profile}] in [{}] holds no credentials", path.display())
        }
    }

    fn environment_identity(&self) -> Result<Option<Sourced<Identity>>, Error> {
        let access_key = self.env.get("HUAWEICLOUD_SDK_AK");
        let secret_key = self.env.get("HUAWEICLOUD_SDK_SK");
        let security_token = self.env.get("HUAWEICLOUD_SDK_SECURITY_TOKEN");
        let keys =
            keys("the environment", access_key, secret_key, security_token, ["HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK"])?;
        Ok(keys.map(|value| Sourced { value, origin: Origin::Environment("HUAWEICLOUD_SDK_AK") }))
    }

    fn profile_identity(&self) -> Result<Option<Sourced<Identity>>, Error> {
        let is_password = match self.text("auth")?.as_deref() {
            None => {
                let has = |key| self.entry.contains_key(key);
                has("password") || (has("username") && !has("access_key"))
            }
            Some(mode) if mode.eq_ignore_ascii_case("PWD") => true,
            Some(mode) if mode.eq_ignore_ascii_case("AKSK") => false,
            Some(_) => return Err(self.wrong("auth", "PWD or AKSK is expected")),
        };
        let identity = if is_password {
            match (self.text("username")?, self.secret("password")?) {
                (Some(username), Some(password)) => Some(Identity::Password {
                    account: self.text("account")?.unwrap_or_else(|| username.clone()),
                    username,
                    password,
                }),
                _ => None,
            }
        } else {
            let (access_key, secret_key) = (self.text("access_key")?, self.secret("secret_key")?);
            let token = self.text("security_token")?;
            keys(
                &self.origin.to_string(),
                access_key.as_deref(),
                secret_key.as_ref().map(Secret::expose),
                token.as_deref(),
                ["access_key", "secret_key"],
            )?
        };
        Ok(identity.map(|value| Sourced { value, origin: self.origin.clone() }))
    }
}

fn no_variable() -> String {
    "HUAWEICLOUD_SDK_AK is not set".to_owned()
}

fn not_asked(link: Link) -> Step {
    Step::new(link, Outcome::NotAsked, "an earlier place gave credentials")
}

fn keys(
    source_name: &str,
    access_key: Option<&str>,
    secret_key: Option<&str>,
    security_token: Option<&str>,
    [access_name, secret_name]: [&'static str; 2],
) -> Result<Option<Identity>, Error> {
    let half = |given, missing| Error::HalfCredential { source_name: source_name.to_owned(), given, missing };
    match (access_key, secret_key) {
        (Some(access_key), Some(secret_key)) => Ok(Some(Identity::Keys {
            access_key: access_key.to_owned(),
            secret_key: Secret::from(secret_key),
            security_token: security_token.map(Secret::from),
        })),
        (Some(_), None) => Err(half(access_name, secret_name)),
        (None, Some(_)) => Err(half(secret_name, access_name)),
        (None, None) => Ok(None),
    }
}
