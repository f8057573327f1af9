//! Whose credentials a command uses, and what is told of the search for them.

use std::sync::Arc;

use crate::auth::report::{Link, Outcome, Step};
use crate::auth::{self, Authenticator, CredentialSource};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::settings::{Identity, Service};

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
                Some(identity) => {
                    if let Some(keys) = static_keys(&identity.value) {
                        return Ok(keys);
                    }
                }
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
        let settings = self.settings()?;
        let mut steps = settings.identity_steps.clone();
        if settings.identity.is_none() {
            steps.extend(self.ambient()?.source().look().await.1);
        } else {
            let unasked = |link| Step::new(link, Outcome::NotAsked, "an earlier place gave credentials");
            steps.extend([Link::Notebook, Link::Ecs].map(unasked));
        }
        Ok(auth::CredentialReport { steps })
    }

    /// Who the identity service says the credentials belong to.
    ///
    /// # Errors
    /// As [`Ctx::authenticator`]; the service does not accept them.
    pub async fn caller(&self) -> Result<auth::caller::Caller, Error> {
        let endpoint = &self.settings()?.endpoint(Service::Iam)?.value;
        Ok(auth::caller::ask(self.http_client()?, endpoint, self.authenticator()?).await?)
    }

    /// Forgets the token and the temporary keys that are kept between runs for whoever the settings name.
    ///
    /// # Errors
    /// As [`Ctx::authenticator`].
    pub fn forget_tokens(&self) -> Result<(), Error> {
        if let Authenticator::Token(tokens) = self.authenticator()? {
            tokens.forget();
            self.credentials()?.invalidate();
        }
        Ok(())
    }

    /// The keys that the surroundings give.
    fn ambient(&self) -> Result<Arc<auth::AmbientKeys>, Error> {
        if let Some(keys) = self.ambient.get() {
            return Ok(Arc::clone(keys));
        }
        let text = |name: &str| self.env.get(name).map(str::to_owned);
        let keys = text("OBS_ACCESS_KEY_ID").zip(text("OBS_SECRET_ACCESS_KEY"));
        let surroundings = auth::ambient::Surroundings {
            keys: keys.map(|(access_key, secret_key)| auth::Credential {
                access_key,
                secret_key: secret_key.into(),
                security_token: text("OBS_SECURITY_TOKEN").map(Into::into),
                expires_at: None,
            }),
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
        let own = match settings.identity.as_ref().map(|identity| &identity.value) {
            None => self.signing(self.ambient()?)?,
            Some(keys @ Identity::Keys { .. }) => self.signing(static_keys(keys).ok_or_else(nothing_configured)?)?,
            Some(Identity::Password { account, username, password }) => {
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

fn nothing_configured() -> auth::Error {
    auth::Error::NothingConfigured(auth::CredentialReport::default())
}

/// Configured access keys as they are; `None` for a login.
fn static_keys(identity: &Identity) -> Option<Arc<dyn CredentialSource>> {
    let Identity::Keys { access_key, secret_key, security_token } = identity else {
        return None;
    };
    Some(Arc::new(auth::StaticCredential::new(auth::Credential {
        access_key: access_key.clone(),
        secret_key: secret_key.clone(),
        security_token: security_token.clone(),
        expires_at: None,
    })))
}
