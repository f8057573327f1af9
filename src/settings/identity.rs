//! Who the user is, and where that was looked for.

use serde_json::Value;

use crate::auth::report::{Link, Outcome, Step};
use crate::auth::secret::Secret;
use crate::settings::resolve::Reader;
use crate::settings::stored::LOGGED_OUT;
use crate::settings::vault::{self, Store};
use crate::settings::{Agency, Broken, Error, Identity, Origin, Sourced};

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
    /// A value of the wrong form.
    pub(super) fn identity(&self, profile: &str) -> Result<Found, Error> {
        let mut steps = Vec::new();
        let identity = if self.is_profile_first {
            let named = self.look(Link::Options, self.profile_identity()?, &mut steps, || self.no_profile_keys(profile));
            let identity = match named {
                Some(identity) => {
                    steps.push(identity.value.not_asked(Link::Environment));
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
                    steps.push(identity.value.not_asked(Link::Profile));
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
    fn store(&self) -> Result<Store, Error> {
        match self.text("store")? {
            None => Ok(Store::File),
            Some(word) => Store::parse(&word).ok_or_else(|| self.wrong("store", "file, keyring or keyutils is expected")),
        }
    }

    /// As [`Self::store`], with its origin.
    ///
    /// # Errors
    /// As [`Self::store`].
    pub(super) fn sourced_store(&self) -> Result<Sourced<Store>, Error> {
        let origin = if self.text("store")?.is_some() { self.origin.clone() } else { Origin::Default };
        Ok(Sourced { value: self.store()?, origin })
    }

    /// A secret of the profile, wherever it is kept. What stands in the file wins.
    fn secret(&self, key: &str) -> Result<Result<Option<Secret>, Broken>, Error> {
        let store = self.store()?;
        let Origin::Profile { name, path } = &self.origin else { return Ok(Ok(None)) };
        let is_logged_out = self.entry.get(LOGGED_OUT) == Some(&Value::Bool(true));
        Ok(match self.text(key)? {
            Some(text) => Ok(Some(Secret::new(text))),
            None if store == Store::File || is_logged_out => Ok(None),
            None => vault::read(store, &vault::Entry::new(path, name, key))
                .map_err(|error| Broken::Vault { profile: name.clone(), reason: error.to_string() }),
        })
    }

    fn look(
        &self,
        link: Link,
        found: Option<Sourced<Identity>>,
        steps: &mut Vec<Step>,
        missing: impl Fn() -> String,
    ) -> Option<Sourced<Identity>> {
        let Some(Sourced { value, origin }) = &found else {
            steps.push(Step::new(link, Outcome::PassedOver, missing()));
            return None;
        };
        let used = |what: &str| Step::new(link, Outcome::Used, format!("{what} from {origin}"));
        steps.push(match value {
            Identity::Keys { security_token: None, .. } => used("an access key"),
            Identity::Keys { .. } => used("a temporary access key"),
            Identity::Password { .. } => used("user name and password"),
            Identity::LoggedOut { missing, .. } => {
                Step::new(link, Outcome::Failed, format!("{origin} has no {missing}: it is logged out"))
            }
            Identity::Broken(broken) => Step::new(link, Outcome::Failed, broken.to_string()),
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
        let [access_name, secret_name] = ["HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK"];
        let half = |given, missing| Identity::Broken(Broken::Half { place: "the environment".to_owned(), given, missing });
        let value = match (self.env.get(access_name), self.env.get(secret_name)) {
            (Some(access_key), Some(secret_key)) => Identity::Keys {
                access_key: access_key.to_owned(),
                secret_key: Secret::from(secret_key),
                security_token: self.env.get("HUAWEICLOUD_SDK_SECURITY_TOKEN").map(Secret::from),
            },
            (Some(_), None) => half(access_name, secret_name),
            (None, Some(_)) => half(secret_name, access_name),
            (None, None) => return Ok(None),
        };
        Ok(Some(Sourced { value, origin: Origin::Environment(access_name) }))
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
        let names = if is_password { ["username", "password"] } else { ["access_key", "secret_key"] };
        let broken = |broken| Ok(Some(Sourced { value: Identity::Broken(broken), origin: self.origin.clone() }));
        let secret = match self.secret(names[1])? {
            Ok(secret) => secret,
            Err(why) => return broken(why),
        };
        let value = match (self.text(names[0])?, secret) {
            (Some(username), Some(password)) if is_password => {
                Identity::Password { account: self.text("account")?.unwrap_or_else(|| username.clone()), username, password }
            }
            (Some(access_key), Some(secret_key)) => match self.secret("security_token")? {
                Ok(security_token) => Identity::Keys { access_key, secret_key, security_token },
                Err(why) => return broken(why),
            },
            (None, Some(_)) => {
                return broken(Broken::Half { place: self.origin.to_string(), given: names[1], missing: names[0] });
            }
            // Who names the user or a kind of credentials means these: others would act on another account.
            (name, None) if name.is_some() || self.text("auth")?.is_some() => Identity::LoggedOut { name, missing: names[1] },
            _ => return Ok(None),
        };
        Ok(Some(Sourced { value, origin: self.origin.clone() }))
    }
}

impl Identity {
    /// The step of a place that is not looked at any more.
    pub fn not_asked(&self, link: Link) -> Step {
        let reason = match self {
            Self::LoggedOut { .. } => "nobody else's credentials are used for a profile that is logged out",
            Self::Broken(_) => "nobody else's credentials stand in for what an earlier place names",
            _ => "an earlier place gave credentials",
        };
        Step::new(link, Outcome::NotAsked, reason)
    }
}

fn no_variable() -> String {
    "HUAWEICLOUD_SDK_AK is not set".to_owned()
}
