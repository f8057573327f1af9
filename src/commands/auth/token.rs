//! `auth token`.

use crate::auth::Authenticator;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// Print a token of the identity service
///
/// For the header X-Auth-Token of other tools; it lives for up to 24 hours. Only a login with a password gives one. A terminal shows it
/// only with --reveal.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  curl -H \"X-Auth-Token: $(ma-cli auth token)\" https://modelarts.cn-north-4.myhuaweicloud.com/v2/PROJECT/training-job-engines
  ma-cli auth token --reveal")]
pub struct TokenArgs {
    /// Print it even onto a terminal
    #[arg(long)]
    reveal: bool,
}

/// Prints it.
///
/// # Errors
/// Standard output is a terminal and `--reveal` was not given; the credentials are keys; the login is refused.
pub async fn run(ctx: &Ctx, args: &TokenArgs) -> Result<(), Error> {
    if ctx.ui.is_on_terminal() && !args.reveal {
        return Err(Error::new(Kind::Usage, "a token is not printed onto a terminal")
            .hint("send it to a file or program, or give --reveal"));
    }
    ctx.logged_in().await?;
    if let Some(agency) = &ctx.settings()?.agency {
        let message =
            format!("the agency [{}] gives access keys, which sign requests and are given no token", agency.value.name);
        return Err(Error::new(Kind::Unsupported, message)
            .hint("name a profile without agency_name with -P, or export the keys (ma-cli configure export)"));
    }
    let Authenticator::Token(tokens) = ctx.authenticator()? else {
        return Err(Error::new(Kind::Unsupported, "access keys sign requests and are given no token")
            .hint("log in with a password (ma-cli auth login), or export the keys (ma-cli configure export)"));
    };
    let token = tokens.token().await?;
    ctx.ui.write(format!("{}\n", token.value.expose()).as_bytes())
}
