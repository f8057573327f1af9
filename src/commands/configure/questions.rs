//! The questions of `ma-cli configure` and `auth login`: what the chosen mode needs and the options did not give.

use serde_json::{Map, Value};

use crate::auth::secret::{MASK, Secret};
use crate::commands::configure::ProfileArgs;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::settings::Service;
use crate::settings::stored::{SECRETS, Stored};

/// Who asks, what was given and what is stored.
#[derive(Debug)]
pub(super) struct Questions<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) args: &'a ProfileArgs,
    pub(super) stored: &'a Stored,
    /// What is stored and is no secret is not asked for again.
    pub(super) is_login: bool,
}

impl Questions<'_> {
    /// The changes that make a profile of that kind: what tells who the user is, and nothing left of another kind's secrets.
    ///
    /// # Errors
    /// An answer that is needed and cannot be had; a kind that is not supported.
    pub(super) fn answers(&self, mode: &str) -> Result<Map<String, Value>, Error> {
        let answers = match mode.to_ascii_uppercase().as_str() {
            "AKSK" => self.keys()?,
            "PWD" => self.password()?,
            _ => {
                return Err(Error::new(Kind::Unsupported, "authentication by ROMA is not supported")
                    .hint("use --auth PWD (user name and password) or --auth AKSK (access key)"));
            }
        };
        let mut changes = Map::from_iter([("auth".to_owned(), Value::from(mode.to_ascii_uppercase()))]);
        changes.extend(answers.map(|(key, value)| (key.to_owned(), value)));
        // What another kind of credentials left goes.
        for key in SECRETS {
            changes.entry(key).or_insert(Value::Null);
        }
        Ok(changes)
    }

    /// The region of a login where none is known: without it nothing can be tried. It may be left out where the profile or the
    /// environment says where the identity service is.
    ///
    /// # Errors
    /// Nobody answers.
    pub(super) fn region(&self) -> Result<Option<String>, Error> {
        if !self.is_login || self.stored.text("region").is_some() {
            return Ok(None);
        }
        let in_profile = self.stored.entry.get("endpoints").and_then(|endpoints| endpoints.get(Service::Iam.name()));
        if in_profile.is_some() || self.ctx.env.get(Service::Iam.variable()).is_some() {
            return Ok(self.ctx.ui.ask_optional("region")?.map(|answer| answer.trim().to_owned()));
        }
        let answer = self.ctx.ui.ask("region", "--region")?.trim().to_owned();
        if answer.is_empty() {
            return Err(Error::new(Kind::Usage, "the region is empty").hint("give --region"));
        }
        Ok(Some(answer))
    }

    /// Access key and secret key; Enter keeps a stored one.
    fn keys(&self) -> Result<[(&'static str, Value); 3], Error> {
        if self.args.secret_key.is_some() {
            self.warn_visible("--secret-key");
        }
        let stored = self.stored.text("access_key").map(Secret::from);
        let access_key = match (&self.args.access_key, stored) {
            (Some(key), _) => whole(Secret::from(key.as_str()), "--access-key")?,
            (None, Some(key)) if self.is_login => key,
            (None, stored) => self.ask_key("access key", "--access-key", stored)?,
        };
        let secret_key = match &self.args.secret_key {
            Some(key) => whole(key.clone(), "--secret-key")?,
            None => self.ask_key("secret key", "--secret-key", self.stored.secret("secret_key"))?,
        };
        let trimmed = |key: &Secret| Value::from(key.expose().trim());
        // A stored token belongs to the keys it came with, and goes with any other.
        let is_same = self.stored.text("access_key").as_deref() == Some(access_key.expose().trim())
            && self.stored.secret("secret_key").is_some_and(|key| key.expose() == secret_key.expose().trim());
        let token = match &self.args.security_token {
            Some(token) => {
                self.warn_visible("--security-token");
                Some(token.clone()).filter(|token| !token.is_empty())
            }
            None if is_same => self.stored.secret("security_token"),
            None => None,
        };
        let token = token.as_ref().map_or(Value::Null, trimmed);
        Ok([("access_key", trimmed(&access_key)), ("secret_key", trimmed(&secret_key)), ("security_token", token)])
    }

    /// Account, user name and password; Enter keeps a stored one.
    fn password(&self) -> Result<[(&'static str, Value); 3], Error> {
        if self.args.password.is_some() {
            self.warn_visible("--password");
        }
        let account = self.account()?;
        let username = self.username()?;
        if username.is_empty() {
            return Err(Error::new(Kind::Usage, "the user name is empty").hint("give --username"));
        }
        let password = match &self.args.password {
            Some(password) => password.clone(),
            None => self.ask_secret("password", "--password", self.stored.secret("password"))?,
        };
        Ok([
            ("account", account.map_or(Value::Null, Value::from)),
            ("username", Value::from(username)),
            ("password", Value::from(password.expose())),
        ])
    }

    /// The account; an empty option says that there is none.
    fn account(&self) -> Result<Option<String>, Error> {
        let stored = self.stored.text("account");
        if let Some(account) = &self.args.account {
            return Ok(Some(account.clone()).filter(|account| !account.is_empty()));
        }
        let user = self.stored.text("username");
        let is_same_user = user.is_some() && (self.args.username.is_none() || self.args.username == user);
        if self.is_login && is_same_user {
            return Ok(stored);
        }
        let answer = self.ctx.ui.ask_optional(&question("account", stored.as_deref()))?;
        Ok(answer.or(stored))
    }

    fn username(&self) -> Result<String, Error> {
        match (&self.args.username, self.stored.text("username")) {
            (Some(username), _) => Ok(username.clone()),
            (None, Some(username)) if self.is_login => Ok(username),
            (None, stored) => {
                let answer = self.ctx.ui.ask(&question("username", stored.as_deref()), "--username")?;
                Ok(if answer.is_empty() { stored.unwrap_or_default() } else { answer })
            }
        }
    }

    /// Asks for a secret; where one is stored, `[***]` says so and Enter keeps it.
    fn ask_secret(&self, what: &str, option: &str, stored: Option<Secret>) -> Result<Secret, Error> {
        let answer = self.ctx.ui.ask_secret(&question(what, stored.as_ref().map(|_| MASK)), option)?;
        kept(answer, stored, option)
    }

    /// As [`Self::ask_secret`], for a key: it has no blanks, though a copied one often brings some along.
    fn ask_key(&self, what: &str, option: &str, stored: Option<Secret>) -> Result<Secret, Error> {
        let answer = self.ctx.ui.ask_secret(&question(what, stored.as_ref().map(|_| MASK)), option)?;
        kept(Secret::from(answer.expose().trim()), stored, option)
    }

    fn warn_visible(&self, option: &str) {
        let warning = format!("a secret given as {option} can be seen in the process list and the shell's history");
        self.ctx.ui.warn(&warning);
    }
}

/// The question with what Enter keeps.
fn question(what: &str, kept: Option<&str>) -> String {
    kept.map_or_else(|| what.to_owned(), |kept| format!("{what} [{kept}]"))
}

/// The answer; an empty one keeps what is stored.
fn kept(answer: Secret, stored: Option<Secret>, option: &str) -> Result<Secret, Error> {
    if !answer.is_empty() {
        return Ok(answer);
    }
    let name = option.trim_start_matches('-').replace('-', " ");
    stored.ok_or_else(|| Error::new(Kind::Usage, format!("the {name} is empty")).hint(format!("give {option}")))
}

/// A key that was given as an option, without the blanks around it.
fn whole(key: Secret, option: &str) -> Result<Secret, Error> {
    kept(Secret::from(key.expose().trim()), None, option)
}
