//! The questions of `ma-cli configure`: what the chosen mode needs and the options did not give.

use serde_json::{Map, Value};

use crate::auth::secret::{MASK, Secret};
use crate::commands::configure::ProfileArgs;
use crate::commands::configure::stored::Stored;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// Access key and secret key; Enter keeps a stored one.
pub(super) fn keys(ctx: &Ctx, args: &ProfileArgs, stored: &Stored) -> Result<Map<String, Value>, Error> {
    if args.secret_key.is_some() {
        warn_visible(ctx, "--secret-key");
    }
    let access_key = match &args.access_key {
        Some(key) => Secret::from(key.as_str()),
        None => ask(ctx, "access key", "--access-key", stored.text("access_key"))?,
    };
    let secret_key = match &args.secret_key {
        Some(key) => key.clone(),
        None => ask(ctx, "secret key", "--secret-key", stored.secret("secret_key"))?,
    };
    Ok(Map::from_iter([
        ("auth".to_owned(), Value::from("AKSK")),
        ("access_key".to_owned(), Value::from(access_key.expose())),
        ("secret_key".to_owned(), Value::from(secret_key.expose())),
        // A token belongs to the keys it came with.
        ("security_token".to_owned(), Value::Null),
    ]))
}

/// Account, user name and password.
pub(super) fn password(ctx: &Ctx, args: &ProfileArgs, stored: &Stored) -> Result<Map<String, Value>, Error> {
    if args.password.is_some() {
        warn_visible(ctx, "--password");
    }
    let account = match &args.account {
        Some(account) => Some(account.clone()),
        None => ctx.ui.ask_optional("account")?,
    };
    let username = match &args.username {
        Some(username) => username.clone(),
        None => ctx.ui.ask("username", "--username")?,
    };
    let password = match &args.password {
        Some(password) => password.clone(),
        None => ask(ctx, "password", "--password", stored.secret("password"))?,
    };
    if username.is_empty() {
        return Err(Error::new(Kind::Usage, "the user name is empty").hint("give --username"));
    }
    Ok(Map::from_iter([
        ("auth".to_owned(), Value::from("PWD")),
        ("account".to_owned(), account.map_or(Value::Null, Value::from)),
        ("username".to_owned(), Value::from(username)),
        ("password".to_owned(), Value::from(password.expose())),
    ]))
}

/// Asks for a secret; where one is stored, `[***]` says so and Enter keeps it.
fn ask(ctx: &Ctx, question: &str, option: &str, stored: Option<Secret>) -> Result<Secret, Error> {
    let question = if stored.is_some() { format!("{question} [{MASK}]") } else { question.to_owned() };
    let answer = ctx.ui.ask_secret(&question, option)?;
    match (answer.is_empty(), stored) {
        (false, _) => Ok(answer),
        (true, Some(stored)) => Ok(stored),
        (true, None) => {
            Err(Error::new(Kind::Usage, format!("the {} is empty", option.trim_start_matches('-').replace('-', " ")))
                .hint(format!("give {option}")))
        }
    }
}

fn warn_visible(ctx: &Ctx, option: &str) {
    ctx.ui.warn(&format!("a secret given as {option} can be seen in the process list and the shell's history"));
}
