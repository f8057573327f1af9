//! Whose credentials a command uses, and what is told of the search for them.

use std::sync::Arc;

use crate::auth::report::Link;
use crate::auth::{self, Authenticator, CredentialSource, Secret};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::settings::{Broken, Identity, Origin, Service, Sourced};

impl Ctx {
    /// How requests to the control planes are authenticated.
    ///
    /// # Errors
    /// Nothing is configured ([`Kind::Auth`]); as [`Ctx::settings`].
    pub fn authenticator(&self) -> Result<&Authenticator, Error> {
        if let Some(authenticator) = self.authenticator.get() {
            return Ok(authenticator);
        }
        let authenticator = self.build_authenticator()?;
        Ok(self.authenticator.get_or_init(|| authenticator))
    }

    /// The access keys that requests to the object store are signed with; temporary ones for those who log in with a password.
    ///
    /// # Errors
    /// As [`Ctx::authenticator`].
    pub fn credentials(&self) -> Result<Arc<dyn CredentialSource>, Error> {
        // Keys need no project: any store is reached with them and an endpoint.
        let settings = self.settings()?;
        if settings.agency.is_none() {
            match &settings.identity {
                None => return Ok(self.ambient()?),
                Some(Sourced { value: Identity::Keys { access_key, secret_key, security_token }, .. }) => {
                    return Ok(static_keys(access_key, secret_key, security_token.as_ref()));
                }
                // A login trades its token, and who is logged out has nothing.
                Some(_) => {}
            }
        }
        Ok(match self.authenticator()? {
            Authenticator::Keys { credentials, .. } => Arc::clone(credentials),
            Authenticator::Token(tokens) => {
                Arc::new(auth::TemporaryKeys::of_login(self.http_client()?.clone(), Arc::clone(tokens), self.cache()))
            }
        })
    }

    /// Where credentials were looked for and what came of each place. Asks the surroundings if nothing is configured, which takes up
    /// to four seconds.
    ///
    /// # Errors
    /// As [`Ctx::settings`].
    pub async fn credential_report(&self) -> Result<auth::CredentialReport, Error> {
        Ok(self.look_for_credentials().await?.1)
    }

    /// As [`Self::credential_report`], with the keys that the surroundings gave, if they were asked.
    ///
    /// # Errors
    /// As [`Ctx::settings`].
    pub async fn look_for_credentials(&self) -> Result<(Option<auth::Credential>, auth::CredentialReport), Error> {
        let settings = self.settings()?;
        let mut steps = settings.identity_steps.clone();
        let mut found = None;
        match &settings.identity {
            None => {
                let (credential, looked) = self.ambient()?.source().look().await;
                found = credential;
                steps.extend(looked);
            }
            Some(identity) => steps.extend([Link::Notebook, Link::Ecs].map(|link| identity.value.not_asked(link))),
        }
        Ok((found, auth::CredentialReport { steps }))
    }

    /// Fails where nobody is logged in at all, which comes before what else may be missing.
    ///
    /// # Errors
    /// As [`Ctx::settings`]; there are no credentials anywhere.
    pub async fn logged_in(&self) -> Result<(), Error> {
        match self.settings()?.identity.as_ref().map(|identity| (&identity.value, &identity.origin)) {
            None => self.ambient()?.credential().await.map(|_| ()).map_err(Error::from),
            Some((Identity::LoggedOut { missing, .. }, profile)) => Err(self.logged_out(profile, missing)),
            Some(_) => Ok(()),
        }
    }

    /// Who the identity service says the credentials belong to.
    ///
    /// # Errors
    /// As [`Ctx::authenticator`]; the service does not accept them.
    pub async fn caller(&self) -> Result<auth::caller::Caller, Error> {
        self.logged_in().await?;
        let endpoint = &self.settings()?.endpoint(Service::Iam)?.value;
        Ok(auth::caller::ask(self.http_client()?, endpoint, self.authenticator()?).await?)
    }

    /// Forgets the tokens and temporary keys that are kept between runs, of all profiles: the password is part of the name that
    /// each is kept under, so that those of one profile are not found any more once its password has changed or is forgotten. What
    /// cannot be forgotten is told.
    pub fn forget_tokens(&self) {
        if let Err(error) = self.cache().clear() {
            self.ui.warn(&format!("tokens that were kept may still be there: {error}"));
        }
    }

    /// The error of whoever needs the secret that the profile does not hold any more.
    pub fn logged_out(&self, profile: &Origin, missing: &str) -> Error {
        Error::new(Kind::Auth, format!("{profile} has no {missing}: it is logged out"))
            .hint(format!("log in with: ma-cli auth login{}", self.profile_options()))
    }

