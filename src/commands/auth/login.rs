//! `auth login`: the trial of what was given, before anything is written.

use serde_json::{Map, Value};

use crate::commands::auth::status;
use crate::ctx::Ctx;
use crate::error::{CONFIGURE, Error, Kind};
use crate::settings::Origin;

/// Refuses to log in or out where it would change nothing: the environment gives the credentials, and no option names the profile.
///
/// # Errors
/// [`Kind::Conflict`], naming the variable.
pub(super) fn refuse_hidden(ctx: &Ctx) -> Result<(), Error> {
    let (flags, env) = (ctx.flags(), &ctx.env);
    let variable = ["HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK"].into_iter().find(|name| env.get(name).is_some());
    let (Some(name), None, None) = (variable, &flags.profile, &flags.config_file) else { return Ok(()) };
    Err(Error::new(Kind::Conflict, format!("the credentials come from the {}", Origin::Environment(name)))
        .hint("unset HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, or name the profile with -P"))
}

/// Asks with `prepare` what the profile is to be, tries that, and lets `save` write it. What is refused is not written, so that a
/// typing error costs nothing; where nobody can say, it is written, with a warning.
///
/// # Errors
/// The environment gives the credentials; those of `prepare` and `save`; credentials that are refused or cannot be used.
pub async fn run<D>(
    ctx: &Ctx,
    prepare: impl FnOnce() -> Result<D, Error>,
    profile: impl FnOnce(&D) -> Map<String, Value>,
    save: impl FnOnce(D) -> Result<(), Error>,
) -> Result<(), Error> {
    refuse_hidden(ctx)?;
    let prepared = prepare()?;
    // What was given is to be tried, not a token that the same password gave before.
    ctx.forget_tokens();
    let trial = ctx.with_profile(profile(&prepared));
    match status::ask(&trial).await {
        Ok(status) => {
            save(prepared)?;
            ctx.ui.emit(&status)
        }
        Err(error) if is_verdict(error.kind) => Err(refused(ctx, trial.advise(error))),
        Err(error) => {
            let error = trial.advise(error);
            let hints: String = error.hints.iter().map(|hint| format!("; {hint}")).collect();
            ctx.ui.warn(&format!("the credentials could not be tried: {error}{hints}"));
            save(prepared)
        }
    }
}

/// Whether the error says that what was given is wrong; the others are of the network, the service, permissions and the project.
fn is_verdict(kind: Kind) -> bool {
    matches!(kind, Kind::Auth | Kind::Usage | Kind::Local)
}

fn refused(ctx: &Ctx, mut error: Error) -> Error {
    error.hints.retain(|hint| hint != CONFIGURE);
    error.hint(format!("nothing was saved; try again with: ma-cli auth login{}", ctx.profile_options()))
}
