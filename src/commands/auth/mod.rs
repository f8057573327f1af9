//! `ma-cli auth`: logging in and out, for people who expect these words.

pub mod login;
pub mod logout;
pub mod status;
pub mod token;

use crate::ctx::Ctx;
use crate::error::Error;

/// Every verb of the noun; `L` are the arguments of `login`, which are those of `configure`.
/// What each does is said on its arguments: a comment here would hide that from its page.
#[derive(Debug, clap::Subcommand)]
pub enum AuthCommand<L: clap::Args> {
    /// Store credentials in a profile and try them
    ///
    /// As configure, but what the profile says about the user is not asked for again: after a logout, only the secret.
    #[command(mut_arg("auth", |auth| {
        let auth = auth.default_value(clap::builder::Resettable::Reset);
        auth.help("Kind of credentials [default: by what is given, else as in the profile, else PWD]")
    }), after_help = "Examples:
  ma-cli auth login -r cn-north-4
  ma-cli auth login --auth AKSK -r cn-north-4 -P work --store keyring
  ma-cli auth login -P work")]
    Login(L),
    Status(status::StatusArgs),
    Logout(logout::LogoutArgs),
    Token(token::TokenArgs),
}

/// Runs a verb other than `login`, which needs those of another noun.
///
/// # Errors
/// Those of the verb.
pub async fn run<L: clap::Args>(ctx: &Ctx, command: AuthCommand<L>) -> Result<(), Error> {
    match command {
        AuthCommand::Login(_) | AuthCommand::Status(_) => status::run(ctx).await,
        AuthCommand::Logout(args) => logout::run(ctx, &args),
        AuthCommand::Token(args) => token::run(ctx, &args).await,
    }
}
