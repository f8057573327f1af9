//! `ma-cli obs`: look into buckets, make and delete what is in them.

pub mod cat;
pub mod ls;
pub mod mb;
pub mod rb;
pub mod rm;
pub mod stat;

use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::obs::ObsUrl;
use crate::ui::text;

/// Verbs on buckets and objects. What each does is said on its arguments: a comment here would hide that from its page.
#[derive(Debug, clap::Subcommand)]
pub enum ObsCommand {
    Cat(cat::CatArgs),
    Ls(ls::LsArgs),
    Mb(mb::MbArgs),
    Rb(rb::RbArgs),
    Rm(rm::RmArgs),
    Stat(stat::StatArgs),
}

/// Runs the verb.
///
/// # Errors
/// Whatever the verb could not do.
pub async fn run(ctx: &Ctx, command: ObsCommand) -> Result<(), Error> {
    match command {
        ObsCommand::Cat(args) => cat::run(ctx, args).await,
        ObsCommand::Ls(args) => ls::run(ctx, args).await,
        ObsCommand::Mb(args) => mb::run(ctx, args).await,
        ObsCommand::Rb(args) => rb::run(ctx, args).await,
        ObsCommand::Rm(args) => rm::run(ctx, args).await,
        ObsCommand::Stat(args) => stat::run(ctx, args).await,
    }
}

/// The address of an object: one with a key.
fn object(text: &str) -> Result<ObsUrl, Error> {
    let url: ObsUrl = text.parse()?;
    if url.key.is_empty() {
        return Err(Error::new(Kind::Usage, format!("[{text}] names a bucket, not an object")));
    }
    Ok(url)
}

/// The address of a bucket; `obs://` may be left out.
fn bucket(text: &str) -> Result<ObsUrl, Error> {
    let text = if ObsUrl::looks_like(text) { text.to_owned() } else { format!("{}{text}", ObsUrl::SCHEME) };
    let url: ObsUrl = text.parse()?;
    if !url.key.is_empty() {
        return Err(Error::new(Kind::Usage, format!("[{text}] names an object, not a bucket")));
    }
    Ok(url)
}

/// A time as tables show it.
fn local(time: Option<::time::OffsetDateTime>, offset: ::time::UtcOffset) -> String {
    time.map(|time| text::local_time(time, offset)).unwrap_or_default()
}

/// A time as documents have it.
fn time(time: Option<::time::OffsetDateTime>) -> String {
    let format = ::time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    time.and_then(|time| time.to_offset(::time::UtcOffset::UTC).format(format).ok()).unwrap_or_default()
}