    /// The error of whoever needs credentials that a place names and cannot give.
    pub fn broken(&self, broken: &Broken) -> Error {
        let message = broken.to_string();
        match broken {
            Broken::Half { missing, .. } => Error::new(Kind::Config, message).hint(format!("set {missing} too")),
            Broken::Vault { .. } => {
                let options = self.profile_options();
                Error::new(Kind::Local, message)
                    .hint(format!("unlock the keyring, or enter the secret anew with: ma-cli configure{options} --store file"))
            }
        }
    }

    /// The keys that the surroundings give.
    fn ambient(&self) -> Result<Arc<auth::AmbientKeys>, Error> {
        if let Some(keys) = self.ambient.get() {
            return Ok(Arc::clone(keys));
        }
        let text = |name: &str| self.env.get(name).map(str::to_owned);
        let [access_name, secret_name] = ["OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY"];
        let half = match (text(access_name), text(secret_name)) {
            (Some(_), None) => Some(format!("{access_name} is set, but not {secret_name}")),
            (None, Some(_)) => Some(format!("{secret_name} is set, but not {access_name}")),
            _ => None,
        };
        let keys = text(access_name).zip(text(secret_name));
        let surroundings = auth::ambient::Surroundings {
            keys: keys.map(|(access_key, secret_key)| auth::Credential {
                access_key,
                secret_key: secret_key.into(),
                security_token: text("OBS_SECURITY_TOKEN").map(Into::into),
                expires_at: None,
            }),
            half,
            container: text("HC_CONTAINER_CREDENTIALS_FULL_URI"),
            container_token: text("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(|path| self.env.directory.join(path)),
            metadata: self.env.metadata_endpoint().unwrap_or_else(|| Some(auth::ambient::METADATA.to_owned())),
        };
        let earlier = self.settings()?.identity_steps.clone();
        let keys = auth::AmbientKeys::of_surroundings(self.http_options()?, surroundings, earlier);
        Ok(Arc::clone(self.ambient.get_or_init(|| Arc::new(keys))))
    }

    fn build_authenticator(&self) -> Result<Authenticator, Error> {
        let settings = self.settings()?;
        let own = match settings.identity.as_ref().map(|identity| (&identity.value, &identity.origin)) {
            None => self.signing(self.ambient()?)?,
            Some((Identity::LoggedOut { missing, .. }, profile)) => return Err(self.logged_out(profile, missing)),
            Some((Identity::Broken(broken), _)) => return Err(self.broken(broken)),
            Some((Identity::Keys { access_key, secret_key, security_token }, _)) => {
                self.signing(static_keys(access_key, secret_key, security_token.as_ref()))?
            }
            Some((Identity::Password { account, username, password }, _)) => {
                let login = auth::Login {
                    endpoint: settings.endpoint(Service::Iam)?.value.clone(),
                    account: Some(account.clone()),
                    username: username.clone(),
                    password: password.clone(),
                    region: self.region()?,
                    project_id: settings.project_id.as_ref().map(|id| id.value.clone()),
                };
                Authenticator::Token(Arc::new(auth::TokenSource::new(self.http_client()?.clone(), login, self.cache())))
            }
        };
        let Some(agency) = &settings.agency else { return Ok(own) };
        let (endpoint, agency) = (settings.endpoint(Service::Iam)?.value.clone(), agency.value.clone());
        let agency = auth::Agency { name: agency.name, domain: agency.domain };
        self.signing(Arc::new(auth::AgencyKeys::of_agency(self.http_client()?.clone(), endpoint, own, agency)))
    }

    /// Signs with these keys, in the configured project or else the region's.
    fn signing(&self, credentials: Arc<dyn CredentialSource>) -> Result<Authenticator, Error> {
        let settings = self.settings()?;
        let project = match &settings.project_id {
            Some(id) => auth::Project::Known(id.value.clone()),
            None => auth::Project::Lookup(Arc::new(auth::ProjectLookup::new(
                self.http_client()?.clone(),
                settings.endpoint(Service::Iam)?.value.clone(),
                self.region()?,
                Arc::clone(&credentials),
                self.cache(),
            ))),
        };
        Ok(Authenticator::Keys { credentials, project })
    }

    fn region(&self) -> Result<String, Error> {
        let region = self.settings()?.region.as_ref().map(|region| region.value.clone());
        let missing =
            || Error::new(Kind::Config, "no region is configured").hint("set one with: ma-cli configure --region REGION");
        region.ok_or_else(missing)
    }

    fn cache(&self) -> auth::Cache {
        auth::Cache::new(self.env.state_directory().join("cache"))
    }
}

/// Configured access keys as they are.
fn static_keys(access_key: &str, secret_key: &Secret, security_token: Option<&Secret>) -> Arc<dyn CredentialSource> {
    Arc::new(auth::StaticCredential::new(auth::Credential {
        access_key: access_key.to_owned(),
        secret_key: secret_key.clone(),
        security_token: security_token.cloned(),
        expires_at: None,
    }))
}
